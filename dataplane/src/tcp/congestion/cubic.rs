//! CUBIC (RFC 9438): between two losses the window follows a cubic curve over time, steep far from the window at
//! which the last loss came, flat near it, and never slower than Reno would be.
//!
//! ```text
//!   W_cubic(t) = C (t - K)^3 + W_max        K = cbrt((W_max - cwnd_epoch) / C)
//!   W_est      += alpha * delivered / cwnd   alpha = 3 (1 - beta) / (1 + beta), 1 above the prior window
//! ```
//!
//! Floating point: the curve is the RFC's, evaluated once per ACK, the cube root once per loss. Windows in segments.
//! What is kept of it is short where seven digits are enough: not the estimate, to which each ACK adds a little.

use super::{AckSample, HyStart, Signal};
use crate::Instant;

/// Steepness in segments per second cubed (section 5.1).
const C: f64 = 0.4;
/// What a loss leaves of the window (section 4.6).
const BETA: f64 = 0.7;
/// Growth of the Reno-friendly estimate, in segments per window (section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// The state of one connection. It needs one of both: there is no curve before the first slow start is over.
#[derive(Clone, Copy, Debug)]
pub enum Cubic {
    /// The first slow start.
    SlowStart(HyStart),
    /// After it.
    Avoidance(Curve),
}

impl Default for Cubic {
    fn default() -> Self {
        Self::SlowStart(HyStart::NEW)
    }
}

impl Cubic {
    /// The window after `delivered` more segments in congestion avoidance (sections 4.2 to 4.5).
    pub(super) fn avoid(&mut self, cwnd: u32, delivered: u32, sample: &AckSample) -> u32 {
        let mut curve = self.curve();
        let cwnd = curve.avoid(cwnd, delivered, sample);
        *self = Self::Avoidance(curve);
        cwnd
    }

    /// The threshold after congestion (sections 4.6, 4.7); the next curve begins with the next growth.
    pub(super) fn reduce(&mut self, cwnd: u32, signal: Signal) -> u32 {
        let mut curve = self.curve();
        let ssthresh = curve.reduce(cwnd, signal);
        *self = Self::Avoidance(curve);
        ssthresh
    }

    /// Time without sending does not count (section 5.8).
    #[inline]
    pub(super) fn shift_epoch(&mut self, idle_nanos: u64) {
        if let Self::Avoidance(curve) = self {
            curve.began = curve.began.map(|began| began.after_nanos(idle_nanos));
        }
    }

    /// As before a reduction that was a mistake: a slow start begins anew, because what it measured was disturbed.
    pub(super) fn begun_again(self) -> Self {
        if let Self::Avoidance(_) = self { self } else { Self::default() }
    }

    fn curve(&self) -> Curve {
        if let Self::Avoidance(curve) = self { *curve } else { Curve::default() }
    }
}

/// The curve between two losses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Curve {
    /// When the curve between two losses began; none between a loss and the next growth.
    began: Option<Instant>,
    /// What Reno's window would be on it.
    w_est: f64,
    /// Seconds from its beginning to its flat part.
    k: f32,
    /// Where the curve is flat; 0 before the first loss and after a timeout.
    w_max: f32,
    /// The window before the last reduction.
    cwnd_prior: u32,
    /// The part of a segment that the window has grown by.
    fraction: f32,
}

impl Curve {
    fn avoid(&mut self, cwnd: u32, delivered: u32, sample: &AckSample) -> u32 {
        let (window, delivered) = (f64::from(cwnd) + f64::from(self.fraction), f64::from(delivered));
        let began = self.began.unwrap_or_else(|| self.begin(sample.now, window));
        let (w_max, k) = (f64::from(self.w_max), f64::from(self.k));
        let prior = f64::from(self.cwnd_prior);
        self.w_est += if self.w_est < prior { ALPHA } else { 1.0 } * delivered / window;
        let t = sample.now.nanos_since(began) as f64 / 1e9;
        let at = |t: f64| C * (t - k).powi(3) + w_max;
        let grown = if at(t) < self.w_est {
            window.max(self.w_est)
        } else {
            let rtt = f64::from(sample.min_rtt_micros.unwrap_or(0)) / 1e6;
            let target = at(t + rtt).clamp(window, 1.5 * window);
            window + (target - window) / window * delivered
        };
        // At most half a segment per segment delivered, as in Linux: a late ACK must not make up for lost time at once.
        let grown = grown.min(window + delivered / 2.0).min(f64::from(u32::MAX >> 1));
        self.fraction = grown.fract() as f32;
        grown as u32
    }

    fn reduce(&mut self, cwnd: u32, signal: Signal) -> u32 {
        let window = f64::from(cwnd);
        // Fast convergence: who gets less than before leaves room for others.
        let less = window < f64::from(self.w_max);
        self.w_max = if less { window * (1.0 + BETA) / 2.0 } else { window } as f32;
        if signal == Signal::Timeout {
            // After a timeout the first curve begins flat, at the window that slow start reaches (section 4.8).
            self.w_max = 0.0;
        }
        self.cwnd_prior = cwnd;
        self.began = None;
        self.fraction = 0.0;
        (window * BETA) as u32
    }

    /// The curve that begins at `window`; at or above `w_max` it begins flat (section 4.2).
    fn begin(&mut self, now: Instant, window: f64) -> Instant {
        let below = f64::from(self.w_max) - window;
        self.k = if below > 0.0 { (below / C).cbrt() as f32 } else { 0.0 };
        self.w_max = self.w_max.max(window as f32);
        self.w_est = window;
        self.began = Some(now);
        now
    }
}
