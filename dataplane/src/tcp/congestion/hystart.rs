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
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u32 = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    SlowStart,
    /// Conservative slow start: the round trip at which it began, and rounds so far, the first one in part.
    Conservative {
        baseline: u32,
        rounds: u32,
    },
    Done,
}

/// The state of one slow start.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyStart {
    phase: Phase,
    /// The round ends when this is acknowledged.
    round_end: Option<SeqNum>,
    last_min: Option<u32>,
    current_min: Option<u32>,
    samples: u32,
    /// Segments delivered that are not yet worth one of growth.
    remainder: u32,
}

impl HyStart {
    /// Takes an ACK (section 4.2). True if slow start is over.
    pub(super) fn on_ack(&mut self, sample: &AckSample) -> bool {
        if self.phase == Phase::Done {
            return false;
        }
        if let Some(rtt) = sample.rtt {
            let rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
            self.current_min = Some(self.current_min.map_or(rtt, |min| min.min(rtt)));
            self.samples += 1;
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
        let total = self.remainder + delivered;
        self.remainder = total % CSS_GROWTH_DIVISOR;
        total / CSS_GROWTH_DIVISOR
    }

    /// Compares this round's least round trip with the last one's.
    fn judge(&mut self) {
        let Some(current) = self.current_min.filter(|_| self.samples >= N_RTT_SAMPLE) else { return };
        match (self.phase, self.last_min) {
            (Phase::SlowStart, Some(last)) => {
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
        self.last_min = self.current_min.take();
        self.samples = 0;
    }
}
