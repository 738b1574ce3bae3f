//! How long things take on the coax (10BASE5, IEEE 802.3 clause 4.4.2.1).
//!
//! The numbers: 0.1 us a bit, 64 bits of preamble, 96 bits between frames, 512 bits a slot, 32 bits of jam.

use crate::{Duration, Instant};

/// Length of the shortest legal frame without its check sequence, in bytes.
pub const FRAME_BYTES_MIN: usize = 60;
/// Length of the longest legal frame without its check sequence, in bytes.
pub const FRAME_BYTES_MAX: usize = 1514;
/// A longer transmission is a giant, which the card does not send.
pub const GIANT_BYTES: usize = 1536;

const BYTE_NANOS: u64 = 800;
const FCS_BYTES: u64 = 4;
const PREAMBLE: Duration = Duration::from_nanos(6_400);
const GAP: Duration = Duration::from_nanos(9_600);
const SLOT: Duration = Duration::from_nanos(51_200);
const JAM: Duration = Duration::from_nanos(3_200);
/// What every transmission takes when free-running: the least that is later than the port write that began it.
const FREE_RUN: Duration = Duration::from_nanos(1);

/// How a segment treats time. Benchmarks print which one they used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// 10 Mbit/s: carrier sense, gaps, collisions, back-off.
    #[default]
    Wire,
    /// One frame after the other, each one nanosecond long; stations never collide by themselves.
    FreeRun,
}

impl Timing {
    /// Preamble, `len` bytes and the check sequence.
    pub fn frame(self, len: usize) -> Duration {
        match self {
            Self::Wire => PREAMBLE + Duration::from_nanos((len as u64 + FCS_BYTES) * BYTE_NANOS),
            Self::FreeRun => FREE_RUN,
        }
    }

    /// Bytes of a frame that other stations have heard, `time` after it began: none while it goes unheard.
    pub fn bytes_heard(self, time: Duration) -> usize {
        match self {
            Self::Wire => (time.saturating_sub(SLOT).as_nanos() / u128::from(BYTE_NANOS)) as usize,
            Self::FreeRun => 0,
        }
    }

    /// Silence that a station keeps after the carrier has gone.
    pub fn gap(self) -> Duration {
        self.or_none(GAP)
    }

    /// The unit of back-off.
    pub fn slot(self) -> Duration {
        self.or_none(SLOT)
    }

    /// How long a started transmission goes unheard by other stations. The segment is taken as the longest legal
    /// one, whose round trip is one slot: who starts within a slot of another collides with it.
    pub fn collision_window(self) -> Duration {
        self.or_none(SLOT)
    }

    /// From a collision to silence: the preamble is finished, then the jam follows.
    pub fn jam(self) -> Duration {
        match self {
            Self::Wire => PREAMBLE + JAM,
            Self::FreeRun => FREE_RUN,
        }
    }

    /// For people and [`crate::Caps::mode`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire timing, 10 Mbit/s",
            Self::FreeRun => "free-running",
        }
    }

    fn or_none(self, wire: Duration) -> Duration {
        match self {
            Self::Wire => wire,
            Self::FreeRun => Duration::ZERO,
        }
    }
}

/// The earlier of two times of which either may be missing.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_take_what_ethernet_says() {
        assert_eq!(Timing::Wire.frame(60), Duration::from_nanos(57_600));
        assert_eq!(Timing::Wire.frame(60) + Timing::Wire.gap(), Duration::from_nanos(67_200));
        assert_eq!(Timing::Wire.frame(1514), Duration::from_nanos(1_220_800));
    }
}
