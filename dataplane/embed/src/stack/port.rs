//! The wire of an embedded stack: raw IP datagrams that the program hands in and takes out.
//!
//! The stack speaks Ethernet, as everywhere: this port puts a header before what arrives and takes it from what leaves. Everybody else
//! has one station address, which the configuration tells the stack, so nothing is resolved; what is not IP ends here.
//!
//! Invariants: what leaves is stamped with the time of the turn that sent it, and kept in order until it is taken.

use super::config::{OUR_MAC, THEIR_MAC};
use crate::errno::{Result, fail};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xmit_dataplane::wire::ethernet::{EtherType, Ethernet};
use xmit_nic::{Burst, Caps, Instant, MacAddr, Pool, Port, PortStats, Wakeup};

/// The program's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Datagrams>>);

#[derive(Debug, Default)]
struct Datagrams {
    arriving: VecDeque<Vec<u8>>,
    left: VecDeque<(Instant, Vec<u8>)>,
}

/// The lane's end.
#[derive(Debug)]
pub(super) struct RawIpPort {
    caps: Caps,
    wire: Wire,
    stats: PortStats,
}

/// Datagrams that wait to be taken, at most: a program that never takes any loses the later ones, as on a wire.
const LEFT_MAX: usize = 16_384;

const HEADER_LEN: usize = 14;

impl Wire {
    /// A datagram arrives with the stack's next turn.
    pub(super) fn arrive(&self, datagram: &[u8]) {
        self.lock().arriving.push_back(datagram.to_vec());
    }

    /// The oldest datagram that left, and when. `EMSGSIZE` if it does not fit `room`.
    pub(super) fn take(&self, room: usize) -> Result<Option<(Instant, Vec<u8>)>> {
        let mut wire = self.lock();
        match wire.left.front() {
            Some((_, datagram)) if datagram.len() > room => fail(libc::EMSGSIZE),
            _ => Ok(wire.left.pop_front()),
        }
    }

    /// True if a datagram waits to be taken.
    pub(super) fn has_left(&self) -> bool {
        !self.lock().left.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Datagrams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RawIpPort {
    /// A port on `wire` for datagrams of up to `mtu` bytes.
    pub(super) fn new(wire: Wire, mtu: u16) -> Self {
        let caps = Caps { mtu, ..Caps::plain("xm0", OUR_MAC, "raw IP") };
        Self { caps, wire, stats: PortStats::default() }
    }
}

impl Port for RawIpPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut wire = self.wire.lock();
        while !burst.is_full() && !wire.arriving.is_empty() {
            let Some(mut frame) = pool.acquire() else { break };
            let Some(datagram) = wire.arriving.pop_front() else { return pool.release(frame) };
            if !frame.set_len(HEADER_LEN + datagram.len()) {
                self.stats.rx_length_errors += 1;
                pool.release(frame);
                continue;
            }
            let (header, payload) = frame.bytes_mut().split_at_mut(HEADER_LEN);
            header.copy_from_slice(&header_of(&datagram));
            payload.copy_from_slice(&datagram);
            self.stats.rx_packets += 1;
            self.stats.rx_bytes += datagram.len() as u64;
            burst.push(frame);
        }
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut wire = self.wire.lock();
        for frame in burst.drain(..) {
            let ip = Ethernet::parse(frame.bytes()).ok().filter(|frame| frame.ethertype() == EtherType::IPV4);
            match ip {
                Some(ip) if wire.left.len() < LEFT_MAX => {
                    self.stats.tx_packets += 1;
                    self.stats.tx_bytes += ip.payload().len() as u64;
                    wire.left.push_back((now, ip.payload().to_vec()));
                }
                _ => self.stats.tx_dropped += 1,
            }
            pool.release(frame);
        }
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {}

    fn sleep(&mut self, now: Instant) -> Wakeup {
        let waiting = !self.wire.lock().arriving.is_empty();
        Wakeup { at: waiting.then_some(now), ..Wakeup::default() }
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn shutdown(&mut self, _pool: &mut Pool) {}
}

/// The Ethernet header that `datagram` would have come with.
fn header_of(datagram: &[u8]) -> [u8; HEADER_LEN] {
    let [first, destination] = [datagram.first().copied().unwrap_or(0), datagram.get(16).copied().unwrap_or(0)];
    let all_ones = datagram.get(16..20) == Some(&[255; 4]);
    let to = match destination {
        _ if all_ones => MacAddr([0xff; 6]),
        // RFC 1112 §6.4; the stack looks at the group bit alone.
        224..=239 => MacAddr([0x01, 0x00, 0x5e, 0, 0, 1]),
        _ => OUR_MAC,
    };
    let ethertype: u16 = if first >> 4 == 6 { 0x86dd } else { EtherType::IPV4.0 };
    let mut header = [0; HEADER_LEN];
    let bytes = to.0.into_iter().chain(THEIR_MAC.0).chain(ethertype.to_be_bytes());
    header.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    header
}
