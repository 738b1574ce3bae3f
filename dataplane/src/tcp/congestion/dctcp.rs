//! DCTCP (RFC 8257): the window shrinks by how many bytes were marked, not by whether any were.
//!
//! ```text
//!   alpha = (1 - g) alpha + g * marked / acknowledged      once per window of data (section 3.3)
//!   cwnd  = cwnd (1 - alpha / 2)                            once per window with marks
//! ```
//!
//! Lost segments halve the window as in Reno (section 3.5). The receiver's half, an echo that changes with every mark
//! (section 3.2), is the connection's.

use super::super::seq::SeqNum;
use super::newreno::NewReno;
use super::{AckSample, Signal};

/// Alpha's unit: 1.0.
const ONE: u32 = 1 << 20;
/// g = 1/16 (section 4.2).
const GAIN_SHIFT: u32 = 4;

/// The state of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Dctcp {
    reno: NewReno,
    alpha: u32,
    acked_bytes: u64,
    marked_bytes: u64,
    /// The window of data ends when this is acknowledged.
    window_end: Option<SeqNum>,
}

impl Default for Dctcp {
    /// Alpha begins at 1: the first mark halves the window (section 3.3).
    fn default() -> Self {
        Self { reno: NewReno::default(), alpha: ONE, acked_bytes: 0, marked_bytes: 0, window_end: None }
    }
}

impl Dctcp {
    /// Growth is Reno's.
    pub(super) fn reno_mut(&mut self) -> &mut NewReno {
        &mut self.reno
    }

    /// The share of marked bytes, 0 to 1.
    pub fn alpha(&self) -> f64 {
        f64::from(self.alpha) / f64::from(ONE)
    }

    /// Counts an ACK; at the end of a window of data moves alpha.
    pub(super) fn observe(&mut self, sample: &AckSample) {
        self.acked_bytes += u64::from(sample.acked_bytes);
        self.marked_bytes += u64::from(sample.ece_marked_bytes.min(sample.acked_bytes));
        let Some(end) = self.window_end else {
            self.window_end = Some(sample.nxt);
            return;
        };
        if sample.una.at_or_after(end) && self.acked_bytes > 0 {
            let share = (self.marked_bytes * u64::from(ONE) / self.acked_bytes) as u32;
            // A small alpha still decays to zero (`min_not_zero`).
            let decay = (self.alpha >> GAIN_SHIFT).max(u32::from(self.alpha > 0));
            self.alpha = (self.alpha - decay + (share >> GAIN_SHIFT)).min(ONE);
            (self.acked_bytes, self.marked_bytes) = (0, 0);
            self.window_end = Some(sample.nxt);
        }
    }

    /// The threshold after congestion.
    pub(super) fn reduce(&mut self, cwnd: u32, signal: Signal) -> u32 {
        let halved = self.reno.reduce(cwnd);
        match signal {
            Signal::Ece => cwnd - (u64::from(cwnd) * u64::from(self.alpha) / u64::from(2 * ONE)) as u32,
            Signal::Loss | Signal::Timeout => halved,
        }
    }
}
