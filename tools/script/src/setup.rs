//! The configuration of the host under test: what `interface`, `address`, `route` and `neighbour` lines say.

use crate::packet::Defaults;
use crate::words::Words;
use std::net::Ipv4Addr;
use xmit_dataplane::device::Queue;
use xmit_dataplane::limits;
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use xmit_dataplane::snapshot::{InterfaceAddress, InterfaceConfig, Resolution, ReversePath, Snapshot, StaticNeighbour};
use xmit_nic::MacAddr;

/// The host's address unless a script says otherwise. Of 3Com's, because a 3C501 driver takes no other.
pub const HOST_MAC: MacAddr = MacAddr([0x02, 0x60, 0x8c, 0, 0, 2]);
/// The peer's.
pub const PEER_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
/// The peer's IP address.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// The configuration of the host under test.
#[derive(Clone, Debug)]
pub struct Setup {
    interfaces: Vec<InterfaceConfig>,
    routes: Vec<Route>,
    neighbours: Vec<StaticNeighbour>,
    /// Frames that wait for the port; no queueing discipline if `None`.
    queue: Option<usize>,
    /// The interfaces are still those of the ready-made state.
    ready_made: bool,
}

impl Default for Setup {
    /// The ready-made state: eth0 with 10.0.0.2/24, `pfifo_fast`.
    fn default() -> Self {
        let mut eth0 = interface(InterfaceId(0), "eth0");
        eth0.addresses.push(InterfaceAddress { address: Ipv4Addr::new(10, 0, 0, 2), prefix_len: 24 });
        Self {
            interfaces: vec![eth0],
            routes: Vec::new(),
            neighbours: Vec::new(),
            queue: Some(limits::QDISC_FRAMES_MAX),
            ready_made: true,
        }
    }
}

fn interface(id: InterfaceId, name: &str) -> InterfaceConfig {
    InterfaceConfig::new(id, name, HOST_MAC, 1500)
}

impl Setup {
    /// `interface eth0 10.0.0.2/24 [mac M] [mtu N] [vlan N] [down] [reverse-path loose|strict] ...`: the first one has
    /// the port.
    pub(crate) fn interface(&mut self, words: &mut Words) -> Result<(), String> {
        if std::mem::take(&mut self.ready_made) {
            self.interfaces.clear();
        }
        let name = words.bare("a name")?;
        let mut config = interface(InterfaceId(self.interfaces.len() as u16), &name);
        while !words.is_empty() {
            self.interface_word(&mut config, words)?;
        }
        self.interfaces.push(config);
        Ok(())
    }

    fn interface_word(&mut self, config: &mut InterfaceConfig, words: &mut Words) -> Result<(), String> {
        if words.take("mac") {
            config.mac = words.value("a MAC address")?;
        } else if words.take("mtu") {
            config.mtu = words.number("an MTU")?;
        } else if words.take("vlan") {
            config.vlan = Some(words.number("a VLAN")?);
        } else if words.take("down") {
            config.up = false;
        } else if words.take("reverse-path loose") {
            config.reverse_path = ReversePath::Loose;
        } else if words.take("reverse-path strict") {
            config.reverse_path = ReversePath::Strict;
        } else if words.take("accepts unfinished checksums") {
            config.accept_unfinished_checksums = true;
        } else if words.take("resolved by kernel") {
            config.resolution = Resolution::Kernel;
        } else if words.take("noqueue") {
            self.queue = None;
        } else if words.take("queue") {
            self.queue = Some(words.number("a number of frames")?);
        } else {
            let prefix: Prefix = words.value("an address with the length of its prefix")?;
            config.addresses.push(InterfaceAddress { address: prefix.addr(), prefix_len: prefix.len() });
        }
        Ok(())
    }

