//! Answers to operators, from what the control thread knows.

use super::Control;
use crate::api::{self, Request, Response, Version};
use crate::network::{NetworkInterface, NetworkRoute};
use xmit_dataplane::route::{Prefix, RouteKind};
use xmit_shared::Instant;

impl Control {
    /// The answer to `request`.
    pub(super) fn answer(&mut self, now: Instant, request: Request) -> Response {
        match request {
            Request::Version => Response::Version(self.version(now)),
            Request::Health => Response::Health(self.health(now)),
            Request::Stat => Response::Stat(self.stat(now)),
            Request::Stages => Response::Stages(self.stages()),
            Request::Interfaces => Response::Interfaces(self.interfaces()),
            Request::Routes => Response::Routes(self.routes()),
            Request::Reload => self.reload().map_or_else(Response::Error, Response::Reloaded),
            Request::Sockets => Response::Sockets(self.sockets(now)),
            Request::Neighbors => Response::Neighbors(self.neighbors()),
            Request::Qdisc => Response::Qdisc(self.qdiscs()),
            Request::CaptureStart { interface, path, snaplen } => self.capture_start(interface, path, snaplen),
            Request::CaptureStop { id } => self.capture_stop(id),
        }
    }

    fn version(&self, now: Instant) -> Version {
        Version {
            daemon: env!("CARGO_PKG_VERSION").into(),
            api: api::API_VERSION,
            pid: std::process::id(),
            config: self.config_file.clone(),
            uptime_ns: xmit_shared::time::nanos(now.saturating_since(self.started)),
        }
    }

    fn interfaces(&self) -> Vec<api::Interface> {
        let facts = self.lanes.as_ref().map(|lanes| lanes.ports()).unwrap_or_default();
        let ports = |id: usize| {
            let ours = facts.iter().filter(|port| usize::from(port.interface) == id);
            ours.map(|port| api::InterfacePort {
                lane: port.lane,
                queue: queue_of(&port.name),
                mode: port.mode.clone(),
            })
            .collect()
        };
        let pairs = self.config.interfaces.iter().zip(&self.network.interfaces).enumerate();
        pairs.map(|(id, (config, interface))| describe(config.kind.as_str(), interface, ports(id))).collect()
    }

    /// As `ip route` shows them: without the local and broadcast routes that every address brings.
    fn routes(&self) -> Vec<api::Route> {
        let shown = |route: &&NetworkRoute| !matches!(route.kind, RouteKind::Local | RouteKind::Broadcast);
        let name =
            |route: &NetworkRoute| self.network.interfaces.get(usize::from(route.interface)).map(|i| i.name.clone());
        let rows = self.network.routes.iter().filter(shown);
        rows.map(|route| api::Route {
            destination: route.destination.addr(),
            prefix_len: route.destination.len(),
            via: route.via,
            interface: name(route).unwrap_or_default(),
            source: route.source,
            metric: route.metric,
            mtu: route.mtu.map(u32::from),
            origin: route.origin.into(),
        })
        .collect()
    }
}

/// The queue in a port's name, `eth1/3`; ports without queues have one.
fn queue_of(name: &str) -> u32 {
    name.rsplit_once('/').and_then(|(_, queue)| queue.parse().ok()).unwrap_or(0)
}

fn describe(kind: &str, interface: &NetworkInterface, ports: Vec<api::InterfacePort>) -> api::Interface {
    let address =
        |cidr: &Prefix| api::Address { address: cidr.addr(), prefix_len: cidr.len(), broadcast: cidr.broadcast() };
    api::Interface {
        name: interface.name.clone(),
        kernel_index: interface.kernel_index,
        kind: kind.into(),
        mac: interface.mac.to_string(),
        mtu: interface.mtu.into(),
        up: interface.up,
        adopted: interface.adopted,
        addresses: interface.addresses.iter().map(address).collect(),
        ports,
    }
}
