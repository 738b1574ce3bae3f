//! Routes and static neighbours: interfaces they name, next hops that are neighbours.

use super::Findings;
use crate::config::{Config, Interface, Route};
use std::net::Ipv4Addr;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let names: Vec<_> = config.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    for (index, route) in config.routes.iter().enumerate() {
        let place = format!("route[{index}]");
        check_route(config, &place, route, &names, findings);
        let same = |other: &Route| other.destination == route.destination && other.metric == route.metric;
        if config.routes[..index].iter().any(same) {
            let what = format!("there are two routes to {} of metric {}", route.destination, route.metric);
            findings.add(format!("{place}.destination"), what, "give one a larger metric, or remove it");
        }
    }
    for (index, neighbor) in config.neighbors.iter().enumerate() {
        let place = format!("neighbor[{index}]");
        if config.interface(&neighbor.interface).is_none() {
            no_interface(findings, &format!("{place}.interface"), &neighbor.interface, &names);
        }
        if !neighbor.mac.is_unicast() {
            let what = format!("{} is not the address of one station", neighbor.mac);
            findings.add(format!("{place}.mac"), what, "an address of one station has an even first byte");
        }
        let same = |o: &super::super::Neighbor| o.address == neighbor.address && o.interface == neighbor.interface;
        if config.neighbors[..index].iter().any(same) {
            findings.add(format!("{place}.address"), format!("{} stands here twice", neighbor.address), "remove one");
        }
    }
}

fn check_route(config: &Config, place: &str, route: &Route, names: &[&str], findings: &mut Findings) {
    if !route.destination.is_canonical() {
        let what = format!("{} is an address in a network, not a network", route.destination);
        findings.add(format!("{place}.destination"), what, format!("write \"{}\"", route.destination.canonical()));
    }
    let named = route.interface.as_deref();
    if let Some(name) = named
        && config.interface(name).is_none()
    {
        no_interface(findings, &format!("{place}.interface"), name, names);
        return;
    }
    match (route.via, named) {
        (None, None) => {
            findings.add(place, "this route leads nowhere", "add via = \"ADDRESS\" or interface = \"NAME\"")
        }
        (Some(via), None) if out_interface(config, route).is_none() => {
            let what = format!("{via} is in no network of an interface");
            findings.add(format!("{place}.via"), what, "name a neighbour, or add interface = \"NAME\"");
        }
        _ => {}
    }
    let own = |address: Ipv4Addr| {
        let addresses =
            |i: &Interface| i.addresses.as_ref().is_none_or(|list| list.iter().any(|c| c.addr() == address));
        config.interfaces.iter().any(addresses)
    };
    if let Some(source) = route.source.filter(|source| !own(*source)) {
        findings.add(
            format!("{place}.source"),
            format!("{source} is not an address of ours"),
            "name one, or remove it",
        );
    }
}

/// The interface a route leaves by: the named one, else the one whose network holds the next hop.
pub(crate) fn out_interface<'a>(config: &'a Config, route: &Route) -> Option<&'a Interface> {
    match (&route.interface, route.via) {
        (Some(name), _) => config.interface(name),
        (None, Some(via)) => {
            let on_link = |i: &&Interface| i.addresses.iter().flatten().any(|cidr| cidr.contains(via));
            config.interfaces.iter().find(on_link)
        }
        (None, None) => None,
    }
}

fn no_interface(findings: &mut Findings, place: &str, name: &str, names: &[&str]) {
    let cure = format!("name one of [[interface]]: {}", names.join(", "));
    findings.add(place, format!("there is no interface {name}"), cure);
}
