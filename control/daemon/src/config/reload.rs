//! What a reload may change while packets flow, and what needs a new start.

use super::{Config, Interface};

/// Something that the wanted configuration cannot change while the daemon runs. Prints as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the running configuration stays, because these need a new start of xmitd: {}", .0.join("; "))]
pub struct NeedsRestart(pub Vec<String>);

/// What changes from `running` to `wanted`, one sentence each, if all of it can change live: addresses, gateways,
/// routes, neighbours, clients' quotas and the log. Otherwise everything that cannot, and nothing is to be changed.
///
/// # Errors
/// All that needs a new start, by name.
pub fn changes(running: &Config, wanted: &Config) -> Result<Vec<String>, NeedsRestart> {
    let mut difference = Difference::default();
    let (was, is) = (&running.daemon, &wanted.daemon);
    difference.fixed("[daemon] session_socket", was.session_socket != is.session_socket);
    difference.fixed("[daemon] operator_socket", was.operator_socket != is.operator_socket);
    difference.live(was.log != is.log, || format!("log is now `{}`", is.log));
    difference.lanes(running, wanted);
    difference.interfaces(running, wanted);
    difference.live(running.routes != wanted.routes, || format!("routes are now {}", wanted.routes.len()));
    difference.live(running.neighbors != wanted.neighbors, || {
        format!("static neighbours are now {}", wanted.neighbors.len())
    });
    difference.fixed("[tcp]", running.tcp != wanted.tcp);
    difference.live(running.client != wanted.client, || "quotas of [client] hold for new sessions and sockets".into());
    if difference.fixed.is_empty() { Ok(difference.live) } else { Err(NeedsRestart(difference.fixed)) }
}

#[derive(Default)]
struct Difference {
    live: Vec<String>,
    fixed: Vec<String>,
}

impl Difference {
    fn live(&mut self, differs: bool, sentence: impl FnOnce() -> String) {
        if differs {
            self.live.push(sentence());
        }
    }

    fn fixed(&mut self, what: &str, differs: bool) {
        if differs {
            self.fixed.push(what.to_owned());
        }
    }

    fn lanes(&mut self, running: &Config, wanted: &Config) {
        self.fixed("the number of lanes", running.lanes.len() != wanted.lanes.len());
        for (index, (was, is)) in running.lanes.iter().zip(&wanted.lanes).enumerate() {
            self.fixed(&format!("lane {index}"), was != is);
        }
    }

    fn interfaces(&mut self, running: &Config, wanted: &Config) {
        // Lanes know an interface by its place.
        let place = |config: &Config, name: &str| config.interfaces.iter().position(|i| i.name == name);
        let moves = |(was, i): (usize, &Interface)| place(wanted, &i.name).is_some_and(|is| is != was);
        self.fixed("the order of the interfaces", running.interfaces.iter().enumerate().any(moves));
        for was in &running.interfaces {
            match wanted.interface(&was.name) {
                Some(is) => self.interface(was, is),
                None => self.fixed(&format!("removal of interface {}", was.name), true),
            }
        }
        for is in &wanted.interfaces {
            self.fixed(&format!("new interface {}", is.name), running.interface(&is.name).is_none());
        }
    }

    fn interface(&mut self, was: &Interface, is: &Interface) {
        let name = &was.name;
        self.fixed(&format!("adopted or own addresses of {name}"), was.adopts() != is.adopts());
        if let (Some(_), Some(addresses)) = (&was.addresses, &is.addresses) {
            let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            self.live(was.addresses != is.addresses, || format!("addresses of {name} are now {}", list.join(", ")));
        }
        self.live(was.gateway != is.gateway, || match is.gateway {
            Some(gateway) => format!("the gateway on {name} is now {gateway}"),
            None => format!("{name} has no gateway any more"),
        });
        let rest = Interface { addresses: is.addresses.clone(), gateway: is.gateway, ..was.clone() };
        self.fixed(&format!("interface {name} (anything but addresses and gateway)"), rest != *is);
    }
}
