//! Opening: the SYN with or without data, and the SYN-ACK of a connection (`tcp_connect`, `tcp_send_syn_data`,
//! `tcp_send_synack`).

use super::super::commons::Ctx;
use super::super::connection::{Connection, FastOpenState};
use super::super::sent::Border;
use super::super::settings::EcnMode;
use super::super::state::State;
use super::segment::Outbound;
use crate::wire::tcp::Flags;

impl Connection {
    /// Sends the first SYN, with data if `choose_fast_open` said so.
    pub(in crate::tcp) fn send_syn(&mut self, ctx: &mut Ctx<'_>) {
        self.send.nxt = self.send.isn;
        let mut outbound = Outbound::control(self.send.isn, Flags::SYN);
        if self.asks_for_ecn(ctx) {
            outbound.flags |= Flags::ECE | Flags::CWR;
        }
        match self.fast_open {
            FastOpenState::Requested(_) => outbound.fast_open = true,
            FastOpenState::SentData(end) => {
                outbound.len = end.since(self.send.isn + 1);
                outbound.fast_open = self.part.cookie().is_some();
            }
            _ => {}
        }
        self.depart_syn(ctx, &outbound);
    }

    /// Sends the SYN-ACK of simultaneous open, or of a connection that Fast Open made.
    pub(in crate::tcp) fn send_syn_ack(&mut self, ctx: &mut Ctx<'_>) {
        let mut outbound = Outbound::control(self.send.isn, Flags::SYN | Flags::ACK);
        if self.agreed.ecn {
            outbound.flags |= Flags::ECE;
        }
        outbound.fast_open = self.fast_open == FastOpenState::Server && self.part.cookie().is_some();
        if self.sent.segments() > 0 {
            // Our SYN stands on the scoreboard already.
            outbound.again = true;
            if let Some(path) = self.route(ctx) {
                let _ = self.transmit(ctx, &path, &outbound);
            }
            return;
        }
        self.send.nxt = self.send.isn;
        self.depart_syn(ctx, &outbound);
    }

    /// Sends it if it can; it counts as sent anyway, so that the timer repeats it.
    fn depart_syn(&mut self, ctx: &mut Ctx<'_>, outbound: &Outbound) {
        if let Some(path) = self.route(ctx) {
            let _ = self.transmit(ctx, &path, outbound);
        }
        let (slab, isn, now) = (&mut ctx.commons.slab, self.send.isn, ctx.now);
        self.sent.push(slab, now, isn, 1, true);
        self.send.nxt = isn + 1;
        if outbound.len > 0 {
            if let Some(data) = self.sent.push(slab, now, isn + 1, outbound.len, false) {
                slab.mark_border(data, Border::Push);
            }
            self.send.nxt = isn + 1 + outbound.len;
        }
        self.arm_rto(ctx, ctx.now + self.rtt.rto());
    }

    /// The SYN offers ECN (RFC 3168 section 6.1.1).
    fn asks_for_ecn(&self, ctx: &Ctx<'_>) -> bool {
        ctx.commons.settings.ecn == EcnMode::On || self.congestion.kind().needs_ecn()
    }

    /// The control bits of a SYN that is sent again: a box on the way may drop those with ECN (RFC 3168 section
    /// 6.1.1.1).
    pub(super) fn syn_flags_again(&self, ctx: &Ctx<'_>) -> Flags {
        match self.state {
            State::SynSent if self.asks_for_ecn(ctx) && !ctx.commons.settings.ecn_fallback => Flags::ECE | Flags::CWR,
            State::SynSent => Flags::NONE,
            _ if self.agreed.ecn => Flags::ACK | Flags::ECE,
            _ => Flags::ACK,
        }
    }
}
