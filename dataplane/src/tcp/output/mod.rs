//! Sending: what a connection has to do before the turn ends, in order: what was lost, new data, an ACK that nothing
//! carried.
//!
//! * `segment`, `transmit`: one segment and the one place that builds it; `window`: what it announces; `ack`: pure ACKs;
//! * `push`: new data; `retransmit`: old data; `probe`: what makes a silent peer speak; `pace`: when;
//! * `syn`: opening; `size`: the segment size; `mtu_probe`: whether it could be larger; `tuning`: the rings' sizes.
//!
//! Invariants: nothing is changed for a segment that did not leave; a connection without room stands in the lane's list
//! of blocked ones and comes again. Called by the lane's ready queue, timers, and the program's side.

mod ack;
mod mtu_probe;
mod pace;
mod probe;
mod push;
mod retransmit;
mod segment;
mod size;
mod syn;
#[cfg(test)]
mod tests;
mod transmit;
mod tuning;
mod window;

pub(in crate::tcp) use probe::RESOURCE_PROBE_INTERVAL;
pub(in crate::tcp) use transmit::Departure;

use super::commons::{Ctx, Fate};
use super::connection::Connection;
use super::limited::Limit;
use super::marks::Cut;
use super::seq::SeqNum;
use super::state::State;
use crate::Duration;
use crate::ip::Path;
use push::Mode;
use xmit_shared::session::StreamFlags;

impl Connection {
    /// Sends what may be sent, then the ACK that is owed.
    pub(super) fn output(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        let send = std::mem::take(&mut self.pending.send);
        let new_probe = std::mem::take(&mut self.pending.new_probe);
        if send && !matches!(self.state, State::SynSent | State::Closed) {
            self.push(ctx, new_probe);
            self.note_rest(ctx);
        }
        if std::mem::take(&mut self.pending.read) {
            self.on_read(ctx);
        }
        if self.pending.ack_now {
            self.send_ack(ctx);
        }
        Fate::Lives
    }

    /// Whether anything is left to send or in flight, and whether the program has room again (`tcp_chrono_stop`).
    fn note_rest(&mut self, ctx: &Ctx<'_>) {
        let limit = self.limited.limit();
        if self.sent.segments() == 0 && self.unsent() == 0 {
            self.limited.set(ctx.now, Limit::Idle);
        } else if limit == Limit::Idle || (limit == Limit::Buffer && !self.program_waits(ctx)) {
            self.limited.set(ctx.now, Limit::Busy);
        }
    }

    /// The program waits for room to write more.
    fn program_waits(&self, ctx: &Ctx<'_>) -> bool {
        let end = ctx.end.as_deref();
        self.owner.is_some_and(|owner| end.is_some_and(|end| end.wants_room(owner.slot)))
    }

    fn push(&mut self, ctx: &mut Ctx<'_>, new_probe: bool) {
        self.look(ctx);
        if self.unsent() == 0 && self.sent.lost() == 0 {
            return;
        }
        let mut path = Path::NOWHERE;
        if !self.route_by(ctx, &mut path) {
            return self.check_unsent(ctx);
        }
        if new_probe && self.push_new(ctx, &path, Mode::NewProbe) > 0 {
            return;
        }
        self.push_pending(ctx, &path);
        // All that was shown has left: the end of a record that waited for a place needs none.
        while self.marks.held && self.unsent() == 0 {
            self.look(ctx);
            self.push_new(ctx, &path, Mode::Normal);
        }
    }

    fn push_pending(&mut self, ctx: &mut Ctx<'_>, path: &Path) {
        if self.sent.lost() > 0 {
            self.push_lost(ctx, path);
        }
        self.push_new(ctx, path, Mode::Normal);
    }

    /// There is no way to the peer now: a timer tries again.
    fn check_unsent(&mut self, ctx: &mut Ctx<'_>) {
        if self.sent.segments() == 0 {
            self.check_probe_timer(ctx);
        }
    }

    /// Learns what the program wrote since the last look (`tcp_sendmsg`'s part of it).
    #[inline]
    pub(in crate::tcp) fn look(&mut self, ctx: &mut Ctx<'_>) {
        // Bounded by the ends of records that a client may publish at once.
        while self.look_once(ctx, false) {}
    }

