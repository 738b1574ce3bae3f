//! The far ends of many connections, played for a lane in memory: they connect, ask, acknowledge and finish as they are told.
//!
//! Each end is three numbers, and a segment is a copied template with its fields patched and its checksum adjusted, so that the lane is
//! what a benchmark measures. Segments carry what Linux's do: in the SYN all options, later timestamps.
//!
//! Invariants:
//! * what is sent is in order and within any window of 64 KiB, so nothing is ever sent again;
//! * what arrives is believed: only its length, flags and timestamps are looked at, and a reset is counted.

use super::template::{Kind, Patch, Templates};
use crate::host::{ENDS, FAR};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xmit_nic::{Burst, Caps, Instant, Pool, Port, PortStats, Wakeup};

/// Connections to one port, and so in one session; one slot more is its listener's.
pub const CONNECTIONS_PER_PORT: u32 = 250_000;
/// The first port; connection `i` goes to this one and `i / CONNECTIONS_PER_PORT`.
pub const FIRST_PORT: u16 = 1024;
/// Connections from one address, and their first port.
const CONNECTIONS_PER_ADDRESS: u32 = 32_768;
const FIRST_SOURCE_PORT: u16 = 16_384;

/// The hand of the benchmark.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Mutex<State>>);

/// The port that the lane owns.
#[derive(Debug)]
pub struct PeerPort {
    caps: Caps,
    state: Arc<Mutex<State>>,
    stats: PortStats,
}

/// What the far ends saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handshakes completed.
    pub established: u64,
    /// Bytes of data received.
    pub bytes: u64,
    /// Segments with data received.
    pub segments: u64,
    /// Ends of streams received.
    pub fins: u64,
    /// Resets received.
    pub resets: u64,
}

#[derive(Debug)]
struct State {
    ends: Vec<End>,
    /// What is to be sent, by connection.
    queue: VecDeque<(u32, Kind)>,
    templates: Templates,
    /// Data segments between two acknowledgements; zero to leave them to the next request.
    acknowledge_every: u32,
    counts: Counts,
}

/// One far end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// `SND.NXT`.
    next: u32,
    /// `RCV.NXT`.
    expected: u32,
    /// The timestamp to echo.
    echo: u32,
    /// Data segments since the last acknowledgement.
    unacknowledged: u32,
}

impl Peer {
    /// Far ends of `count` connections, whose data segments carry `payload` bytes.
    pub fn new(count: u32, payload: usize, acknowledge_every: u32) -> (Self, PeerPort) {
        let state = State {
            ends: vec![End::default(); count as usize],
            queue: VecDeque::new(),
            templates: Templates::new(payload),
            acknowledge_every,
            counts: Counts::default(),
        };
        let state = Arc::new(Mutex::new(state));
        let caps = Caps::plain("mem0", ENDS.host.1, "memory");
        (Self(state.clone()), PeerPort { caps, state, stats: PortStats::default() })
    }

    /// Connection `index` sends its SYN.
    pub fn connect(&self, index: u32) {
        let mut state = lock(&self.0);
        if let Some(end) = state.ends.get_mut(index as usize) {
            *end = End { next: index.wrapping_mul(0x0101_0101), ..End::default() };
        }
        state.queue.push_back((index, Kind::Syn));
    }

    /// Connection `index` sends a segment with data.
    pub fn send(&self, index: u32) {
        lock(&self.0).queue.push_back((index, Kind::Data));
    }

    /// Connection `index` acknowledges what it has received.
    pub fn acknowledge(&self, index: u32) {
        lock(&self.0).queue.push_back((index, Kind::Ack));
    }

    /// Connection `index` ends its stream.
    pub fn finish(&self, index: u32) {
        lock(&self.0).queue.push_back((index, Kind::Fin));
    }

    /// What the far ends saw so far.
    pub fn counts(&self) -> Counts {
        lock(&self.0).counts
    }
}

