//! Timeouts: of data (RFC 6298), of a closed window, and when to give up (`tcp_retransmit_timer`, `tcp_probe_timer`,
//! `tcp_write_timeout`; RFC 1122 section 4.2.3.5, RFC 5482).

use super::super::commons::{Ctx, Fate};
use super::super::connection::{Connection, FastOpenState};
use super::super::output::{Departure, RESOURCE_PROBE_INTERVAL};
use super::super::recovery::Sender;
use super::super::rtt::{RTO_INITIAL, RTO_MIN};
use super::super::state::State;
use crate::Duration;
use crate::counters::Snmp;
use crate::errno::ETIMEDOUT;

/// Timeouts of an orphan that still may reach its peer (`tcp_orphan_retries`).
const ORPHAN_RETRIES: u8 = 8;

impl Connection {
    /// The retransmission timeout (`tcp_retransmit_timer`).
    pub(super) fn on_timeout(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.sent.segments() == 0 {
            // A SYN for which the scoreboard had no place was never kept.
            return if self.state == State::SynSent { self.give_up(ctx) } else { Fate::Lives };
        }
        let handshaking = matches!(self.state, State::SynSent | State::SynReceived);
        let window_closed = self.send.wnd.0 == 0 && !self.closed_by_user && !handshaking;
        if window_closed {
            if self.peer_is_silent(ctx) {
                return self.give_up(ctx);
            }
        } else {
            ctx.net.counters.inc(Snmp::TcpExtTCPTimeouts);
            if let Some(fate) = self.write_timeout(ctx, handshaking) {
                return fate;
            }
        }
        self.enter_loss(ctx);
        if !window_closed {
            self.retransmits = self.retransmits.saturating_add(1);
            self.rare.total_rto = self.rare.total_rto.saturating_add(1);
        }
        if self.retransmit_first(ctx) {
            self.stalled_since = self.stalled_since.or(Some(ctx.now));
            self.back_off_timer(ctx);
        } else {
            self.arm_rto(ctx, ctx.now + RESOURCE_PROBE_INTERVAL.min(self.rtt.rto()));
        }
        Fate::Lives
    }

    /// `tcp_enter_loss`.
    fn enter_loss(&mut self, ctx: &mut Ctx<'_>) {
        if !self.agreed.sack {
            self.sent.forget_duplicate_acks();
        }
        let mut sender = Sender {
            sent: &mut self.sent,
            slab: &mut ctx.commons.slab,
            episodes: &mut ctx.commons.episodes,
            congestion: &mut self.congestion,
            rtt: &mut self.rtt,
        };
        let timeouts = u32::from(self.retransmits);
        let directive = self.recovery.on_rto(&mut sender, ctx.now, self.send.nxt, timeouts);
        if !ctx.commons.settings.frto {
            self.recovery.believe_timeout();
        }
        self.send.announce_cwr |= directive.reduced;
    }

    /// Sends the first segment again. False for want of room.
    fn retransmit_first(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some(path) = self.route(ctx) else { return true };
        let Some(first) = self.sent.first() else { return true };
        self.retransmit(ctx, &path, first) != Some(Departure::NoRoom)
    }

    /// The next timeout: doubled, except for the first SYNs, and within the user timeout.
    fn back_off_timer(&mut self, ctx: &mut Ctx<'_>) {
        let linear =
            self.state == State::SynSent && self.rare.total_rto <= u16::from(ctx.commons.settings.syn_linear_timeouts);
        if !linear {
            self.rtt.back_off();
        }
        let after = self.clamp_to_user_timeout(ctx.now, self.rtt.rto());
        self.arm_rto(ctx, ctx.now + after);
    }

    /// Whether to go on (`tcp_write_timeout`). Its end, if not.
    fn write_timeout(&mut self, ctx: &mut Ctx<'_>, handshaking: bool) -> Option<Fate> {
        let settings = &ctx.commons.settings;
        let user_timeout = self.config.user_timeout;
        let retries = if handshaking {
            let retries = match (self.config.syn_count, self.fast_open) {
                // One more than of a request: what the program wrote already depends on it (`tcp_fastopen_synack_timer`).
                (0, FastOpenState::Server) => settings.synack_retries + 1,
                (0, _) => settings.syn_retries,
                (count, _) => count,
            };
            let linear = if self.state == State::SynSent { settings.syn_linear_timeouts } else { 0 };
            let expired = self.retransmits >= retries.saturating_add(linear);
            self.suspect_fast_open(ctx, expired);
            if expired {
                return Some(self.give_up(ctx));
            }
            retries
        } else {
            let (suspect, retries) = (settings.retries1, settings.retries2);
            if self.has_timed_out(ctx, suspect, 0) {
                self.suspect_black_hole(ctx);
            }
            if let Some(fate) = self.yield_to_orphans(ctx) {
                return Some(fate);
            }
            if self.closed_by_user { self.orphan_retries(ctx) } else { retries }
        };
        self.has_timed_out(ctx, retries, user_timeout).then(|| self.give_up(ctx))
    }

