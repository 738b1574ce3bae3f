//! What a segment does to the state (`tcp_rcv_state_process`, `tcp_fin`).

use super::ack::BadAck;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::connection::{Connection, FastOpenState};
use crate::tcp::deadlines::Timer;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::window::WireWindow;
use crate::wire::tcp::Flags;

impl Connection {
    /// Takes a segment in any state but SYN_SENT: RFC 9293 section 3.10.7.4, step by step.
    pub(in crate::tcp) fn receive(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        if self.state == State::SynReceived && self.is_syn_again(ctx, segment) {
            return Fate::Lives;
        }
        if let Err(fate) = self.validate(ctx, segment) {
            return fate;
        }
        if !segment.flags.contains(Flags::ACK) {
            ctx.net.counters.dropped(DropReason::TcpFlags);
            return Fate::Lives;
        }
        if let Err(bad) = self.check_ack(segment) {
            return self.on_unacceptable_ack(ctx, segment, bad);
        }
        self.remember_timestamp(ctx, segment);
        let crossed = self.state == State::SynReceived && segment.flags.contains(Flags::SYN);
        if self.state == State::SynReceived {
            if segment.ack == self.send.isn {
                // Our SYN is not acknowledged yet: a SYN of the peer's again.
                ctx.net.counters.dropped(DropReason::TcpAckTooOld);
                return Fate::Lives;
            }
            self.become_established(ctx, segment);
        }
        let fate = self.take_ack(ctx, segment, true);
        if fate != Fate::Lives {
            return fate;
        }
        let fate = self.after_fin_ack(ctx, segment);
        if fate != Fate::Lives {
            return fate;
        }
        if crossed {
            // The SYN-ACK of a peer whose SYN crossed ours says nothing else: its SYN was acknowledged by our own SYN-ACK.
            return Fate::Lives;
        }
        self.check_urgent(ctx, segment);
        let fate = self.text(ctx, segment, payload);
        if fate == Fate::Lives {
            self.predict_again(segment);
            self.acknowledge(ctx);
        }
        fate
    }

    /// An ACK of data never sent: a reset in SYN_RECEIVED, a question elsewhere.
    fn on_unacceptable_ack(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, bad: BadAck) -> Fate {
        if self.state != State::SynReceived {
            return self.on_bad_ack(ctx, bad);
        }
        ctx.net.counters.dropped(DropReason::TcpAckUnsent);
        crate::tcp::handshake::reply_reset(ctx.net, ctx.now, segment);
        Fate::Lives
    }

    /// `TS.Recent` is that of the segment that the next ACK answers (RFC 7323 section 4.3; `tcp_replace_ts_recent`).
    fn remember_timestamp(&mut self, ctx: &Ctx<'_>, segment: &Segment) {
        let Some(timestamps) = segment.timestamps.filter(|_| self.agreed.timestamps) else { return };
        let newer = (timestamps.value.wrapping_sub(self.receive.ts_recent) as i32) >= 0;
        if segment.seq.at_or_before(self.receive.last_ack) && newer {
            self.receive.ts_recent = timestamps.value;
            self.receive.ts_recent_at = ctx.now;
        }
    }

    /// Our SYN is acknowledged: SYN_RECEIVED of a simultaneous or a fast open ends.
    fn become_established(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) {
        self.state = State::Established;
        self.send.wnd = self.send.scale.to_window(WireWindow(segment.window));
        self.send.wnd_max = self.send.wnd_max.max(self.send.wnd);
        self.send.wl1 = segment.seq;
        self.end_syn_received(ctx, segment);
        self.deadlines.disarm(Timer::KeepAlive);
        self.begin_keep_alive(ctx);
        if self.send_is_closed() {
            self.state = State::FinWait1;
        } else {
            self.tell(ctx);
        }
        if self.fast_open == FastOpenState::Server {
            self.fast_open = FastOpenState::Off;
            ctx.commons.fast_open_done.extend(self.listener);
        }
        self.predict(segment.window);
    }

