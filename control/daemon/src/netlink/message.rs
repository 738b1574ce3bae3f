//! Rtnetlink messages to plain rows. What is not IPv4, or not for us, is no row.

use super::view::{KernelAddress, KernelInterface, KernelNeighbour, KernelRoute, NeighbourState, NextHop};
use super::view::{RouteKind, RouteOrigin};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{self, NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteType,
};
use std::net::{IpAddr, Ipv4Addr};
use xmit_dataplane::route::Prefix;
use xmit_nic::MacAddr;

/// A link without its addresses.
pub(super) fn link(message: &LinkMessage) -> KernelInterface {
    let flags = message.header.flags;
    let mut row = KernelInterface {
        index: message.header.index,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        ..KernelInterface::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => row.name.clone_from(name),
            LinkAttribute::Address(bytes) => row.mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => row.mtu = *mtu,
            LinkAttribute::Controller(index) => row.master = (*index != 0).then_some(*index),
            LinkAttribute::LinkInfo(infos) => {
                let kind =
                    |info: &LinkInfo| if let LinkInfo::Kind(kind) = info { Some(kind.to_string()) } else { None };
                row.kind = infos.iter().find_map(kind).unwrap_or_default();
            }
            _ => {}
        }
    }
    row
}

/// The link's index and one address of it.
pub(super) fn address(message: &AddressMessage) -> Option<(u32, KernelAddress)> {
    let (mut local, mut peer, mut broadcast) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            // On a point-to-point link IFA_ADDRESS is the peer's and IFA_LOCAL ours (`linux/if_addr.h`).
            AddressAttribute::Local(IpAddr::V4(address)) => local = Some(*address),
            AddressAttribute::Address(IpAddr::V4(address)) => peer = Some(*address),
            AddressAttribute::Broadcast(address) => broadcast = Some(*address),
            _ => {}
        }
    }
    let cidr = Prefix::new(local.or(peer)?, message.header.prefix_len)?;
    Some((message.header.index, KernelAddress { cidr, broadcast }))
}

/// A route of the main table that says what to do with packets to hosts.
pub(super) fn route(message: &RouteMessage) -> Option<KernelRoute> {
    let header = &message.header;
    let kind = match header.kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Prohibit => RouteKind::Prohibit,
        _ => return None,
    };
    let mut row = KernelRoute {
        destination: Prefix::new(Ipv4Addr::UNSPECIFIED, header.destination_prefix_length)?,
        kind,
        next_hops: Vec::new(),
        source: None,
        metric: 0,
        mtu: None,
        tos: header.tos,
        origin: if header.protocol == RouteProtocol::Kernel { RouteOrigin::Address } else { RouteOrigin::Other },
    };
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                row.destination = Prefix::new(*address, header.destination_prefix_length)?;
            }
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => row.source = Some(*address),
            RouteAttribute::Priority(metric) => row.metric = *metric,
            RouteAttribute::Metrics(metrics) => row.mtu = mtu(metrics),
            RouteAttribute::MultiPath(hops) => row.next_hops = hops.iter().filter_map(next_hop).collect(),
            _ => {}
        }
    }
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) || header.address_family != AddressFamily::Inet {
        return None;
    }
    if kind == RouteKind::Unicast && row.next_hops.is_empty() {
        row.next_hops.push(hop(&message.attributes, None, 1)?);
    }
    Some(row)
}

fn mtu(metrics: &[RouteMetric]) -> Option<u32> {
    metrics.iter().find_map(|metric| if let RouteMetric::Mtu(mtu) = metric { Some(*mtu) } else { None })
}

/// One leg of a multipath route, if its link is alive.
fn next_hop(leg: &RouteNextHop) -> Option<NextHop> {
    let alive = !leg.flags.intersects(RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown);
    // `rtnh_hops` is the weight less one (`linux/rtnetlink.h`).
    alive.then(|| hop(&leg.attributes, Some(leg.interface_index), u16::from(leg.hops) + 1))?
}

/// None for a next hop that is not of IPv4 (`RTA_VIA`), which cannot be followed here.
fn hop(attributes: &[RouteAttribute], interface: Option<u32>, weight: u16) -> Option<NextHop> {
    let (mut interface, mut via) = (interface, None);
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => via = Some(*address),
            RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    Some(NextHop { via, interface: interface?, weight })
}

/// An IPv4 neighbour.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<KernelNeighbour> {
    let (mut destination, mut link_address) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => destination = Some(*address),
            NeighbourAttribute::LinkLocalAddress(bytes) => link_address = mac(bytes),
            _ => {}
        }
    }
    let state = match message.header.state {
        neighbour::NeighbourState::Incomplete => NeighbourState::Incomplete,
        neighbour::NeighbourState::Reachable => NeighbourState::Reachable,
        neighbour::NeighbourState::Stale => NeighbourState::Stale,
        neighbour::NeighbourState::Delay => NeighbourState::Delay,
        neighbour::NeighbourState::Probe => NeighbourState::Probe,
        neighbour::NeighbourState::Failed => NeighbourState::Failed,
        neighbour::NeighbourState::Noarp => NeighbourState::NoArp,
        neighbour::NeighbourState::Permanent => NeighbourState::Permanent,
        _ => NeighbourState::None,
    };
    let interface = message.header.ifindex;
    Some(KernelNeighbour { interface, address: destination?, mac: link_address, state })
}

fn mac(bytes: &[u8]) -> Option<MacAddr> {
    bytes.try_into().ok().map(MacAddr)
}
