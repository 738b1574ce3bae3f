//! A lane on a wire in memory with an echo program in the same process: what a packet costs between two NICs.
//!
//! The echo uses its session's rings as the client library does: it takes every datagram that waits, puts each into
//! its sending ring, and tells the lane once. Time is virtual and moves a microsecond with each turn.

use crate::host::{ENDS, Host};
use crate::memory_port::{MemoryPort, Wire};
use crate::packets::{ECHO_PORT, HOST_MAC};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::lane::Lane;
use xmit_nic::{Duration, Instant};
use xmit_shared::session::{ClientEnd, Op, SessionConfig, Submission, Transport};

/// The echo's socket.
const SLOT: u32 = 0;
/// Turns that setting up may take.
const SETUP_TURNS: usize = 100;

/// A lane, its wire and its client.
#[derive(Debug)]
pub struct Rig {
    host: Host,
    wire: Wire,
    client: ClientEnd,
    now: Instant,
    buffer: Box<[u8; 2048]>,
}

impl Rig {
    /// A rig whose lane receives `trace` over and over. `cycles` is the counter that its stages are measured by.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors, or the lane does not answer the echo's calls.
    pub fn new(trace: Vec<Vec<u8>>, cycles: fn() -> u64) -> io::Result<Self> {
        let (port, wire) = MemoryPort::new(HOST_MAC, trace);
        let mut host = Host::new(ENDS, Box::new(port), Instant::ZERO, cycles)?;
        let client = host.attach(&SessionConfig::default())?;
        let mut rig = Self { host, wire, client, now: Instant::ZERO, buffer: Box::new([0; 2048]) };
        rig.call(Op::Open(Transport::Udp))?;
        rig.call(Op::Bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ECHO_PORT)))?;
        Ok(rig)
    }

    /// The wire's other end.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The lane.
    pub fn lane(&self) -> &Lane {
        self.host.lane()
    }

    /// One turn of the lane; answers what it did.
    #[inline]
    pub fn turn(&mut self) -> usize {
        self.now += Duration::from_micros(1);
        self.host.turn(self.now)
    }

    /// Delivers `count` frames and turns lane and echo until nothing moves. Answers the datagrams echoed.
    pub fn exchange(&mut self, count: usize) -> usize {
        self.wire.offer(count);
        let mut echoed = 0;
        // Bounded: each turn receives a burst of what was offered, and answers do not cause questions.
        loop {
            let work = self.turn();
            let datagrams = self.echo();
            echoed += datagrams;
            if work == 0 && datagrams == 0 && self.wire.waiting() == 0 {
                return echoed;
            }
        }
    }

    /// The echo program: sends back what waits. Answers how many datagrams.
    fn echo(&mut self) -> usize {
        let Some(slot) = self.client.slots.get_mut(SLOT as usize) else { return 0 };
        let mut count = 0;
        while let Ok(Some(meta)) = slot.rx.peek() {
            let len = slot.rx.copy(&mut self.buffer[..]);
            let answer = xmit_shared::record::Meta::of(meta.peer);
            if slot.tx.push(&answer, &[self.buffer.get(..len).unwrap_or_default()]).is_err() {
                break;
            }
            slot.rx.consume();
            count += 1;
        }
        if count > 0 {
            self.client.shared.kick(0, SLOT);
        }
        count
    }

    /// A socket call of the echo program, carried out to its end.
    fn call(&mut self, op: Op) -> io::Result<()> {
        let end = self.client.lanes.first_mut().ok_or_else(|| io::Error::other("a session without lanes"))?;
        end.submit(&Submission { token: 1, slot: SLOT, op }).map_err(io::Error::other)?;
        for _ in 0..SETUP_TURNS {
            self.turn();
            self.host.control();
            let end = self.client.lanes.first_mut().ok_or_else(|| io::Error::other("a session without lanes"))?;
            match end.next_completion().map_err(io::Error::other)? {
                Some(answer) if answer.result < 0 => return Err(io::Error::from_raw_os_error(-answer.result)),
                Some(_) => return Ok(()),
                None => {}
            }
        }
        Err(io::Error::other(format!("the lane did not answer {op:?} in {SETUP_TURNS} turns")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets;

    #[test]
    fn every_datagram_comes_back() {
        let mut rig = Rig::new(vec![packets::udp(ECHO_PORT, 64, 1)], || 0).unwrap();
        assert_eq!(rig.exchange(1000), 1000);
        assert_eq!(rig.wire().sent(), 1000);
    }

    #[test]
    fn the_mixture_is_answered_as_a_host_answers() {
        let mut rig = Rig::new(packets::mixture(1000, 1), || 0).unwrap();
        let echoed = rig.exchange(1000);
        assert!((880..960).contains(&echoed), "{echoed} of 1000 datagrams were for the echo");
        let sent = rig.wire().sent();
        assert!(sent > 970 && sent <= 1000, "{sent} answers: all but refusals above their rate limit");
    }
}
