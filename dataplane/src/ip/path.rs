//! Routing what this host sends: the cache first, the FIB on a miss (`ip_route_output_key`,
//! `ip_route_output_slow`, `rt_intern_hash`).

use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::link::NeighbourId;
use crate::net::Net;
use crate::route::{CachePlace, InterfaceId, Route, RouteKey, RouteKind};
use crate::snapshot::Snapshot;
use std::net::Ipv4Addr;
use std::sync::Arc;
use xmit_nic::Instant;

/// How a destination is reached, all that sending needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The way out.
    pub interface: InterfaceId,
    /// The source address to use when the sender has none.
    pub source: Ipv4Addr,
    /// Largest datagram in bytes.
    pub mtu: u16,
    /// To whom it goes.
    pub kind: PathKind,
    /// The next hop's entry, for unicast.
    pub neighbour: Option<NeighbourId>,
}

impl Path {
    /// None: what is sent by it is dropped.
    pub const NOWHERE: Self = Self {
        interface: ANY_INTERFACE,
        source: Ipv4Addr::UNSPECIFIED,
        mtu: 0,
        kind: PathKind::Unicast,
        neighbour: None,
    };
}

/// To whom a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// One neighbour.
    Unicast,
    /// This host.
    Local,
    /// All on the link.
    Broadcast,
    /// A group on the link.
    Multicast,
}

/// What a path is asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathKey {
    /// Where to.
    pub destination: Ipv4Addr,
    /// From which of our addresses, if it is fixed.
    pub source: Option<Ipv4Addr>,
    /// Type of service.
    pub tos: u8,
    /// The interface, if it is fixed (`SO_BINDTODEVICE`).
    pub interface: Option<InterfaceId>,
}

/// The MTU of the path to ourselves (`LOOPBACK_MTU`, bounded by what a frame holds elsewhere).
const LOCAL_MTU: u16 = 1500;

/// The path to `key` (`ip_route_output_key`).
///
/// # Errors
/// `IpNoRoute` or `IpRouteRefused`; nothing is counted as dropped yet.
#[inline]
pub fn ip_route_output<'n>(net: &'n mut Net, now: Instant, key: &PathKey) -> Result<&'n Path, DropReason> {
    let cache_key = RouteKey {
        destination: key.destination,
        source: key.source.unwrap_or(Ipv4Addr::UNSPECIFIED),
        tos: key.tos & TOS_ROUTING_MASK,
        interface: key.interface.unwrap_or(ANY_INTERFACE),
    };
    let usable = |net: &Net, place: CachePlace| {
        let path = net.cache.entry(place);
        path.is_some_and(|path| path.neighbour.is_none_or(|id| net.neighbours.get(id).is_some()))
    };
    let place = match net.cache.find(&cache_key, net.generation) {
        Some(place) if usable(net, place) => {
            net.counters.inc(Snmp::RouteCacheHits);
            place
        }
        _ => {
            net.counters.inc(Snmp::RouteCacheMisses);
            let path = route_output_slow(net, now, key)?;
            net.cache.insert(cache_key, net.generation, path)
        }
    };
    // A reference: a value of this size that is handed on in pieces is read back before the pieces are written.
    net.cache.entry(place).ok_or(DropReason::IpNoRoute)
}

/// Stands for "no interface named" in a cache key.
const ANY_INTERFACE: InterfaceId = InterfaceId(u16::MAX);

/// The bits of the type of service that routing looks at (`IPTOS_RT_MASK`).
const TOS_ROUTING_MASK: u8 = 0x1c;

