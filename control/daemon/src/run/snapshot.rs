//! From the joined network to what lanes work with.

use crate::network::{Network, NetworkRoute, RouteKind as NetworkRouteKind};
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use xmit_dataplane::snapshot::{InterfaceAddress, InterfaceConfig, Resolution, ReversePath, Snapshot, StaticNeighbour};

/// The snapshot that says what `network` says.
pub fn snapshot(network: &Network) -> Snapshot {
    let interfaces = network.interfaces.iter().enumerate().map(|(id, i)| InterfaceConfig {
        id: InterfaceId(id as u16),
        name: i.name.clone(),
        mac: i.mac,
        mtu: i.mtu,
        up: i.up,
        addresses: i
            .addresses
            .iter()
            .map(|a| InterfaceAddress { address: a.address, prefix_len: a.prefix_len })
            .collect(),
        vlan: None,
        resolution: if i.adopted { Resolution::Kernel } else { Resolution::Arp },
        reverse_path: ReversePath::Off,
        accept_unfinished_checksums: i.accept_unfinished_checksums,
    });
    let neighbours = network.neighbours.iter().map(|n| StaticNeighbour {
        interface: InterfaceId(n.interface),
        address: n.address,
        mac: n.mac,
    });
    Snapshot {
        interfaces: interfaces.collect(),
        fib: Fib::build(network.routes.iter().filter_map(route)),
        neighbours: neighbours.collect(),
    }
}

fn route(route: &NetworkRoute) -> Option<Route> {
    let network = route.destination.network();
    Some(Route {
        prefix: Prefix::new(network.address, network.prefix_len)?,
        kind: match route.kind {
            NetworkRouteKind::Local => RouteKind::Local,
            NetworkRouteKind::Broadcast => RouteKind::Broadcast,
            NetworkRouteKind::Unicast => RouteKind::Unicast,
            NetworkRouteKind::Unreachable => RouteKind::Unreachable,
            NetworkRouteKind::Prohibit => RouteKind::Prohibit,
            NetworkRouteKind::Blackhole => RouteKind::Blackhole,
        },
        gateway: route.via,
        interface: InterfaceId(route.interface),
        preferred_source: route.source,
        mtu: route.mtu,
        metric: route.metric,
        tos: route.tos,
    })
}
