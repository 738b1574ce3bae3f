//! From the joined network to what lanes work with.

use crate::config;
use crate::network::{Network, NetworkRoute};
use std::net::Ipv4Addr;
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
        addresses: i.addresses.iter().map(|a| InterfaceAddress { address: a.addr(), prefix_len: a.len() }).collect(),
        vlan: i.vlan,
        resolution: if i.adopted { Resolution::Kernel } else { Resolution::Arp },
        reverse_path: match i.reverse_path {
            config::ReversePath::Off => ReversePath::Off,
            config::ReversePath::Loose => ReversePath::Loose,
            config::ReversePath::Strict => ReversePath::Strict,
        },
        accept_unfinished_checksums: i.accept_unfinished_checksums,
    });
    let neighbours = network.neighbours.iter().map(|n| StaticNeighbour {
        interface: InterfaceId(n.interface),
        address: n.address,
        mac: n.mac,
    });
    Snapshot {
        interfaces: interfaces.collect(),
        fib: Fib::build(network.routes.iter().map(route).chain(loopback(network))),
        neighbours: neighbours.collect(),
    }
}

/// This host by its name for itself: without this route 127.0.0.1 would follow the default route out of the host.
fn loopback(network: &Network) -> Option<Route> {
    let prefix = Prefix::new(Ipv4Addr::new(127, 0, 0, 0), 8).filter(|_| !network.interfaces.is_empty())?;
    Some(Route::new(prefix, RouteKind::Local, InterfaceId(0)))
}

fn route(route: &NetworkRoute) -> Route {
    Route {
        prefix: route.destination.canonical(),
        kind: route.kind,
        gateway: route.via,
        interface: InterfaceId(route.interface),
        preferred_source: route.source,
        mtu: route.mtu,
        metric: route.metric,
        tos: route.tos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkInterface;
    use xmit_nic::MacAddr;

    #[test]
    fn loopback_stays_in_the_host_whatever_the_default_route() {
        let mut network = Network::default();
        assert!(snapshot(&network).fib.lookup(Ipv4Addr::LOCALHOST).is_none(), "nowhere to receive it");
        network.interfaces.push(NetworkInterface {
            name: "eth0".into(),
            kernel_index: None,
            adopted: false,
            mac: MacAddr::ZERO,
            mtu: 1500,
            up: true,
            addresses: Vec::new(),
            accept_unfinished_checksums: false,
            vlan: Some(7),
            reverse_path: config::ReversePath::Strict,
            broadcasts: false,
        });
        let made = snapshot(&network);
        assert_eq!(made.fib.lookup(Ipv4Addr::LOCALHOST).map(|r| r.kind), Some(RouteKind::Local));
        let interface = &made.interfaces[0];
        assert_eq!((interface.vlan, interface.reverse_path), (Some(7), ReversePath::Strict));
    }
}
