//! The one way in (`ip_rcv`, `ip_rcv_finish`, `ip_route_input`, `ip_local_deliver`).

use super::packet::{Cast, Packet};
use crate::counters::{Counters, Snmp};
use crate::drop::DropReason;
use crate::hooks::{HookPacket, Point};
use crate::net::Net;
use crate::route::{InterfaceId, RouteCache, RouteKey, RouteKind};
use crate::snapshot::{InterfaceConfig, ReversePath, Snapshot};
use crate::wire::Malformed;
use crate::wire::ipv4::Ipv4;
use crate::wire::option::Ipv4Option;
use std::net::Ipv4Addr;
use xmit_nic::Frame;
use xmit_nic::frame::FrameFlags;

// How the frame was addressed on the link.
use super::packet::Cast as LinkCast;

/// Checks a datagram at the front of `frame` and decides whether it is ours. `None`: it was dropped and counted.
#[inline]
pub fn ip_rcv(net: &mut Net, input: InterfaceId, link: LinkCast, mut frame: Frame) -> Option<Packet> {
    net.counters.inc(Snmp::IpInReceives);
    match check(net, input, link, &mut frame) {
        Ok(facts) => Some(facts.into_packet(frame, input)),
        Err(reason) => {
            net.counters.inc(snmp_for(reason));
            if reason == DropReason::IpChecksum {
                net.counters.inc(Snmp::IpInHdrErrors);
            }
            net.drop_frame(frame, reason);
            None
        }
    }
}

/// The packet in a frame that passed `ip_rcv` on another lane; nothing is counted or filtered again.
///
/// # Errors
/// The frame, and why it cannot be delivered: the addresses changed meanwhile.
pub fn handed_over(net: &Net, frame: Frame) -> Result<Packet, (Frame, DropReason)> {
    let (input, looped) = (InterfaceId(frame.port), frame.flags.contains(FrameFlags::LOOPED));
    let facts = Ipv4::parse(frame.bytes()).map_err(|_| DropReason::IpMalformed).and_then(|ip| {
        let config = net.snapshot.interface(input).ok_or(DropReason::DeviceNoPort)?;
        let cast = route_input(&net.snapshot, config, LinkCast::Unicast, ip.destination(), looped)?;
        Ok(Facts::of(&ip, cast, looped))
    });
    match facts {
        Ok(facts) => Ok(facts.into_packet(frame, input)),
        Err(reason) => Err((frame, reason)),
    }
}

/// The SNMP group's view of an input drop.
fn snmp_for(reason: DropReason) -> Snmp {
    match reason {
        DropReason::IpMalformed | DropReason::IpBadOption | DropReason::IpSourceRouted => Snmp::IpInHdrErrors,
        DropReason::IpChecksum => Snmp::IpInCsumErrors,
        DropReason::IpTruncated => Snmp::IpInTruncatedPkts,
        DropReason::IpFragment => Snmp::IpReasmFails,
        DropReason::IpMartianSource
        | DropReason::IpMartianDestination
        | DropReason::IpReversePath
        | DropReason::IpNotForUs => Snmp::IpInAddrErrors,
        _ => Snmp::IpInDiscards,
    }
}

/// What `check` found; everything of a [`Packet`] but the frame.
struct Facts {
    looped: bool,
    cast: Cast,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: crate::wire::ipv4::Protocol,
    tos: u8,
    ttl: u8,
    header_len: u8,
}

impl Facts {
    fn of(ip: &Ipv4<'_>, cast: Cast, looped: bool) -> Self {
        Self {
            looped,
            cast,
            source: ip.source(),
            destination: ip.destination(),
            protocol: ip.protocol(),
            tos: ip.tos(),
            ttl: ip.ttl(),
            header_len: ip.header_len() as u8,
        }
    }

    fn into_packet(self, frame: Frame, input: InterfaceId) -> Packet {
        Packet {
            frame,
            input,
            looped: self.looped,
            cast: self.cast,
            source: self.source,
            destination: self.destination,
            protocol: self.protocol,
            tos: self.tos,
            ttl: self.ttl,
            header_len: self.header_len,
        }
    }
}

#[inline]
fn check(net: &mut Net, input: InterfaceId, link: LinkCast, frame: &mut Frame) -> Result<Facts, DropReason> {
    let Net { hooks, counters, .. } = net;
    let looped = frame.flags.contains(FrameFlags::LOOPED);
    let ip = Ipv4::parse(frame.bytes()).map_err(|m| match m {
        Malformed::BadTotalLength | Malformed::Truncated => DropReason::IpTruncated,
        _ => DropReason::IpMalformed,
    })?;
    if !looped && !ip.checksum_ok() {
        return Err(DropReason::IpChecksum);
    }
    let total_len = usize::from(ip.total_len());
    let seen = HookPacket { datagram: &frame.bytes()[..total_len], input: Some(input), output: None };
    hooks.run(Point::PreRouting, &seen)?;
    check_options(&ip)?;
    let cast = ip_route_input(&net.snapshot, &mut net.input_cache, net.generation, input, link, &ip, looped)?;
    if ip.more_fragments() || ip.fragment_offset() != 0 {
        counters.inc(Snmp::IpReasmReqds);
        return Err(DropReason::IpFragment);
    }
    let facts = Facts::of(&ip, cast, looped);
    count_cast(counters, cast);
    frame.set_len(total_len);
    let seen = HookPacket { datagram: frame.bytes(), input: Some(input), output: None };
    hooks.run(Point::LocalIn, &seen)?;
    Ok(facts)
}

