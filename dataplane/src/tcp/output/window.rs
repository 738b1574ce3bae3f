//! The window that we announce (`tcp_select_window`, `__tcp_select_window`; RFC 9293 section 3.8.6.2.2, RFC 7323).
//!
//! Invariants: the right edge never moves back; what is announced has a place in the receive ring. A window that would be
//! silly is announced as zero.

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::input::UNPREDICTED;
use super::super::window::{SIGNED_WINDOW_MAX, Window, WireWindow};
use crate::counters::Snmp;

/// What the receive ring has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// Bytes that may still arrive (`tcp_space`).
    pub(super) free: u32,
    /// All that may ever (`tcp_full_space`).
    pub(super) allowed: u32,
    /// Bytes that have a place in the ring.
    room: u32,
    /// Bytes that the program has not read.
    pub(super) unread: u32,
}

impl Connection {
    /// What of the window announced last is left (`tcp_receive_window`).
    #[inline]
    pub(super) fn window_left(&self) -> u32 {
        let edge = self.receive.wup + self.receive.wnd.0;
        edge.distance(self.receive.nxt).max(0) as u32
    }

    /// The window for the segment that leaves now, noted as announced (`tcp_select_window`).
    #[inline]
    pub(super) fn select_window(&mut self, ctx: &mut Ctx<'_>, space: Option<&Space>) -> WireWindow {
        let before = self.receive.wnd.0;
        if std::mem::take(&mut self.pending.no_room) {
            // A window that was rounded up to its unit promises more than there is: the peer has to probe instead of sending again.
            (self.receive.wnd, self.receive.wup) = (Window(0), self.receive.nxt);
            self.receive.last_ack = self.receive.nxt;
            self.note_zero(ctx, before, WireWindow(0));
            return WireWindow(0);
        }
        let left = self.window_left();
        let mut window = space.map_or(left, |space| self.window_for(space));
        if window < left {
            if window == 0 {
                ctx.net.counters.inc(Snmp::TcpExtTCPWantZeroWindowAdv);
            }
            // Never shrink what was offered; where the unit's rest has no place in the ring, the header shows a unit less.
            let whole = self.receive.scale.round_up(Window(left)).0;
            window = if space.is_none_or(|space| whole <= space.room) { whole } else { left };
        }
        (self.receive.wnd, self.receive.wup) = (Window(window), self.receive.nxt);
        self.receive.last_ack = self.receive.nxt;
        let unscaled = self.receive.scale.shift() == 0 && ctx.commons.settings.workaround_signed_windows;
        let window = if unscaled { window.min(SIGNED_WINDOW_MAX) } else { window };
        let wire = self.receive.scale.to_wire(Window(window));
        self.note_zero(ctx, before, wire);
        wire
    }

    /// A closed window takes every segment to the slow path.
    #[inline]
    fn note_zero(&mut self, ctx: &mut Ctx<'_>, before: u32, wire: WireWindow) {
        if wire.0 == 0 {
            self.prediction = UNPREDICTED;
            if before > 0 {
                ctx.net.counters.inc(Snmp::TcpExtTCPToZeroWindowAdv);
            }
        } else if before == 0 {
            ctx.net.counters.inc(Snmp::TcpExtTCPFromZeroWindowAdv);
        }
    }

    /// The room for what arrives. `None` without a ring: the window stays where it is.
    #[inline]
    pub(super) fn space(&self, ctx: &mut Ctx<'_>) -> Option<Space> {
        let allowed = self.receive.buffer / 2;
        if self.closed_by_user {
            return Some(Space { free: allowed, allowed, room: allowed, unread: 0 });
        }
        let (owner, end) = (self.owner?, ctx.end.as_deref_mut()?);
        let (room, unread) = end.rx_space(owner.slot).ok()?;
        Some(Space { free: allowed.saturating_sub(unread).min(room), allowed, room, unread })
    }

