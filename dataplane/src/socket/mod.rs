//! Sockets of programs: what stands between the clients' shared memory and the protocols.
//!
//! Owns the lane's ends of all sessions and the state of every open slot. A byte is copied once, between frame and ring.
//!
//! Invariants:
//! * nothing that a client wrote is believed: a region that holds rubbish ends its session, and only that;
//! * every submission is completed exactly once, or its session has ended;
//! * per session and turn, submissions and datagrams are bounded (`limits`), and sessions take turns in being first.

mod binds;
mod calls;
mod session;
mod transmit;

pub use binds::{Binder, Binds, EPHEMERAL, UNPRIVILEGED};
pub use session::{Report, Session};

use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::ip::Packet;
use crate::limits;
use crate::net::Net;
use crate::udp::{UdpSocketId, UdpTable};
use std::net::SocketAddrV4;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use xmit_nic::Instant;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::LaneEnd;

/// All sessions of a lane.
#[derive(Debug, Default)]
pub struct Sockets {
    /// By place; a session keeps its place, which is what `Owner::session` names.
    sessions: Vec<Option<Session>>,
    /// Who is first in the next turn.
    first: usize,
    /// What the control thread must hear; taken by the lane each turn.
    pub reports: Vec<Report>,
}

impl Sockets {
    /// Serves a new session, which may send `rate` datagrams a second (0: any number). False if the lane has no place for one more.
    pub fn attach(&mut self, now: Instant, name: u32, end: LaneEnd, rate: u64) -> bool {
        let place = self.sessions.iter().position(Option::is_none).unwrap_or(self.sessions.len());
        if place >= limits::SESSIONS_MAX {
            return false;
        }
        if place == self.sessions.len() {
            self.sessions.push(None);
        }
        self.sessions[place] = Some(Session::new(now, name, place as u32, end, rate));
        true
    }

    /// Sends what a session left, then releases all that it has here. False if it is not here.
    pub fn detach(&mut self, net: &mut Net, udp: &mut UdpTable, now: Instant, name: u32) -> bool {
        let Some(place) = self.place_of(name) else { return false };
        if let Some(mut session) = self.sessions[place].take() {
            session.flush(net, udp, now);
            session.release(udp);
        }
        true
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.iter().flatten().count()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.iter().all(Option::is_none)
    }

    /// The name of the session at `place`.
    pub fn name_at(&self, place: u32) -> Option<u32> {
        Some(self.sessions.get(place as usize)?.as_ref()?.name())
    }

    /// Takes calls and datagrams from every session; answers how many of both.
    pub fn drain(&mut self, net: &mut Net, udp: &mut UdpTable, now: Instant) -> usize {
        let count = self.sessions.len();
        let mut done = 0;
        for i in 0..count {
            let place = (self.first + i) % count;
            if let Some(session) = &mut self.sessions[place] {
                done += session.drain(net, udp, now, &mut self.reports);
            }
        }
        self.first = if count == 0 { 0 } else { (self.first + 1) % count };
        done
    }

    /// The control thread has settled a bind.
    pub fn bound(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        now: Instant,
        name: u32,
        slot: u32,
        result: Result<SocketAddrV4, i32>,
    ) {
        match self.place_of(name).and_then(|place| self.sessions[place].as_mut()) {
            Some(session) => session.bound(net, udp, now, slot, result, &mut self.reports),
            // The session ended while the bind was settled: the address goes back.
            None => self.reports.extend(result.ok().map(|address| Report::Unbind { session: name, address })),
        }
    }

    /// Copies the payload in `packet` to the reader of socket `id` (`udp_queue_rcv_skb`, `sock_queue_rcv_skb`).
    #[inline]
    #[allow(clippy::too_many_arguments)] // the facts of one datagram
    pub fn deliver(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        id: UdpSocketId,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        packet: &Packet,
        payload: Range<usize>,
    ) {
        let Some(socket) = udp.get_mut(id) else { return };
        let (owner, counts) = (socket.owner, &mut socket.counts);
        let Some(session) = self.sessions.get_mut(owner.session as usize).and_then(Option::as_mut) else { return };
        let bytes = packet.frame.bytes().get(payload).unwrap_or_default();
        let meta = Meta {
            len: bytes.len() as u32,
            local: *destination.ip(),
            ifindex: u32::from(packet.input.0) + 1,
            ttl: packet.ttl,
            tos: packet.tos,
            ..Meta::of(source)
        };
        match session.receive(owner.slot, &meta, bytes) {
            Ok(()) => {
                counts.rx_datagrams += 1;
                net.counters.inc(Snmp::UdpInDatagrams);
            }
            Err(PushError::Full | PushError::TooLarge) => {
                counts.rx_buffer_full += 1;
                net.counters.inc(Snmp::UdpRcvbufErrors);
                net.counters.inc(Snmp::UdpInErrors);
                net.counters.dropped(DropReason::UdpReceiveBufferFull);
            }
            Err(PushError::Rubbish(_)) => net.counters.dropped(DropReason::UdpReceiveBufferFull),
        }
    }

    /// Gives socket `id` a pending error (`sk_err`).
    pub fn set_error(&mut self, udp: &UdpTable, id: UdpSocketId, errno: i32) {
        let Some(owner) = udp.get(id).map(|socket| socket.owner) else { return };
        if let Some(session) = self.sessions.get_mut(owner.session as usize).and_then(Option::as_mut) {
            session.set_error(owner.slot, errno);
        }
    }

    /// Ends sessions whose region held rubbish, then wakes sleeping clients: one doorbell per client and turn.
    pub fn notify(&mut self, udp: &mut UdpTable) -> usize {
        let mut rung = 0;
        for place in &mut self.sessions {
            if let Some(broken) = place.take_if(|session| session.is_broken()) {
                self.reports.push(Report::Broken { session: broken.name(), what: broken.what() });
                broken.release(udp);
            }
            rung += usize::from(place.as_mut().is_some_and(Session::ring));
        }
        rung
    }

    /// Announces sleep to every client. To be followed by [`Sockets::has_work`] and [`Sockets::awake`].
    pub fn prepare_sleep(&self) {
        self.sessions.iter().flatten().for_each(Session::prepare_sleep);
    }

    /// True if a client left something that can be done now.
    pub fn has_work(&mut self) -> bool {
        self.sessions.iter_mut().flatten().any(Session::has_work)
    }

    /// When to try again what could not be sent.
    pub fn retry_at(&self) -> Option<Instant> {
        self.sessions.iter().flatten().filter_map(|session| session.blocked).min()
    }

    /// The lane is awake again.
    pub fn awake(&self) {
        self.sessions.iter().flatten().for_each(Session::awake);
    }

    /// The descriptors that clients ring.
    pub fn bells(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.sessions.iter().flatten().map(|session| session.bell().as_raw_fd())
    }

    fn place_of(&self, name: u32) -> Option<usize> {
        self.sessions.iter().position(|s| s.as_ref().is_some_and(|s| s.name() == name))
    }
}
