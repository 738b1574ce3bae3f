//! Local ports of connections that a program of this lane opens: chosen here, in the lane's partition, without asking.
//!
//! A port serves any number of connections to different peers, as in Linux. Where packets are steered by ports, the
//! control thread must open a port before its first SYN leaves: then each connect asks for the port it chose.

use crate::tcp::Tcp;
use crate::tcp::flow::Flow;
use crate::tcp::table::Place;
use std::collections::HashMap;
use std::net::SocketAddrV4;

/// What the sockets of a lane know of its TCP ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Ports must be asked for.
    pub(super) ask: bool,
    /// Bound here, with how many sockets have each.
    bound: HashMap<u16, u32>,
}

impl Ports {
    /// A socket here has `address`.
    pub(super) fn add(&mut self, address: SocketAddrV4) {
        *self.bound.entry(address.port()).or_insert(0) += 1;
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
