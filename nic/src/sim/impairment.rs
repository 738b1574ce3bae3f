//! What one direction of a wire does to the frames on it.

use crate::Duration;

/// What one direction of a wire does to the frames on it, in the order in which a frame meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impairment {
    /// The largest IP datagram, in bytes; a longer frame (Ethernet header and one 802.1Q tag beside) is dropped.
    /// At most [`Impairment::MTU_MAX`].
    pub mtu: u16,
    /// Frames that may wait for a rate-limited wire; the next one is dropped (tail drop).
    pub queue_frames_max: usize,
    /// Bits per second, of the frame's bytes without preamble, checksum and gap; zero for no limit.
    pub rate_bps: u64,
    /// Frames lost, per million. A lost frame has used its time on the wire.
    pub loss_ppm: u32,
    /// Frames of which one bit is flipped, per million.
    pub corrupt_ppm: u32,
    /// Frames delivered twice, per million.
    pub duplicate_ppm: u32,
    /// Time from one end to the other.
    pub delay: Duration,
    /// Added to the delay, evenly from zero to this. Never changes the order: a frame waits for the one before.
    pub jitter: Duration,
    /// Frames held back by `reorder_hold` while later ones pass, per million.
    pub reorder_ppm: u32,
    /// How long a reordered frame is held back.
    pub reorder_hold: Duration,
}

impl Impairment {
    /// A perfect wire: at once, everything, in order.
    pub const NONE: Self = Self {
        mtu: 1500,
        queue_frames_max: 1000,
        rate_bps: 0,
        loss_ppm: 0,
        corrupt_ppm: 0,
        duplicate_ppm: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reorder_ppm: 0,
        reorder_hold: Duration::from_millis(1),
    };

    /// The largest MTU that the storage of a line allows, in bytes.
    pub const MTU_MAX: u16 = 9000;

    /// The longest frame that passes, in bytes: datagram, Ethernet header, one 802.1Q tag.
    pub fn frame_bytes_max(&self) -> usize {
        usize::from(self.mtu.min(Self::MTU_MAX)) + 14 + 4
    }

    /// How long `bytes` occupy the wire.
    pub fn wire_time(&self, bytes: usize) -> Duration {
        let bits = bytes as u128 * 8;
        let nanos = (bits * 1_000_000_000).checked_div(u128::from(self.rate_bps)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Default for Impairment {
    fn default() -> Self {
        Self::NONE
    }
}