    /// As `look`; an end of a record that has no place is forgotten, because nothing is shown behind it otherwise.
    pub(in crate::tcp) fn look_for_the_last_time(&mut self, ctx: &mut Ctx<'_>) {
        while self.look_once(ctx, true) {}
    }

    /// True if there may be more: this look ended with a record.
    #[inline]
    fn look_once(&mut self, ctx: &mut Ctx<'_>, all: bool) -> bool {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return false };
        let Ok(look) = end.tx_look(owner.slot) else { return false };
        let start = self.ring_start();
        self.send.nodelay = look.flags.contains(StreamFlags::NODELAY);
        self.send.cork = look.flags.contains(StreamFlags::CORK);
        if self.state.fin_queued() {
            // What is written behind a FIN is nobody's.
            return false;
        }
        let end = start + look.len;
        self.send.pushed = start + look.pushed.min(look.len);
        self.send.urgent = look.urgent.map(|offset| start + offset);
        let releases = look.flags.releases() as u8;
        if std::mem::replace(&mut self.send.releases, releases) != releases {
            self.send.released = end;
        }
        if end.after(self.send.end) {
            self.send.more = self.send.pushed.before(end);
            self.on_written(ctx);
            self.lay_out(ctx, end);
            self.send.end = end;
            self.grow_send_ring(ctx, look.len);
        }
        if self.send.pushed == end && end.after(self.send.nxt) {
            self.marks.push(end);
        }
        look.record && self.end_record(ctx, all)
    }

    /// Cuts what was written, up to `to`, into buffers.
    #[inline]
    fn lay_out(&mut self, ctx: &mut Ctx<'_>, to: SeqNum) {
        let cut = Cut { goal: self.size_goal(), half_window: self.send.wnd_max.0 >> 1 };
        let first = self.send.isn + 1;
        self.marks.write(&mut ctx.commons.marks, self.send.nxt.later(first), (self.send.end, to), cut);
    }

    /// What was written ends with a record. False if its end has to wait for a place.
    #[cold]
    fn end_record(&mut self, ctx: &mut Ctx<'_>, all: bool) -> bool {
        let (unsent, room) = (self.send.end.after(self.send.nxt), self.marks.has_room(&ctx.commons.marks));
        self.marks.held = unsent && !room && !all;
        if self.marks.held {
            return false;
        }
        if unsent && room {
            self.marks.end_record();
        }
        let (owner, end) = (self.owner, ctx.end.as_deref_mut());
        owner.zip(end).into_iter().for_each(|(owner, end)| end.tx_take_record(owner.slot));
        true
    }

    /// New bytes were written: how the connection stood without them (`tcp_slow_start_after_idle_check`,
    /// `tcp_rate_check_app_limited`).
    fn on_written(&mut self, ctx: &mut Ctx<'_>) {
        if self.limited.limit() == Limit::Buffer {
            // It had room.
            self.limited.set(ctx.now, Limit::Busy);
        }
        if self.sent.segments() == 0 && ctx.now.saturating_since(self.send.last_at) > self.rtt.rto() {
            self.watch_idle(ctx);
        }
        self.slow_start_after_idle(ctx);
        let little = self.unsent() < u32::from(self.send.mss);
        if little && self.sent.in_flight() < self.congestion.cwnd() && self.sent.lost() <= self.sent.retransmitted() {
            self.sent.set_app_limited();
        }
    }

    /// Nothing was sent for a timeout: what the window knew of the path is old (`tcp_slow_start_after_idle_check`; RFC
    /// 5681 section 4.1). Also when a closed window opens.
    pub(super) fn slow_start_after_idle(&mut self, ctx: &Ctx<'_>) {
        let idle = ctx.now.nanos_since(self.send.last_at);
        if self.sent.segments() == 0 && idle > self.rtt.rto_nanos() && ctx.commons.settings.slow_start_after_idle {
            self.congestion.restart_after_idle(ctx.now, Duration::from_nanos(idle), self.rtt.rto());
        }
    }

    /// There was no room: the lane comes back to this connection in its next turn.
    #[cold]
    fn block(&mut self, ctx: &mut Ctx<'_>) {
        self.pending.send = true;
        if !self.pending.queued {
            self.pending.queued = true;
            ctx.commons.blocked.push_back(self.id);
        }
    }
}
