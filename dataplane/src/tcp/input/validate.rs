//! Steps 1 to 4 of RFC 9293 section 3.10.7.4: timestamps, sequence numbers, RST, SYN (`tcp_validate_incoming`), with the
//! answers of RFC 5961 and RFC 7323.

use crate::Instant;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::errno::{ECONNREFUSED, ECONNRESET, EPIPE};
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::connection::Connection;
use crate::tcp::out_of_order::Range;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::timestamp::TS_RECENT_LIFE;
use crate::wire::tcp::Flags;

impl Connection {
    /// `Ok`: goes on with step 5. Otherwise the segment is answered as it deserves, and dropped.
    pub(super) fn validate(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> Result<(), Fate> {
        let flags = segment.flags;
        let reset = flags.contains(Flags::RST);
        if self.paws_rejects(ctx.now, segment) && !reset {
            ctx.net.counters.inc(Snmp::TcpExtPAWSEstab);
            self.answer_unacceptable(ctx, segment);
            return self.refuse(ctx, DropReason::TcpPaws);
        }
        if !self.is_in_window(segment) {
            if reset && self.ends_what_fin_began(segment) {
                return Err(self.on_reset(ctx));
            }
            if !reset && flags.contains(Flags::SYN) {
                ctx.net.counters.inc(Snmp::TcpExtTCPSYNChallenge);
                return self.challenge(ctx, DropReason::TcpSyn);
            }
            if !reset {
                self.answer_unacceptable(ctx, segment);
            }
            return self.refuse(ctx, DropReason::TcpOutOfWindow);
        }
        if reset {
            // RFC 5961 section 3.2: only the exact number; else the peer is asked.
            let last_sacked = self.out_of_order.end(&ctx.commons.ranges);
            let exact = segment.seq == self.receive.nxt
                || self.ends_what_fin_began(segment)
                || last_sacked.is_some_and(|end| self.agreed.sack && segment.seq == end);
            return if exact { Err(self.on_reset(ctx)) } else { self.challenge(ctx, DropReason::TcpResetUnsure) };
        }
        if flags.contains(Flags::SYN) && !self.completes_crossed_syns(segment) {
            // RFC 5961 section 4.2.
            ctx.net.counters.inc(Snmp::TcpExtTCPSYNChallenge);
            return self.challenge(ctx, DropReason::TcpSyn);
        }
        Ok(())
    }

    /// The peer reset the connection (`tcp_reset`).
    pub(in crate::tcp) fn on_reset(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        let errno = match self.state {
            State::SynSent => ECONNREFUSED as u16,
            State::CloseWait => EPIPE as u16,
            _ => ECONNRESET as u16,
        };
        if matches!(self.state, State::Established | State::CloseWait) {
            ctx.net.counters.inc(Snmp::TcpEstabResets);
        }
        self.fail(ctx, errno)
    }

    /// The timestamp is older than one that was seen (RFC 7323 section 5.3; `tcp_paws_discard`).
    fn paws_rejects(&self, now: Instant, segment: &Segment) -> bool {
        let Some(timestamps) = segment.timestamps.filter(|_| self.agreed.timestamps) else { return false };
        let behind = self.receive.ts_recent.wrapping_sub(timestamps.value) as i32;
        behind > 0
            && now.saturating_since(self.receive.ts_recent_at) < TS_RECENT_LIFE
            && !self.is_late_ack(segment, behind)
    }

    /// A pure ACK that was overtaken on its way and says nothing new (`tcp_disordered_ack`).
    fn is_late_ack(&self, segment: &Segment, behind: i32) -> bool {
        let limit = i32::try_from(self.rtt.rto_base().as_millis()).unwrap_or(i32::MAX);
        segment.end() == segment.seq
            && segment.seq == self.receive.nxt
            && segment.ack == self.send.una
            && self.send.scale.to_window(crate::tcp::window::WireWindow(segment.window)) == self.send.wnd
            && behind <= limit
    }

    /// RFC 9293 section 3.4 (`tcp_sequence`): it touches the window, or what was received last.
    fn is_in_window(&self, segment: &Segment) -> bool {
        segment.end().at_or_after(self.receive.wup)
            && segment.seq.at_or_before(self.receive.nxt + self.receive_window())
    }

    /// A reset numbered one before `RCV.NXT`, after the peer's FIN: some systems count so (`tcp_reset_check`).
    fn ends_what_fin_began(&self, segment: &Segment) -> bool {
        segment.seq + 1 == self.receive.nxt && matches!(self.state, State::CloseWait | State::LastAck | State::Closing)
    }

    /// An unacceptable segment gets an ACK that says what is expected (`tcp_send_dupack`), so often.
    fn answer_unacceptable(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) {
        let has_data = segment.end() != segment.seq;
        if !has_data && !self.invalid.allow(ctx.now, ctx.commons.settings.invalid_ratelimit) {
            ctx.net.counters.inc(Snmp::TcpExtTCPACKSkippedSeq);
            return;
        }
        if has_data && segment.seq.before(self.receive.nxt) {
            ctx.net.counters.inc(Snmp::TcpExtDelayedACKLost);
            self.enter_quickack(2);
            if self.agreed.sack && ctx.commons.settings.dsack {
                let end = segment.end().earlier(self.receive.nxt);
                self.report_duplicate(ctx, Range { start: segment.seq, end });
            }
        }
        self.send_ack(ctx);
    }

    /// Notes data that arrived twice, for the next ACK.
    pub(super) fn report_duplicate(&mut self, ctx: &mut Ctx<'_>, range: Range) {
        if !self.agreed.sack || !ctx.commons.settings.dsack || !range.end.after(range.start) {
            return;
        }
        let old = range.start.before(self.receive.nxt);
        ctx.net.counters.inc(if old { Snmp::TcpExtTCPDSACKOldSent } else { Snmp::TcpExtTCPDSACKOfoSent });
        self.out_of_order.report_duplicate(&mut ctx.commons.ranges, range);
    }

    /// Asks the peer whether it meant that (RFC 5961; `tcp_send_challenge_ack`).
    pub(super) fn challenge(&mut self, ctx: &mut Ctx<'_>, reason: DropReason) -> Result<(), Fate> {
        if self.invalid.allow(ctx.now, ctx.commons.settings.invalid_ratelimit) && ctx.commons.challenge.allow(ctx.now) {
            ctx.net.counters.inc(Snmp::TcpExtTCPChallengeACK);
            self.send_ack(ctx);
        }
        self.refuse(ctx, reason)
    }

    fn refuse(&self, ctx: &mut Ctx<'_>, reason: DropReason) -> Result<(), Fate> {
        ctx.net.counters.dropped(reason);
        Err(Fate::Lives)
    }
}
