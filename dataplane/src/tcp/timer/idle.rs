//! Memory of idle connections: what their rings hold beyond need goes back to the kernel.
//!
//! Only of connections whose rings have grown; others hold a few pages. The keepalive timer looks after it, because a connection has one
//! deadline for each of Linux's timers and no room for more; keepalive itself is not disturbed by expiring early.

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Timer;
use crate::Duration;
use crate::counters::Snmp;

/// Silent for so long a connection counts as idle: what talks now and then keeps its pages.
const IDLE: Duration = Duration::from_secs(10);
/// Giving pages back takes the kernel up to half a millisecond: one connection of a lane in so long.
const SPACING: Duration = Duration::from_millis(20);
/// Those that have to wait come again at different times.
const SPREAD: u32 = 64;

impl Connection {
    /// A ring has grown, or a pause is over: looks when the connection may be idle again.
    pub(in crate::tcp) fn watch_idle(&mut self, ctx: &mut Ctx<'_>) {
        let grown = match (self.owner, ctx.end.as_deref()) {
            (Some(owner), Some(end)) => end.has_moved(owner.slot),
            _ => false,
        };
        if grown && !self.closed_by_user {
            self.look_after(ctx, IDLE);
        }
    }

    /// The timer has expired: gives memory back, or looks again later.
    pub(super) fn give_memory_back(&mut self, ctx: &mut Ctx<'_>) {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        if self.closed_by_user || !end.has_moved(owner.slot) {
            return;
        }
        let silent = ctx.now.saturating_since(self.ack.last_data_at.max(self.send.last_at));
        // What the program has read since the last look; rubbish is found by whoever looks next.
        let unread = end.rx_space(owner.slot).map_or(true, |(_, unread)| unread > 0);
        let busy = unread || self.sent.segments() > 0 || self.send.end.after(self.send.nxt);
        if busy || silent < IDLE {
            let left = IDLE.saturating_sub(silent);
            return self.look_after(ctx, if left.is_zero() { IDLE } else { left });
        }
        if ctx.now < ctx.commons.give_back_at {
            return self.look_after(ctx, SPACING * (1 + self.id.index % SPREAD));
        }
        ctx.commons.give_back_at = ctx.now + SPACING;
        end.give_back(owner.slot, self.out_of_order.is_empty());
        if self.config.send_buffer == 0 {
            end.tx_shrink(owner.slot);
        }
        ctx.net.counters.inc(Snmp::TcpIdleMemoryGivenBack);
    }

    /// Looks after `wait`, unless the timer expires before anyway.
    fn look_after(&mut self, ctx: &mut Ctx<'_>, wait: Duration) {
        let at = ctx.now + wait;
        if self.deadlines.at(Timer::KeepAlive).is_none_or(|armed| armed > at) {
            self.arm_keep_alive(ctx, wait);
        }
    }
}
