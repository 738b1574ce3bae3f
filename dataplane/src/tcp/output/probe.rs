//! Probes: of a closed window, of a silent peer, of a lost tail (`tcp_write_wakeup`, `tcp_send_loss_probe`;
//! RFC 9293 section 3.8.6.1, RFC 8985 section 7).

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Retransmission;
use super::super::rtt::RTO_MIN;
use super::super::tlp::Tlp;
use super::push::Mode;
use super::segment::Outbound;
use super::transmit::Departure;
use crate::counters::Snmp;
use crate::wire::tcp::Flags;
use crate::{Duration, Instant};

/// What is tried again later for want of room here (`TCP_RESOURCE_PROBE_INTERVAL`).
pub(in crate::tcp) const RESOURCE_PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Doublings of 200 ms that reach the longest timeout (`tcp_probe0_when`).
const PROBE_BACKOFF_MAX: u8 = 10;

impl Connection {
    /// The retransmission timer as after data was acknowledged (`tcp_rearm_rto`): from now; from the first segment's
    /// departure if a probe or the reordering timer stood in its place.
    pub(in crate::tcp) fn rearm_rto(&mut self, ctx: &mut Ctx<'_>) {
        use Retransmission::{LossProbe, Reordering};
        if self.sent.segments() == 0 {
            return self.deadlines.disarm(super::super::deadlines::Timer::Retransmission);
        }
        let stood_in = matches!(self.deadlines.retransmission, LossProbe | Reordering);
        let at = if stood_in { self.rto_at(ctx).max(ctx.now) } else { ctx.now.after_nanos(self.rtt.rto_nanos()) };
        self.arm_rto(ctx, at);
    }

    /// When the first segment's timeout is over (`tcp_rto_delta_us`).
    fn rto_at(&self, ctx: &Ctx<'_>) -> Instant {
        let first = self.sent.first().map_or(ctx.now, |id| ctx.commons.slab[id].sent_at());
        first.after_nanos(self.rtt.rto_nanos())
    }

    pub(in crate::tcp) fn arm_rto(&mut self, ctx: &mut Ctx<'_>, at: Instant) {
        let index = self.id.index;
        self.deadlines.arm_retransmission(&mut ctx.commons.wheel, index, Retransmission::Timeout, at);
    }

    /// After data was acknowledged: arms a tail loss probe if there may be one (`tcp_schedule_loss_probe`). If not, the
    /// retransmission timer is the caller's to arm.
    pub(in crate::tcp) fn schedule_loss_probe(&mut self, ctx: &mut Ctx<'_>) -> bool {
        self.schedule_probe(ctx, true)
    }

    /// The same; the timeout counts from now if `advancing`, else from the first segment's departure.
    pub(super) fn schedule_probe(&mut self, ctx: &mut Ctx<'_>, advancing: bool) -> bool {
        let early = matches!(ctx.commons.settings.early_retrans, 3 | 4);
        let handshaking = !self.state.is_synchronized();
        if !early || handshaking || !self.recovery.may_probe(&self.sent, self.agreed.sack) {
            return false;
        }
        let left = if advancing { self.rtt.rto_nanos() } else { self.rto_at(ctx).nanos_since(ctx.now) };
        let left = if left == 0 { u64::MAX } else { left };
        let timeout = Tlp::timeout_nanos(self.rtt.srtt_micros(), self.sent.segments(), left);
        let (index, at) = (self.id.index, ctx.now.after_nanos(timeout));
        self.deadlines.arm_retransmission(&mut ctx.commons.wheel, index, Retransmission::LossProbe, at);
        true
    }

    /// The probe timer expired: new data if the peer takes it, else the last segment (`tcp_send_loss_probe`).
    pub(in crate::tcp) fn send_loss_probe(&mut self, ctx: &mut Ctx<'_>) {
        let Some(path) = self.route(ctx) else { return self.rearm_rto(ctx) };
        let is_new = self.unsent() > 0 && self.window_takes_next();
        let left =
            if is_new { self.push_new(ctx, &path, Mode::LossProbe) > 0 } else { self.retransmit_tail(ctx, &path) };
        if left {
            self.recovery.on_probe(self.send.nxt, !is_new);
            ctx.net.counters.inc(Snmp::TcpExtTCPLossProbes);
            // The timeout begins anew.
            self.deadlines.retransmission = Retransmission::None;
        }
        self.rearm_rto(ctx);
    }

