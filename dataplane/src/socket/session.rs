//! One session on its lane: the slots that are open and what they stand for.

use super::ctx::Ctx;
use super::slot::Slot;
use super::{Left, Sharing};
use crate::limits;
use crate::rate::TokenBucket;
use std::net::SocketAddrV4;
use xmit_nic::{Duration, Instant};
use xmit_shared::Rubbish;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::{LaneEnd, Transport};

/// What the control thread must hear of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A socket wants an address; [`super::Sockets::bound`] answers.
    Bind {
        /// The session.
        session: u32,
        /// The socket's slot.
        slot: u32,
        /// Its protocol.
        protocol: Transport,
        /// What it wants; port 0 for any.
        wanted: SocketAddrV4,
        /// With whom it would share it.
        sharing: Sharing,
    },
    /// A stream wants to listen at the address that it has; answered in the same way.
    Listen {
        /// The session.
        session: u32,
        /// The socket's slot.
        slot: u32,
        /// The address.
        address: SocketAddrV4,
        /// With whom it would share it.
        sharing: Sharing,
    },
    /// A stream wants the address that another socket of its session has on another lane; answered in the same way.
    Share {
        /// The session.
        session: u32,
        /// The socket's slot.
        slot: u32,
        /// The other's.
        listener: u32,
    },
    /// A bound socket was closed.
    Unbind {
        /// The session.
        session: u32,
        /// The socket's slot.
        slot: u32,
        /// Its protocol.
        protocol: Transport,
        /// The address it was given.
        address: SocketAddrV4,
        /// Whether the port is in use though; then [`Report::Idle`] follows.
        left: Left,
    },
    /// No flow is left of a TCP port that closed sockets had.
    Idle {
        /// The port.
        port: u16,
    },
    /// The region held rubbish; nothing of the session is left here.
    Broken {
        /// The session.
        session: u32,
        /// What was found.
        what: String,
    },
}

impl Report {
    /// The session that it is about.
    pub fn session(&self) -> Option<u32> {
        match *self {
            Self::Bind { session, .. }
            | Self::Listen { session, .. }
            | Self::Share { session, .. }
            | Self::Unbind { session, .. }
            | Self::Broken { session, .. } => Some(session),
            Self::Idle { .. } => None,
        }
    }

    /// The session and slot that wait for an answer.
    pub fn asks(&self) -> Option<(u32, u32)> {
        match *self {
            Self::Bind { session, slot, .. }
            | Self::Listen { session, slot, .. }
            | Self::Share { session, slot, .. } => Some((session, slot)),
            Self::Unbind { .. } | Self::Idle { .. } | Self::Broken { .. } => None,
        }
    }
}

/// One session on its lane.
#[derive(Debug)]
pub struct Session {
    pub(super) name: u32,
    pub(super) place: u32,
    pub(super) end: LaneEnd,
    pub(super) slots: Box<[Slot]>,
    pub(super) broken: Option<Rubbish>,
    pub(super) rate: Option<Rate>,
    /// What waits to be sent cannot go before this time: its way out is full, or its rate is used up.
    pub(super) blocked: Option<Instant>,
    /// Slots on their way back to the dirty ones; empty between turns.
    pub(super) held: Vec<u32>,
    /// The program is gone; its connections end, until this time at the latest.
    pub(super) lingers_until: Option<Instant>,
}

/// How often a session may send.
#[derive(Debug)]
pub(super) struct Rate {
    bucket: TokenBucket,
    period: Duration,
}

/// Datagrams that a limited session may send at once after a silence: a burst.
const RATE_BURST: u32 = 64;

impl Rate {
    fn new(now: Instant, per_second: u64) -> Option<Self> {
        let period = Duration::from_nanos(1_000_000_000u64.checked_div(per_second)?.max(1));
        Some(Self { bucket: TokenBucket::full(now, period, RATE_BURST), period })
    }

    /// When one more datagram may go: `now` if it may at once.
    pub(super) fn ready_at(&mut self, now: Instant) -> Instant {
        self.bucket.ready_at(now, self.period, RATE_BURST)
    }

    /// One more datagram went.
    pub(super) fn spend(&mut self, now: Instant) {
        self.bucket.take(now, self.period, RATE_BURST);
    }
}

impl Session {
    pub(super) fn new(now: Instant, name: u32, place: u32, end: LaneEnd, rate: u64) -> Self {
        let slots = (0..end.config().slots).map(|_| Slot::Closed).collect();
        let rate = Rate::new(now, rate);
        Self { name, place, end, slots, broken: None, rate, blocked: None, held: Vec::new(), lingers_until: None }
    }

    /// The session's name, the same on all lanes.
    pub fn name(&self) -> u32 {
        self.name
    }

    /// True if its region held rubbish.
    #[inline]
    pub(super) fn is_broken(&self) -> bool {
        self.rubbish().is_some()
    }

    pub(super) fn rubbish(&self) -> Option<Rubbish> {
        self.broken.or(self.end.rubbish())
    }

    /// True if its program is there.
    pub(super) fn is_served(&self) -> bool {
        self.lingers_until.is_none()
    }

    pub(super) fn what(&self) -> String {
        self.rubbish().map_or_else(String::new, |rubbish| rubbish.to_string())
    }

    /// Calls, then datagrams and streams; answers how many of all.
    pub(super) fn drain(&mut self, ctx: &mut Ctx<'_>) -> usize {
        match self.try_drain(ctx) {
            Ok(done) => done,
            Err(rubbish) => {
                self.broken = Some(rubbish);
                1
            }
        }
    }

    fn try_drain(&mut self, ctx: &mut Ctx<'_>) -> Result<usize, Rubbish> {
        if self.is_broken() || !self.is_served() {
            return Ok(0);
        }
        let mut calls = 0;
        while calls < limits::SESSION_SUBMISSIONS_PER_TURN {
            let Some(submission) = self.end.next_submission()? else { break };
            self.call(ctx, &submission)?;
            calls += 1;
        }
        Ok(calls + self.transmit(ctx)?)
    }

    /// Leaves a datagram for the reader of `slot`.
    #[inline]
    pub(super) fn receive(&mut self, slot: u32, meta: &Meta, payload: &[u8]) -> Result<(), PushError> {
        if self.is_broken() {
            return Err(PushError::Full);
        }
        let result = self.end.rx_push(slot, meta, &[payload]);
        if let Err(PushError::Rubbish(rubbish)) = result {
            self.broken = Some(rubbish);
        }
        result
    }

    pub(super) fn set_error(&mut self, slot: u32, errno: i32) {
        self.end.set_error(slot, errno.unsigned_abs() as u16);
    }

    pub(super) fn ring(&mut self) -> bool {
        self.is_served() && self.end.ring_client()
    }

    pub(super) fn has_work(&mut self) -> bool {
        let waiting = |end: &mut LaneEnd| if self.blocked.is_some() { end.has_news() } else { end.has_work() };
        self.is_broken() || (self.lingers_until.is_none() && waiting(&mut self.end))
    }

    /// When it has something to do though nobody stirs.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.lingers_until.or(self.blocked)
    }

    /// The client is gone; what it left to send still goes out, within the budget of a turn.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        if !self.is_broken() {
            // Nobody is left to hear of addresses wanted or rubbish found.
            let _ = self.transmit(ctx);
        }
    }
}
