//! Two stacks on two lanes joined in memory: 64 bytes to and fro on many connections, and what each stage of a lane costs.
//!
//! `cargo run --release -p xmit-benches --bin tcp_pingpong`. Needs nothing. `docs/benchmarks.md` explains the figures.

use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;
use xmit_benches::cpu;
use xmit_benches::pingpong::{self, Options};

#[derive(Parser)]
#[command(about = "Two stacks on two lanes joined in memory: 64 bytes to and fro on many connections")]
struct Arguments {
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Measured seconds of one round, after a quarter as much of warm-up.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Both lanes in one thread: cycles without waiting for another core.
    #[arg(long)]
    one_thread: bool,
    /// Goes before other work on this machine (autogroup nice -20, as root), for figures on a machine that is not idle.
    #[arg(long)]
    urgent: bool,
}

fn main() -> ExitCode {
    let Arguments { connections, seconds, rounds, one_thread, urgent } = Arguments::parse();
    if urgent && let Err(error) = cpu::go_first() {
        eprintln!("tcp_pingpong: --urgent needs root and a session of its own (setsid --wait ...): {error}");
        return ExitCode::FAILURE;
    }
    let (warm_up, duration) = (Duration::from_secs_f64(seconds / 4.0), Duration::from_secs_f64(seconds));
    for round in 1..=rounds {
        match pingpong::run(&Options { connections, warm_up, duration, one_thread }) {
            Ok(outcome) => print!("round {round} of {rounds}, {connections} connections: {outcome}"),
            Err(error) => {
                eprintln!("tcp_pingpong: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
