//! The answer to our SYN (RFC 9293 section 3.10.7.3; `tcp_rcv_synsent_state_process`).

use super::options_of;
use super::reply::reply_reset;
use crate::Duration;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::ip::Packet;
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::connection::{Connection, FastOpenState};
use crate::tcp::deadlines::{Retransmission, Timer};
use crate::tcp::input::{DELAY_MAX_MS, QUICK_ACKS_MAX, UNPREDICTED};
use crate::tcp::mss::Mss;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::window::{Window, WindowScale};
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::{Options, TIMESTAMPS_LEN};

/// A SYN that met an old connection of the peer's is sent again so soon after the reset (`TCP_TIMEOUT_MIN`).
const SOON: Duration = Duration::from_millis(2);

impl Connection {
    /// Takes a segment in SYN_SENT.
    pub(in crate::tcp) fn on_syn_sent(
        &mut self,
        ctx: &mut Ctx<'_>,
        segment: &Segment,
        payload: &[u8],
        packet: &Packet,
    ) -> Fate {
        let header = segment.header_in(packet);
        let options = options_of(&ctx.commons.settings, header);
        let flags = segment.flags;
        if self.fast_open == FastOpenState::Deferred {
            // Nothing of ours is on its way: it cannot be an answer.
            return self.reject(ctx, segment, DropReason::TcpNoSocket);
        }
        if flags.contains(Flags::ACK) {
            return self.on_answer(ctx, segment, &options, payload);
        }
        if flags.contains(Flags::RST) || !flags.contains(Flags::SYN) {
            ctx.net.counters.dropped(if flags.contains(Flags::RST) {
                DropReason::TcpReset
            } else {
                DropReason::TcpFlags
            });
            return Fate::Lives;
        }
        if self.is_before_time_wait(&options) {
            ctx.net.counters.dropped(DropReason::TcpPaws);
            return Fate::Lives;
        }
        self.on_crossed_syn(ctx, segment, &options)
    }

    /// A segment that acknowledges something.
    fn on_answer(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, options: &Options<'_>, payload: &[u8]) -> Fate {
        if !segment.ack.after(self.send.una) || segment.ack.after(self.send.nxt) {
            if self.retransmits == 0 {
                self.arm_retransmission(ctx, Retransmission::Timeout, SOON);
            }
            return self.reject(ctx, segment, DropReason::TcpAckUnsent);
        }
        if !self.echoes_our_syn(ctx, options) {
            ctx.net.counters.inc(Snmp::TcpExtPAWSActive);
            return self.reject(ctx, segment, DropReason::TcpPaws);
        }
        if segment.flags.contains(Flags::RST) {
            return self.on_reset(ctx);
        }
        if !segment.flags.contains(Flags::SYN) {
            ctx.net.counters.dropped(DropReason::TcpFlags);
            return Fate::Lives;
        }
        self.on_syn_ack(ctx, segment, options, payload)
    }

    /// It is not for the connection that we want: reset what it belongs to, and go on.
    fn reject(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, reason: DropReason) -> Fate {
        ctx.net.counters.dropped(reason);
        reply_reset(ctx.net, ctx.now, segment);
        Fate::Lives
    }

    /// A timestamp's echo must be that of one of our SYNs (RFC 7323 section 3.2).
    fn echoes_our_syn(&self, ctx: &Ctx<'_>, options: &Options<'_>) -> bool {
        let Some(timestamps) = options.timestamps.filter(|t| t.echo != 0 && self.agreed.timestamps) else {
            return true;
        };
        let first = self.clock.value(self.begun_at);
        timestamps.echo.wrapping_sub(first) <= self.clock.value(ctx.now).wrapping_sub(first)
    }

    /// A SYN whose clock is behind what the flow's TIME_WAIT saw.
    fn is_before_time_wait(&self, options: &Options<'_>) -> bool {
        let known = self.receive.ts_recent;
        options.timestamps.is_some_and(|t| known != 0 && (known.wrapping_sub(t.value) as i32) > 0)
    }

    /// The SYN-ACK: the connection is established.
    fn on_syn_ack(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, options: &Options<'_>, payload: &[u8]) -> Fate {
        let spurious = self.answers_first(segment);
        let resends = self.sent.total_retransmits();
        // RFC 3168 section 6.1.1: ECE without CWR grants what we asked for.
        self.agreed.ecn &= segment.flags.contains(Flags::ECE) && !segment.flags.contains(Flags::CWR);
        self.agree(ctx, segment, options);
        self.state = State::Established;
        let fate = self.take_ack(ctx, segment, true);
        if fate != Fate::Lives {
            return fate;
        }
        if self.agreed.timestamps {
            self.receive.advertised_mss = self.receive.advertised_mss.saturating_sub(TIMESTAMPS_LEN as u16);
        }
        self.update_mss(ctx, self.send.pmtu);
        self.guess_segment_size();
        self.init_transfer(ctx, resends, spurious);
        self.begin_keep_alive(ctx);
        // The window of a SYN is not scaled: the next segment's looks different.
        self.prediction = UNPREDICTED;
        let data_was_refused = self.on_fast_open_answer(ctx, options, resends);
        self.init_mtu_search(ctx);
        self.update_mss(ctx, self.send.pmtu);
        self.tell(ctx);
        self.pending.send = true;
        if data_was_refused {
            // What is sent again carries the ACK.
            self.pending.ack_now = true;
            return Fate::Lives;
        }
        let fate = self.take_data_of_syn_ack(ctx, segment, payload);
        if fate == Fate::Lives {
            self.acknowledge_syn_ack(ctx);
        }
        fate
    }

