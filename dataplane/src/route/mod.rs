//! Routes: where packets go.
//!
//! [`Fib`] is the table, built by the control thread and never changed afterwards; [`RouteCache`] is what a lane keeps in
//! front of it. Linux: `fib_lookup`, `ip_route_output_key`, `rt_hash`.
//!
//! Invariants:
//! * a table is immutable, so lanes read it without locks through the snapshot that holds it;
//! * nothing here allocates once built; every lookup is bounded.
//!
//! RFC 1812 section 5.2.4 (choice of the next hop), RFC 4632 (prefixes).

pub mod cache;
pub mod fib;
pub mod prefix;

pub use cache::{CachePlace, CacheStats, RouteCache, RouteKey};
pub use fib::Fib;
pub use prefix::{BadPrefix, Prefix};

use std::net::Ipv4Addr;

/// An interface of the daemon: the index in its configuration, not the kernel's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u16);

/// What happens to a packet on this route. Linux: `RTN_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteKind {
    /// It is for this host.
    Local,
    /// It is for all hosts of a link.
    Broadcast,
    /// It goes to the gateway, or to the destination itself where there is none.
    Unicast,
    /// It is refused: host unreachable.
    Unreachable,
    /// It is refused: prohibited.
    Prohibit,
    /// It is dropped in silence.
    Blackhole,
}

/// One route. Several of the same prefix, type of service and metric share the traffic (ECMP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The destinations it is for.
    pub prefix: Prefix,
    /// What happens to the packet.
    pub kind: RouteKind,
    /// The next router; `None` if the destination is a neighbour.
    pub gateway: Option<Ipv4Addr>,
    /// Where the packet leaves, or, for local routes, whose address it is.
    pub interface: InterfaceId,
    /// The source of packets that have none yet.
    pub preferred_source: Option<Ipv4Addr>,
    /// The largest packet in bytes, where the route knows better than the interface.
    pub mtu: Option<u16>,
    /// Of several routes the lowest is taken.
    pub metric: u32,
    /// For packets of this type of service only; 0 for all.
    pub tos: u8,
}

impl Route {
    /// The best way to `prefix`, without a gateway, for packets of all types of service.
    pub const fn new(prefix: Prefix, kind: RouteKind, interface: InterfaceId) -> Self {
        Self { prefix, kind, gateway: None, interface, preferred_source: None, mtu: None, metric: 0, tos: 0 }
    }
}
