//! What a connection tells its program, and how it ends (`sk_state_change`, `sk_err`, `tcp_done`).

use super::commons::{Commons, Ctx, Fate};
use super::connection::{Connection, Pending};
use super::state::State;
use super::table::ConnectionId;
use crate::Instant;
use crate::counters::Snmp;
use std::collections::VecDeque;
use xmit_shared::session::StreamEvents;

impl Connection {
    /// Says how the stream stands: what its state allows (`tcp_set_state`, `sk_shutdown`).
    pub fn tell(&self, ctx: &mut Ctx<'_>) {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return };
        let connected = StreamEvents::CONNECTED;
        let events = match self.state {
            State::SynSent | State::SynReceived => return,
            State::Established | State::FinWait1 | State::FinWait2 => connected,
            State::CloseWait | State::LastAck | State::Closing => connected.and(StreamEvents::RECEIVE_END),
            State::Closed => Self::closed_events(),
        };
        end.set_stream_events(owner.slot, events);
    }

    fn closed_events() -> StreamEvents {
        StreamEvents::CONNECTED.and(StreamEvents::RECEIVE_END).and(StreamEvents::SEND_END).and(StreamEvents::CLOSED)
    }

    /// Gives its program a pending error (`sk_err`); 0 for none.
    pub fn set_error(&self, ctx: &mut Ctx<'_>, errno: u16) {
        if let (Some(owner), Some(end), true) = (self.owner, ctx.end.as_deref_mut(), errno != 0) {
            end.set_error(owner.slot, errno);
        }
    }

    /// It is over, by `errno`, or without error for 0 (`tcp_done`, `tcp_reset`).
    pub fn fail(&mut self, ctx: &mut Ctx<'_>, errno: u16) -> Fate {
        let was_connected = self.state.is_synchronized();
        if matches!(self.state, State::SynSent | State::SynReceived) {
            ctx.net.counters.inc(Snmp::TcpAttemptFails);
        }
        self.state = State::Closed;
        self.set_error(ctx, errno);
        if let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) {
            let events = if was_connected {
                Self::closed_events()
            } else {
                StreamEvents::RECEIVE_END.and(StreamEvents::SEND_END).and(StreamEvents::CLOSED)
            };
            end.set_stream_events(owner.slot, events);
        }
        Fate::Gone
    }

    /// Enters the lane's ready queue if something is to be done.
    #[inline]
    pub fn queue_if_pending(&mut self, ready: &mut VecDeque<ConnectionId>) {
        let Pending { queued, ack_now, send, .. } = self.pending;
        if !queued && (ack_now || send) {
            self.pending.queued = true;
            ready.push_back(self.id);
        }
    }

    /// Gives back what it held of the lane.
    pub fn release(&mut self, now: Instant, commons: &mut Commons) {
        self.save_metrics(now, commons);
        self.deadlines.clear(&mut commons.wheel);
        self.sent.clear(&mut commons.slab);
        self.recovery.clear(&mut commons.episodes);
        self.out_of_order.clear(&mut commons.ranges);
        self.marks.clear(&mut commons.marks);
        if self.closed_by_user {
            commons.orphans = commons.orphans.saturating_sub(1);
        }
    }
}
