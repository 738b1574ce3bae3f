//! The kernel's tables as plain data, IPv4 only.

use std::net::Ipv4Addr;
use xmit_dataplane::route::Prefix;
use xmit_nic::MacAddr;

/// All that is followed, at one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelView {
    /// Grows with every change of content.
    pub generation: u64,
    /// By index.
    pub interfaces: Vec<KernelInterface>,
    /// The main table, in the kernel's order: destinations ascending, the better metric first.
    pub routes: Vec<KernelRoute>,
    /// By interface and address.
    pub neighbours: Vec<KernelNeighbour>,
}

/// One link with its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelInterface {
    /// The kernel's index, meaningful in this namespace only.
    pub index: u32,
    /// The name.
    pub name: String,
    /// The station address, where the link has one of six bytes.
    pub mac: Option<MacAddr>,
    /// The largest datagram in bytes.
    pub mtu: u32,
    /// `IFF_UP`: an administrator wants it.
    pub up: bool,
    /// The other end is there (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// `veth`, `dummy`, `bond`, ...; empty for hardware and `lo`.
    pub kind: String,
    /// The bond or bridge it belongs to.
    pub master: Option<u32>,
    /// Its IPv4 addresses, the primary ones first.
    pub addresses: Vec<KernelAddress>,
}

/// One address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelAddress {
    /// The address with its network.
    pub cidr: Prefix,
    /// The network's broadcast address, if one is set.
    pub broadcast: Option<Ipv4Addr>,
}

/// One route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRoute {
    /// The network.
    pub destination: Prefix,
    /// What happens to packets.
    pub kind: RouteKind,
    /// Where they go; several share the load; empty unless `kind` is `Unicast`.
    pub next_hops: Vec<NextHop>,
    /// The preferred source address.
    pub source: Option<Ipv4Addr>,
    /// Smaller wins.
    pub metric: u32,
    /// The largest datagram, if the route says.
    pub mtu: Option<u32>,
    /// Only packets with this type of service; 0: all.
    pub tos: u8,
    /// Who made it.
    pub origin: RouteOrigin,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Sends to a next hop.
    Unicast,
    /// Drops without a word.
    Blackhole,
    /// Drops and says "host unreachable".
    Unreachable,
    /// Drops and says "administratively prohibited".
    Prohibit,
}

/// Who made a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteOrigin {
    /// The kernel, from an address.
    Address,
    /// An administrator, DHCP or a routing daemon.
    Other,
}

/// One way to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The neighbour to send to; absent: the destination itself is on the link.
    pub via: Option<Ipv4Addr>,
    /// The index of the link.
    pub interface: u32,
    /// Its share, from 1.
    pub weight: u16,
}

/// One entry of the kernel's neighbour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelNeighbour {
    /// The index of the link.
    pub interface: u32,
    /// The neighbour's address.
    pub address: Ipv4Addr,
    /// Its link-layer address, once known.
    pub mac: Option<MacAddr>,
    /// How sure the kernel is.
    pub state: NeighbourState,
}

/// `NUD_*` of `linux/neighbour.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are Linux's
pub enum NeighbourState {
    None,
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
    NoArp,
    Permanent,
}

impl NeighbourState {
    /// `NUD_VALID`: the link-layer address may be used.
    pub fn is_valid(self) -> bool {
        !matches!(self, Self::None | Self::Incomplete | Self::Failed)
    }
}

impl KernelView {
    /// The link called `name`.
    pub fn interface(&self, name: &str) -> Option<&KernelInterface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// The link of `index`.
    pub fn interface_of(&self, index: u32) -> Option<&KernelInterface> {
        self.interfaces.iter().find(|interface| interface.index == index)
    }

    /// True if nothing but the generation differs.
    pub fn same_content(&self, other: &Self) -> bool {
        self.interfaces == other.interfaces && self.routes == other.routes && self.neighbours == other.neighbours
    }
}