    /// `route 192.0.2.0/24 via 10.0.0.1 [from A] [mtu N]`, `route 192.0.2.0/24 unreachable|prohibit|blackhole`.
    pub(crate) fn route(&mut self, words: &mut Words) -> Result<(), String> {
        let prefix = if words.take("default") { Prefix::DEFAULT } else { words.value("a prefix")? };
        let mut route = Route::new(prefix, RouteKind::Unicast, InterfaceId(0));
        while !words.is_empty() {
            if words.take("via") {
                route.gateway = Some(words.value("an address")?);
            } else if words.take("from") {
                route.preferred_source = Some(words.value("an address")?);
            } else if words.take("mtu") {
                route.mtu = Some(words.number("an MTU")?);
            } else if words.take("unreachable") {
                route.kind = RouteKind::Unreachable;
            } else if words.take("prohibit") {
                route.kind = RouteKind::Prohibit;
            } else if words.take("blackhole") {
                route.kind = RouteKind::Blackhole;
            } else {
                words.end()?;
            }
        }
        self.routes.push(route);
        Ok(())
    }

    /// `neighbour 10.0.0.1 is 02:00:00:00:00:01`: told by the control thread.
    pub(crate) fn neighbour(&mut self, address: Ipv4Addr, mac: MacAddr) {
        self.neighbours.push(StaticNeighbour { interface: InterfaceId(0), address, mac });
    }

    /// Forgets what [`Setup::neighbour`] told.
    pub(crate) fn forget_neighbour(&mut self, address: Ipv4Addr) {
        self.neighbours.retain(|n| n.address != address);
    }

    /// `interface eth0 goes up|down`.
    pub(crate) fn set_up(&mut self, name: &str, up: bool) -> Result<(), String> {
        let config = self.interfaces.iter_mut().find(|i| i.name == name);
        config.ok_or_else(|| format!("there is no interface {name}"))?.up = up;
        Ok(())
    }

    /// The host's station address on the interface that has the port.
    pub fn mac(&self) -> MacAddr {
        self.interfaces.first().map_or(HOST_MAC, |i| i.mac)
    }

    /// The host's preferred address.
    pub fn address(&self) -> Option<Ipv4Addr> {
        Some(self.interfaces.first()?.addresses.first()?.address)
    }

    /// What an arriving packet says where its pattern says nothing.
    pub fn defaults(&self) -> Defaults {
        let addresses = self.interfaces.iter().flat_map(|i| &i.addresses);
        Defaults {
            ours: self.mac(),
            peer: PEER_MAC,
            vlan: self.interfaces.first().and_then(|i| i.vlan),
            broadcasts: addresses.filter_map(|a| a.broadcast()).collect(),
        }
    }

    /// The queue in front of the port.
    pub fn queue(&self) -> Queue {
        self.queue.map_or_else(Queue::direct, Queue::pfifo_fast)
    }

    /// The configuration as lanes see it.
    pub fn snapshot(&self) -> Snapshot {
        let mut routes = self.routes.clone();
        routes.push(Route::new(loopback_net(), RouteKind::Local, InterfaceId(0)));
        for interface in &self.interfaces {
            let known = |i: usize, a: &InterfaceAddress| interface.addresses[..i].iter().any(|b| same_network(*a, *b));
            for (i, address) in interface.addresses.iter().enumerate() {
                // A second address of a network brings no second route to it (`IFA_F_SECONDARY`).
                routes.extend(routes_of(interface.id, *address, known(i, address)));
            }
        }
        Snapshot { interfaces: self.interfaces.clone(), fib: Fib::build(routes), neighbours: self.neighbours.clone() }
    }
}

/// What the kernel enters for an address: itself, its network, the network's broadcast (`fib_add_ifaddr`).
fn routes_of(interface: InterfaceId, of: InterfaceAddress, secondary: bool) -> impl Iterator<Item = Route> {
    let local = Route::new(Prefix::host(of.address), RouteKind::Local, interface);
    let on_link = Prefix::new(of.address, of.prefix_len).filter(|_| !secondary).map(|net| Route {
        preferred_source: Some(of.address),
        ..Route::new(net.canonical(), RouteKind::Unicast, interface)
    });
    let all = of.broadcast().map(|ip| Route::new(Prefix::host(ip), RouteKind::Broadcast, interface));
    [Some(local), on_link, all].into_iter().flatten()
}

fn same_network(a: InterfaceAddress, b: InterfaceAddress) -> bool {
    a.prefix_len == b.prefix_len && a.contains(b.address)
}

fn loopback_net() -> Prefix {
    Prefix::new(Ipv4Addr::new(127, 0, 0, 0), 8).unwrap_or(Prefix::host(Ipv4Addr::LOCALHOST))
}
