//! What was lost is sent again (`tcp_xmit_retransmit_queue`, `__tcp_retransmit_skb`), with the segment size of now and
//! within the peer's window.

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Retransmission;
use super::super::recovery::{Phase, Sender};
use super::super::sent::SegmentId;
use super::transmit::Departure;
use crate::counters::Snmp;
use crate::ip::Path;
use crate::wire::tcp::Flags;

/// What a segment's place in its row means for it.
#[derive(Clone, Copy, Debug)]
struct InRow {
    /// `PSH`, if it ends a row of several.
    flags: Flags,
    /// The segments of the row that it is the first of; 0 if it is another.
    begins: u32,
}

impl Connection {
    /// Sends lost segments while the window has room. Bounded by the congestion window.
    pub(super) fn push_lost(&mut self, ctx: &mut Ctx<'_>, path: &Path) {
        let first = self.sent.first();
        let (mut rearm, mut row) = (false, 0);
        let row_max = self.row_max(ctx, self.current_mss());
        while self.sent.in_flight() < self.congestion.cwnd() {
            let Some(id) = self.sent.next_to_retransmit(&ctx.commons.slab) else { break };
            if self.is_paced(ctx) && row == 0 {
                self.arm_pace(ctx);
                break;
            }
            let quota = self.congestion.cwnd() - self.sent.in_flight();
            let begins = if row == 0 { row_max.min(quota) } else { 0 };
            row += 1;
            let over = row >= row_max || quota == 1 || !self.sent.row_goes_on(&ctx.commons.slab, id);
            // A row of several ends with PSH, as that of new data does.
            let flags = if over && row > 1 { Flags::PSH } else { Flags::NONE };
            if over {
                row = 0;
            }
            match self.retransmit_with(ctx, path, id, InRow { flags, begins }) {
                Some(Departure::Left) => {}
                Some(Departure::NoRoom) => {
                    self.block(ctx);
                    break;
                }
                Some(Departure::NoData) | None => break,
            }
            let fast = self.recovery.phase() != Phase::Loss;
            ctx.net.counters.inc(if fast { Snmp::TcpExtTCPFastRetrans } else { Snmp::TcpExtTCPSlowStartRetrans });
            rearm |= first == Some(id) && self.deadlines.retransmission != Retransmission::Reordering;
        }
        if rearm {
            self.arm_rto(ctx, ctx.now + self.rtt.rto());
        }
    }

    /// Sends segment `id` again, cut to the present segment size and the peer's window. `None`: the window does not
    /// reach it.
    pub(in crate::tcp) fn retransmit(&mut self, ctx: &mut Ctx<'_>, path: &Path, id: SegmentId) -> Option<Departure> {
        self.retransmit_with(ctx, path, id, InRow { flags: Flags::NONE, begins: 1 })
    }

    fn retransmit_with(&mut self, ctx: &mut Ctx<'_>, path: &Path, id: SegmentId, row: InRow) -> Option<Departure> {
        let start = ctx.commons.slab[id].start();
        let mss = self.current_mss();
        let mut window = self.window_end().distance(start);
        if window <= 0 {
            if start != self.send.una {
                return None;
            }
            // The window was taken back: one segment serves as a probe of it.
            window = mss as i32;
        }
        let room = mss.min(window as u32);
        let mut outbound = self.outbound_again(&ctx.commons.slab, id);
        if outbound.len > room {
            let at = start + u32::from(outbound.flags.contains(Flags::SYN)) + room;
            self.sent.split(&mut ctx.commons.slab, id, at)?;
            outbound = self.outbound_again(&ctx.commons.slab, id);
        }
        if outbound.flags.contains(Flags::SYN) {
            outbound.flags |= self.syn_flags_again(ctx);
            ctx.net.counters.inc(Snmp::TcpExtTCPSynRetrans);
        }
        self.forget_mtu_probe();
        outbound.flags |= row.flags;
        let departure = self.transmit(ctx, path, &outbound);
        if departure == Departure::Left {
            let mut sender = Sender {
                sent: &mut self.sent,
                slab: &mut ctx.commons.slab,
                episodes: &mut ctx.commons.episodes,
                congestion: &mut self.congestion,
                rtt: &mut self.rtt,
            };
            self.recovery.on_retransmit(&mut sender, ctx.now, id);
            self.pace_sent(ctx, outbound.len, row.begins);
        } else {
            ctx.net.counters.inc(Snmp::TcpExtTCPRetransFail);
        }
        Some(departure)
    }
}
