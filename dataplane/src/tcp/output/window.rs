//! The window that we announce (`tcp_select_window`, `__tcp_select_window`; RFC 9293 section 3.8.6.2.2, RFC 7323).
//!
//! Invariants: the right edge never moves back; what is announced has a place in the receive ring. A window that would be
//! silly is announced as zero.

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::window::{Window, WireWindow};
use crate::counters::Snmp;

/// What the receive ring has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// Bytes that may still arrive (`tcp_space`).
    pub(super) free: u32,
    /// All that may ever (`tcp_full_space`).
    pub(super) allowed: u32,
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
    pub(super) fn select_window(&mut self, ctx: &mut Ctx<'_>) -> WireWindow {
        let left = self.window_left();
        let space = self.space(ctx);
        let mut window = space.map_or(left, |space| self.window_for(space));
        if window < left {
            if window == 0 {
                ctx.net.counters.inc(Snmp::TcpExtTCPWantZeroWindowAdv);
            }
            // Never shrink what was offered.
            window = self.receive.scale.round_up(Window(left)).0;
        }
        let before = self.receive.wnd.0;
        (self.receive.wnd, self.receive.wup) = (Window(window), self.receive.nxt);
        self.receive.last_ack = self.receive.nxt;
        let cap = if self.receive.scale.shift() == 0 && ctx.commons.settings.workaround_signed_windows {
            WINDOW_SIGNED_MAX
        } else {
            u32::MAX
        };
        let wire = self.receive.scale.to_wire(Window(window.min(cap)));
        self.note_zero(ctx, before, wire);
        if let Some(space) = space {
            self.watch_reader(ctx, space);
        }
        wire
    }

    /// A closed window takes every segment to the slow path.
    #[inline]
    fn note_zero(&mut self, ctx: &mut Ctx<'_>, before: u32, wire: WireWindow) {
        if wire.0 == 0 {
            self.prediction = 0;
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
            return Some(Space { free: allowed, allowed });
        }
        let (owner, end) = (self.owner?, ctx.end.as_deref_mut()?);
        let room = end.rx_room(owner.slot).ok()?;
        let unread = end.rx_unread(owner.slot);
        Some(Space { free: allowed.saturating_sub(unread).min(room), allowed })
    }

    /// `__tcp_select_window`.
    pub(super) fn window_for(&mut self, space: Space) -> u32 {
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
            return free.saturating_add(unit) & !unit;
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

    /// Asks to be told of reading when that can open the window so far that it has to be announced: to twice what is
    /// left of it (`tcp_cleanup_rbuf`), or, while an ACK waits for the program's answer, when all is read.
    #[inline]
    fn watch_reader(&mut self, ctx: &mut Ctx<'_>, space: Space) {
        let left = self.receive.wnd.0;
        let full = self.receive.clamp.min(space.allowed);
        if 2 * left > full && !self.receive.watching {
            return;
        }
        self.set_watch(ctx, space, if 2 * left > full { 0 } else { self.wanted_reading(space, left) });
    }

    /// Bytes that must be read before a window of twice `left` can be announced.
    fn wanted_reading(&self, space: Space, left: u32) -> u32 {
        let least = (space.allowed >> 4).max(u32::from(self.ack.segment_size)).max(1);
        (2 * left).max(least).saturating_sub(space.free).max(1)
    }

    #[cold]
    fn set_watch(&mut self, ctx: &mut Ctx<'_>, _space: Space, bytes: u32) {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        self.receive.watching = bytes > 0;
        if let Ok(false) = end.rx_watch(owner.slot, bytes) {
            // Read already: look again at the end of the turn.
            self.pending.send = true;
            self.receive.watching = false;
        }
    }

    /// The program has read: tells the peer of a window that opened far enough (`tcp_cleanup_rbuf`).
    pub(super) fn announce_window(&mut self, ctx: &mut Ctx<'_>) {
        if self.receive.shut || !self.state.may_receive() {
            return;
        }
        let left = self.window_left();
        if 2 * u64::from(left) > u64::from(self.receive.clamp) {
            return;
        }
        let Some(space) = self.space(ctx) else { return };
        let window = self.window_for(space);
        if window > 0 && window >= 2 * left {
            self.pending.ack_now = true;
        } else {
            self.set_watch(ctx, space, self.wanted_reading(space, left));
        }
    }
}

/// `MAX_TCP_WINDOW`.
const WINDOW_SIGNED_MAX: u32 = 32_767;
