//! Pacing: segments leave at the rate of congestion control instead of in bursts (`tcp_pacing_check`,
//! `tcp_update_skb_after_send`).

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Timer;
use crate::Instant;

/// The first segments of a connection are not paced, as fq does not pace them.
const UNPACED_SEGMENTS: u32 = 10;

impl Connection {
    /// The next segment has to wait.
    #[inline]
    pub(super) fn is_paced(&self, ctx: &Ctx<'_>) -> bool {
        ctx.commons.settings.pacing && self.send.pace_at > ctx.now
    }

    /// A segment with `len` bytes left: the next one leaves when its share of time is over.
    #[inline]
    pub(super) fn pace_sent(&mut self, ctx: &Ctx<'_>, len: u32) {
        if !ctx.commons.settings.pacing || self.stats.data_segs_out <= UNPACED_SEGMENTS {
            return;
        }
        let mss = u32::from(self.send.mss);
        let (srtt, percent) = (self.rtt.srtt_micros(), ctx.commons.settings.pacing_percent());
        if let Some(share) = self.congestion.pacing_nanos(srtt, self.sent.in_flight(), mss, percent, len) {
            // What was not used is no credit, except half of the last wait (`tcp_update_skb_after_send`).
            let credit = Instant::from_nanos(ctx.now.as_nanos().saturating_sub(share / 2));
            self.send.pace_at = self.send.pace_at.max(credit).after_nanos(share);
        }
    }

    /// Comes again when the next segment may leave.
    #[cold]
    pub(super) fn arm_pace(&mut self, ctx: &mut Ctx<'_>) {
        self.deadlines.arm(&mut ctx.commons.wheel, self.id.index, Timer::Pace, self.send.pace_at);
    }
}
