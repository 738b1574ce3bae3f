//! A port around a port that captures what passes.

use super::queue::Record;
use super::{CaptureTap, Direction};
use crate::{Around, BURST_FRAMES_MAX, Burst, Instant, Pool, Port};
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

impl Around for CapturePort {
    fn inner(&self) -> &dyn Port {
        &*self.inner
    }

    fn inner_mut(&mut self) -> &mut dyn Port {
        &mut *self.inner
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
}
