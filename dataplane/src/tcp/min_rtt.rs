//! The least round trip of a window of time (`tcp_min_rtt`): the filter of Kathleen Nichols, as in Linux's
//! `lib/minmax.c`.
//!
//! Three samples stand for the window: the least, the least after it, and the least after that. When the first grows
//! too old the next takes its place, so that the minimum rises with a path that became longer, and never jumps to a
//! single late sample. Constant time and memory per sample.

use crate::{Duration, Instant};

/// How long a minimum counts, unless the setting says otherwise (`tcp_min_rtt_wlen`).
pub const WINDOW: Duration = Duration::from_secs(300);

/// Milliseconds of the lane's clock, modulo 49 days: a connection that is idle that long keeps its minimum for one more window.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_ms: u32,
    micros: u32,
}

impl Sample {
    /// Milliseconds from this one to `later`.
    fn age(self, later: u32) -> u32 {
        later.wrapping_sub(self.at_ms)
    }
}

/// The filter.
#[derive(Clone, Copy, Debug)]
pub struct MinRtt {
    /// Best, second, third; zero microseconds before the first sample.
    best: [Sample; 3],
    /// A quarter of the window, milliseconds.
    quarter_ms: u32,
}

impl Default for MinRtt {
    fn default() -> Self {
        Self::new(WINDOW)
    }
}

impl MinRtt {
    /// Without samples; a minimum counts for `window`, a day at most.
    pub const fn new(window: Duration) -> Self {
        Self { best: [Sample { at_ms: 0, micros: 0 }; 3], quarter_ms: window.as_millis() as u32 / 4 }
    }

    /// The minimum in microseconds, if there was a sample.
    #[inline]
    pub fn get(&self) -> Option<u32> {
        Some(self.best[0].micros).filter(|micros| *micros > 0)
    }

    /// Takes a sample.
    #[inline]
    pub fn update(&mut self, now: Instant, micros: u32) {
        let (at_ms, micros) = (now.as_millis() as u32, micros.max(1));
        // Nearly always: longer than all three, and the first is young.
        let longer = micros > self.best[2].micros && self.best[0].micros > 0;
        if longer && self.best[0].age(at_ms) <= self.quarter_ms {
            return;
        }
        self.take(at_ms, micros);
    }

    fn take(&mut self, at_ms: u32, micros: u32) {
        let (sample, quarter) = (Sample { at_ms, micros }, self.quarter_ms);
        let best = &mut self.best;
        if best[0].micros == 0 {
            *best = [sample; 3];
            return;
        }
        let nothing_left = best[2].age(at_ms) > 4 * quarter;
        if micros <= best[0].micros || nothing_left {
            *best = [sample; 3];
        } else if micros <= best[1].micros {
            (best[1], best[2]) = (sample, sample);
        } else if micros <= best[2].micros {
            best[2] = sample;
        }
        Self::grow_old(best, sample, quarter);
    }

    /// Lets the next sample stand in for one that left the window, and takes new ones in time for that.
    fn grow_old(best: &mut [Sample; 3], sample: Sample, quarter: u32) {
        let age = best[0].age(sample.at_ms);
        if age > 4 * quarter {
            *best = [best[1], best[2], sample];
            if best[0].age(sample.at_ms) > 4 * quarter {
                *best = [best[1], best[2], sample];
            }
        } else if best[1].at_ms == best[0].at_ms && age > quarter {
            (best[1], best[2]) = (sample, sample);
        } else if best[2].at_ms == best[1].at_ms && age > 2 * quarter {
            best[2] = sample;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmit_nic::rng::Rng;

    #[test]
    fn the_minimum_is_never_above_the_window_s_and_forgets_in_time() {
        let (mut filter, mut rng, mut samples) = (MinRtt::default(), Rng::new(11), Vec::new());
        for second in 0..2000u64 {
            let micros = 1000 + rng.below(500) as u32 + if second < 700 { 0 } else { 4000 };
            filter.update(Instant::from_millis(second * 1000), micros);
            samples.push(micros);
            let window = |seconds: u64| &samples[samples.len().saturating_sub(seconds as usize)..];
            let got = filter.get().unwrap();
            assert!(got >= *window(2 * 300).iter().min().unwrap() && got <= *window(75).iter().min().unwrap() + 500);
        }
        assert!(filter.get().unwrap() >= 5000, "the shorter path is forgotten");
    }

    #[test]
    fn a_lower_sample_counts_at_once() {
        let mut filter = MinRtt::default();
        assert_eq!(filter.get(), None);
        for (at, micros, min) in [(0, 900, 900), (1, 1000, 900), (2, 800, 800), (400, 700, 700), (800, 5000, 5000)] {
            filter.update(Instant::from_millis(at * 1000), micros);
            assert_eq!(filter.get(), Some(min));
        }
    }

    #[test]
    fn the_window_is_the_setting_s() {
        let mut filter = MinRtt::new(Duration::from_secs(8));
        for (at, micros, min) in [(0, 800, 800), (7, 900, 800), (9, 1000, 900), (30, 5000, 5000)] {
            filter.update(Instant::from_millis(at * 1000), micros);
            assert_eq!(filter.get(), Some(min));
        }
    }
}
