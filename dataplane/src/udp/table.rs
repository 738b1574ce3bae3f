//! The UDP sockets of a lane, by address (`udp_table`, `__udp4_lib_lookup`).
//!
//! Invariants: a connected socket is in both maps; lookups are three hash probes, whatever the number of sockets.

use crate::limits::SOCKETS_MAX;
use crate::owner::Owner;
use crate::qdisc::Priority;
use crate::route::InterfaceId;
use hashbrown::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

/// One UDP socket as the stack sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSocket {
    /// Who reads and writes it.
    pub owner: Owner,
    /// Its address; the unspecified address hears all of ours.
    pub local: SocketAddrV4,
    /// The only peer it speaks with, if connected.
    pub remote: Option<SocketAddrV4>,
    /// The interface it is bound to.
    pub interface: Option<InterfaceId>,
    /// Hops its datagrams may take (`IP_TTL`).
    pub ttl: u8,
    /// Their type of service (`IP_TOS`).
    pub tos: u8,
    /// Their queueing priority (`SO_PRIORITY`).
    pub priority: Priority,
    /// May send to broadcast addresses (`SO_BROADCAST`).
    pub broadcast: bool,
    /// Identification of its unfragmentable datagrams (`inet_id`).
    pub ident: u16,
    /// What it did so far.
    pub counts: SocketCounts,
}

/// Counters of one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketCounts {
    /// Datagrams left for its program.
    pub rx_datagrams: u64,
    /// Datagrams sent.
    pub tx_datagrams: u64,
    /// Datagrams dropped because its receive buffer was full.
    pub rx_buffer_full: u64,
    /// Datagrams that could not be sent; the program was told why.
    pub tx_refused: u64,
}

impl UdpSocket {
    /// A socket with Linux's defaults on `local`.
    pub fn new(owner: Owner, local: SocketAddrV4) -> Self {
        Self {
            owner,
            local,
            remote: None,
            interface: None,
            ttl: 64,
            tos: 0,
            priority: Priority::BEST_EFFORT,
            broadcast: false,
            ident: 0,
            counts: SocketCounts::default(),
        }
    }
}

/// Names a socket of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpSocketId(u32);

type Map<K> = HashMap<K, UdpSocketId, foldhash::fast::RandomState>;

/// All UDP sockets of a lane, and which ports other lanes own.
#[derive(Debug, Default)]
pub struct UdpTable {
    sockets: Vec<Option<UdpSocket>>,
    free: Vec<u32>,
    bound: Map<SocketAddrV4>,
    connected: Map<(SocketAddrV4, SocketAddrV4)>,
    elsewhere: HashMap<SocketAddrV4, u16, foldhash::fast::RandomState>,
}

/// Why a socket could not be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// Another socket has the address.
    AddressInUse,
    /// The lane's bound is reached.
    Full,
}

impl UdpTable {
    /// Enters a bound socket.
    ///
    /// # Errors
    /// If the address is taken or the table is full.
    pub fn insert(&mut self, socket: UdpSocket) -> Result<UdpSocketId, TableError> {
        if self.bound.contains_key(&socket.local) {
            return Err(TableError::AddressInUse);
        }
        if self.bound.len() >= SOCKETS_MAX {
            return Err(TableError::Full);
        }
        let index = self.free.pop().unwrap_or(self.sockets.len() as u32);
        if index as usize == self.sockets.len() {
            self.sockets.push(None);
        }
        let id = UdpSocketId(index);
        self.bound.insert(socket.local, id);
        self.sockets[index as usize] = Some(socket);
        Ok(id)
    }

    /// Takes a socket out.
    pub fn remove(&mut self, id: UdpSocketId) -> Option<UdpSocket> {
        let socket = self.sockets.get_mut(id.0 as usize)?.take()?;
        self.bound.remove(&socket.local);
        if let Some(remote) = socket.remote {
            self.connected.remove(&(socket.local, remote));
        }
        self.free.push(id.0);
        Some(socket)
    }

    /// The socket `id`.
    #[inline]
    pub fn get(&self, id: UdpSocketId) -> Option<&UdpSocket> {
        self.sockets.get(id.0 as usize)?.as_ref()
    }

