//! Step 5 of RFC 9293 section 3.10.7.4: what an acknowledgment says (`tcp_ack`).

use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::congestion::Kind;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::{Retransmission, Timer};
use crate::tcp::limited::Limit;
use crate::tcp::mtu_search::MtuStage;
use crate::tcp::recovery::{AckFacts, Directive, Permit, PlainAck, Sender};
use crate::tcp::rtt::nanos_to_micros;
use crate::tcp::segment::Segment;
use crate::tcp::sent::{Ack, RateSample};
use crate::tcp::seq::SeqNum;
use crate::tcp::window::{Window, WireWindow};
use crate::wire::tcp::Flags;
use crate::{Duration, Instant};

/// What is wrong with an acknowledgment number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadAck {
    /// Older than anything that could be under way (RFC 5961 section 5.2).
    TooOld,
    /// Of data never sent.
    Unsent,
}

/// A peer that took back what it had acknowledged selectively gets at least this long to mean it (RFC 2018 section 8).
const RENEGING_MIN: Duration = Duration::from_millis(10);
/// Timers add it to what is measured (`TCP_TIMEOUT_MIN`).
const TIMEOUT_MIN: Duration = Duration::from_millis(2);

impl Connection {
    /// `SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT`.
    pub(super) fn check_ack(&self, segment: &Segment) -> Result<(), BadAck> {
        if segment.ack.after(self.send.nxt) {
            Err(BadAck::Unsent)
        } else if segment.ack.before(self.send.una - self.send.wnd_max.0) {
            Err(BadAck::TooOld)
        } else {
            Ok(())
        }
    }

    /// Takes an acknowledgment that was checked. `slow`: its window, SACK blocks and ECE are looked at.
    pub(in crate::tcp) fn take_ack(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, slow: bool) -> Fate {
        let una = self.send.una;
        if segment.ack.before(una) {
            return self.take_old_ack(ctx, segment);
        }
        let outstanding = self.sent.segments() > 0;
        let advanced = segment.ack.after(una);
        let mut window_changed = false;
        if slow {
            window_changed = self.update_window(ctx, segment);
            if segment.len == 0 {
                ctx.net.counters.inc(Snmp::TcpExtTCPPureAcks);
            }
        } else {
            self.send.wl1 = segment.seq;
        }
        (self.soft_error, self.probes, self.heard_at) = (0, 0, ctx.now);
        self.send.more = false;
        if advanced {
            self.on_advance(segment.ack);
        }
        if !outstanding {
            if advanced {
                self.move_una(ctx, segment.ack);
            }
            if slow && self.agreed.sack && !segment.sack.is_empty() {
                // A late D-SACK may still take back a reduction.
                self.judge(ctx, segment, segment.ack, false);
            }
            self.after_idle_ack(ctx);
        } else if !advanced || !self.judge_plain(ctx, segment, una) {
            let plain = !advanced && segment.len == 0 && !window_changed && segment.flags.sequence_len() == 0;
            self.judge(ctx, segment, una, plain && slow);
        }
        self.look_again(ctx);
        Fate::Lives
    }

    /// After an acknowledgment: sending is looked at only if something waits for it. What the program writes meanwhile makes its slot
    /// dirty, and needs no look from here.
    #[inline]
    fn look_again(&mut self, ctx: &Ctx<'_>) {
        if self.unsent() > 0 || self.sent.lost() > 0 || self.marks.held || self.limited.limit() > Limit::Busy {
            self.pending.send = true;
        } else if self.sent.segments() == 0 {
            self.limited.set(ctx.now, Limit::Idle);
        }
    }