    /// What the acknowledgment of our FIN leads to.
    fn after_fin_ack(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> Fate {
        if !self.state.fin_queued() || self.send.una != self.send.end + 1 {
            return Fate::Lives;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                if self.closed_by_user { self.orphan_in_fin_wait_2(ctx, segment) } else { Fate::Lives }
            }
            State::Closing => {
                self.finish(ctx);
                Fate::TimeWait
            }
            State::LastAck => self.fail(ctx, 0),
            _ => Fate::Lives,
        }
    }

    /// Nobody reads any more: data resets, and otherwise a small object waits for the peer's FIN.
    fn orphan_in_fin_wait_2(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> Fate {
        if self.config.linger2 < 0 {
            return self.abort_on_data(ctx, segment);
        }
        if segment.len > 0 && segment.data_end().after(self.receive.nxt) {
            return self.abort_on_data(ctx, segment);
        }
        if segment.flags.contains(Flags::FIN) {
            // It comes with this segment: the way through `on_fin` ends in TIME_WAIT. One that lies ahead of a hole does not, and
            // nobody waits for ever.
            let wait = self.fin_time(ctx);
            self.arm_keep_alive(ctx, wait);
            return Fate::Lives;
        }
        self.finish(ctx);
        Fate::FinWait2
    }

    /// Data for a program that is gone (RFC 1122 section 4.2.2.13; `TCPAbortOnData`).
    fn abort_on_data(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) -> Fate {
        ctx.net.counters.inc(Snmp::TcpExtTCPAbortOnData);
        ctx.net.counters.dropped(DropReason::TcpClosedByUser);
        // As a segment without socket is answered: by the number that it expects.
        crate::tcp::handshake::reply_reset(ctx.net, ctx.now, segment);
        self.fail(ctx, 0)
    }

    /// Tells the program that all is done, in both directions.
    fn finish(&mut self, ctx: &mut Ctx<'_>) {
        self.state = State::Closed;
        self.tell(ctx);
    }

    /// Step 7, by state.
    fn text(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        match self.state {
            State::Established => self.take_text(ctx, segment, payload),
            State::FinWait1 | State::FinWait2 => {
                if self.receive.shut && segment.len > 0 && segment.data_end().after(self.receive.nxt) {
                    return self.abort_on_data(ctx, segment);
                }
                self.take_text(ctx, segment, payload)
            }
            // After the peer's FIN nothing new can come; a retransmission wants its ACK.
            State::CloseWait | State::Closing | State::LastAck => {
                if segment.seq.before(self.receive.nxt) {
                    return self.take_text(ctx, segment, payload);
                }
                if segment.end() != segment.seq {
                    ctx.net.counters.dropped(DropReason::TcpBehindFin);
                }
                Fate::Lives
            }
            State::SynSent | State::SynReceived | State::Closed => Fate::Lives,
        }
    }

    fn take_text(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        if segment.end() == segment.seq {
            return Fate::Lives;
        }
        self.take_data(ctx, segment, payload)
    }

    /// Step 8: the peer sends no more (`tcp_fin`).
    pub(super) fn on_fin(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        self.receive.nxt += 1;
        self.ack.scheduled = true;
        self.expect_nothing();
        self.out_of_order.clear(&mut ctx.commons.ranges);
        match self.state {
            State::Established | State::SynReceived => {
                self.state = State::CloseWait;
                // The program will answer, or close: the ACK may wait for that.
                self.ack.begin_turns();
                self.tell(ctx);
            }
            State::FinWait1 => {
                self.send_ack(ctx);
                self.state = State::Closing;
                self.tell(ctx);
            }
            State::FinWait2 => {
                self.send_ack(ctx);
                self.finish(ctx);
                return Fate::TimeWait;
            }
            _ => {}
        }
        Fate::Lives
    }

    /// After the slow path the next plain segment may take the fast one.
    fn predict_again(&mut self, segment: &Segment) {
        if self.prediction == super::established::UNPREDICTED
            && self.send.scale.to_window(WireWindow(segment.window)) == self.send.wnd
        {
            self.predict(segment.window);
        }
    }

    fn send_is_closed(&self) -> bool {
        self.closed_by_user || self.fin_wanted
    }
}
