//! Two ports joined by memory: what one sends, the other has at once.

use crate::medium::Ends;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use xmit_nic::{Burst, Caps, Instant, MacAddr, Pool, Port, PortStats, Wakeup};

type Way = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// Two ports joined by two queues.
pub(crate) fn memory(ours: MacAddr, peer: MacAddr) -> Ends {
    let (down, up) = (Way::default(), Way::default());
    let end = |name: &str, mac, tx: &Way, rx: &Way| {
        let caps = Caps::plain(name, mac, "memory");
        Box::new(MemoryPort { caps, tx: Arc::clone(tx), rx: Arc::clone(rx), stats: PortStats::default() })
    };
    (end("mem0", ours, &down, &up), end("mem1", peer, &up, &down))
}

/// One end of two queues.
#[derive(Debug)]
struct MemoryPort {
    caps: Caps,
    tx: Way,
    rx: Way,
    stats: PortStats,
}

impl Port for MemoryPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut rx = self.rx.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(bytes) = rx.front().filter(|_| !burst.is_full()) {
            let Some(frame) = pool.acquire() else { break };
            self.stats.receive(bytes, frame, pool, burst);
            rx.pop_front();
        }
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut tx = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in burst.drain(..) {
            self.stats.tx_packets += 1;
            tx.push_back(frame.bytes().to_vec());
            pool.release(frame);
        }
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {}

    fn sleep(&mut self, now: Instant) -> Wakeup {
        let waiting = !self.rx.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        Wakeup { at: waiting.then_some(now), ..Wakeup::default() }
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn shutdown(&mut self, _pool: &mut Pool) {}
}