/// One thread turns all; a poisoned lock means that it panicked already.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The fields of connection `index`'s next segment, which counts as sent.
    fn next(&mut self, index: u32, kind: Kind, now: Instant) -> Option<Patch> {
        let end = self.ends.get_mut(index as usize)?;
        let (source, source_port) = source_of(index);
        let patch = Patch {
            source,
            source_port,
            destination_port: FIRST_PORT + (index / CONNECTIONS_PER_PORT) as u16,
            seq: end.next,
            ack: end.expected,
            time: (now.as_nanos() / 1_000_000) as u32 + 1,
            echo: end.echo,
        };
        end.next = end.next.wrapping_add(self.templates.sequence_len(kind));
        end.unacknowledged = 0;
        Some(patch)
    }

    /// Takes in what the lane sent.
    fn hear(&mut self, frame: &[u8]) {
        let Some(segment) = Heard::read(frame) else { return };
        let Some(end) = self.ends.get_mut(segment.index as usize) else { return };
        if segment.flags & RST != 0 {
            self.counts.resets += 1;
            return;
        }
        end.echo = segment.time.unwrap_or(end.echo);
        if segment.flags & SYN != 0 {
            end.expected = segment.seq.wrapping_add(1);
            self.counts.established += 1;
            self.queue.push_back((segment.index, Kind::Ack));
            return;
        }
        let fin = u32::from(segment.flags & FIN != 0);
        if segment.len + fin == 0 || segment.seq != end.expected {
            return;
        }
        end.expected = end.expected.wrapping_add(segment.len + fin);
        end.unacknowledged += 1;
        self.counts.bytes += u64::from(segment.len);
        self.counts.segments += u64::from(segment.len > 0);
        self.counts.fins += u64::from(fin);
        if fin > 0 || end.unacknowledged == self.acknowledge_every {
            self.queue.push_back((segment.index, Kind::Ack));
        }
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

/// What matters of a segment from the lane: Ethernet, an IPv4 header without options, TCP.
struct Heard {
    index: u32,
    seq: u32,
    flags: u8,
    len: u32,
    time: Option<u32>,
}

impl Heard {
    fn read(frame: &[u8]) -> Option<Self> {
        let ip = frame.get(14..)?;
        let tcp = ip.get(20..)?;
        let be16 = |bytes: &[u8], at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
        let be32 = |bytes: &[u8], at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (header, flags) = (u32::from(tcp.get(12)? >> 4) * 4, *tcp.get(13)?);
        // Linux's layouts: behind MSS and SACK-permitted in a SYN, behind two NOPs later.
        let time = match (flags & SYN != 0, header) {
            (true, 40) => be32(tcp, 28),
            (false, 32) => be32(tcp, 24),
            _ => None,
        };
        let index = index_of(Ipv4Addr::from(be32(ip, 16)?), be16(tcp, 2)?)?;
        let len = u32::from(be16(ip, 2)?).checked_sub(20 + header)?;
        Some(Self { index, seq: be32(tcp, 4)?, flags, len, time })
    }
}

fn source_of(index: u32) -> (Ipv4Addr, u16) {
    let address = u32::from(FAR.0) + 1 + index / CONNECTIONS_PER_ADDRESS;
    (address.into(), FIRST_SOURCE_PORT + (index % CONNECTIONS_PER_ADDRESS) as u16)
}

fn index_of(address: Ipv4Addr, port: u16) -> Option<u32> {
    let number = u32::from(address).checked_sub(u32::from(FAR.0) + 1)?;
    Some(number * CONNECTIONS_PER_ADDRESS + u32::from(port.checked_sub(FIRST_SOURCE_PORT)?))
}

impl Port for PeerPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut state = lock(&self.state);
        while !burst.is_full() {
            let Some((index, kind)) = state.queue.pop_front() else { break };
            let Some(patch) = state.next(index, kind, now) else { continue };
            let Some(mut frame) = pool.acquire() else { break };
            state.templates.fill(kind, &patch, &mut frame);
            self.stats.rx_packets += 1;
            burst.push(frame);
        }
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut state = lock(&self.state);
        for frame in burst.drain(..) {
            state.hear(frame.bytes());
            self.stats.tx_packets += 1;
            pool.release(frame);
        }
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {}

    fn sleep(&mut self, _now: Instant) -> Wakeup {
        Wakeup::default()
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn shutdown(&mut self, _pool: &mut Pool) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_a_source_of_its_own() {
        for index in [0, 1, 32_767, 32_768, 100_000, 999_999] {
            let (address, port) = source_of(index);
            assert_eq!(index_of(address, port), Some(index));
        }
        assert_eq!(index_of(Ipv4Addr::LOCALHOST, 1), None);
    }
}
