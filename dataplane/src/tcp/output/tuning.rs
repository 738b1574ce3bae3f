//! Buffers that grow by what the path needs (`tcp_rcv_space_adjust`, `tcp_sndbuf_expand`). A size that the program set
//! stays.

use super::super::commons::Ctx;
use super::super::connection::Connection;

/// Windows that the send buffer holds: one in flight, one being written (`ca_ops->sndbuf_expand`).
const SEND_WINDOWS: u32 = 2;
const WINDOW_LEAST: u32 = 10;

impl Connection {
    /// The program fills the ring: it may hold two congestion windows (`tcp_sndbuf_expand`).
    pub(super) fn grow_send_ring(&mut self, ctx: &mut Ctx<'_>, used: u32) {
        if self.config.send_buffer > 0 {
            return;
        }
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        let size = end.tx_size(owner.slot);
        if used < size / 2 {
            return;
        }
        let windows = self.congestion.cwnd().max(WINDOW_LEAST).saturating_mul(SEND_WINDOWS);
        let wanted = windows.saturating_mul(self.send.mss.into()).min(ctx.commons.settings.wmem.max);
        if wanted > size {
            // False while the last growth is not over: a later write asks again.
            end.tx_resize(owner.slot, wanted.next_power_of_two());
            self.watch_idle(ctx);
        }
    }

    /// Once per round trip: what the program read decides how much the peer may send (`tcp_rcv_space_adjust`).
    #[inline]
    pub(super) fn tune_receive(&mut self, ctx: &mut Ctx<'_>, unread: u32) {
        let rtt_nanos = u64::from(self.receive.rtt_8 >> 3) * 1000;
        if self.receive.rtt_8 == 0 || ctx.now.as_nanos().saturating_sub(self.tuning.at.as_nanos()) < rtt_nanos {
            return;
        }
        let read_to = self.receive.nxt - unread;
        let copied = read_to.distance(self.tuning.seq).max(0) as u32;
        if copied > self.tuning.space {
            self.grow_receive(ctx, copied);
            self.tuning.space = copied;
        }
        (self.tuning.seq, self.tuning.at) = (read_to, ctx.now);
    }

    fn grow_receive(&mut self, ctx: &mut Ctx<'_>, copied: u32) {
        if !ctx.commons.settings.moderate_rcvbuf || self.config.receive_buffer > 0 {
            return;
        }
        let space = u64::from(self.tuning.space.max(1));
        let copied = u64::from(copied);
        let window = 2 * copied + 16 * u64::from(self.receive.advertised_mss);
        // The sender may be in slow start: it sends twice as much in the next round trip.
        let window = window + 2 * (window * copied.saturating_sub(space) / space);
        let buffer = (2 * window).min(ctx.commons.settings.rmem.max.into()) as u32;
        if buffer <= self.receive.buffer {
            return;
        }
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        let size = (buffer / 2).next_power_of_two();
        if end.rx_size(owner.slot) >= size || end.rx_resize(owner.slot, size) {
            self.receive.buffer = buffer;
            self.receive.clamp = buffer / 2;
            self.watch_idle(ctx);
        }
    }
}
