//! The TCP of one lane: its tables, and the step that every event of a connection goes through.
//!
//! Owns connections, listeners and what they share. The parent (`stack`) finds the rings of a connection's session and
//! lends them; nothing here knows sessions. Each step ends in a [`Fate`], which [`Tcp::settle`] carries out.

use super::challenge::ChallengeLimit;
use super::commons::{Capacity, Commons, Ctx, Fate, News, TICK};
use super::config::Configs;
use super::connection::Connection;
use super::deadlines::Due;
use super::early::EarlyData;
use super::fastopen::{CookieCache, FastOpenKeys};
use super::isn::Secret;
use super::listener::Listeners;
use super::marks::MarkSlab;
use super::metrics::Metrics;
use super::out_of_order::RangeSlab;
use super::recovery::EpisodeSlab;
use super::sent::SegmentSlab;
use super::settings::Settings;
use super::siblings::Siblings;
use super::table::{ConnectionId, Table};
use crate::Instant;
use crate::limits;
use crate::net::Net;
use crate::owner::Owner;
use crate::timers::Wheel;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use xmit_nic::rng::Rng;
use xmit_shared::session::LaneEnd;

/// Cookies of servers that a lane's clients remember; a server more costs one round trip again.
const COOKIES_MAX: usize = 1024;
/// Destinations remembered.
const METRICS_MAX: usize = 4096;

/// The TCP of one lane.
#[derive(Debug)]
pub struct Tcp {
    /// Connections, requests, TIME_WAITs.
    pub table: Table,
    /// Listening sockets.
    pub listeners: Listeners,
    /// Which ports other lanes have.
    pub siblings: Siblings,
    /// What connections share.
    pub commons: Commons,
}

impl Tcp {
    /// Empty tables of `capacity`; `rng` must be seeded by what nobody knows.
    pub fn new(now: Instant, capacity: &Capacity, settings: Settings, rng: &mut Rng) -> Self {
        let secret = |rng: &mut Rng| Secret::new([rng.next_u64(), rng.next_u64()]);
        let timers = capacity.connections + capacity.requests + capacity.time_waits;
        Self {
            table: Table::new(capacity.connections, capacity.requests, capacity.time_waits),
            listeners: Listeners::default(),
            siblings: Siblings::new(0, 1),
            commons: Commons {
                slab: SegmentSlab::new(capacity.segments),
                ranges: RangeSlab::new(capacity.ranges),
                episodes: EpisodeSlab::new(capacity.connections),
                early: EarlyData::default(),
                marks: MarkSlab::new(capacity.marks),
                wheel: Wheel::new(now, timers, TICK),
                ready: VecDeque::with_capacity(capacity.connections),
                blocked: VecDeque::new(),
                secret: secret(rng),
                keys: FastOpenKeys::new(secret(rng)),
                cookies: CookieCache::new(COOKIES_MAX, secret(rng)),
                challenge: ChallengeLimit::new(now, settings.challenge_ack_limit, Rng::new(rng.next_u64())),
                metrics: Metrics::new(METRICS_MAX),
                orphans: 0,
                configs: Configs::default(),
                news: Vec::new(),
                fast_open_done: Vec::new(),
                flood_told_at: None,
                give_back_at: now,
                settings,
            },
        }
    }

    /// Whose connection `id` is, to find its rings.
    #[inline]
    pub fn owner(&self, id: ConnectionId) -> Option<Owner> {
        self.table.get(id)?.owner
    }

    /// The other lane that a segment to `local` is for, if nothing here is.
    #[inline]
    pub fn lane_of(&self, local: SocketAddrV4) -> Option<u16> {
        self.siblings.lane_of(local, self.commons.settings.ip_local_port_range)
    }

    /// Takes connection `id` through one step, then carries out what became of it.
    #[inline]
    pub fn with(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        id: ConnectionId,
        step: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> Fate,
    ) {
        let Some(connection) = self.table.get_mut(id) else { return };
        let mut ctx = Ctx { now, net, commons: &mut self.commons, end };
        let fate = step(connection, &mut ctx);
        if fate == Fate::Lives {
            connection.queue_if_pending(&mut self.commons.ready);
        } else {
            self.settle(net, now, id, fate);
        }
    }

    /// Sends what connection `id` may send, and the ACK that it owes: for the lane's ready queue.
    pub fn output(&mut self, net: &mut Net, now: Instant, end: Option<&mut LaneEnd>, id: ConnectionId) {
        self.with(net, now, end, id, |connection, ctx| {
            connection.pending.queued = false;
            connection.output(ctx)
        });
    }

    /// Takes the next connection from the ready queue.
    pub fn next_ready(&mut self) -> Option<ConnectionId> {
        self.commons.ready.pop_front()
    }

    /// Hands out what has expired, at most [`limits::TIMERS_PER_TURN`]; each is to be given to [`Tcp::on_due`].
    pub fn expire(&mut self, now: Instant, due: impl FnMut(Due)) -> usize {
        self.commons.wheel.expire(now, limits::TIMERS_PER_TURN, due)
    }

    /// Whose rings the timer needs.
    pub fn owner_of_due(&self, due: Due) -> Option<Owner> {
        match due {
            Due::Connection(index) => self.table.connections.get(index)?.owner,
            Due::Request(_) | Due::TimeWait(_) => None,
        }
    }

    /// Asks for the connection of a timer.
    #[inline]
    pub fn prefetch_due(&self, due: Due) {
        if let Due::Connection(index) = due
            && let Some(connection) = self.table.connections.get(index)
        {
            connection.prefetch();
        }
    }

    /// A timer expired.
    pub fn on_due(&mut self, net: &mut Net, now: Instant, end: Option<&mut LaneEnd>, due: Due) {
        match due {
            Due::Connection(index) => {
                let Some(id) = self.table.connections.get(index).map(|connection| connection.id) else { return };
                self.with(net, now, end, id, |connection, ctx| connection.on_timers(ctx));
            }
            Due::Request(index) => self.on_request_timer(net, now, index),
            Due::TimeWait(index) => _ = self.table.remove_time_wait(index),
        }
    }

    /// When to look at timers again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.commons.wheel.next_deadline()
    }

    /// Takes a connection whose end has come out of the table.
    fn settle(&mut self, net: &mut Net, now: Instant, id: ConnectionId, fate: Fate) {
        let Some(mut connection) = self.table.remove_connection(id.index) else { return };
        let asked = connection.owner.is_some() && !connection.closed_by_user;
        let info = asked.then(|| Box::new(connection.info(&self.commons.settings, now)));
        connection.release(now, &mut self.commons);
        self.leave_listener(&connection);
        if let Some(owner) = connection.owner {
            let connected = connection.send.una != connection.send.isn;
            self.commons.news.push(News::Ended { id, owner, connected, info, config: connection.config.clone() });
        }
        match fate {
            Fate::TimeWait => self.enter_time_wait(net, now, &connection, false),
            Fate::FinWait2 => self.enter_time_wait(net, now, &connection, true),
            Fate::Gone | Fate::Lives => {}
        }
    }

    /// A connection that was not accepted is gone: its listener forgets it.
    fn leave_listener(&mut self, connection: &Connection) {
        self.commons.early.take(connection.id);
        let Some(listener) = connection.listener.and_then(|index| self.listeners.get_mut(index)) else { return };
        listener.waiting.retain(|id| *id != connection.id);
        if connection.fast_open == super::connection::FastOpenState::Server {
            listener.fast_open_pending = listener.fast_open_pending.saturating_sub(1);
        }
    }
}
