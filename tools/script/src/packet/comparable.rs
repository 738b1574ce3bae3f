//! What left, in a form in which it is the same over every medium: what depends on the time of departure counts from
//! the first of its flow. Those are sequence numbers, because a connection's first one follows a clock, and timestamps.

use super::trimmed;
use std::collections::HashMap;
use xmit_dataplane::wire::ethernet::Ethernet;
use xmit_dataplane::wire::ipv4::{Ipv4, Protocol};
use xmit_dataplane::wire::tcp::{Flags, Tcp};
use xmit_dataplane::wire::tcp_options::{TcpOption, Walk};

/// The frames of one run, in the order in which they left.
pub fn comparable<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut firsts = HashMap::new();
    frames.map(|frame| counted(frame, &mut firsts)).collect()
}

/// The frame with the numbers of its segment counted from the last SYN of its flow, without its timestamp and checksum.
fn counted(frame: &[u8], firsts: &mut HashMap<[u8; 12], u32>) -> Vec<u8> {
    let frame = trimmed(frame);
    let mut copy = frame.to_vec();
    let Some((at, flow)) = segment_of(frame) else { return copy };
    let Ok(tcp) = Tcp::parse(&frame[at..]) else { return copy };
    if tcp.flags().contains(Flags::SYN) {
        firsts.insert(flow, tcp.seq());
    }
    let first = firsts.get(&flow).copied().unwrap_or(0);
    copy[at + 4..at + 8].copy_from_slice(&tcp.seq().wrapping_sub(first).to_be_bytes());
    copy[at + 16..at + 18].fill(0);
    let stamped = Walk::new(tcp.options_bytes()).any(|option| matches!(option, TcpOption::Timestamps(_)));
    if stamped && let Some(value) = timestamp_at(tcp.options_bytes()) {
        copy[at + 20 + value..at + 24 + value].fill(0);
    }
    copy
}

/// Where the segment begins, and whose it is.
fn segment_of(frame: &[u8]) -> Option<(usize, [u8; 12])> {
    let ethernet = Ethernet::parse(frame).ok()?;
    let ip = Ipv4::parse(ethernet.payload()).ok().filter(|ip| ip.protocol() == Protocol::TCP)?;
    let mut flow = [0; 12];
    flow[..4].copy_from_slice(&ip.source().octets());
    flow[4..8].copy_from_slice(&ip.destination().octets());
    flow[8..].copy_from_slice(ip.payload().get(..4)?);
    Some((frame.len() - ip.payload().len(), flow))
}

/// Where the timestamp's value stands in the options.
fn timestamp_at(options: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *options.get(at)? {
            0 => return None,
            1 => at += 1,
            8 => return Some(at + 2),
            _ => at += usize::from(*options.get(at + 1)?).max(2),
        }
    }
}
