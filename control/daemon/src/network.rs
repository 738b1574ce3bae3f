//! What the lanes are to know of interfaces, routes and neighbours: the configuration and the kernel's view, joined.
//!
//! Called at start, after a reload, and when the kernel's view is new; the result becomes the snapshot, field by field.
//!
//! Invariants:
//! * an interface's number is its place in the configuration, whatever the kernel does;
//! * an interface that adopts takes the kernel's addresses, routes and neighbours, and only those that lead over it;
//! * an interface with addresses of its own takes nothing of the kernel but MAC, MTU and whether it is up;
//! * a route of the configuration stands before a kernel's route of the same network (metric, then order).

use crate::config::check::out_interface;
use crate::config::{Config, Interface, Kind, ReversePath};
use crate::netlink::{KernelInterface, KernelRoute, KernelView, RouteKind as KernelRouteKind, RouteOrigin};
use std::net::Ipv4Addr;
use xmit_dataplane::route::{Prefix, RouteKind};
use xmit_nic::MacAddr;

/// The MTU of an emulated NIC that the configuration says nothing about.
const MTU_ETHERNET: u16 = 1500;

/// Interfaces, routes and neighbours for the lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// In the order of the configuration.
    pub interfaces: Vec<NetworkInterface>,
    /// Everything the table is built from: local and broadcast routes, those of the configuration, the kernel's.
    pub routes: Vec<NetworkRoute>,
    /// Neighbours known without asking: of the configuration, and the kernel's valid ones on interfaces that adopt.
    pub neighbours: Vec<NetworkNeighbour>,
    /// What an operator should know, one sentence each: an interface that is gone or down, a route left out.
    pub notes: Vec<String>,
}

/// One interface as the stack sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInterface {
    /// The name in the configuration.
    pub name: String,
    /// The kernel's index of the interface underneath, where there is one.
    pub kernel_index: Option<u32>,
    /// The station address.
    pub mac: MacAddr,
    /// The largest IP datagram in bytes.
    pub mtu: u16,
    /// Administratively up and with carrier.
    pub up: bool,
    /// The kernel owns the addresses too, resolves neighbours, and keeps what is not for an open port.
    pub adopted: bool,
    /// Our addresses, the preferred one first.
    pub addresses: Vec<Prefix>,
    /// Takes transport checksums that are unfinished.
    pub accept_unfinished_checksums: bool,
    /// The VLAN it lives in.
    pub vlan: Option<u16>,
    /// Which sources it refuses.
    pub reverse_path: ReversePath,
    /// Broadcasts are steered to the daemon too.
    pub broadcasts: bool,
}

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkRoute {
    /// The network.
    pub destination: Prefix,
    /// What happens to packets.
    pub kind: RouteKind,
    /// The next router; absent: the destination is a neighbour.
    pub via: Option<Ipv4Addr>,
    /// Where packets leave, or whose address it is: a place in [`Network::interfaces`].
    pub interface: u16,
    /// The source of packets that have none.
    pub source: Option<Ipv4Addr>,
    /// Smaller wins.
    pub metric: u32,
    /// The largest datagram, where the route knows better than the interface.
    pub mtu: Option<u16>,
    /// Only packets with this type of service; 0: all.
    pub tos: u8,
    /// Who said so, as operators read it.
    pub origin: &'static str,
}

/// One neighbour that needs no asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkNeighbour {
    /// A place in [`Network::interfaces`].
    pub interface: u16,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its station address.
    pub mac: MacAddr,
}

impl Network {
    /// Joins `config`, which was checked, with what the kernel has.
    pub fn join(config: &Config, kernel: &KernelView) -> Self {
        let mut network = Self::default();
        for interface in &config.interfaces {
            network.add_interface(interface, kernel);
        }
        for (id, interface) in (0..).zip(&config.interfaces) {
            network.add_own_routes(id, interface.adopts());
            if let Some(gateway) = interface.gateway {
                network
                    .routes
                    .push(NetworkRoute { via: Some(gateway), ..unicast(Prefix::DEFAULT, id, "configuration") });
            }
        }
        network.add_configured_routes(config);
        kernel.routes.iter().for_each(|route| network.add_kernel_route(route));
        network.add_neighbours(config, kernel);
        network
    }

    /// The number of the interface called `name`.
    pub fn id(&self, name: &str) -> Option<u16> {
        (0..).zip(&self.interfaces).find(|(_, interface)| interface.name == name).map(|(id, _)| id)
    }

    fn add_interface(&mut self, interface: &Interface, kernel: &KernelView) {
        let name = &interface.name;
        let link = if interface.kind == Kind::AfXdp { kernel.interface(name) } else { None };
        if interface.kind == Kind::AfXdp {
            match link {
                None => {
                    self.notes.push(format!("{name} is not there: its ports carry nothing until xmitd is started anew"))
                }
                Some(link) if !link.up => self.notes.push(format!("{name} is down: `ip link set {name} up` starts it")),
                Some(link) if !link.carrier => {
                    self.notes.push(format!("{name} has no carrier: nobody is at its other end"))
                }
                Some(link) if link.addresses.is_empty() && interface.adopts() => {
                    self.notes.push(format!("{name} has no address to adopt: `ip addr add` gives it one"));
                }
                Some(_) => {}
            }
        }
        let link_mtu = link.map_or(MTU_ETHERNET, |link| u16::try_from(link.mtu).unwrap_or(u16::MAX));
        let adopted = |link: &KernelInterface| link.addresses.iter().map(|address| address.cidr).collect();
        self.interfaces.push(NetworkInterface {
            name: name.clone(),
            kernel_index: link.map(|link| link.index),
            mac: link.and_then(|link| link.mac).unwrap_or_else(|| interface.station_address()),
            mtu: interface.mtu.map_or(link_mtu, |mtu| mtu.min(link_mtu)),
            up: interface.kind != Kind::AfXdp || link.is_some_and(|link| link.up && link.carrier),
            adopted: interface.adopts(),
            addresses: interface.addresses.clone().or_else(|| link.map(adopted)).unwrap_or_default(),
            accept_unfinished_checksums: interface.accept_unfinished_checksums,
            vlan: interface.vlan,
            reverse_path: interface.reverse_path,
            broadcasts: interface.broadcasts && !interface.adopts(),
        });
    }

