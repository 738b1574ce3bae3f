//! The books of both protocols, and what they answer to what sockets report.
//!
//! Called by the control thread, which steers packets as well, and by whoever runs one lane without a daemon.

use super::binds::{Binder, Binds, Left};
use super::ports::Claim;
use super::session::Report;
use crate::snapshot::Snapshot;
use std::net::SocketAddrV4;
use xmit_shared::session::Transport;

/// Who is given what, by protocol.
#[derive(Debug)]
pub struct Books {
    /// Of UDP.
    pub udp: Binds,
    /// Of TCP.
    pub tcp: Binds,
}

/// Whose report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The lane that reports.
    pub lane: u16,
    /// The user of the session's program.
    pub uid: u32,
    /// It may bind ports below 1024.
    pub privileged: bool,
}

/// What follows from a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The answer to the socket.
    pub answer: Option<Answer>,
    /// An address that a lane has now and had not before.
    pub opened: Option<Taken>,
    /// Addresses that a lane no longer has.
    pub closed: Vec<Taken>,
    /// The answer holds only if this lane agrees: it may have chosen the port for connections of its own.
    pub claim: Option<(u16, Claim)>,
}

/// An answer to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its session.
    pub session: u32,
    /// Its slot.
    pub slot: u32,
    /// The address given, or Linux's error number.
    pub result: Result<SocketAddrV4, i32>,
}

/// An address on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Of this protocol.
    pub protocol: Transport,
    /// The address.
    pub address: SocketAddrV4,
    /// The lane.
    pub lane: u16,
}

impl Books {
    /// Empty books for `lanes` lanes.
    pub fn new(lanes: u16, seed: u64) -> Self {
        Self { udp: Binds::new(lanes, seed), tcp: Binds::new(lanes, seed.rotate_left(32)) }
    }

    /// Ephemeral ports are those of `range` from now on (`ip_local_port_range`).
    pub fn set_range(&mut self, range: (u16, u16)) {
        self.udp.set_range(range);
        self.tcp.set_range(range);
    }

    /// The book of `protocol`.
    pub fn of(&mut self, protocol: Transport) -> &mut Binds {
        match protocol {
            Transport::Udp => &mut self.udp,
            Transport::Tcp => &mut self.tcp,
        }
    }

    /// Settles a report; one that says nothing of addresses settles nothing.
    pub fn settle(&mut self, snapshot: &Snapshot, who: Reporter, report: &Report) -> Settled {
        let Reporter { lane, uid, privileged } = who;
        match *report {
            Report::Bind { session, slot, protocol, wanted, sharing } => {
                let binder = Binder { lane, session, slot, privileged, uid, sharing };
                let book = self.of(protocol);
                let result = book.bind(snapshot, wanted, binder);
                let owner = book.lane_of(wanted.port()).filter(|owner| *owner != lane && protocol == Transport::Tcp);
                let claim = Claim { session, slot, lane, address: wanted, reuse: sharing.reuse_address };
                let claim = owner.filter(|_| result.is_ok()).map(|owner| (owner, claim));
                Settled { claim, ..Settled::opened(protocol, lane, Answer { session, slot, result }) }
            }
            Report::Listen { session, slot, address, sharing } => {
                let result = self.tcp.listen(session, slot, address, sharing);
                Settled { answer: Some(Answer { session, slot, result }), ..Settled::default() }
            }
            Report::Share { session, slot, listener } => {
                let binder = Binder { lane, session, slot, privileged, uid, sharing: super::Sharing::default() };
                let result = self.tcp.share(listener, binder);
                Settled::opened(Transport::Tcp, lane, Answer { session, slot, result })
            }
            Report::Unbind { session, slot, protocol, address, left } => {
                let freed = self.of(protocol).release(session, slot, address, left);
                Settled::closed(protocol, freed.map(|binder| (address, binder)))
            }
            Report::Idle { port } => Settled::closed(Transport::Tcp, self.tcp.idle(lane, port)),
            Report::Broken { .. } => Settled::default(),
        }
    }

    /// A session is gone. Its lanes will say when nothing is left of its TCP ports.
    pub fn release_session(&mut self, session: u32) -> Settled {
        let mut settled = Settled::closed(Transport::Udp, self.udp.release_session(session, Left::Nothing));
        settled.closed.extend(Settled::closed(Transport::Tcp, self.tcp.release_session(session, Left::Flows)).closed);
        settled
    }
}

impl Settled {
    fn opened(protocol: Transport, lane: u16, answer: Answer) -> Self {
        let opened = answer.result.ok().map(|address| Taken { protocol, address, lane });
        Self { answer: Some(answer), opened, ..Self::default() }
    }

    fn closed(protocol: Transport, freed: impl IntoIterator<Item = (SocketAddrV4, Binder)>) -> Self {
        let taken = |(address, binder): (SocketAddrV4, Binder)| Taken { protocol, address, lane: binder.lane };
        Self { closed: freed.into_iter().map(taken).collect(), ..Self::default() }
    }
}
