use super::*;
use crate::config::Machine;
use crate::netlink::{KernelAddress, KernelNeighbour, NeighbourState, NextHop};
use std::path::Path;

fn cidr(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn address(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn config(text: &str) -> Config {
    let machine = Machine { cores: vec![0], links: vec!["eth0".into(), "eth1".into()] };
    Config::parse(&format!("[[lane]]\ncore = 0\n{text}"), Path::new("xmit.toml"), &machine).unwrap()
}

fn link(index: u32, name: &str, addresses: &[&str]) -> KernelInterface {
    KernelInterface {
        index,
        name: name.into(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, index as u8])),
        mtu: 1400,
        up: true,
        carrier: true,
        addresses: addresses.iter().map(|a| KernelAddress { cidr: cidr(a), broadcast: None }).collect(),
        ..KernelInterface::default()
    }
}

fn route(destination: &str, hops: &[(&str, u32)]) -> KernelRoute {
    let hop = |(via, interface): &(&str, u32)| NextHop { via: via.parse().ok(), interface: *interface, weight: 1 };
    KernelRoute {
        destination: cidr(destination),
        kind: KernelRouteKind::Unicast,
        next_hops: hops.iter().map(hop).collect(),
        source: None,
        metric: 100,
        mtu: None,
        tos: 0,
        origin: RouteOrigin::Other,
    }
}

fn neighbour(interface: u32, last: u8, state: NeighbourState) -> KernelNeighbour {
    let mac = Some(MacAddr([2, 0, 0, 0, 1, last]));
    KernelNeighbour { interface, address: Ipv4Addr::new(10, 1, 0, last), mac, state }
}

/// eth0 is the operator's own way in; eth1 is for the daemon.
fn kernel() -> KernelView {
    let blackhole = KernelRoute { kind: KernelRouteKind::Blackhole, ..route("10.66.0.0/16", &[]) };
    KernelView {
        generation: 1,
        interfaces: vec![link(2, "eth0", &["192.168.0.2/24"]), link(3, "eth1", &["10.1.0.2/24", "10.1.0.3/32"])],
        routes: vec![
            route("0.0.0.0/0", &[("192.168.0.1", 2)]),
            route("10.1.0.0/24", &[("", 3)]),
            route("10.9.0.0/16", &[("10.1.0.8", 3), ("10.1.0.9", 3), ("192.168.0.9", 2)]),
            blackhole,
        ],
        neighbours: vec![
            neighbour(3, 8, NeighbourState::Reachable),
            neighbour(3, 9, NeighbourState::Failed),
            neighbour(3, 10, NeighbourState::Stale),
            neighbour(2, 11, NeighbourState::Reachable),
        ],
    }
}

/// Each route as (destination, kind, via, interface).
fn table(network: &Network) -> Vec<(String, RouteKind, Option<Ipv4Addr>, u16)> {
    network.routes.iter().map(|r| (r.destination.to_string(), r.kind, r.via, r.interface)).collect()
}

#[test]
fn an_interface_that_adopts_takes_what_leads_over_it() {
    let config = config(
        "[[interface]]\nname = \"eth1\"\n[[neighbor]]\ninterface = \"eth1\"\naddress = \"10.1.0.10\"\nmac = \"02:00:00:00:00:ff\"\n",
    );
    let network = Network::join(&config, &kernel());
    let eth1 = &network.interfaces[0];
    assert_eq!((eth1.kernel_index, eth1.mtu, eth1.up, eth1.adopted), (Some(3), 1400, true, true));
    assert_eq!(eth1.mac, MacAddr([2, 0, 0, 0, 0, 3]));
    assert_eq!(eth1.addresses, [cidr("10.1.0.2/24"), cidr("10.1.0.3/32")]);
    use RouteKind::{Blackhole, Broadcast, Local, Unicast};
    let expected = [
        ("10.1.0.2/32", Local, None, 0),
        ("10.1.0.255/32", Broadcast, None, 0),
        ("10.1.0.3/32", Local, None, 0),
        ("10.1.0.0/24", Unicast, None, 0),
        ("10.9.0.0/16", Unicast, Some(address("10.1.0.8")), 0),
        ("10.9.0.0/16", Unicast, Some(address("10.1.0.9")), 0),
        ("10.66.0.0/16", Blackhole, None, 0),
    ];
    assert_eq!(table(&network), expected.map(|(d, k, v, i)| (d.to_owned(), k, v, i)));
    let macs: Vec<_> = network.neighbours.iter().map(|n| (n.address, n.mac.0[5])).collect();
    assert_eq!(macs, [(address("10.1.0.10"), 0xff), (address("10.1.0.8"), 8)], "the configuration's wins");
    assert!(network.notes.is_empty(), "{:?}", network.notes);
}