    /// An ACK below `SND.UNA` can still bring SACK blocks (`old_ack`).
    fn take_old_ack(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> Fate {
        if !segment.sack.is_empty() && self.sent.segments() > 0 && self.agreed.sack {
            let una = self.send.una;
            self.judge(ctx, &Segment { ack: una, ..segment.clone() }, una, false);
            self.pending.send = true;
        }
        Fate::Lives
    }

    /// The peer makes progress: nothing is retried any more.
    fn on_advance(&mut self, ack: SeqNum) {
        self.retransmits = 0;
        self.stalled_since = None;
        self.send.released = self.send.released.later(ack);
        if self.send.urgent.is_some_and(|urgent| ack.at_or_after(urgent)) {
            self.send.urgent = None;
        }
    }

    /// What nearly every ACK says, without looking for more. False, with nothing changed, if there is more to it.
    #[inline]
    fn judge_plain(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, una: SeqNum) -> bool {
        let probing = self.send.mtu_stage == MtuStage::Probing;
        if segment.flags.intersects(Flags::ECE | Flags::SYN) || !segment.sack.is_empty() || probing {
            return false;
        }
        let plain = PlainAck {
            now: ctx.now,
            bytes: segment.ack.since(una),
            ack: segment.ack,
            nxt: self.send.nxt,
            sack_permitted: self.agreed.sack,
            mss: self.send.mss.into(),
            paced: self.has_paced(),
        };
        let mut sender = Sender {
            sent: &mut self.sent,
            slab: &mut ctx.commons.slab,
            episodes: &mut ctx.commons.episodes,
            congestion: &mut self.congestion,
            rtt: &mut self.rtt,
        };
        let Some(rate) = self.recovery.on_plain_ack(&mut sender, &plain) else { return false };
        self.rtt.reset_backoff();
        self.move_una(ctx, segment.ack);
        if rate.segments > 0 {
            self.note_rate(&rate);
        }
        self.pending.new_probe = false;
        if self.sent.segments() == 0 {
            self.deadlines.disarm(Timer::Retransmission);
        } else if !self.schedule_loss_probe(ctx) {
            self.rearm_rto(ctx);
        }
        true
    }

    /// Scoreboard, round trip, loss and window; then the timers.
    fn judge(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, una: SeqNum, duplicate: bool) {
        if self.send.mtu_stage == MtuStage::Probing {
            self.judge_mtu_probe(ctx, segment.ack);
        }
        let ack = self.ack_of(ctx.now, segment, una);
        let facts = AckFacts {
            duplicate,
            // A SYN's ECE is part of the agreement.
            ece: self.agreed.ecn && segment.flags.contains(Flags::ECE) && !segment.flags.contains(Flags::SYN),
            can_send_new: self.can_send_new(),
            paced: self.has_paced(),
            mtu_probe: self.mtu_probe(),
        };
        let mut sender = Sender {
            sent: &mut self.sent,
            slab: &mut ctx.commons.slab,
            episodes: &mut ctx.commons.episodes,
            congestion: &mut self.congestion,
            rtt: &mut self.rtt,
        };
        let directive = self.recovery.on_ack(&mut sender, &ack, &facts);
        if segment.ack.after(una) {
            self.rtt.reset_backoff();
            self.move_una(ctx, segment.ack);
        }
        if directive.mtu_probe_lost {
            self.on_mtu_probe_lost(ctx);
        }
        self.note_facts(ctx, &directive, facts.ece);
        self.set_timers(ctx, &directive);
    }

    fn ack_of(&self, now: Instant, segment: &Segment, una: SeqNum) -> Ack {
        let echo = segment.timestamps.filter(|t| self.agreed.timestamps && t.echo != 0);
        Ack {
            now,
            una,
            ack: segment.ack,
            nxt: self.send.nxt,
            sack_permitted: self.agreed.sack,
            sack: if self.agreed.sack { segment.sack } else { crate::wire::tcp_options::SackBlocks::NONE },
            echoed: echo.and_then(|t| self.clock.sent_at(now, t.echo)),
            high_seq: self.recovery.high_seq(),
            min_rtt: self.rtt.min_rtt(),
            mss: u32::from(self.send.mss),
        }
    }

    /// `SND.UNA` moves: bytes that are acknowledged go back to the program.
    pub(in crate::tcp) fn move_una(&mut self, ctx: &mut Ctx<'_>, ack: SeqNum) {
        let bytes = self.data_between(self.send.una, ack);
        self.send.una = ack;
        if bytes > 0 {
            self.stats.bytes_acked += u64::from(bytes);
            if let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) {
                end.tx_release(owner.slot, bytes);
            }
        }
    }

    /// Bytes of data from `from` to `to`: numbers of SYN and FIN are none.
    pub(in crate::tcp) fn data_between(&self, from: SeqNum, to: SeqNum) -> u32 {
        let (first, last) = (from.later(self.send.isn + 1), to.earlier(self.send.end));
        last.distance(first).max(0).cast_unsigned()
    }

    fn can_send_new(&self) -> bool {
        self.send.nxt.before(self.send.end) && self.send.nxt.before(self.send.una + self.send.wnd.0)
    }

    /// What the directive says to counters and flags.
    fn note_facts(&mut self, ctx: &mut Ctx<'_>, directive: &Directive, ece: bool) {
        let outcome = &directive.outcome;
        if directive.reduced && self.agreed.ecn {
            self.send.announce_cwr = true;
        }
        if directive.undone {
            self.send.announce_cwr = false;
        }
        if ece {
            self.rare.delivered_ce = self.rare.delivered_ce.wrapping_add(outcome.delivered);
        }
        if outcome.duplicate.is_some() {
            self.rare.dsack_dups += 1;
            ctx.net.counters.inc(Snmp::TcpExtTCPDSACKRecv);
        }
        ctx.net.counters.add(Snmp::TcpExtTCPSACKDiscard, outcome.bad_blocks.into());
        if let Some(rate) = outcome.rate.filter(|rate| rate.segments > 0) {
            self.note_rate(&rate);
        }
        self.pending.new_probe = directive.permit == Permit::NewProbe;
    }

