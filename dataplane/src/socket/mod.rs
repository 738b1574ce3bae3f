//! Sockets of programs: what stands between the clients' shared memory and the protocols.
//!
//! Owns the lane's ends of all sessions and the state of every open slot. A byte is copied once, between frame and ring.
//!
//! Invariants:
//! * nothing that a client wrote is believed: a region that holds rubbish ends its session, and only that;
//! * every submission is completed exactly once, or its session has ended;
//! * per session and turn, submissions and datagrams are bounded (`limits`), and sessions take turns in being first.

mod binds;
mod books;
mod calls;
mod closing;
mod ctx;
mod datagram;
mod news;
mod ports;
mod session;
mod slot;
mod stream;
mod transmit;

pub use binds::{Binder, Binds, EPHEMERAL, Left, Sharing, UNPRIVILEGED};
pub use books::{Answer, Books, Reporter, Settled, Taken};
pub use ctx::Layers;
pub use session::{Report, Session};

use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::ip::Packet;
use crate::limits;
use crate::net::Net;
use crate::owner::Owner;
use crate::tcp::Tcp;
use crate::udp::{UdpSocketId, UdpTable};
use ctx::Ctx;
pub use ports::Claim;
use ports::Ports;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use xmit_nic::Instant;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::{LaneEnd, Transport};

/// All sessions of a lane.
#[derive(Debug, Default)]
pub struct Sockets {
    /// By place; a session keeps its place, which is what `Owner::session` names.
    sessions: Vec<Option<Session>>,
    /// Who is first in the next turn.
    first: usize,
    /// TCP ports of this lane.
    ports: Ports,
    /// What the control thread must hear; taken by the lane each turn.
    pub reports: Vec<Report>,
}

impl Sockets {
    /// Serves a new session, which may send `rate` datagrams a second (0: any number). False if the lane has no place for
    /// one more.
    pub fn attach(&mut self, layers: Layers<'_>, name: u32, end: LaneEnd, rate: u64) -> bool {
        let free = self.sessions.iter().position(Option::is_none);
        let place = free.or_else(|| (self.sessions.len() < limits::SESSIONS_MAX).then_some(self.sessions.len()));
        // A living program goes before the rest of a dead one.
        let place = place.or_else(|| self.sessions.iter().position(|s| s.as_ref().is_some_and(|s| !s.is_served())));
        let Some(place) = place else { return false };
        if place == self.sessions.len() {
            self.sessions.push(None);
        }
        let mut ctx = layers.with(&mut self.ports, &mut self.reports);
        if let Some(mut dead) = self.sessions[place].take() {
            dead.die(&mut ctx, true);
        }
        self.sessions[place] = Some(Session::new(ctx.now, name, place as u32, end, rate));
        true
    }

    /// Sends what a session left, then releases all that it has here; what its connections have to send keeps them for a
    /// while. False if it is not here.
    pub fn detach(&mut self, layers: Layers<'_>, name: u32) -> bool {
        let Some(place) = self.place_of(name) else { return false };
        let mut ctx = layers.with(&mut self.ports, &mut self.reports);
        if let Some(session) = &mut self.sessions[place] {
            session.flush(&mut ctx);
            let abort = session.is_broken();
            if !session.die(&mut ctx, abort) {
                self.sessions[place] = None;
            }
        }
        true
    }

