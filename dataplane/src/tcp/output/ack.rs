//! Pure ACKs, and what an ACK or data that leaves does to the delay of ACKs (`tcp_send_ack`, `tcp_event_ack_sent`,
//! `tcp_event_data_sent`).

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Timer;
use super::super::input::DELAY_MIN_MS;
use super::super::seq::SeqNum;
use super::super::state::State;
use super::segment::Outbound;
use super::transmit::Departure;
use crate::Instant;
use crate::counters::Snmp;
use crate::wire::tcp::Flags;

const NANOS_PER_MS: u64 = 1_000_000;

impl Connection {
    /// Sends an ACK now. Without room it stays owed.
    pub(in crate::tcp) fn send_ack(&mut self, ctx: &mut Ctx<'_>) {
        if self.state == State::Closed {
            self.pending.ack_now = false;
            return;
        }
        let Some(path) = self.route(ctx) else {
            self.pending.ack_now = false;
            return;
        };
        let outbound = Outbound::control(self.acceptable_seq(), Flags::ACK);
        match self.transmit(ctx, &path, &outbound) {
            Departure::Left => self.pending.ack_now = false,
            Departure::NoRoom | Departure::NoData => {
                self.pending.ack_now = true;
                self.block(ctx);
            }
        }
    }

    /// Resets the connection at the peer (`tcp_send_active_reset`).
    pub(in crate::tcp) fn send_reset(&mut self, ctx: &mut Ctx<'_>) {
        ctx.net.counters.inc(Snmp::TcpOutRsts);
        if let Some(path) = self.route(ctx) {
            let outbound = Outbound::control(self.acceptable_seq(), Flags::RST | Flags::ACK);
            // Without room it is lost: the peer's next segment is answered by another.
            let _ = self.transmit(ctx, &path, &outbound);
        }
    }

    /// A sequence number that the peer takes although it shrank its window (`tcp_acceptable_seq`).
    #[inline]
    pub(super) fn acceptable_seq(&self) -> SeqNum {
        let edge = self.window_end();
        let nxt = self.send.nxt;
        let unit = 1u32 << self.receive.scale.shift();
        let by_rounding = self.agreed.window_scaling && nxt.since(edge) < unit;
        if edge.at_or_after(nxt) || by_rounding { nxt } else { edge }
    }

    /// The end of the peer's window (`tcp_wnd_end`).
    #[inline]
    pub(super) fn window_end(&self) -> SeqNum {
        self.ring_start() + self.send.wnd.0
    }

    /// A segment with ACK leaves: what was owed is paid (`tcp_event_ack_sent`).
    #[inline]
    pub(super) fn on_ack_sent(&mut self) {
        if self.ack.quick > 0 && self.ack.scheduled {
            self.ack.quick -= 1;
            if self.ack.quick == 0 {
                self.ack.ato_ms = DELAY_MIN_MS;
            }
        }
        self.ack.scheduled = false;
        self.ack.pushed = false;
        self.ack.pushed_twice = false;
        self.ack.retry = 0;
        (self.pending.ack_now, self.pending.read) = (false, false);
        self.deadlines.disarm(Timer::DelayedAck);
    }

    /// Data leaves: an answer to what just came says that the program talks and listens by turns
    /// (`tcp_event_data_sent`).
    #[inline]
    pub(super) fn on_data_sent(&mut self, now: Instant) {
        if self.sent.segments() == 0 {
            self.congestion.on_idle(now.nanos_since(self.send.last_at));
        }
        self.send.last_at = now;
        let since = now.nanos_since(self.ack.last_data_at);
        if since < u64::from(self.ack.ato_ms) * NANOS_PER_MS {
            self.ack.turns_left = self.ack.turns_left.saturating_sub(1);
        }
    }
}
