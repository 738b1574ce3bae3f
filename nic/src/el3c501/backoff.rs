//! Truncated binary exponential back-off (IEEE 802.3 clause 4.2.3.2.5).
//!
//! The chip draws it, not the driver: the driver triggers again at once and the station holds the frame back until
//! [`Backoff::not_before`]. Used by cards and by taps.

use super::timing::Timing;
use crate::Instant;

/// Attempts for one frame; the collision of the last one gives it up.
pub const ATTEMPTS_MAX: u8 = 16;
/// From this attempt on the range of the draw no longer doubles.
const BACKOFF_LIMIT: u8 = 10;

/// Collisions in a row and the wait they earned.
#[derive(Clone, Debug)]
pub struct Backoff {
    collisions: u8,
    not_before: Instant,
    random: u64,
}

impl Backoff {
    /// No collision yet; `seed` decides every later draw.
    pub fn new(seed: u64) -> Self {
        Self { collisions: 0, not_before: Instant::ZERO, random: seed }
    }

    /// The earliest start of the next transmission.
    pub fn not_before(&self) -> Instant {
        self.not_before
    }

    /// A collision ended at `now`. True if it was the last that one frame may have; the count starts again.
    pub fn collided(&mut self, now: Instant, timing: Timing) -> bool {
        self.collisions += 1;
        if self.collisions >= ATTEMPTS_MAX {
            self.forget();
            return true;
        }
        let range = 1_u32 << self.collisions.min(BACKOFF_LIMIT);
        let slots = self.draw() as u32 % range; // the range is a power of two: no bias
        self.not_before = now + timing.slot() * slots;
        false
    }

    /// The frame went out, or the chip was reset.
    pub fn forget(&mut self) {
        self.collisions = 0;
        self.not_before = Instant::ZERO;
    }

    /// `splitmix64`: small, and any seed will do.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_doubles_up_to_1023_slots_and_ends_at_sixteen() {
        let slot = Timing::Wire.slot();
        let mut longest = [0; 15];
        for seed in 0..4000 {
            let mut backoff = Backoff::new(seed);
            for longest in &mut longest {
                assert!(!backoff.collided(Instant::ZERO, Timing::Wire));
                let slots = backoff.not_before().as_nanos() / slot.as_nanos() as u64;
                *longest = slots.max(*longest);
            }
            assert!(backoff.collided(Instant::ZERO, Timing::Wire), "the sixteenth");
            assert!(!backoff.collided(Instant::ZERO, Timing::Wire), "the count starts again");
        }
        assert_eq!(longest[..6], [1, 3, 7, 15, 31, 63]);
        assert!(longest[9..].iter().all(|l| (900..=1023).contains(l)), "{longest:?}");
    }
}
