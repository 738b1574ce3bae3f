//! The least round trip of a window of time (`tcp_min_rtt`): the filter of Kathleen Nichols, as in Linux's
//! `lib/minmax.c`.
//!
//! Three samples stand for the window: the least, the least after it, and the least after that. When the first grows
//! too old the next takes its place, so that the minimum rises with a path that became longer, and never jumps to a
//! single late sample. Constant time and memory per sample.

use crate::{Duration, Instant};

/// How long a minimum counts (`tcp_min_rtt_wlen`).
const WINDOW: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at: Instant,
    micros: u32,
}

/// The filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct MinRtt {
    /// Best, second, third; `None` before the first sample.
    best: Option<[Sample; 3]>,
}

impl MinRtt {
    /// The minimum in microseconds, if there was a sample.
    #[inline]
    pub fn get(&self) -> Option<u32> {
        self.best.map(|best| best[0].micros)
    }

    /// Takes a sample.
    pub fn update(&mut self, now: Instant, micros: u32) {
        let sample = Sample { at: now, micros };
        let Some(best) = &mut self.best else {
            self.best = Some([sample; 3]);
            return;
        };
        let nothing_left = now.saturating_since(best[2].at) > WINDOW;
        if micros <= best[0].micros || nothing_left {
            *best = [sample; 3];
        } else if micros <= best[1].micros {
            (best[1], best[2]) = (sample, sample);
        } else if micros <= best[2].micros {
            best[2] = sample;
        }
        Self::grow_old(best, sample);
    }

    /// Lets the next sample stand in for one that left the window, and takes new ones in time for that.
    fn grow_old(best: &mut [Sample; 3], sample: Sample) {
        let age = sample.at.saturating_since(best[0].at);
        if age > WINDOW {
            *best = [best[1], best[2], sample];
            if sample.at.saturating_since(best[0].at) > WINDOW {
                *best = [best[1], best[2], sample];
            }
        } else if best[1].at == best[0].at && age > WINDOW / 4 {
            (best[1], best[2]) = (sample, sample);
        } else if best[2].at == best[1].at && age > WINDOW / 2 {
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
}
