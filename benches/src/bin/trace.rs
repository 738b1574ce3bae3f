//! Carries a fixed trace through a lane and its program, to have its instructions counted:
//! `valgrind --tool=callgrind target/release/trace udp-64 10000`.
//!
//! The same arguments execute the same instructions: time is virtual, seeds are fixed, and one thread does it all.

use clap::{Parser, ValueEnum};
use std::io;
use std::process::ExitCode;
use xmit_benches::packets::{self, ECHO_PORT};
use xmit_benches::rig::Rig;
use xmit_benches::tcp::REQUEST_BYTES;
use xmit_benches::tcp::rig::TcpRig;
use xmit_benches::tcp::server::Service;

/// Packets that arrive between two looks of the lane.
const BURST: usize = 16;
/// Data of a full segment with timestamps.
const SEGMENT_BYTES: usize = 1448;
/// The far end of bulk acknowledges every other segment, as a receiver must (RFC 9293 section 3.8.6.3).
const ACKNOWLEDGE_EVERY: u32 = 2;
/// Connections whose numbers are used in turn.
const CONNECTIONS: u32 = 2048;

#[derive(Parser)]
#[command(about = "Carries a fixed trace through a lane, to have its instructions counted")]
struct Arguments {
    /// What arrives.
    trace: Trace,
    /// How many packets of it, requests, or connections.
    count: usize,
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
    /// TCP requests of 64 bytes on 16 connections, answered by an echo: a segment in and one out.
    #[value(name = "tcp-64")]
    Tcp64,
    /// Full TCP segments of one connection, read by a program, and acknowledgements out.
    #[value(name = "tcp-in")]
    TcpIn,
    /// Full TCP segments of one connection, written by a program, and acknowledgements in.
    #[value(name = "tcp-out")]
    TcpOut,
    /// TCP connections that come, ask 64 bytes, and go.
    #[value(name = "tcp-connect")]
    TcpConnect,
}

fn main() -> ExitCode {
    let Arguments { trace, count } = Arguments::parse();
    let carried = match trace {
        Trace::Udp64 => datagrams(vec![packets::udp(ECHO_PORT, 64, 1)], count),
        Trace::Udp1400 => datagrams(vec![packets::udp(ECHO_PORT, 1400, 1)], count),
        Trace::Ping => datagrams(vec![packets::ping(56, 1)], count),
        Trace::Mixture => datagrams(packets::mixture(1000, 1), count),
        Trace::Tcp64 => tcp_requests(count),
        Trace::TcpIn => tcp_in(count),
        Trace::TcpOut => tcp_out(count),
        Trace::TcpConnect => tcp_connections(count),
    };
    match carried {
        Ok(sent) => {
            println!("{count} in, {sent} out");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the lane did not carry it: {error}");
            ExitCode::FAILURE
        }
    }
}

fn datagrams(frames: Vec<Vec<u8>>, count: usize) -> io::Result<u64> {
    let mut rig = Rig::new(frames, || 0)?;
    let mut left = count;
    while left > 0 {
        rig.exchange(left.min(BURST));
        left -= left.min(BURST);
    }
    Ok(rig.wire().sent() as u64)
}

fn tcp_requests(count: usize) -> io::Result<u64> {
    let mut rig = TcpRig::new(BURST as u32, REQUEST_BYTES, 0, Service::Echo, || 0)?;
    rig.connect(0..BURST as u32)?;
    let indices: Vec<_> = (0..BURST as u32).collect();
    let mut left = count;
    while left > 0 {
        rig.request(indices.get(..left.min(BURST)).unwrap_or(&indices), REQUEST_BYTES as u64)?;
        left -= left.min(BURST);
    }
    Ok(rig.counts().segments)
}

fn tcp_in(count: usize) -> io::Result<u64> {
    let mut rig = TcpRig::new(1, SEGMENT_BYTES, 0, Service::Discard, || 0)?;
    rig.connect(0..1)?;
    let mut left = count;
    while left > 0 {
        rig.deliver([0; BURST].get(..left.min(BURST)).unwrap_or_default())?;
        left -= left.min(BURST);
    }
    Ok(sent(&rig))
}

fn tcp_out(count: usize) -> io::Result<u64> {
    let mut rig = TcpRig::new(1, SEGMENT_BYTES, ACKNOWLEDGE_EVERY, Service::Chargen, || 0)?;
    rig.connect(0..1)?;
    while rig.counts().segments < count as u64 {
        let before = rig.counts().segments;
        rig.settle(0, |rig| rig.counts().segments > before)?;
    }
    Ok(sent(&rig))
}

fn tcp_connections(count: usize) -> io::Result<u64> {
    let mut rig = TcpRig::new(CONNECTIONS, REQUEST_BYTES, 0, Service::Echo, || 0)?;
    let (mut left, mut next) = (count as u32, 0);
    while left > 0 {
        let end = next + left.min(BURST as u32);
        let indices: Vec<_> = (next..end).collect();
        rig.connect(next..end)?;
        rig.request(&indices, REQUEST_BYTES as u64)?;
        rig.finish(next..end)?;
        left -= end - next;
        next = end % (CONNECTIONS - BURST as u32);
    }
    Ok(sent(&rig))
}

/// Segments that the lane sent.
fn sent(rig: &TcpRig) -> u64 {
    rig.lane().ports().first().map_or(0, |port| port.stats().tx_packets)
}