/// `ip_route_output_slow`.
fn route_output_slow(net: &mut Net, now: Instant, key: &PathKey) -> Result<Path, DropReason> {
    let snapshot = Arc::clone(&net.snapshot);
    let key = &PathKey { source: speaking_source(&snapshot, key.source), ..*key };
    if key.destination.is_broadcast() || key.destination.is_multicast() {
        return route_group(net, key);
    }
    if key.destination.octets()[0] == 0 {
        return Err(DropReason::IpMartianDestination);
    }
    // Flows to one destination take one path: the golden ratio spreads neighbouring addresses evenly.
    let hash = key.destination.to_bits().wrapping_mul(0x9e37_79b9);
    let route =
        snapshot.fib.select_tos(key.destination, key.tos & TOS_ROUTING_MASK, hash).ok_or(DropReason::IpNoRoute)?;
    match route.kind {
        // RFC 1122 3.2.1.3 (g): it must not appear outside a host.
        RouteKind::Unicast if key.destination.is_loopback() => Err(DropReason::IpMartianDestination),
        RouteKind::Unicast => route_unicast(net, now, key, route),
        RouteKind::Local => Ok(Path {
            interface: route.interface,
            source: key.source.unwrap_or(key.destination),
            mtu: LOCAL_MTU,
            kind: PathKind::Local,
            neighbour: None,
        }),
        RouteKind::Broadcast => on_link(net, key, route.interface, PathKind::Broadcast),
        RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Blackhole => Err(DropReason::IpRouteRefused),
    }
}

/// The address that a socket bound to `source` speaks from: one that hears many is no sender's (RFC 1122 3.2.1.3;
/// `inet_bind` then leaves `inet_saddr` zero).
fn speaking_source(snapshot: &Snapshot, source: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    source.filter(|ip| {
        let subnet_broadcast = || snapshot.fib.lookup(*ip).is_some_and(|r| r.kind == RouteKind::Broadcast);
        !ip.is_multicast() && !ip.is_broadcast() && !subnet_broadcast()
    })
}

/// 127/8 leaves no host, neither as the destination nor as the source.
fn leaving_source(source: Option<Ipv4Addr>) -> Result<Ipv4Addr, DropReason> {
    let source = source.ok_or(DropReason::IpNoRoute)?;
    if source.is_loopback() { Err(DropReason::IpMartianSource) } else { Ok(source) }
}

fn route_unicast(net: &mut Net, now: Instant, key: &PathKey, route: &Route) -> Result<Path, DropReason> {
    let snapshot = Arc::clone(&net.snapshot);
    let interface = match key.interface {
        Some(fixed) if fixed != route.interface => fixed,
        _ => route.interface,
    };
    let config = snapshot.interface(interface).ok_or(DropReason::IpNoRoute)?;
    let next_hop = route.gateway.filter(|_| interface == route.interface).unwrap_or(key.destination);
    let source = key.source.or(route.preferred_source).or_else(|| config.source_for(next_hop));
    let source = leaving_source(source)?;
    let neighbour = net.neighbours.lookup_or_create(now, interface, next_hop);
    Ok(Path {
        interface,
        source,
        mtu: route.mtu.map_or(config.mtu, |mtu| mtu.min(config.mtu)),
        kind: PathKind::Unicast,
        neighbour: Some(neighbour.ok_or(DropReason::NeighbourTableFull)?),
    })
}

/// The limited broadcast and groups leave by the named interface, else by the first that is up.
fn route_group(net: &Net, key: &PathKey) -> Result<Path, DropReason> {
    let by_source = |source| net.snapshot.interfaces.iter().find(|i| i.has(source));
    let chosen = match key.interface {
        Some(id) => net.snapshot.interface(id),
        None => key.source.and_then(by_source).or_else(|| net.snapshot.interfaces.iter().find(|i| i.up)),
    };
    let kind = if key.destination.is_multicast() { PathKind::Multicast } else { PathKind::Broadcast };
    on_link(net, key, chosen.ok_or(DropReason::IpNoRoute)?.id, kind)
}

fn on_link(net: &Net, key: &PathKey, interface: InterfaceId, kind: PathKind) -> Result<Path, DropReason> {
    let config = net.snapshot.interface(interface).ok_or(DropReason::IpNoRoute)?;
    let source = leaving_source(key.source.or_else(|| config.source_for(key.destination)))?;
    Ok(Path { interface, source, mtu: config.mtu, kind, neighbour: None })
}