    /// The socket `id`, to change anything but its addresses.
    #[inline]
    pub fn get_mut(&mut self, id: UdpSocketId) -> Option<&mut UdpSocket> {
        self.sockets.get_mut(id.0 as usize)?.as_mut()
    }

    /// Fixes the peer of `id`, and its own address if it had none (`ip4_datagram_connect`); `None` frees both.
    pub fn connect(&mut self, id: UdpSocketId, local: SocketAddrV4, remote: Option<SocketAddrV4>) {
        let Some(socket) = self.sockets.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        self.bound.remove(&socket.local);
        if let Some(old) = socket.remote {
            self.connected.remove(&(socket.local, old));
        }
        (socket.local, socket.remote) = (local, remote);
        self.bound.insert(local, id);
        if let Some(remote) = remote {
            self.connected.insert((local, remote), id);
        }
    }

    /// The socket for a datagram: connected to its sender before bound to the address before bound to the port.
    #[inline]
    pub fn lookup(&self, local: SocketAddrV4, remote: SocketAddrV4) -> Option<UdpSocketId> {
        if let Some(id) = self.connected.get(&(local, remote)) {
            return Some(*id);
        }
        let accepts = |id: &&UdpSocketId| self.get(**id).is_some_and(|s| s.remote.is_none_or(|peer| peer == remote));
        let by_address = self.bound.get(&local).filter(accepts);
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, local.port());
        by_address.or_else(|| self.bound.get(&any).filter(accepts)).copied()
    }

    /// The socket whose own address is exactly `local` or the unspecified one, for errors about what it sent.
    pub fn lookup_sender(&self, local: SocketAddrV4, remote: SocketAddrV4) -> Option<UdpSocketId> {
        self.lookup(local, remote)
    }

    /// Another lane owns `address`, or no longer does.
    pub fn set_elsewhere(&mut self, address: SocketAddrV4, lane: Option<u16>) {
        match lane {
            Some(lane) => self.elsewhere.insert(address, lane),
            None => self.elsewhere.remove(&address),
        };
    }

    /// The lane that owns `local`, if another does.
    #[inline]
    pub fn owner_elsewhere(&self, local: SocketAddrV4) -> Option<u16> {
        if self.elsewhere.is_empty() {
            return None;
        }
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, local.port());
        self.elsewhere.get(&local).or_else(|| self.elsewhere.get(&any)).copied()
    }

    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.bound.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    /// Every socket, for operators.
    pub fn iter(&self) -> impl Iterator<Item = &UdpSocket> {
        self.sockets.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn socket(slot: u32, local: &str) -> UdpSocket {
        UdpSocket::new(Owner { session: 1, slot }, address(local))
    }

    #[test]
    fn the_most_specific_socket_wins() {
        let mut table = UdpTable::default();
        let any = table.insert(socket(1, "0.0.0.0:53")).unwrap();
        let one = table.insert(socket(2, "10.0.0.1:53")).unwrap();
        let peer = address("10.0.0.9:1000");
        assert_eq!(table.lookup(address("10.0.0.1:53"), peer), Some(one));
        assert_eq!(table.lookup(address("10.0.0.2:53"), peer), Some(any));
        table.connect(one, address("10.0.0.1:53"), Some(peer));
        assert_eq!(table.lookup(address("10.0.0.1:53"), peer), Some(one));
        assert_eq!(table.lookup(address("10.0.0.1:53"), address("10.0.0.9:1001")), Some(any), "not its peer");
        assert_eq!(table.insert(socket(3, "0.0.0.0:53")), Err(TableError::AddressInUse));
        table.remove(one);
        table.remove(any);
        assert!(table.is_empty());
        assert_eq!(table.lookup(address("10.0.0.1:53"), peer), None);
    }

    #[test]
    fn another_lanes_port_is_known() {
        let mut table = UdpTable::default();
        table.set_elsewhere(address("0.0.0.0:53"), Some(1));
        assert_eq!(table.owner_elsewhere(address("10.0.0.1:53")), Some(1));
        table.set_elsewhere(address("0.0.0.0:53"), None);
        assert_eq!(table.owner_elsewhere(address("10.0.0.1:53")), None);
    }
}
