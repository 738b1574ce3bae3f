//! Many connections on one lane, most of them idle: bytes that each takes, and cycles of a request among them.
//!
//! `cargo run --release -p xmit-benches --bin tcp_idle`. Needs nothing but memory, 2 GB for a million. `docs/benchmarks.md` explains the
//! figures.

use clap::Parser;
use std::process::ExitCode;
use xmit_benches::cpu;
use xmit_benches::idle::{self, Options};

#[derive(Parser)]
#[command(about = "Many connections on one lane, most of them idle: bytes of each, cycles of a request among them")]
struct Arguments {
    /// Numbers of connections, growing.
    #[arg(long, value_delimiter = ',', default_value = "1,100,10000,100000,1000000")]
    connections: Vec<u32>,
    /// Requests measured at each.
    #[arg(long, default_value_t = 100_000)]
    requests: u32,
    /// Goes before other work on this machine (autogroup nice -20, as root), for figures on a machine that is not idle.
    #[arg(long)]
    urgent: bool,
}

fn main() -> ExitCode {
    let Arguments { connections, requests, urgent } = Arguments::parse();
    if urgent && let Err(error) = cpu::go_first() {
        eprintln!("tcp_idle: --urgent needs root and a session of its own (setsid --wait ...): {error}");
        return ExitCode::FAILURE;
    }
    match idle::run(&Options { steps: connections, requests }) {
        Ok(outcome) => {
            print!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tcp_idle: {error}");
            ExitCode::FAILURE
        }
    }
}
