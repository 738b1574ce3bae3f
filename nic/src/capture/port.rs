//! A port around a port that captures what passes.

use super::queue::Record;
use super::{CaptureTap, Direction};
use crate::{BURST_FRAMES_MAX, Burst, Caps, Instant, Pool, Port, PortStats, Wakeup};
use arrayvec::ArrayVec;

/// A port whose frames are offered to a capture: received ones as they come, sent ones once the port has taken them.
pub struct CapturePort {
    inner: Box<dyn Port>,
    tap: CaptureTap,
}

impl CapturePort {
    /// `inner`, seen by `tap`.
    pub fn new(inner: Box<dyn Port>, tap: CaptureTap) -> Self {
        Self { inner, tap }
    }

    /// The port inside, to go on without capture.
    pub fn into_inner(self) -> Box<dyn Port> {
        self.inner
    }
}

impl Port for CapturePort {
    fn caps(&self) -> &Caps {
        self.inner.caps()
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let before = burst.len();
        self.inner.rx_burst(now, pool, burst);
        for frame in burst.iter().skip(before) {
            self.tap.offer(now, Direction::Inbound, frame.bytes());
        }
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        // A taken frame is gone, so the copies are made before and those of refused frames are discarded.
        let copies: ArrayVec<Option<Record>, BURST_FRAMES_MAX> =
            burst.iter().map(|frame| self.tap.prepare(frame.bytes())).collect();
        self.inner.tx_burst(now, pool, burst);
        let taken = copies.len() - burst.len().min(copies.len());
        for (index, record) in copies.into_iter().enumerate() {
            match record {
                Some(record) if index < taken => self.tap.commit(record, now, Direction::Outbound),
                Some(record) => self.tap.discard(record),
                None => {}
            }
        }
    }

    fn tx_room(&self) -> usize {
        self.inner.tx_room()
    }

    fn service(&mut self, now: Instant, pool: &mut Pool) {
        self.inner.service(now, pool);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        self.inner.sleep(now)
    }

    fn stats(&self) -> PortStats {
        self.inner.stats()
    }

    fn set_all_multicast(&mut self, all: bool) {
        self.inner.set_all_multicast(all);
    }

    fn carrier(&self) -> bool {
        self.inner.carrier()
    }

    fn shutdown(&mut self, pool: &mut Pool) {
        self.inner.shutdown(pool);
    }
}
