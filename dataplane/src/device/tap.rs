//! Copies of passing frames for whoever listens (`dev_nit`, `ETH_P_ALL`).

use xmit_nic::Instant;
use xmit_nic::capture::CaptureTap;

pub use xmit_nic::capture::Direction;

/// A listener on a device. Offering never waits and never allocates; what the listener cannot take it counts.
#[derive(Clone, Debug)]
pub struct Tap {
    /// Names the tap, so that it can be taken away again.
    pub id: u64,
    queue: CaptureTap,
}

impl Tap {
    /// A tap that feeds `queue`.
    pub fn new(id: u64, queue: CaptureTap) -> Self {
        Self { id, queue }
    }

    /// Shows a frame.
    #[inline]
    pub fn offer(&self, now: Instant, direction: Direction, bytes: &[u8]) {
        // What does not fit is counted by the capture itself.
        let _ = self.queue.offer(now, direction, bytes);
    }
}