    /// Retries of an orphan (`tcp_orphan_retries`).
    fn orphan_retries(&self, ctx: &Ctx<'_>) -> u8 {
        let alive = self.rtt.rto() < self.rtt.rto_max();
        orphan_retries(ctx.commons.settings.orphan_retries, alive, self.soft_error != 0)
    }

    /// `retries` timeouts, or `user_timeout` milliseconds, have passed since the first (`retransmits_timed_out`).
    fn has_timed_out(&self, ctx: &Ctx<'_>, retries: u8, user_timeout: u32) -> bool {
        let Some(since) = self.stalled_since.filter(|_| self.retransmits > 0) else { return false };
        let base = if self.state.is_synchronized() { RTO_MIN } else { RTO_INITIAL };
        let limit = match user_timeout {
            0 => model_timeout(retries, base, self.rtt.rto_max()),
            set => Duration::from_millis(set.into()),
        };
        ctx.now.saturating_since(since) >= limit
    }

    /// The peer closed its window over data in flight and says nothing more (`tcp_rtx_probe0_timed_out`).
    fn peer_is_silent(&self, ctx: &Ctx<'_>) -> bool {
        let timeout = match self.config.user_timeout {
            0 => self.rtt.rto_max() * 2,
            set => Duration::from_millis(set.into()),
        };
        let stalled = self.stalled_since.is_some_and(|since| ctx.now.saturating_since(since) > timeout);
        stalled && ctx.now.saturating_since(self.heard_at) > timeout
    }

    /// A probe of a closed window is due (`tcp_probe_timer`, `tcp_send_probe0`).
    pub(super) fn on_window_probe(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.sent.segments() > 0 || self.unsent() == 0 {
            return self.end_probes();
        }
        let since = *self.stalled_since.get_or_insert(ctx.now);
        let user_timeout = Duration::from_millis(self.config.user_timeout.into());
        if !user_timeout.is_zero() && ctx.now > since && ctx.now.saturating_since(since) >= user_timeout {
            return self.give_up(ctx);
        }
        if self.probes >= self.probes_max(ctx) {
            return self.give_up(ctx);
        }
        if let Some(fate) = self.yield_to_orphans(ctx) {
            return fate;
        }
        let left = self.wake_peer(ctx, false);
        if self.sent.segments() > 0 || self.unsent() == 0 {
            return self.end_probes();
        }
        self.probes = self.probes.saturating_add(1);
        let after = if left {
            self.probe_backoff = (self.probe_backoff + 1).min(ctx.commons.settings.retries2);
            self.probe_interval()
        } else {
            RESOURCE_PROBE_INTERVAL
        };
        self.arm_window_probe(ctx, after);
        Fate::Lives
    }

    fn end_probes(&mut self) -> Fate {
        (self.probes, self.probe_backoff) = (0, 0);
        self.stalled_since = None;
        Fate::Lives
    }

    fn probes_max(&self, ctx: &Ctx<'_>) -> u8 {
        let settings = &ctx.commons.settings;
        if !self.closed_by_user {
            return settings.retries2;
        }
        let alive = self.probe_interval() < self.rtt.rto_max();
        orphan_retries(settings.orphan_retries, alive, self.soft_error != 0)
    }

    /// It is over: the soft error that explains it, else a timeout (`tcp_write_err`).
    pub(in crate::tcp) fn give_up(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        ctx.net.counters.inc(Snmp::TcpExtTCPAbortOnTimeout);
        let errno = if self.soft_error != 0 { self.soft_error } else { ETIMEDOUT as u16 };
        self.fail(ctx, errno)
    }
}

fn orphan_retries(set: u8, alive: bool, unreachable: bool) -> u8 {
    let retries = if unreachable && !alive { 0 } else { set };
    if retries == 0 && alive { ORPHAN_RETRIES } else { retries }
}

/// How long `boundary` timeouts take that begin with `base` and double up to the longest (`tcp_model_timeout`).
fn model_timeout(boundary: u8, base: Duration, longest: Duration) -> Duration {
    let ratio = (longest.as_millis() / base.as_millis().max(1)).max(1) as u64;
    let doublings = ratio.ilog2();
    let boundary = u32::from(boundary);
    if boundary <= doublings {
        base * ((2 << boundary) - 1)
    } else {
        base * ((2 << doublings) - 1) + longest * (boundary - doublings)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rtt::RTO_MAX;
    use super::*;

    #[test]
    fn fifteen_retries_last_as_long_as_the_manual_says() {
        // tcp_retries2 = 15 is 924.6 seconds (Documentation/networking/ip-sysctl.rst).
        assert_eq!(model_timeout(15, RTO_MIN, RTO_MAX), Duration::from_millis(924_600));
        assert_eq!(model_timeout(3, RTO_MIN, RTO_MAX), Duration::from_millis(3_000));
        assert_eq!(model_timeout(6, RTO_INITIAL, RTO_MAX), Duration::from_secs(127));
    }

    #[test]
    fn an_orphan_tries_for_a_while() {
        assert_eq!(orphan_retries(0, true, false), 8);
        assert_eq!(orphan_retries(0, false, false), 0);
        assert_eq!(orphan_retries(3, false, true), 0);
        assert_eq!(orphan_retries(3, true, true), 3);
    }
}
