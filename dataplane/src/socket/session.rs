//! One session on its lane: the slots that are open and what they stand for.

use crate::limits;
use crate::net::Net;
use crate::rate::TokenBucket;
use crate::udp::{UdpSocket, UdpSocketId, UdpTable};
use std::net::SocketAddrV4;
use std::os::fd::BorrowedFd;
use xmit_nic::{Duration, Instant};
use xmit_shared::Rubbish;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::LaneEnd;

/// What the control thread must hear of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A socket wants an address; [`super::Sockets::bound`] answers.
    Bind {
        /// The session.
        session: u32,
        /// The socket's slot.
        slot: u32,
        /// What it wants; port 0 for any.
        wanted: SocketAddrV4,
    },
    /// A bound socket was closed.
    Unbind {
        /// The session.
        session: u32,
        /// The address it was given.
        address: SocketAddrV4,
    },
    /// The region held rubbish; nothing of the session is left here.
    Broken {
        /// The session.
        session: u32,
        /// What was found.
        what: String,
    },
}

/// What a slot stands for.
#[derive(Debug)]
pub(super) enum Slot {
    /// Nothing.
    Closed,
    /// A socket without address; its options are kept for when it has one.
    Unbound(Box<UdpSocket>),
    /// The control thread is choosing its address.
    Binding {
        /// Its options.
        socket: Box<UdpSocket>,
        /// The call to complete; `None` if a datagram caused the bind.
        token: Option<u64>,
        /// Connect to this when bound.
        then: Option<SocketAddrV4>,
        /// The client closed it meanwhile, by this call.
        closing: Option<u64>,
    },
    /// In the UDP table.
    Bound {
        /// Its place there.
        id: UdpSocketId,
        /// The address it was given, which `Disconnect` returns to.
        address: SocketAddrV4,
    },
    /// Closed by the client; what it sent before goes out first (a datagram of a closed socket is still sent).
    Closing {
        /// Its place in the UDP table.
        id: UdpSocketId,
        /// The address to give back.
        address: SocketAddrV4,
        /// The call to complete.
        token: u64,
    },
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
        Self { name, place, end, slots, broken: None, rate: Rate::new(now, rate), blocked: None }
    }

    /// The session's name, the same on all lanes.
    pub fn name(&self) -> u32 {
        self.name
    }

    /// True if its region held rubbish.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn what(&self) -> String {
        self.broken.map_or_else(String::new, |rubbish| rubbish.to_string())
    }

    /// Calls, then datagrams; answers how many of both.
    pub(super) fn drain(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> usize {
        match self.try_drain(net, udp, now, reports) {
            Ok(done) => done,
            Err(rubbish) => {
                self.broken = Some(rubbish);
                1
            }
        }
    }

    fn try_drain(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Result<usize, Rubbish> {
        if self.broken.is_some() {
            return Ok(0);
        }
        let mut calls = 0;
        while calls < limits::SESSION_SUBMISSIONS_PER_TURN {
            let Some(submission) = self.end.next_submission()? else { break };
            self.call(net, udp, now, submission, reports)?;
            calls += 1;
        }
        Ok(calls + self.transmit(net, udp, now, reports)?)
    }

    /// Leaves a datagram for the reader of `slot`.
    #[inline]
    pub(super) fn receive(&mut self, slot: u32, meta: &Meta, payload: &[u8]) -> Result<(), PushError> {
        if self.broken.is_some() {
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
        self.end.ring_client()
    }

    pub(super) fn prepare_sleep(&self) {
        self.end.prepare_sleep();
    }

    pub(super) fn has_work(&mut self) -> bool {
        let waiting = |end: &mut LaneEnd| if self.blocked.is_some() { end.has_news() } else { end.has_work() };
        self.broken.is_some() || waiting(&mut self.end)
    }

    pub(super) fn awake(&self) {
        self.end.awake();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.end.bell()
    }

    /// The client is gone; what it left to send still goes out, within the budget of a turn.
    pub(super) fn flush(&mut self, net: &mut Net, udp: &mut UdpTable, now: Instant) {
        if self.broken.is_none() {
            // Nobody is left to hear of addresses wanted or rubbish found.
            let _ = self.transmit(net, udp, now, &mut Vec::new());
        }
    }

    /// Takes all its sockets out of the table. The control thread frees their addresses by the session's name.
    pub(super) fn release(mut self, udp: &mut UdpTable) {
        for slot in &mut self.slots {
            if let Slot::Bound { id, .. } | Slot::Closing { id, .. } = std::mem::replace(slot, Slot::Closed) {
                udp.remove(id);
            }
        }
    }
}
