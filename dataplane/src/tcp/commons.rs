//! What the connections of a lane share, and what a step of one connection works with.

use super::challenge::ChallengeLimit;
use super::config::{Config, Configs};
use super::deadlines::Due;
use super::early::EarlyData;
use super::fastopen::{CookieCache, FastOpenKeys};
use super::isn::Secret;
use super::marks::MarkSlab;
use super::metrics::Metrics;
use super::out_of_order::RangeSlab;
use super::recovery::EpisodeSlab;
use super::sent::SegmentSlab;
use super::settings::Settings;
use super::table::ConnectionId;
use crate::net::Net;
use crate::owner::Owner;
use crate::timers::Wheel;
use crate::{Duration, Instant};
use std::collections::VecDeque;
use std::sync::Arc;
use xmit_shared::session::LaneEnd;
use xmit_shared::session::TcpInfo;

/// How much a lane's TCP may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections.
    pub connections: usize,
    /// Half-open connections.
    pub requests: usize,
    /// TIME_WAITs.
    pub time_waits: usize,
    /// Segments in flight, over all connections; 64 bytes each.
    pub segments: usize,
    /// Ranges of data that arrived out of order, over all connections; 16 bytes each.
    pub ranges: usize,
    /// Borders in data that was not sent yet, over all connections; 16 bytes each.
    pub marks: usize,
}

impl Capacity {
    /// Of a lane of the daemon.
    pub const DEFAULT: Self = Self {
        connections: 65_536,
        requests: 16_384,
        time_waits: 65_536,
        segments: 262_144,
        ranges: 65_536,
        marks: 65_536,
    };
    /// Of a test, or of a program that embeds the stack.
    pub const SMALL: Self =
        Self { connections: 1024, requests: 1024, time_waits: 1024, segments: 16_384, ranges: 4096, marks: 4096 };
}

/// Resolution of TCP's wheel: pacing needs finer steps than Linux's jiffy; a tenth of a millisecond is a burst of 8 full
/// segments at 1 Gbit/s.
pub const TICK: Duration = Duration::from_micros(100);

/// What the socket layer must hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The connection is no longer in the table; its events and error were told to the client. A TIME_WAIT may be left.
    Ended {
        /// Which.
        id: ConnectionId,
        /// Whose it was.
        owner: Owner,
        /// The handshake had been completed.
        connected: bool,
        /// Its figures at the end, if its program may still ask for them.
        info: Option<Box<TcpInfo>>,
        /// The options of its socket, which outlive it.
        config: Arc<Config>,
    },
    /// A connection was placed in the granted slot `owner.slot` and announced.
    Accepted {
        /// Which.
        id: ConnectionId,
        /// Whose it is now.
        owner: Owner,
    },
}

impl News {
    /// Whose socket it is about.
    pub fn owner(&self) -> Owner {
        match *self {
            Self::Ended { owner, .. } | Self::Accepted { owner, .. } => owner,
        }
    }
}

/// What the connections of a lane share.
#[derive(Debug)]
pub struct Commons {
    /// The administrator's settings.
    pub settings: Settings,
    /// Segments in flight.
    pub slab: SegmentSlab,
    /// Ranges out of order.
    pub ranges: RangeSlab,
    /// Reactions to loss that are under way or may be undone.
    pub episodes: EpisodeSlab,
    /// Data of connections that have no ring yet.
    pub early: EarlyData,
    /// Borders in what was not sent.
    pub marks: MarkSlab,
    /// Timers.
    pub wheel: Wheel<Due>,
    /// Connections with something to do before the turn ends.
    pub ready: VecDeque<ConnectionId>,
    /// Connections whose way out was full; tried again in the next turn.
    pub blocked: VecDeque<ConnectionId>,
    /// Keys the sequence numbers, clocks and cookies.
    pub secret: Secret,
    /// Keys of Fast Open.
    pub keys: FastOpenKeys,
    /// Fast Open cookies of servers.
    pub cookies: CookieCache,
    /// Limit of challenge ACKs.
    pub challenge: ChallengeLimit,
    /// What is remembered of destinations.
    pub metrics: Metrics,
    /// Connections that no program holds.
    pub orphans: u32,
    /// What sockets are set to.
    pub configs: Configs,
    /// For the socket layer.
    pub news: Vec<News>,
    /// Listeners with one fast open less that is not over.
    pub fast_open_done: Vec<u32>,
    /// When a SYN flood was last told of.
    pub flood_told_at: Option<Instant>,
    /// No connection gives memory back before.
    pub give_back_at: Instant,
}

/// What a step of one connection works with.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// The turn's time.
    pub now: Instant,
    /// The layers below.
    pub net: &'a mut Net,
    /// What connections share.
    pub commons: &'a mut Commons,
    /// The rings of the connection's session; `None` for one without a program.
    pub end: Option<&'a mut LaneEnd>,
}

/// What becomes of a connection after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It stays.
    Lives,
    /// It goes to TIME_WAIT.
    TimeWait,
    /// An orphan in FIN_WAIT2: a small object waits for the peer's FIN (`tcp_time_wait` with `TCP_FIN_WAIT2`).
    FinWait2,
    /// Nothing is left of it.
    Gone,
}