    /// How many sessions are served.
    pub fn len(&self) -> usize {
        self.served().count()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn served(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().flatten().filter(|session| session.is_served())
    }

    /// The name of the session at `place`.
    pub fn name_at(&self, place: u32) -> Option<u32> {
        Some(self.sessions.get(place as usize)?.as_ref()?.name())
    }

    /// The rings of the session at `place`, lent to a connection; `None` if they cannot be used.
    #[inline]
    pub fn end_mut(&mut self, place: u32) -> Option<&mut LaneEnd> {
        let session = self.sessions.get_mut(place as usize)?.as_mut()?;
        (!session.is_broken()).then_some(&mut session.end)
    }

    /// Asks for what a segment for `owner` touches of its slot.
    #[inline]
    pub fn prefetch(&self, owner: Owner) {
        if let Some(Some(session)) = self.sessions.get(owner.session as usize) {
            session.end.prefetch(owner.slot);
        }
    }

    /// Asks for where the bytes of a segment for `owner` are written, when [`Sockets::prefetch`] has brought what tells it.
    #[inline]
    pub fn prefetch_ring(&self, owner: Owner) {
        if let Some(Some(session)) = self.sessions.get(owner.session as usize) {
            session.end.prefetch_ring(owner.slot);
        }
    }

    /// The same, for whoever has `owner`.
    #[inline]
    pub fn end_of(&mut self, owner: Option<Owner>) -> Option<&mut LaneEnd> {
        self.end_mut(owner?.session)
    }

    /// Bytes that the reader of a stream has not read, for operators.
    pub fn unread(&self, owner: Owner) -> u32 {
        let session = self.sessions.get(owner.session as usize).and_then(Option::as_ref);
        session.map_or(0, |session| session.end.rx_unread(owner.slot))
    }

    /// Connections ask for their ports from now on: their packets are steered here by ports.
    pub fn ask_for_ports(&mut self, ask: bool) {
        self.ports.ask = ask;
    }

    /// True if nothing here keeps `claim`'s socket from its port.
    pub fn may_bind(&self, layers: Layers<'_>, claim: &Claim) -> bool {
        !self.ports.is_chosen(layers.tcp, claim.address.port(), claim.reuse)
    }

    /// Another lane has the TCP port `port` bound.
    pub fn bound_elsewhere(&mut self, layers: &Layers<'_>, port: u16) {
        self.ports.bound_elsewhere(layers.tcp, port);
    }

    /// Takes calls and datagrams from every session; answers how many of both.
    pub fn drain(&mut self, layers: Layers<'_>) -> usize {
        let mut ctx = layers.with(&mut self.ports, &mut self.reports);
        let count = self.sessions.len();
        let mut done = 0;
        for i in 0..count {
            let place = (self.first + i) % count;
            if let Some(session) = &mut self.sessions[place] {
                done += session.drain(&mut ctx);
            }
        }
        self.first = if count == 0 { 0 } else { (self.first + 1) % count };
        done
    }

    /// Takes TCP's news to the slots that they concern; answers how many.
    pub fn take_news(&mut self, layers: Layers<'_>) -> usize {
        if layers.tcp.commons.news.is_empty() {
            return 0;
        }
        let mut ctx = layers.with(&mut self.ports, &mut self.reports);
        let mut news = std::mem::take(&mut ctx.tcp.commons.news);
        let count = news.len();
        for news in news.drain(..) {
            if let Some(session) = self.sessions.get_mut(news.owner().session as usize).and_then(Option::as_mut) {
                session.on_news(&mut ctx, news);
            }
        }
        // The same memory for the news to come.
        if ctx.tcp.commons.news.is_empty() {
            ctx.tcp.commons.news = news;
        }
        count
    }

    /// The control thread has settled a bind.
    pub fn bound(&mut self, layers: Layers<'_>, name: u32, slot: u32, result: Result<SocketAddrV4, i32>) {
        let place = self.place_of(name);
        let mut ctx = layers.with(&mut self.ports, &mut self.reports);
        match place.and_then(|place| self.sessions[place].as_mut()) {
            Some(session) => session.bound(&mut ctx, slot, result),
            // The session ended while the bind was settled: the address goes back, whichever protocol's it is.
            None => {
                if let Ok(address) = result {
                    let (session, protocol, left) = (name, Transport::Udp, Left::Nothing);
                    ctx.reports.push(Report::Unbind { session, slot, protocol, address, left });
                    ctx.reports.push(gone(ctx.tcp, name, slot, address));
                }
            }
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

    /// Ends sessions whose region held rubbish or whose connections have all ended, then wakes sleeping clients: one
    /// doorbell per client and turn.
    pub fn notify(&mut self, layers: Layers<'_>) -> usize {
        let mut ctx = layers.with(&mut self.ports, &mut self.reports);
        let mut rung = 0;
        for place in &mut self.sessions {
            let Some(session) = place else { continue };
            if session.is_broken() || !session.is_served() {
                if end_session(&mut ctx, session) {
                    *place = None;
                }
            } else {
                rung += usize::from(session.ring());
            }
        }
        while let Some(port) = ctx.tcp.table.ports.take_idle() {
            ctx.reports.push(Report::Idle { port });
        }
        rung
    }

    /// Announces sleep to every client. To be followed by [`Sockets::has_work`] and [`Sockets::awake`].
    pub fn prepare_sleep(&self) {
        self.served().for_each(|session| session.end.prepare_sleep());
    }

    /// True if a client left something that can be done now.
    pub fn has_work(&mut self) -> bool {
        self.sessions.iter_mut().flatten().any(Session::has_work)
    }

    /// When to try again what could not be sent, or to end what is left of a session.
    pub fn retry_at(&self) -> Option<Instant> {
        self.sessions.iter().flatten().filter_map(Session::wake_at).min()
    }

    /// The lane is awake again.
    pub fn awake(&self) {
        self.served().for_each(|session| session.end.awake());
    }

    /// The descriptors that clients ring.
    pub fn bells(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.served().map(|session| session.end.bell().as_raw_fd())
    }

    fn place_of(&self, name: u32) -> Option<usize> {
        self.sessions.iter().position(|s| s.as_ref().is_some_and(|s| s.name() == name && s.is_served()))
    }
}

/// True if nothing is left of a session that is broken, or whose program is gone.
fn end_session(ctx: &mut Ctx<'_>, session: &mut Session) -> bool {
    if session.is_broken() {
        if session.is_served() {
            ctx.reports.push(Report::Broken { session: session.name(), what: session.what() });
        }
        session.die(ctx, true);
        return true;
    }
    if session.is_lingering() && session.lingers_until.is_some_and(|until| ctx.now < until) {
        return false;
    }
    session.die(ctx, true);
    true
}

/// A stream's address goes back; what is left of its port is told when it is gone.
fn gone(tcp: &mut Tcp, session: u32, slot: u32, address: SocketAddrV4) -> Report {
    let left = if tcp.table.ports.of(address.port()) > 0 { Left::Flows } else { Left::Nothing };
    if left == Left::Flows {
        tcp.table.ports.watch(address.port());
    }
    Report::Unbind { session, slot, protocol: Transport::Tcp, address, left }
}