    /// The third segment: at once, or with the data that the program is about to send.
    fn acknowledge_syn_ack(&mut self, ctx: &mut Ctx<'_>) {
        let waits = self.config.defer_accept > 0 || self.ack.is_by_turns() || self.has_data_to_send(ctx);
        if !waits {
            self.send_ack(ctx);
            return;
        }
        self.ack.scheduled = true;
        self.enter_quickack(QUICK_ACKS_MAX);
        let at = ctx.now + Duration::from_millis(DELAY_MAX_MS.into());
        self.deadlines.arm(&mut ctx.commons.wheel, self.id.index, Timer::DelayedAck, at);
    }

    /// The program has written data that was not sent yet.
    fn has_data_to_send(&self, ctx: &mut Ctx<'_>) -> bool {
        let sent = self.data_between(self.send.una, self.send.nxt);
        match (self.owner, ctx.end.as_deref_mut()) {
            (Some(owner), Some(end)) => end.tx_look(owner.slot).is_ok_and(|outgoing| outgoing.pushed > sent),
            _ => false,
        }
    }

    /// The data of a SYN-ACK counts if Fast Open was spoken (`tcp_fastopen_add_skb`); otherwise the peer sends it again.
    fn take_data_of_syn_ack(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        if self.fast_open == FastOpenState::Off || (segment.len == 0 && !segment.flags.contains(Flags::FIN)) {
            return Fate::Lives;
        }
        let rest = Segment { seq: segment.seq + 1, flags: segment.flags.without(Flags::SYN), ..segment.clone() };
        self.receive(ctx, &rest, payload)
    }

    /// Both ends sent a SYN at once (RFC 9293 figure 7): ours is sent again, with an ACK.
    fn on_crossed_syn(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, options: &Options<'_>) -> Fate {
        self.agreed.ecn &= segment.flags.contains(Flags::ECE | Flags::CWR);
        self.agree(ctx, segment, options);
        self.send.wnd = Window(u32::from(segment.window));
        self.send.wnd_max = self.send.wnd;
        self.send.wl1 = segment.seq;
        self.state = State::SynReceived;
        self.update_mss(ctx, self.send.pmtu);
        self.guess_segment_size();
        self.send_syn_ack(ctx);
        Fate::Lives
    }

    /// SYN_RECEIVED: the peer's SYN came again, so it has no SYN-ACK of ours (`tcp_check_req` for a fast open). True if that is
    /// what it is; the answer goes out, not too often.
    pub(in crate::tcp) fn is_syn_again(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> bool {
        let pure = segment.flags.contains(Flags::SYN) && !segment.flags.intersects(Flags::ACK | Flags::RST);
        if !pure || segment.seq != self.peer_isn {
            return false;
        }
        if self.invalid.allow(ctx.now, ctx.commons.settings.invalid_ratelimit) {
            self.send_syn_ack(ctx);
        } else {
            ctx.net.counters.inc(Snmp::TcpExtTCPACKSkippedSynRecv);
        }
        true
    }

    /// The peer's SYN-ACK, after both sent a SYN: it acknowledges ours.
    pub(in crate::tcp) fn completes_crossed_syns(&self, segment: &Segment) -> bool {
        self.state == State::SynReceived
            && segment.flags.contains(Flags::ACK)
            && segment.seq == self.peer_isn
            && segment.end() == self.receive.nxt
            && segment.ack == self.send.nxt
    }

    /// What the peer's SYN says.
    fn agree(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, options: &Options<'_>) {
        self.peer_isn = segment.seq;
        self.receive.nxt = segment.seq + 1;
        self.receive.wup = self.receive.nxt;
        self.receive.last_ack = self.receive.nxt;
        self.send.mss_clamp = options.mss.unwrap_or(Mss::DEFAULT.bytes()).min(match self.config.max_segment {
            0 => u16::MAX,
            mss => mss,
        });
        self.agreed.sack &= options.sack_permitted;
        self.agreed.timestamps &= options.timestamps.is_some();
        if let Some(timestamps) = options.timestamps.filter(|_| self.agreed.timestamps) {
            self.receive.ts_recent = timestamps.value;
            self.receive.ts_recent_at = ctx.now;
        }
        match options.window_scale.filter(|_| self.agreed.window_scaling) {
            Some(shift) => self.send.scale = WindowScale::new(shift),
            None => self.drop_scaling(),
        }
        self.heard_at = ctx.now;
    }
}