    /// `__tcp_select_window`.
    pub(super) fn window_for(&mut self, space: &Space) -> u32 {
        let full = self.receive.clamp.min(space.allowed);
        let mss = u32::from(self.ack.segment_size).min(full);
        if mss == 0 {
            return 0;
        }
        let mut free = space.free;
        let unit = (1u32 << self.receive.scale.shift()) - 1;
        if free < full >> 1 {
            self.ack.quick = 0;
            free &= !unit;
            if free < space.allowed >> 4 || free < mss {
                return 0;
            }
        }
        let free = free.min(self.receive.threshold);
        if self.receive.scale.shift() > 0 {
            let rounded = free.saturating_add(unit) & !unit;
            // What was rounded up must have a place, too.
            return if rounded > space.room { free & !unit } else { rounded };
        }
        let window = self.receive.wnd.0;
        if window + mss <= free || window > free {
            free / mss * mss
        } else if mss == full && free > window + (full >> 1) {
            free
        } else {
            window
        }
    }

    /// After a window was announced: asks to be told of reading when that can open it so far that it has to be
    /// announced anew, to twice what is left of it (`tcp_cleanup_rbuf`), and lets the buffer grow.
    #[inline]
    pub(super) fn after_window(&mut self, ctx: &mut Ctx<'_>, space: &Space) {
        self.tune_receive(ctx, space.unread);
        let left = self.receive.wnd.0;
        let wide = 2 * u64::from(left) > u64::from(self.receive.clamp.min(space.allowed));
        if wide && !self.receive.watching {
            return;
        }
        let bytes = if wide || self.receive.shut { 0 } else { self.reading_wanted(space, left) };
        self.watch(ctx, bytes);
    }

    /// Bytes that must be read before a window of twice `left` can be announced; 0 if the window is limited by what the peer has
    /// sent so far, which no reading changes.
    fn reading_wanted(&self, space: &Space, left: u32) -> u32 {
        let least = (space.allowed >> 4).max(u32::from(self.ack.segment_size)).max(1);
        let wanted = left.saturating_mul(2).max(least);
        if wanted > self.receive.threshold { 0 } else { wanted.saturating_sub(space.free).max(1) }
    }

    /// Asks to be told when `bytes` more were read; 0: no more. If they are read already, the window is announced in this
    /// turn.
    #[cold]
    fn watch(&mut self, ctx: &mut Ctx<'_>, bytes: u32) {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        self.receive.watching = bytes > 0;
        if end.rx_watch(owner.slot, bytes) == Ok(false) {
            self.receive.watching = false;
            self.pending.ack_now = true;
        }
    }

    /// An ACK waits for the program's answer, after a short segment: if the program only reads, its reading sends the
    /// ACK (`ICSK_ACK_PUSHED` in `tcp_cleanup_rbuf`). Asks to be told of it.
    pub(in crate::tcp) fn watch_for_ack(&mut self, ctx: &mut Ctx<'_>) {
        if !self.reading_pays_ack() || self.receive.shut {
            return;
        }
        let unread = self.space(ctx).map_or(0, |space| space.unread);
        if unread > 0 {
            self.watch(ctx, unread);
        }
    }

    /// The program is to be acknowledged by reading everything.
    fn reading_pays_ack(&self) -> bool {
        self.ack.scheduled && (self.ack.pushed_twice || (self.ack.pushed && !self.ack.is_by_turns()))
    }

    /// The program may have read: pays the ACK that waited for it, tells the peer of a window that opened far enough
    /// (`tcp_cleanup_rbuf`), and lets the buffer grow.
    pub(in crate::tcp) fn on_read(&mut self, ctx: &mut Ctx<'_>) {
        if self.receive.shut || !self.state.may_receive() {
            return;
        }
        let Some(space) = self.space(ctx) else { return };
        self.tune_receive(ctx, space.unread);
        let waits = self.receive.nxt.since(self.receive.wup);
        if self.ack.scheduled
            && (waits > u32::from(self.ack.segment_size) || (space.unread == 0 && self.reading_pays_ack()))
        {
            self.pending.ack_now = true;
            return;
        }
        let left = self.window_left();
        if 2 * u64::from(left) > u64::from(self.receive.clamp) {
            return;
        }
        let window = self.window_for(&space);
        if window > 0 && u64::from(window) >= 2 * u64::from(left) {
            self.pending.ack_now = true;
        } else {
            self.watch(ctx, self.reading_wanted(&space, left));
        }
    }
}