    #[inline]
    fn note_rate(&mut self, rate: &RateSample) {
        self.stats.rate_segments = rate.segments;
        self.stats.rate_micros = nanos_to_micros(rate.interval_nanos);
        self.stats.rate_app_limited = rate.app_limited;
    }

    /// `tcp_set_xmit_timer`, `tcp_rearm_rto` and RACK's timer.
    fn set_timers(&mut self, ctx: &mut Ctx<'_>, directive: &Directive) {
        let outcome = &directive.outcome;
        let progress = outcome.acked > 0 || outcome.newly_sacked > 0;
        if self.sent.segments() == 0 {
            self.deadlines.disarm(Timer::Retransmission);
        } else if progress && !self.schedule_loss_probe(ctx) {
            self.rearm_rto(ctx);
        }
        if outcome.reneging {
            let delay = (self.rtt.srtt().unwrap_or_default() / 2).max(RENEGING_MIN);
            self.arm_retransmission(ctx, Retransmission::Timeout, delay);
        } else if let Some(timeout) = directive.reorder_timeout {
            self.arm_retransmission(ctx, Retransmission::Reordering, timeout + TIMEOUT_MIN);
        } else if self.deadlines.retransmission == Retransmission::Reordering {
            self.rearm_rto(ctx);
        }
    }

    /// Arms the retransmission timer to expire after `delay`.
    pub(in crate::tcp) fn arm_retransmission(&mut self, ctx: &mut Ctx<'_>, what: Retransmission, delay: Duration) {
        let at = ctx.now + delay;
        self.deadlines.arm_retransmission(&mut ctx.commons.wheel, self.id.index, what, at);
    }

    /// Nothing was outstanding: the ACK answers a probe of a closed window, or tells that it opened (`tcp_ack_probe`).
    fn after_idle_ack(&mut self, ctx: &mut Ctx<'_>) {
        if self.deadlines.retransmission != Retransmission::WindowProbe {
            return;
        }
        if self.can_send_new() {
            self.probe_backoff = 0;
            self.stalled_since = None;
            self.deadlines.disarm(Timer::Retransmission);
        } else {
            let delay = self.probe_interval();
            self.arm_window_probe(ctx, delay);
        }
    }

    /// RFC 9293 section 3.10.7.4, `tcp_ack_update_window`: the window of a newer segment is taken. True if it changed.
    fn update_window(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> bool {
        let wire = WireWindow(segment.window);
        let window = if segment.flags.contains(Flags::SYN) {
            Window(u32::from(wire.0))
        } else {
            self.send.scale.to_window(wire)
        };
        let newer = segment.ack.after(self.send.una)
            || segment.seq.after(self.send.wl1)
            || (segment.seq == self.send.wl1 && (window > self.send.wnd || window.0 == 0));
        if !newer {
            return false;
        }
        let changed = window != self.send.wnd;
        if changed && self.send.wnd.0 == 0 && self.sent.segments() > 0 {
            self.on_reopened(ctx);
        }
        (self.send.wl1, self.send.wnd) = (segment.seq, window);
        if changed {
            self.predict(segment.window);
            self.slow_start_after_idle(ctx);
            if window > self.send.wnd_max {
                self.send.wnd_max = window;
                // A segment is at most half of the largest window (`tcp_bound_to_half_wnd`).
                self.update_mss(ctx, self.send.pmtu);
            }
        }
        changed
    }

    /// A window that was closed over data in flight opens: what was sent in vain until now is no sign of a dead peer, and goes
    /// again soon.
    #[cold]
    fn on_reopened(&mut self, ctx: &mut Ctx<'_>) {
        (self.retransmits, self.stalled_since) = (0, None);
        self.rtt.reset_backoff();
        self.rearm_rto(ctx);
    }

    /// Answers a bad acknowledgment number of a synchronized connection (RFC 9293; RFC 5961 section 5.2).
    pub(super) fn on_bad_ack(&mut self, ctx: &mut Ctx<'_>, bad: BadAck) -> Fate {
        let reason = match bad {
            BadAck::TooOld => DropReason::TcpAckTooOld,
            BadAck::Unsent => DropReason::TcpAckUnsent,
        };
        self.challenge(ctx, reason).err().unwrap_or(Fate::Lives)
    }

    /// True if the congestion control wants every CE mark echoed as it came (RFC 8257 section 3.2).
    pub(super) fn echoes_exactly(&self) -> bool {
        self.agreed.ecn && self.congestion.kind() == Kind::Dctcp
    }
}
