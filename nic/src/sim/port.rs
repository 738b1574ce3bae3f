//! One end of a simulated wire, as a port.

use super::SharedLine;
use crate::{Burst, Caps, Instant, MacAddr, Pool, Port, PortStats, Wakeup};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One end of a [`super::Wire`].
///
/// Sending never finds the port busy: what does not fit the line is dropped and counted as `tx_dropped`.
#[derive(Debug)]
pub struct SimPort {
    caps: Caps,
    tx: SharedLine,
    rx: SharedLine,
    stats: PortStats,
    doorbell: Arc<Doorbell>,
    peer_doorbell: Option<Arc<Doorbell>>,
}

/// Wakes an end that sleeps on the real clock when the other end sends. `armed` changes only under the lock of the
/// line that leads to the sleeper, so a frame is either seen by `sleep` or rings.
#[derive(Debug)]
struct Doorbell {
    fd: OwnedFd,
    armed: AtomicBool,
}

impl SimPort {
    pub(super) fn new(name: &str, mac: MacAddr, tx: SharedLine, rx: SharedLine) -> io::Result<Self> {
        let mut caps = Caps::plain(name, mac, "simulated wire");
        caps.mtu = tx.lock().impairment().mtu;
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let doorbell = Arc::new(Doorbell { fd, armed: AtomicBool::new(false) });
        Ok(Self { caps, tx, rx, stats: PortStats::default(), doorbell, peer_doorbell: None })
    }

    pub(super) fn connect(a: &mut Self, b: &mut Self) {
        a.peer_doorbell = Some(Arc::clone(&b.doorbell));
        b.peer_doorbell = Some(Arc::clone(&a.doorbell));
    }

    /// The same end under another name and station address.
    #[must_use]
    pub fn named(mut self, name: &str, mac: MacAddr) -> Self {
        (self.caps.name, self.caps.mac) = (name.to_owned(), mac);
        self
    }
}

impl Port for SimPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut line = self.rx.lock();
        while !burst.is_full() {
            let Some(bytes) = line.peek(now) else { break };
            // Without a buffer the frame waits on the line, whose bound makes the drop and counts it.
            let Some(frame) = pool.acquire() else { break };
            self.stats.receive(bytes, frame, pool, burst);
            line.pop();
        }
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        if burst.is_empty() {
            return;
        }
        let mut line = self.tx.lock();
        for frame in burst.drain(..) {
            if line.input(now, frame.bytes()) {
                self.stats.tx_packets += 1;
                self.stats.tx_bytes += frame.len() as u64;
            } else {
                self.stats.tx_dropped += 1;
            }
            pool.release(frame);
        }
        if let Some(peer) = &self.peer_doorbell
            && peer.armed.swap(false, Ordering::Relaxed)
        {
            let _ = rustix::io::write(&peer.fd, &1u64.to_ne_bytes()); // full means rung already
        }
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {}

    fn sleep(&mut self, _now: Instant) -> Wakeup {
        let line = self.rx.lock();
        let _ = rustix::io::read(&self.doorbell.fd, &mut [0; 8]); // empty means not rung
        self.doorbell.armed.store(true, Ordering::Relaxed);
        Wakeup { fds: [self.doorbell.fd.as_raw_fd()].into_iter().collect(), at: line.next_event() }
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn shutdown(&mut self, _pool: &mut Pool) {
        // Frames on the wire are copies: the port holds none of the pool's.
    }
}
