//! Pacing: rows of segments leave at the rate of congestion control instead of in bursts (`tcp_pacing_check`,
//! `tcp_update_skb_after_send`).
//!
//! A row that has begun is sent whole, as Linux sends a TSO packet: it takes about a millisecond, or is of two segments. The next one waits
//! for as long as all of its segments take.

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Timer;
use super::super::settings::Settings;
use crate::Instant;

/// The first segments of a connection are not paced, as fq does not pace them.
const UNPACED_SEGMENTS: u32 = 10;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl Connection {
    /// The next row has to wait.
    #[inline]
    pub(super) fn is_paced(&self, ctx: &Ctx<'_>) -> bool {
        self.send.pace_at > ctx.now
    }

    /// Segments were paced, by a setting or by their socket's rate (`sk_pacing_status`).
    #[inline]
    pub(in crate::tcp) fn has_paced(&self) -> bool {
        self.send.pace_at > Instant::ZERO
    }

    /// Bytes a second at which segments leave: what congestion control wants, at most what the program allows
    /// (`sk_pacing_rate`). `None`: as fast as they can.
    pub(in crate::tcp) fn pacing_rate(&self, settings: &Settings, in_flight: u32) -> Option<u64> {
        let (mss, percent) = (u32::from(self.send.mss), settings.pacing_percent());
        let wanted = self.congestion.pacing_rate(self.rtt.srtt_micros(), in_flight, mss, percent);
        let rate = wanted.unwrap_or(u64::MAX).min(self.config.max_pacing_rate);
        (rate < u64::MAX).then_some(rate)
    }

    /// A segment with `len` bytes left: the next row leaves when its share of time is over. `begins`: the segments of the row that it is the
    /// first of; 0 if it is another.
    #[inline]
    pub(super) fn pace_sent(&mut self, ctx: &Ctx<'_>, len: u32, begins: u32) {
        let paced = ctx.commons.settings.pacing || self.config.max_pacing_rate < u64::MAX;
        if paced && self.stats.data_segs_out > UNPACED_SEGMENTS {
            self.pace_next(ctx, len, begins);
        }
    }

    /// Nanoseconds that `len` bytes take at [`Connection::pacing_rate`]. A rate of zero is none, as in Linux.
    #[inline]
    fn pacing_nanos(&self, settings: &Settings, len: u32) -> Option<u64> {
        let (mss, percent, in_flight) = (u32::from(self.send.mss), settings.pacing_percent(), self.sent.in_flight());
        let by_window = self.congestion.pacing_nanos(self.rtt.srtt_micros(), in_flight, mss, percent, len);
        match self.config.max_pacing_rate {
            u64::MAX => by_window,
            0 => None,
            most => by_window.max(Some(u64::from(len) * NANOS_PER_SECOND / most)),
        }
    }

    #[inline]
    fn pace_next(&mut self, ctx: &Ctx<'_>, len: u32, begins: u32) {
        if let Some(share) = self.pacing_nanos(&ctx.commons.settings, len) {
            if begins > 0 {
                // What was not used is no credit, except half of what the row takes (`tcp_update_skb_after_send`).
                let credit = share.saturating_mul(begins.into()) / 2;
                let earliest = Instant::from_nanos(ctx.now.as_nanos().saturating_sub(credit));
                self.send.pace_at = self.send.pace_at.max(earliest);
            }
            self.send.pace_at = self.send.pace_at.after_nanos(share);
        }
    }

    /// Comes again when the next segment may leave.
    #[cold]
    pub(super) fn arm_pace(&mut self, ctx: &mut Ctx<'_>) {
        self.deadlines.arm(&mut ctx.commons.wheel, self.id.index, Timer::Pace, self.send.pace_at);
    }
}
