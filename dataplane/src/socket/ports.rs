//! Local ports of connections that a program of this lane opens: chosen here, in the lane's partition, without asking.
//!
//! A port serves any number of connections to different peers, as in Linux. Where packets are steered by ports, the
//! control thread must open a port before its first SYN leaves: then each connect asks for the port it chose. Elsewhere the book of
//! binds knows nothing of a chosen port, so whoever binds it explicitly asks the lane whose it is ([`Claim`]).

use crate::tcp::Tcp;
use crate::tcp::flow::Flow;
use crate::tcp::table::Place;
use std::collections::HashMap;
use std::net::SocketAddrV4;

/// An explicit bind of a port that is in the partition of a lane: whether it has flows that it chose the port for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The session that binds.
    pub session: u32,
    /// The socket's slot.
    pub slot: u32,
    /// Its lane.
    pub lane: u16,
    /// What it wants.
    pub address: SocketAddrV4,
    /// `SO_REUSEADDR`.
    pub reuse: bool,
}

/// Ports that connections here have chosen; a port stays marked until it is bound.
#[derive(Debug)]
struct Chosen {
    all: Box<[u64; PORTS / 64]>,
    /// By sockets without `SO_REUSEADDR`: nobody may join them.
    alone: Box<[u64; PORTS / 64]>,
}

const PORTS: usize = 1 << 16;

/// What the sockets of a lane know of its TCP ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Ports must be asked for.
    pub(super) ask: bool,
    /// Bound here, with how many sockets have each.
    bound: HashMap<u16, u32>,
    chosen: Chosen,
}

impl Ports {
    /// A socket here has `address`.
    pub(super) fn add(&mut self, address: SocketAddrV4) {
        *self.bound.entry(address.port()).or_insert(0) += 1;
        self.chosen.forget(address.port());
    }

    /// A connection here has chosen `port`.
    pub(super) fn choose(&mut self, port: u16, reuse: bool) {
        self.chosen.mark(port, reuse);
    }

    /// True if flows of `port`, which a connection here has chosen, keep others from binding it (`inet_csk_bind_conflict`).
    pub(super) fn is_chosen(&self, tcp: &Tcp, port: u16, reuse: bool) -> bool {
        tcp.table.ports.of(port) > 0 && self.chosen.holds(port, reuse)
    }

    /// Another lane has `port` bound: what is chosen is nothing any more, once its flows are gone.
    pub(super) fn bound_elsewhere(&mut self, tcp: &Tcp, port: u16) {
        if tcp.table.ports.of(port) == 0 {
            self.chosen.forget(port);
        }
    }

    /// A socket here no longer has `address`.
    pub(super) fn remove(&mut self, address: SocketAddrV4) {
        if let Some(count) = self.bound.get_mut(&address.port()) {
            *count -= 1;
            if *count == 0 {
                self.bound.remove(&address.port());
            }
        }
    }

    /// True if a connection of `flow` may have its local port: no socket is bound to it, and the flow is free or in
    /// TIME_WAIT, of which the handshake knows whether it may be taken over.
    pub(super) fn is_free(&self, tcp: &Tcp, flow: &Flow) -> bool {
        let port = flow.local.port();
        !self.bound.contains_key(&port)
            && !tcp.siblings.has(port)
            && matches!(tcp.table.lookup(flow), None | Some(Place::TimeWait(_)))
    }
}

impl Default for Chosen {
    fn default() -> Self {
        Self { all: Box::new([0; PORTS / 64]), alone: Box::new([0; PORTS / 64]) }
    }
}

impl Chosen {
    fn mark(&mut self, port: u16, reuse: bool) {
        let (word, bit) = place(port);
        self.all[word] |= bit;
        if !reuse {
            self.alone[word] |= bit;
        }
    }

    fn forget(&mut self, port: u16) {
        let (word, bit) = place(port);
        self.all[word] &= !bit;
        self.alone[word] &= !bit;
    }

    fn holds(&self, port: u16, reuse: bool) -> bool {
        let (word, bit) = place(port);
        let marks = if reuse { &self.alone } else { &self.all };
        marks[word] & bit != 0
    }
}

const fn place(port: u16) -> (usize, u64) {
    (port as usize / 64, 1 << (port % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_port_is_joined_only_by_those_who_all_want_it() {
        let mut chosen = Chosen::default();
        assert!(!chosen.holds(40_000, false));
        chosen.mark(40_000, true);
        assert!(chosen.holds(40_000, false) && !chosen.holds(40_000, true) && !chosen.holds(40_064, false));
        chosen.mark(40_000, false);
        assert!(chosen.holds(40_000, true));
        chosen.mark(u16::MAX, false);
        chosen.forget(40_000);
        assert!(!chosen.holds(40_000, false) && chosen.holds(u16::MAX, true));
    }
}
