//! A peer that says nothing: keepalive (RFC 1122 section 4.2.3.6), and the end of an orphan's FIN_WAIT2
//! (`tcp_keepalive_timer`).

use super::super::commons::{Ctx, Fate, TICK};
use super::super::connection::Connection;
use super::super::deadlines::Timer;
use super::super::output::RESOURCE_PROBE_INTERVAL;
use super::super::state::State;
use crate::Duration;

impl Connection {
    pub(super) fn on_keep_alive(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.state == State::FinWait2 && self.closed_by_user {
            return self.end_fin_wait_2(ctx);
        }
        if !self.config.keep_alive || matches!(self.state, State::Closed | State::SynSent) {
            return Fate::Lives;
        }
        let idle = self.config.keep_idle(&ctx.commons.settings);
        if self.sent.segments() > 0 || self.unsent() > 0 {
            self.arm_keep_alive(ctx, idle);
            return Fate::Lives;
        }
        let elapsed = self.silent_for(ctx);
        if elapsed < idle {
            self.arm_keep_alive(ctx, idle - elapsed);
            return Fate::Lives;
        }
        if self.keep_alive_is_over(elapsed) {
            self.send_reset(ctx);
            return self.give_up(ctx);
        }
        let after = if self.wake_peer(ctx, true) {
            self.probes = self.probes.saturating_add(1);
            self.config.keep_interval(&ctx.commons.settings)
        } else {
            RESOURCE_PROBE_INTERVAL
        };
        self.arm_keep_alive(ctx, after);
        Fate::Lives
    }

    /// Enough probes were not answered, or the user timeout is over.
    fn keep_alive_is_over(&self, elapsed: Duration) -> bool {
        match self.config.user_timeout {
            0 => self.probes >= self.config.keep_count,
            set => elapsed >= Duration::from_millis(set.into()) && self.probes > 0,
        }
    }

    /// Since the peer was last heard (`keepalive_time_elapsed`).
    fn silent_for(&self, ctx: &Ctx<'_>) -> Duration {
        ctx.now.saturating_since(self.heard_at.max(self.ack.last_data_at))
    }

    /// Arms the timer `after` from now, a tick of the wheel at least: a timer that is due again at once would never let time go on.
    pub(in crate::tcp) fn arm_keep_alive(&mut self, ctx: &mut Ctx<'_>, after: Duration) {
        self.deadlines.arm(&mut ctx.commons.wheel, self.id.index, Timer::KeepAlive, ctx.now + after.max(TICK));
    }

    /// The handshake is over: keepalive begins where the program asked for it.
    pub(in crate::tcp) fn begin_keep_alive(&mut self, ctx: &mut Ctx<'_>) {
        if self.config.keep_alive {
            self.arm_keep_alive(ctx, self.config.keep_idle(&ctx.commons.settings));
        }
    }
}
