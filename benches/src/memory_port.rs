//! A wire in memory: frames are copied in from a trace and out to nowhere, as the copy mode of AF_XDP copies them.
//!
//! Invariants:
//! * the port delivers exactly the frames that were offered, in the order of the trace, which starts again at its end;
//! * what is sent is counted, so that no benchmark measures packets that were dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use xmit_nic::{Burst, Caps, Instant, MacAddr, Pool, Port, PortStats, Wakeup};

/// The end that a lane owns.
#[derive(Debug)]
pub struct MemoryPort {
    caps: Caps,
    trace: Vec<Vec<u8>>,
    next: usize,
    wire: Arc<Counts>,
    stats: PortStats,
}

/// The end that the benchmark holds.
#[derive(Clone, Debug)]
pub struct Wire(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    offered: AtomicUsize,
    sent: AtomicUsize,
}

impl MemoryPort {
    /// A port with station address `mac` that receives `trace` over and over, as far as it is offered.
    pub fn new(mac: MacAddr, trace: Vec<Vec<u8>>) -> (Self, Wire) {
        let wire = Arc::new(Counts::default());
        let caps = Caps::plain("mem0", mac, "memory");
        (Self { caps, trace, next: 0, wire: wire.clone(), stats: PortStats::default() }, Wire(wire))
    }
}

impl Wire {
    /// Lets the lane receive the next `count` frames of the trace.
    pub fn offer(&self, count: usize) {
        // Relaxed here and below: both ends are turned by one thread.
        self.0.offered.fetch_add(count, Ordering::Relaxed);
    }

    /// Frames that were offered and not yet received.
    pub fn waiting(&self) -> usize {
        self.0.offered.load(Ordering::Relaxed)
    }

    /// Frames that the lane has sent.
    pub fn sent(&self) -> usize {
        self.0.sent.load(Ordering::Relaxed)
    }
}

impl Port for MemoryPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let waiting = self.wire.offered.load(Ordering::Relaxed);
        let mut count = 0;
        while count < waiting && !burst.is_full() {
            let Some(bytes) = self.trace.get(self.next) else { break };
            let Some(mut frame) = pool.acquire() else { break };
            frame.fill(bytes);
            burst.push(frame);
            self.next = (self.next + 1) % self.trace.len();
            count += 1;
        }
        self.wire.offered.store(waiting - count, Ordering::Relaxed);
        self.stats.rx_packets += count as u64;
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let count = burst.len();
        for frame in burst.drain(..) {
            self.stats.tx_bytes += frame.len() as u64;
            pool.release(frame);
        }
        self.stats.tx_packets += count as u64;
        self.wire.sent.fetch_add(count, Ordering::Relaxed);
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