#[test]
fn an_interface_with_its_own_addresses_takes_nothing_of_the_kernel() {
    let config = config(
        "[[interface]]\nname = \"eth1\"\nmtu = 1300\naddresses = [\"10.77.0.2/24\"]\ngateway = \"10.77.0.1\"\n\
         [[interface]]\nname = \"el0\"\nkind = \"el3c501\"\naddresses = [\"10.78.0.2/31\"]\n[interface.el3c501]\nsegment = \"s\"\n\
         [[route]]\ndestination = \"10.9.0.0/16\"\nvia = \"10.78.0.3\"\nmetric = 7\nmtu = 900\n",
    );
    let network = Network::join(&config, &kernel());
    assert_eq!((network.interfaces[0].mtu, network.interfaces[0].adopted), (1300, false));
    let el0 = &network.interfaces[1];
    assert_eq!(
        (el0.kernel_index, el0.mtu, el0.up, el0.mac),
        (None, 1500, true, config.interfaces[1].station_address())
    );
    assert!(el0.mac.is_unicast());
    use RouteKind::{Broadcast, Local, Unicast};
    let expected = [
        ("10.77.0.2/32", Local, None, 0),
        ("10.77.0.255/32", Broadcast, None, 0),
        ("10.77.0.0/24", Unicast, None, 0),
        ("0.0.0.0/0", Unicast, Some(address("10.77.0.1")), 0),
        ("10.78.0.2/32", Local, None, 1),
        ("10.78.0.2/31", Unicast, None, 1),
        ("10.9.0.0/16", Unicast, Some(address("10.78.0.3")), 1),
    ];
    assert_eq!(table(&network), expected.map(|(d, k, v, i)| (d.to_owned(), k, v, i)));
    assert_eq!(network.routes[2].source, Some(address("10.77.0.2")));
    assert_eq!((network.routes[6].metric, network.routes[6].mtu), (7, Some(900)));
    assert!(network.neighbours.is_empty());
}

#[test]
fn what_an_operator_should_know_is_said() {
    let config = config("[[interface]]\nname = \"eth1\"\n");
    let note = |change: &dyn Fn(&mut KernelView)| {
        let mut view = kernel();
        change(&mut view);
        let network = Network::join(&config, &view);
        (network.notes.join(" "), network.interfaces[0].up)
    };
    let (text, up) = note(&|view| view.interfaces[1].up = false);
    assert!(text.contains("`ip link set eth1 up`") && !up, "{text}");
    let (text, up) = note(&|view| view.interfaces[1].carrier = false);
    assert!(text.contains("no carrier") && !up, "{text}");
    let (text, up) = note(&|view| view.interfaces[1].addresses.clear());
    assert!(text.contains("no address to adopt") && up, "{text}");
    let (text, up) = note(&|view| view.interfaces.truncate(1));
    assert!(text.contains("eth1 is not there") && !up, "{text}");
}

#[test]
fn a_second_address_of_a_network_brings_no_second_route() {
    let config =
        config("[[interface]]\nname = \"eth1\"\naddresses = [\"10.77.0.2/24\", \"10.77.0.3/24\", \"10.78.0.2/24\"]\n");
    let network = Network::join(&config, &kernel());
    let on_link = |r: &&NetworkRoute| r.kind == RouteKind::Unicast && r.via.is_none();
    let sources: Vec<_> = network.routes.iter().filter(on_link).map(|r| (r.destination, r.source)).collect();
    let expected = [("10.77.0.0/24", "10.77.0.2"), ("10.78.0.0/24", "10.78.0.2")];
    assert_eq!(sources, expected.map(|(network, source)| (cidr(network), Some(address(source)))));
}