    /// Local and broadcast routes of every address; networks on the link where the kernel does not tell of them.
    fn add_own_routes(&mut self, id: u16, adopted: bool) {
        let addresses = self.interfaces[usize::from(id)].addresses.clone();
        for (place, cidr) in addresses.iter().enumerate() {
            let own = NetworkRoute { source: Some(cidr.addr()), ..unicast(cidr.canonical(), id, "address") };
            self.routes.push(NetworkRoute { destination: Prefix::host(cidr.addr()), kind: RouteKind::Local, ..own });
            if let Some(broadcast) = cidr.broadcast() {
                self.routes.push(NetworkRoute {
                    destination: Prefix::host(broadcast),
                    kind: RouteKind::Broadcast,
                    ..own
                });
            }
            // A second address of a network brings no second route: the first is the source (`fib_add_ifaddr`).
            let first = !addresses[..place].iter().any(|other| other.canonical() == cidr.canonical());
            if !adopted && cidr.len() < 32 && first {
                self.routes.push(own);
            }
        }
    }

    fn add_configured_routes(&mut self, config: &Config) {
        for route in &config.routes {
            let named = out_interface(config, route).and_then(|interface| self.id(&interface.name));
            let Some(id) = named.or_else(|| self.on_link(route.via?)) else {
                self.notes.push(format!("the route to {} is left out: its next hop is on no link", route.destination));
                continue;
            };
            self.routes.push(NetworkRoute {
                via: route.via,
                source: route.source,
                metric: route.metric,
                mtu: route.mtu,
                ..unicast(route.destination, id, "configuration")
            });
        }
    }

    /// The interface with an address whose network holds `neighbour`.
    fn on_link(&self, neighbour: Ipv4Addr) -> Option<u16> {
        let near = |interface: &NetworkInterface| interface.addresses.iter().any(|cidr| cidr.contains(neighbour));
        (0..).zip(&self.interfaces).find(|(_, interface)| near(interface)).map(|(id, _)| id)
    }

    /// One route for each next hop over an interface that adopts. Equal routes share the load; weights do not count.
    fn add_kernel_route(&mut self, route: &KernelRoute) {
        let origin = if route.origin == RouteOrigin::Address { "address" } else { "kernel" };
        let common = |kind, interface| NetworkRoute {
            kind,
            source: route.source,
            metric: route.metric,
            mtu: route.mtu.map(|mtu| u16::try_from(mtu).unwrap_or(u16::MAX)),
            tos: route.tos,
            ..unicast(route.destination, interface, origin)
        };
        let refusal = match route.kind {
            KernelRouteKind::Unicast => None,
            KernelRouteKind::Blackhole => Some(RouteKind::Blackhole),
            KernelRouteKind::Unreachable => Some(RouteKind::Unreachable),
            KernelRouteKind::Prohibit => Some(RouteKind::Prohibit),
        };
        if let Some(kind) = refusal {
            let adopting = (0..).zip(&self.interfaces).find(|(_, interface)| interface.adopted).map(|(id, _)| id);
            self.routes.extend(adopting.map(|id| common(kind, id)));
            return;
        }
        for hop in &route.next_hops {
            if let Some(id) = self.adopting(hop.interface) {
                self.routes.push(NetworkRoute { via: hop.via, ..common(RouteKind::Unicast, id) });
            }
        }
    }

    /// The interface that adopts what the kernel has on the link of `index`.
    fn adopting(&self, index: u32) -> Option<u16> {
        let is = |interface: &NetworkInterface| interface.adopted && interface.kernel_index == Some(index);
        (0..).zip(&self.interfaces).find(|(_, interface)| is(interface)).map(|(id, _)| id)
    }

    /// Those of the configuration stand first and win.
    fn add_neighbours(&mut self, config: &Config, kernel: &KernelView) {
        for neighbor in &config.neighbors {
            if let Some(interface) = self.id(&neighbor.interface) {
                self.neighbours.push(NetworkNeighbour { interface, address: neighbor.address, mac: neighbor.mac });
            }
        }
        let configured = self.neighbours.clone();
        for row in kernel.neighbours.iter().filter(|row| row.state.is_valid()) {
            let (Some(interface), Some(mac)) = (self.adopting(row.interface), row.mac) else { continue };
            if mac.is_unicast() && !configured.iter().any(|c| (c.interface, c.address) == (interface, row.address)) {
                self.neighbours.push(NetworkNeighbour { interface, address: row.address, mac });
            }
        }
    }
}

fn unicast(destination: Prefix, interface: u16, origin: &'static str) -> NetworkRoute {
    NetworkRoute {
        destination,
        kind: RouteKind::Unicast,
        via: None,
        interface,
        source: None,
        metric: 0,
        mtu: None,
        tos: 0,
        origin,
    }
}

#[cfg(test)]
mod tests;