    fn retransmit_tail(&mut self, ctx: &mut Ctx<'_>, path: &crate::ip::Path) -> bool {
        let Some(last) = self.sent.last() else { return false };
        self.retransmit(ctx, path, last) == Some(Departure::Left)
    }

    /// The whole next segment is within the peer's window (`tcp_snd_wnd_test`).
    fn window_takes_next(&self) -> bool {
        let len = self.unsent().min(self.current_mss());
        (self.send.nxt + len).at_or_before(self.window_end())
    }

    /// Nothing is in flight and something waits: without a probe nobody would ever speak (`tcp_check_probe_timer`).
    pub(in crate::tcp) fn check_probe_timer(&mut self, ctx: &mut Ctx<'_>) {
        if self.deadlines.retransmission == Retransmission::None {
            self.arm_window_probe(ctx, self.probe_base());
        }
    }

    /// `tcp_probe0_base`.
    fn probe_base(&self) -> Duration {
        self.rtt.rto().max(RTO_MIN)
    }

    /// The interval to the next probe (`tcp_probe0_when`).
    pub(in crate::tcp) fn probe_interval(&self) -> Duration {
        (self.probe_base() * (1 << self.probe_backoff.min(PROBE_BACKOFF_MAX))).min(self.rtt.rto_max())
    }

    /// Arms the probe of a closed window, not beyond the user timeout (`tcp_clamp_probe0_to_user_timeout`).
    pub(in crate::tcp) fn arm_window_probe(&mut self, ctx: &mut Ctx<'_>, after: Duration) {
        let after = self.clamp_to_user_timeout(ctx.now, after);
        let (index, at) = (self.id.index, ctx.now + after);
        self.deadlines.arm_retransmission(&mut ctx.commons.wheel, index, Retransmission::WindowProbe, at);
    }

    /// `after`, or what is left of the user timeout if that is less.
    pub(in crate::tcp) fn clamp_to_user_timeout(&self, now: Instant, after: Duration) -> Duration {
        let Some(since) = self.stalled_since.filter(|_| self.config.user_timeout > 0) else { return after };
        let limit = Duration::from_millis(self.config.user_timeout.into());
        let left = limit.saturating_sub(now.saturating_since(since));
        after.min(left.max(Duration::from_millis(1)))
    }

    /// Makes the peer speak (`tcp_write_wakeup`): by data if its window takes some, else by a number that it has seen.
    /// False for want of room.
    pub(in crate::tcp) fn wake_peer(&mut self, ctx: &mut Ctx<'_>, keep_alive: bool) -> bool {
        let Some(path) = self.route(ctx) else { return true };
        let window = self.window_end().distance(self.send.nxt).max(0) as u32;
        if self.unsent() > 0 && window > 0 && ctx.commons.slab.room() > 0 {
            return self.send_truncated(ctx, &path, window);
        }
        ctx.net.counters.inc(if keep_alive { Snmp::TcpExtTCPKeepAlive } else { Snmp::TcpExtTCPWinProbe });
        let up = self.send.urgent.is_some_and(|up| up.after(self.send.una) && up.since(self.send.una) < 0xffff);
        if up {
            let _ = self.transmit(ctx, &path, &Outbound::control(self.send.una, Flags::ACK));
        }
        let probe = Outbound::control(self.send.una - 1, Flags::ACK);
        self.transmit(ctx, &path, &probe) == Departure::Left
    }

    /// A segment cut to a window that is too small for a whole one.
    fn send_truncated(&mut self, ctx: &mut Ctx<'_>, path: &crate::ip::Path, window: u32) -> bool {
        let data = self.send.end.distance(self.send.nxt).max(0) as u32;
        let len = data.min(self.current_mss()).min(window);
        let fin = self.state.fin_queued() && len == data && len < window;
        let mut flags = if len > 0 { Flags::ACK | Flags::PSH } else { Flags::ACK };
        if fin {
            flags |= Flags::FIN;
        }
        let outbound = Outbound { seq: self.send.nxt, len, flags, again: false, fast_open: false };
        let left = self.transmit(ctx, path, &outbound) == Departure::Left;
        if left {
            self.on_new_sent_alone(ctx, &outbound);
        }
        left
    }
}
