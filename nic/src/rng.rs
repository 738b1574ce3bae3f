//! A tiny seeded generator, for everything that must run the same way twice.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): 64 bits of state, every
//! seed is a good one, the same numbers on every machine. Predictable by design: never for values that a peer must
//! not guess. Called by the simulated wire, the back-off of the 3C501 and the tests.

/// Parts per million in the whole; see [`Rng::chance_ppm`].
pub const PPM: u32 = 1_000_000;

/// A seeded sequence of pseudo-random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; zero if `bound` is zero.
    #[inline]
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is uniform to within bound / 2^64, which no test can see.
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// True `ppm` times in a million on average. Always takes one number, so that two settings can be compared.
    #[inline]
    pub const fn chance_ppm(&mut self, ppm: u32) -> bool {
        self.below(PPM as u64) < ppm as u64
    }

    /// A generator of its own, whose sequence is independent of what this one gives from now on.
    #[must_use]
    pub const fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_sequence() {
        let mut rng = Rng::new(1234567);
        let got: Vec<_> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn bounds_and_chances_hold() {
        let mut rng = Rng::new(7);
        assert!((0..1000).all(|_| rng.below(10) < 10));
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.chance_ppm(PPM) && !rng.chance_ppm(0)));
        let hits = (0..100_000).filter(|_| rng.chance_ppm(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
    }
}
