//! Carries a fixed trace through a lane and its echo program, to have its instructions counted:
//! `valgrind --tool=callgrind target/release/trace udp-64 10000`.
//!
//! The same arguments execute the same instructions: time is virtual, seeds are fixed, and one thread does it all.

use clap::{Parser, ValueEnum};
use std::process::ExitCode;
use xmit_benches::packets::{self, ECHO_PORT};
use xmit_benches::rig::Rig;

/// Packets that arrive between two looks of the lane.
const BURST: usize = 16;

#[derive(Parser)]
#[command(about = "Carries a fixed trace through a lane, to have its instructions counted")]
struct Arguments {
    /// What arrives.
    trace: Trace,
    /// How many packets of it.
    packets: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Trace {
    /// Datagrams of 64 bytes, echoed.
    #[value(name = "udp-64")]
    Udp64,
    /// Datagrams of 1,400 bytes, echoed.
    #[value(name = "udp-1400")]
    Udp1400,
    /// Pings of 56 bytes.
    Ping,
    /// What a host hears, seeded.
    Mixture,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let frames = match arguments.trace {
        Trace::Udp64 => vec![packets::udp(ECHO_PORT, 64, 1)],
        Trace::Udp1400 => vec![packets::udp(ECHO_PORT, 1400, 1)],
        Trace::Ping => vec![packets::ping(56, 1)],
        Trace::Mixture => packets::mixture(1000, 1),
    };
    match Rig::new(frames, || 0) {
        Ok(mut rig) => {
            let mut left = arguments.packets;
            while left > 0 {
                rig.exchange(left.min(BURST));
                left -= left.min(BURST);
            }
            println!("{} packets in, {} out", arguments.packets, rig.wire().sent());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the lane did not start: {error}");
            ExitCode::FAILURE
        }
    }
}
