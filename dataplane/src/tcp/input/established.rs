//! The way of a segment through its connection: header prediction first (`tcp_rcv_established`; Van Jacobson's
//! fast path), the RFC's numbered steps otherwise (`tcp_rcv_state_process`).

use crate::counters::Snmp;
use crate::ip::Packet;
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::connection::Connection;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::wire::tcp::Flags;

/// No window is predicted: every segment takes the slow path.
pub(in crate::tcp) const UNPREDICTED: u32 = u32::MAX;

impl Connection {
    /// Takes a segment that the demultiplexer found to be ours.
    #[inline]
    pub(super) fn input(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8], packet: &Packet) -> Fate {
        self.stats.segs_in = self.stats.segs_in.wrapping_add(1);
        self.stats.data_segs_in = self.stats.data_segs_in.wrapping_add(u32::from(segment.len > 0));
        if self.is_predicted(segment) {
            return self.fast_path(ctx, segment, payload);
        }
        match self.state {
            State::SynSent => self.on_syn_sent(ctx, segment, payload, packet),
            _ => self.receive(ctx, segment, payload),
        }
    }

    /// True for the segment that the last ones let expect: in order, acknowledging something that was sent, with the
    /// window as before, and nothing else in its header.
    #[inline]
    fn is_predicted(&self, segment: &Segment) -> bool {
        u32::from(segment.window) == self.prediction
            && self.state == State::Established
            && segment.seq == self.receive.nxt
            && segment.flags.without(Flags::PSH) == Flags::ACK
            && segment.timestamps.is_some() == self.agreed.timestamps
            && segment.sack.is_empty()
            && segment.ack.since(self.send.una) <= self.send.nxt.since(self.send.una)
            && segment.len <= self.receive_window()
    }

    /// A pure ACK, or data in order.
    #[inline]
    fn fast_path(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        if let Some(timestamps) = segment.timestamps {
            if (timestamps.value.wrapping_sub(self.receive.ts_recent) as i32) < 0 {
                return self.receive(ctx, segment, payload);
            }
            if segment.seq.at_or_before(self.receive.last_ack) {
                self.receive.ts_recent = timestamps.value;
                self.receive.ts_recent_at = ctx.now;
            }
        }
        if segment.len == 0 {
            ctx.net.counters.inc(Snmp::TcpExtTCPHPAcks);
            // One that acknowledges nothing new may be a duplicate, which the slow way counts.
            return self.take_ack(ctx, segment, segment.ack == self.send.una);
        }
        ctx.net.counters.inc(Snmp::TcpExtTCPHPHits);
        if segment.ack != self.send.una {
            let fate = self.take_ack(ctx, segment, false);
            if fate != Fate::Lives {
                return fate;
            }
        } else {
            self.heard_at = ctx.now;
        }
        self.take_in_order(ctx, segment, payload, 0);
        self.acknowledge(ctx);
        Fate::Lives
    }

    /// Expects the header that a peer with this window sends next (`tcp_fast_path_check`).
    pub(in crate::tcp) fn predict(&mut self, window: u16) {
        let plain = self.state == State::Established
            && self.out_of_order.is_empty()
            && self.fin_ahead.is_none()
            && self.receive.urgent.is_none()
            && self.send.urgent.is_none()
            && !self.receive.echo_congestion
            && self.receive.wnd.0 > 0;
        self.prediction = if plain { u32::from(window) } else { UNPREDICTED };
    }

    /// Nothing arrived ahead of what is missing. While a header is predicted that is known.
    #[inline]
    pub(super) fn is_in_order(&self) -> bool {
        self.prediction != UNPREDICTED || self.out_of_order.is_empty()
    }

    /// No segment takes the fast path any more: the connection leaves ESTABLISHED, or its window is closed.
    #[inline]
    pub(in crate::tcp) fn expect_nothing(&mut self) {
        self.prediction = UNPREDICTED;
    }

    /// Bytes behind `RCV.NXT` that were offered (`tcp_receive_window`).
    #[inline]
    pub(in crate::tcp) fn receive_window(&self) -> u32 {
        (self.receive.wup + self.receive.wnd.0).distance(self.receive.nxt).max(0).cast_unsigned()
    }
}