/// The cache first, the table on a miss (`ip_route_input`): what the addresses are to us, and whether they may meet here, is the same
/// for all packets between them. What was refused, came from here, or was sent to all on the link is not kept.
#[inline]
fn ip_route_input(
    snapshot: &Snapshot,
    cache: &mut RouteCache<Cast>,
    generation: u64,
    input: InterfaceId,
    link: LinkCast,
    ip: &Ipv4<'_>,
    looped: bool,
) -> Result<Cast, DropReason> {
    let key = RouteKey { destination: ip.destination(), source: ip.source(), tos: 0, interface: input };
    let kept = link == LinkCast::Unicast && !looped;
    if kept && let Some(cast) = cache.get(&key, generation) {
        return Ok(*cast);
    }
    let cast = ip_route_input_slow(snapshot, input, link, &key, looped)?;
    if kept {
        cache.insert(key, generation, cast);
    }
    Ok(cast)
}

fn ip_route_input_slow(
    snapshot: &Snapshot,
    input: InterfaceId,
    link: LinkCast,
    key: &RouteKey,
    looped: bool,
) -> Result<Cast, DropReason> {
    // The snapshot is borrowed, not cloned: a reference count is a write that all lanes share.
    let config = snapshot.interface(input).ok_or(DropReason::DeviceNoPort)?;
    if !looped {
        check_source(snapshot, config, key.source, key.destination)?;
    }
    route_input(snapshot, config, link, key.destination, looped)
}

fn count_cast(counters: &mut Counters, cast: Cast) {
    match cast {
        Cast::Unicast => {}
        Cast::Broadcast => counters.inc(Snmp::IpInBcastPkts),
        Cast::Multicast => counters.inc(Snmp::IpInMcastPkts),
    }
}

/// Options must parse; source routes are refused (`ip_options_compile`, `accept_source_route` = 0).
fn check_options(ip: &Ipv4<'_>) -> Result<(), DropReason> {
    if ip.header_len() == 20 {
        return Ok(());
    }
    for option in ip.options() {
        match option.map_err(|_| DropReason::IpBadOption)? {
            Ipv4Option::LooseSourceRoute(_) | Ipv4Option::StrictSourceRoute(_) => {
                return Err(DropReason::IpSourceRouted);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Martian sources and the reverse path (`ip_route_input_slow`, `fib_validate_source`).
fn check_source(
    snapshot: &Snapshot,
    config: &InterfaceConfig,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> Result<(), DropReason> {
    let impossible = source.is_multicast() || source.is_broadcast() || source.is_loopback();
    // 0.0.0.0 speaks before it has an address, to all (BOOTP) or to a group of the link (IGMP); the rest of 0/8 does
    // not exist.
    let to_the_link = destination.is_broadcast() || matches!(destination.octets(), [224, 0, 0, _]);
    let zero_net = source.octets()[0] == 0 && !(source.is_unspecified() && to_the_link);
    if impossible || zero_net {
        return Err(DropReason::IpMartianSource);
    }
    let back = snapshot.fib.lookup(source);
    match back.map(|r| r.kind) {
        Some(RouteKind::Local | RouteKind::Broadcast) => return Err(DropReason::IpMartianSource),
        None if config.reverse_path != ReversePath::Off && !source.is_unspecified() => {
            return Err(DropReason::IpReversePath);
        }
        _ => {}
    }
    match back {
        Some(route) if config.reverse_path == ReversePath::Strict && route.interface != config.id => {
            Err(DropReason::IpReversePath)
        }
        _ => Ok(()),
    }
}

/// The group of all hosts (`IGMP_ALL_HOSTS`).
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Is it for us, and as what (`ip_route_input_slow`)?
fn route_input(
    snapshot: &Snapshot,
    config: &InterfaceConfig,
    link: LinkCast,
    destination: Ipv4Addr,
    looped: bool,
) -> Result<Cast, DropReason> {
    if destination.is_broadcast() {
        return Ok(Cast::Broadcast);
    }
    if destination.is_multicast() {
        // Every host is a member of this group, and so far of no other (RFC 1112 7.1).
        return if destination == ALL_HOSTS { Ok(Cast::Multicast) } else { Err(DropReason::IpNotForUs) };
    }
    if destination.octets()[0] == 0 || (destination.is_loopback() && !looped) {
        return Err(DropReason::IpMartianDestination);
    }
    match snapshot.fib.lookup(destination).map(|r| (r.kind, r.interface)) {
        // RFC 1122 3.3.6: a unicast address in a link broadcast is somebody's mistake or attack.
        Some((RouteKind::Local, _)) if link == Cast::Unicast => Ok(Cast::Unicast),
        Some((RouteKind::Broadcast, interface)) if interface == config.id => Ok(Cast::Broadcast),
        _ => Err(DropReason::IpNotForUs),
    }
}
