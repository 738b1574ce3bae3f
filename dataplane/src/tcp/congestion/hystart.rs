//! HyStart++ (RFC 9406): leaves the first slow start when the round trip grows, before segments are lost.
//!
//! ```text
//!   slow start -- round trip grew by a threshold --> conservative slow start -- 5 rounds --> congestion avoidance
//!        ^------------- it fell again ---------------------|
//! ```
//!
//! A round is a window of data. The bound of growth per ACK (L) is infinite, paced or not. Only for the first slow start
//! (section 4.3): the caller asks while the threshold is infinite.
//!
//! The least round trip of a round is that of its first segments, which find the queue of the round before. A queue of one
//! bandwidth-delay product overflows within one round, and then nothing warns. So slow start also ends at once, as in Linux
//! (`hystart_update`), when ACKs that follow each other closely have come for longer than half a round trip: the path then carries
//! half of what is in flight, and all of it when the round is over.

use super::super::seq::SeqNum;
use super::AckSample;
use crate::Instant;

/// Microseconds, as all times here: four bytes each.
const MIN_RTT_THRESH: u32 = 4_000;
const MAX_RTT_THRESH: u32 = 16_000;
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u8 = 8;
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;

/// ACKs of one train are no further apart (`hystart_ack_delta_us`).
const TRAIN_GAP_MAX: u32 = 2_000;
/// Trains mean nothing below that many segments (`hystart_low_window`).
const TRAIN_CWND_MIN: u32 = 16;
/// Segments may be gathered on the way, two packets of 64 KiB of them, which takes time at the window's rate, but never longer
/// than that (`hystart_ack_delay`).
const GATHERED_BYTES: u64 = 2 * 65_536;
const GATHERED_MAX: u64 = 1_000;

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
    /// When the round began, and when the last ACK of its train came; microseconds that wrap.
    round_start: u32,
    train_end: u32,
}

impl HyStart {
    /// Before the first ACK.
    pub(super) const NEW: Self = Self {
        phase: Phase::SlowStart,
        round_end: None,
        last_min: 0,
        current_min: 0,
        samples: 0,
        remainder: 0,
        round_start: 0,
        train_end: 0,
    };

    /// Takes an ACK that came when the window was `cwnd` (section 4.2). True if slow start is over.
    pub(super) fn on_ack(&mut self, sample: &AckSample, cwnd: u32) -> bool {
        if self.phase == Phase::Done {
            return false;
        }
        if let Some(rtt) = sample.rtt_micros {
            let rtt = rtt.max(1);
            self.current_min = if self.current_min == 0 { rtt } else { self.current_min.min(rtt) };
            self.samples = self.samples.saturating_add(1);
            self.judge();
            if self.is_long_train(sample, cwnd) {
                self.phase = Phase::Done;
            }
        }
        if self.round_end.is_none_or(|end| sample.una.at_or_after(end)) {
            self.end_round(sample);
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

    /// ACKs came one after the other for half the least round trip; a whole one if segments are paced, which may have kept them
    /// apart so long.
    fn is_long_train(&mut self, sample: &AckSample, cwnd: u32) -> bool {
        let now = micros_of(sample.now);
        if self.round_end.is_none() || cwnd < TRAIN_CWND_MIN || now.wrapping_sub(self.train_end) > TRAIN_GAP_MAX {
            return false;
        }
        self.train_end = now;
        let (Some(least), Some(srtt)) = (sample.min_rtt_micros, sample.srtt_micros) else { return false };
        let window = u64::from(cwnd) * u64::from(sample.mss.max(1));
        let gathered = (GATHERED_BYTES * u64::from(srtt) / window).min(GATHERED_MAX);
        let threshold = u64::from(least) + gathered;
        u64::from(now.wrapping_sub(self.round_start)) > if sample.paced { threshold } else { threshold / 2 }
    }

    fn end_round(&mut self, sample: &AckSample) {
        if let Phase::Conservative { rounds, .. } = &mut self.phase {
            *rounds += 1;
            if *rounds >= CSS_ROUNDS {
                self.phase = Phase::Done;
            }
        }
        self.round_end = Some(sample.nxt);
        (self.round_start, self.train_end) = (micros_of(sample.now), micros_of(sample.now));
        self.last_min = std::mem::take(&mut self.current_min);
        self.samples = 0;
    }
}

fn micros_of(at: Instant) -> u32 {
    at.as_micros() as u32
}
