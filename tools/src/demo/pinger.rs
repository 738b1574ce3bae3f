//! `ping` for a stack without ICMP sockets: a port around a port, which sends echo requests in its host's name and
//! notes the replies on their way up.
//!
//! Invariants: at most one request is under way; every frame belongs to the host's pool; nothing of the host's own
//! traffic is changed.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmit_dataplane::wire::{compose, ethernet, icmp, ipv4};
use xmit_nic::{Around, Burst, Instant, MacAddr, Pool, Port};

/// Names our requests among others'.
const IDENT: u16 = 0x3c01;
/// What `ping` sends by default.
const DATA_BYTES: usize = 56;

/// Who asks whom.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The host.
    pub source: Ipv4Addr,
    /// The host's station.
    pub source_mac: MacAddr,
    /// Who is asked.
    pub target: Ipv4Addr,
    /// Its station.
    pub target_mac: MacAddr,
}

/// The person at the keyboard: asks, and looks for the answer.
#[derive(Debug, Clone)]
pub struct Pinger(Arc<Mutex<Echo>>);

/// The request under way.
#[derive(Debug, Default)]
struct Echo {
    to_send: Option<Vec<u8>>,
    sequence: u16,
    sent: Option<Instant>,
    answered: Option<Instant>,
}

/// The port around the port.
pub struct PingPort {
    inner: Box<dyn Port>,
    pinger: Pinger,
}

impl Pinger {
    /// A pinger at the host that `port` is given to instead of `inner`.
    pub fn around(inner: Box<dyn Port>) -> (Self, PingPort) {
        let pinger = Self(Arc::default());
        (pinger.clone(), PingPort { inner, pinger })
    }

    /// Asks with this number; the request leaves at the host's next turn.
    pub fn ask(&self, route: Route, sequence: u16) {
        *self.echo() = Echo { to_send: Some(request(route, sequence)), sequence, sent: None, answered: None };
    }

    /// How long the answer took, once it is there.
    pub fn round_trip(&self) -> Option<std::time::Duration> {
        let echo = self.echo();
        Some(echo.answered?.saturating_since(echo.sent?))
    }

    fn echo(&self) -> MutexGuard<'_, Echo> {
        // A panic elsewhere leaves plain values behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An echo request as a frame.
fn request(route: Route, sequence: u16) -> Vec<u8> {
    let data: [u8; DATA_BYTES] = std::array::from_fn(|at| at as u8);
    let mut message = [0; 128];
    let length = icmp::Message::EchoRequest(icmp::Echo { ident: IDENT, sequence, data: &data }).emit(&mut message);
    let header =
        ipv4::Header { ident: sequence, ..ipv4::Header::new(route.source, route.target, ipv4::Protocol::ICMP) };
    let datagram = compose::ipv4(&header, message.get(..length).unwrap_or_default());
    compose::ethernet(route.source_mac, route.target_mac, ethernet::EtherType::IPV4, &datagram)
}

/// The number of an echo reply to one of ours, whole and with its checksums right.
fn reply(frame: &[u8]) -> Option<u16> {
    let link = ethernet::Ethernet::parse(frame).ok()?;
    let packet = ipv4::Ipv4::parse(link.payload()).ok()?;
    let message = icmp::Icmp::parse(packet.payload()).ok().filter(|message| message.checksum_ok())?;
    match message.message() {
        icmp::Message::EchoReply(echo) if packet.checksum_ok() && echo.ident == IDENT => {
            (echo.data.len() == DATA_BYTES).then_some(echo.sequence)
        }
        _ => None,
    }
}

impl Around for PingPort {
    fn inner(&self) -> &dyn Port {
        &*self.inner
    }

    fn inner_mut(&mut self) -> &mut dyn Port {
        &mut *self.inner
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let before = burst.len();
        self.inner.rx_burst(now, pool, burst);
        let mut echo = self.pinger.echo();
        if burst.iter().skip(before).any(|frame| reply(frame.bytes()) == Some(echo.sequence)) {
            echo.answered = echo.answered.or(Some(now));
        }
    }

    fn service(&mut self, now: Instant, pool: &mut Pool) {
        let mut echo = self.pinger.echo();
        if let Some(bytes) = echo.to_send.take()
            && let Some(mut frame) = pool.acquire()
        {
            frame.fill(&bytes);
            let mut burst = Burst::new();
            burst.push(frame);
            self.inner.tx_burst(now, pool, &mut burst);
            echo.sent = Some(now);
            if let Some(refused) = burst.pop() {
                // The port is busy with the host's own: again at the next turn.
                (echo.to_send, echo.sent) = (Some(bytes), None);
                pool.release(refused);
            }
        }
        self.inner.service(now, pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Route = Route {
        source: Ipv4Addr::new(10, 0, 0, 1),
        source_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        target: Ipv4Addr::new(10, 0, 0, 2),
        target_mac: MacAddr([2, 0, 0, 0, 0, 2]),
    };

    /// What a host answers to `request`, but for the addresses, which do not matter here.
    fn answer(request: &[u8]) -> Vec<u8> {
        let mut frame = request.to_vec();
        let (headers, message) = frame.split_at_mut(34);
        assert_eq!(headers.len() + 8 + DATA_BYTES, request.len());
        message[0] = 0;
        // One's complement: eight less in the first byte of a word is 0x0800 more in its sum.
        let sum = u32::from(u16::from_be_bytes([message[2], message[3]])) + 0x0800;
        message[2..4].copy_from_slice(&((sum + (sum >> 16)) as u16).to_be_bytes());
        frame
    }

    #[test]
    fn only_a_whole_reply_to_a_request_of_ours_counts() {
        let request = request(ROUTE, 7);
        assert_eq!(reply(&request), None, "a request is no reply");
        let good = answer(&request);
        assert_eq!(reply(&good), Some(7));
        for at in 14..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            assert_eq!(reply(&damaged), None, "byte {at}");
        }
    }
}
