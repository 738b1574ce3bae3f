//! Configuration that the control thread publishes and lanes read without locks.

use crate::route::{Fib, InterfaceId};
use std::net::Ipv4Addr;
use xmit_nic::MacAddr;

/// Everything a lane knows about addresses, interfaces and routes, made anew for each change.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Interfaces by their [`InterfaceId`].
    pub interfaces: Vec<InterfaceConfig>,
    /// Routes, those to our own addresses (`RouteKind::Local`) and broadcasts included.
    pub fib: Fib,
    /// Neighbours that the control thread knows: from the configuration or from the kernel.
    pub neighbours: Vec<StaticNeighbour>,
}

/// One interface as the stack sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Index in [`Snapshot::interfaces`].
    pub id: InterfaceId,
    /// The name an operator knows.
    pub name: String,
    /// Our station address on it.
    pub mac: MacAddr,
    /// Largest IP datagram in bytes.
    pub mtu: u16,
    /// Administratively up (`IFF_UP`) and with carrier.
    pub up: bool,
    /// Our addresses on it, the preferred one first.
    pub addresses: Vec<InterfaceAddress>,
    /// The 802.1Q VLAN this interface lives in; untagged if `None`.
    pub vlan: Option<u16>,
    /// Who finds out MAC addresses of neighbours.
    pub resolution: Resolution,
    /// Reverse path filter (`rp_filter`).
    pub reverse_path: ReversePath,
    /// Takes UDP whose checksum holds only the pseudo-header's sum, as veth and tap peers send it.
    pub accept_unfinished_checksums: bool,
}

/// One of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// Length of the on-link prefix, 0 to 32.
    pub prefix_len: u8,
}

/// Who finds out MAC addresses of neighbours on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// The lane itself, by ARP: the addresses are ours alone.
    #[default]
    Arp,
    /// The kernel, which owns the addresses too; the control thread asks it and follows its table.
    Kernel,
}

/// Reverse path filter of an interface (RFC 3704; `rp_filter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReversePath {
    /// No check.
    #[default]
    Off,
    /// The source must be reachable by some interface.
    Loose,
    /// The best route to the source must leave by the interface the packet came in on.
    Strict,
}

/// A neighbour that needs no resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticNeighbour {
    /// The interface it is reached by.
    pub interface: InterfaceId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its station address.
    pub mac: MacAddr,
}

impl Snapshot {
    /// The interface `id`, if it exists.
    #[inline]
    pub fn interface(&self, id: InterfaceId) -> Option<&InterfaceConfig> {
        self.interfaces.get(usize::from(id.0))
    }

    /// True if `address` is ours on any interface.
    pub fn is_local(&self, address: Ipv4Addr) -> bool {
        self.interfaces.iter().any(|i| i.has(address))
    }
}

impl InterfaceConfig {
    /// One that is up and has no addresses yet; untagged, its neighbours asked by ARP, nothing but good checksums taken.
    pub fn new(id: InterfaceId, name: &str, mac: MacAddr, mtu: u16) -> Self {
        Self {
            id,
            name: name.to_owned(),
            mac,
            mtu,
            up: true,
            addresses: Vec::new(),
            vlan: None,
            resolution: Resolution::Arp,
            reverse_path: ReversePath::Off,
            accept_unfinished_checksums: false,
        }
    }

    /// True if `address` is one of this interface's.
    #[inline]
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|a| a.address == address)
    }

    /// The address to speak from to `target`: one in the same prefix, else the first.
    pub fn source_for(&self, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let near = self.addresses.iter().find(|a| a.contains(target));
        near.or(self.addresses.first()).map(|a| a.address)
    }
}

impl InterfaceAddress {
    /// True if `other` is on-link by this address's prefix.
    pub fn contains(self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & self.mask() == 0
    }

    /// The directed broadcast address of the prefix; `None` for /31 and /32, which have none (RFC 3021).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        (self.prefix_len < 31).then(|| Ipv4Addr::from_bits(self.address.to_bits() | !self.mask()))
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix_len.min(32))).unwrap_or(0)
    }
}
