//! HyStart++ (RFC 9406): leaves the first slow start when the round trip grows, before segments are lost.
//!
//! ```text
//!   slow start -- round trip grew by a threshold --> conservative slow start -- 5 rounds --> congestion avoidance
//!        ^------------- it fell again ---------------------|
//! ```
//!
//! A round is a window of data. The bound of growth per ACK (L) is infinite: segments are paced. Only for the
//! first slow start (section 4.3): the caller asks while the threshold is infinite.

use super::super::seq::SeqNum;
use super::AckSample;

/// Microseconds, as all times here: four bytes each.
const MIN_RTT_THRESH: u32 = 4_000;
const MAX_RTT_THRESH: u32 = 16_000;
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    SlowStart,
    /// Conservative slow start: the round trip at which it began, and rounds so far, the first one in part.
    Conservative {
        baseline: u32,
        rounds: u8,
    },
    Done,
}

/// The state of one slow start.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyStart {
    phase: Phase,
    /// The round ends when this is acknowledged.
    round_end: Option<SeqNum>,
    /// The least round trip of the last round and of this one, microseconds; 0: none.
    last_min: u32,
    current_min: u32,
    /// Samples of this round, as far as they matter.
    samples: u8,
    /// Segments delivered that are not yet worth one of growth.
    remainder: u8,
}

impl HyStart {
    /// Before the first ACK.
    pub(super) const NEW: Self =
        Self { phase: Phase::SlowStart, round_end: None, last_min: 0, current_min: 0, samples: 0, remainder: 0 };

    /// Takes an ACK (section 4.2). True if slow start is over.
    pub(super) fn on_ack(&mut self, sample: &AckSample) -> bool {
        if self.phase == Phase::Done {
            return false;
        }
        if let Some(rtt) = sample.rtt_micros {
            let rtt = rtt.max(1);
            self.current_min = if self.current_min == 0 { rtt } else { self.current_min.min(rtt) };
            self.samples = self.samples.saturating_add(1);
            self.judge();
        }
        if self.round_end.is_none_or(|end| sample.una.at_or_after(end)) {
            self.end_round(sample.nxt);
        }
        self.phase == Phase::Done
    }

    /// By how much `delivered` segments let the window grow.
    pub(super) fn growth(&mut self, delivered: u32) -> u32 {
        if self.phase == Phase::SlowStart {
            return delivered;
        }
        let total = u32::from(self.remainder) + delivered;
        self.remainder = (total % CSS_GROWTH_DIVISOR) as u8;
        total / CSS_GROWTH_DIVISOR
    }

    /// Compares this round's least round trip with the last one's.
    fn judge(&mut self) {
        let current = self.current_min;
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        match (self.phase, self.last_min) {
            (Phase::SlowStart, last @ 1..) => {
                let threshold = (last / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if current >= last.saturating_add(threshold) {
                    self.phase = Phase::Conservative { baseline: current, rounds: 0 };
                }
            }
            (Phase::Conservative { baseline, .. }, _) if current < baseline => self.phase = Phase::SlowStart,
            _ => {}
        }
    }

    fn end_round(&mut self, nxt: SeqNum) {
        if let Phase::Conservative { rounds, .. } = &mut self.phase {
            *rounds += 1;
            if *rounds >= CSS_ROUNDS {
                self.phase = Phase::Done;
            }
        }
        self.round_end = Some(nxt);
        self.last_min = std::mem::take(&mut self.current_min);
        self.samples = 0;
    }
}
