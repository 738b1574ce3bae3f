//! Interfaces: names, lanes, addresses, and what each kind needs.

use super::Findings;
use crate::config::{Config, Interface, Join, Kind, Machine, error::nearest};
use std::net::Ipv4Addr;
use xmit_dataplane::route::Prefix;
use xmit_nic::frame::FRAME_HOME;

/// `IFNAMSIZ` less the final zero.
const NAME_BYTES_MAX: usize = 15;

/// The smallest MTU of IPv4 (RFC 791): a header of 60 bytes and 8 of data.
const MTU_MIN: u16 = 68;

/// The MTU of Ethernet, and so of every emulated NIC.
const MTU_ETHERNET: u16 = 1500;

/// Ethernet header with one 802.1Q tag.
const LINK_HEADER_BYTES: u64 = 18;

pub(super) fn check(config: &Config, machine: &Machine, findings: &mut Findings) {
    if config.interfaces.is_empty() {
        findings.add("interface", "there is no interface", "add [[interface]] with name = \"eth1\"");
    }
    for (index, interface) in config.interfaces.iter().enumerate() {
        let mut report = |field: &str, what: String, cure: String| {
            let place = if field.is_empty() { String::new() } else { format!(".{field}") };
            findings.add(format!("interface[{index}]{place}"), what, cure);
        };
        check_name(config, machine, index, interface, &mut report);
        check_lanes(config, interface, &mut report);
        check_kind(interface, &mut report);
        check_mtu(config, interface, &mut report);
        check_addresses(config, index, interface, &mut report);
        check_segment(config, index, interface, &mut report);
    }
}

type Report<'a> = dyn FnMut(&str, String, String) + 'a;

fn check_name(config: &Config, machine: &Machine, index: usize, interface: &Interface, report: &mut Report<'_>) {
    let name = &interface.name;
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(printable) {
        let cure = format!("use 1 to {NAME_BYTES_MAX} letters, digits, '.', '-' or '_'");
        report("name", format!("`{name}` cannot be the name of an interface"), cure);
    }
    if config.interfaces[..index].iter().any(|other| other.name == *name) {
        let cure = "name each once; several queues of one NIC stand in `queues`".into();
        report("name", format!("interface {name} stands here twice"), cure);
    }
    let joined = interface.el3c501.as_ref().and_then(|card| card.join.as_ref());
    let needed = match (interface.kind, joined) {
        (Kind::AfXdp, _) => Some(("name", name)),
        (Kind::El3c501, Some(Join::AfXdp(name))) => Some(("el3c501.join", name)),
        _ => None,
    };
    if let Some((field, name)) = needed
        && !machine.links.contains(name)
    {
        let links: Vec<_> = machine.links.iter().map(String::as_str).collect();
        let near = nearest(name, &links).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let cure = format!("{near}this network namespace has: {}", links.join(", "));
        report(field, format!("the kernel has no interface {name}"), cure);
    }
}

fn check_lanes(config: &Config, interface: &Interface, report: &mut Report<'_>) {
    let count = config.lanes.len();
    for lane in interface.lanes.iter().filter(|lane| **lane as usize >= count) {
        let cure = format!("lanes are numbered from 0 to {} in the order of [[lane]]", count.saturating_sub(1));
        report("lanes", format!("there is no lane {lane}"), cure);
    }
    if interface.lanes.is_empty() {
        report("lanes", "no lane serves this interface".into(), "write lanes = [0]".into());
    }
    if let Some(queues) = &interface.queues {
        if queues.len() != interface.lanes.len() {
            let what = format!("{} queues for {} lanes", queues.len(), interface.lanes.len());
            report("queues", what, "write one lane for each queue; a lane may serve several".into());
        }
        let twice = |(index, queue): (usize, &u32)| queues[..index].contains(queue);
        if queues.iter().enumerate().any(twice) {
            report("queues", "a queue stands here twice".into(), "name each once: one lane owns it".into());
        }
    }
    if interface.kind != Kind::AfXdp && interface.lanes.len() > 1 {
        let what = format!("an interface of kind {} has one queue", interface.kind.as_str());
        report("lanes", what, "name one lane".into());
    }
    if !interface.ring.is_power_of_two() || !(64..=32_768).contains(&interface.ring) {
        let what = format!("a ring of {} descriptors cannot be made", interface.ring);
        report("ring", what, "write a power of two from 64 to 32768".into());
    }
}

fn check_kind(interface: &Interface, report: &mut Report<'_>) {
    if let Some(vid) = interface.vlan
        && !(1..=4094).contains(&vid)
    {
        report("vlan", format!("{vid} is no VLAN"), "name one from 1 to 4094, or leave the line out".into());
    }
    if interface.broadcasts && (interface.kind != Kind::AfXdp || interface.adopts()) {
        let cure = "leave the line out, or give the NIC `addresses` of its own".into();
        report(
            "broadcasts",
            "broadcasts can only be taken from the kernel by a NIC with its own addresses".into(),
            cure,
        );
    }
    let card = interface.el3c501.is_some();
    if interface.kind == Kind::El3c501 && !card {
        let cure = "add [interface.el3c501] with segment = \"coax0\"".into();
        report("kind", "the card is on no segment".into(), cure);
    }
    if interface.kind != Kind::El3c501 && card {
        let what = format!("an interface of kind {} has no card", interface.kind.as_str());
        report("el3c501", what, "remove this table, or write kind = \"el3c501\"".into());
    }
    if interface.kind != Kind::AfXdp && interface.adopts() {
        let what = format!("an interface of kind {} has no addresses of the kernel to adopt", interface.kind.as_str());
        report("", what, "add addresses = [\"10.77.0.2/24\"]".into());
    }
    match interface.mac {
        Some(_) if interface.kind == Kind::AfXdp => {
            let cure = "remove `mac`, or change the NIC's by `ip link set DEV address`".into();
            report("mac", "a NIC of the kernel keeps its own address".into(), cure);
        }
        Some(mac) if !mac.is_unicast() => {
            report("mac", format!("{mac} is not the address of one station"), "make its first byte even: 02".into());
        }
        _ => {}
    }
}

fn check_mtu(config: &Config, interface: &Interface, report: &mut Report<'_>) {
    let Some(mtu) = interface.mtu else { return };
    if mtu < MTU_MIN {
        report("mtu", format!("IPv4 needs an MTU of {MTU_MIN} bytes, not {mtu}"), "write 1500".into());
    }
    if interface.kind != Kind::AfXdp && mtu > MTU_ETHERNET {
        let what = format!("an interface of kind {} carries {MTU_ETHERNET} bytes, not {mtu}", interface.kind.as_str());
        report("mtu", what, format!("write {MTU_ETHERNET} or less"));
    }
    let lanes = interface.lanes.iter().filter_map(|lane| config.lanes.get(*lane as usize));
    let room = |size: u64| size.saturating_sub(LINK_HEADER_BYTES + u64::from(FRAME_HOME));
    if let Some(least) = lanes.map(|lane| room(lane.frame_size.0)).min()
        && u64::from(mtu) > least
    {
        let what = format!("a datagram of {mtu} bytes does not fit a frame, which has room for {least}");
        report("mtu", what, format!("write {least} or less, or frame_size = \"4KiB\" in [[lane]]"));
    }
}

fn check_addresses(config: &Config, index: usize, interface: &Interface, report: &mut Report<'_>) {
    let Some(addresses) = &interface.addresses else { return };
    let earlier = config.interfaces[..index].iter();
    let others: Vec<(&str, Prefix)> =
        earlier.flat_map(|i| i.addresses.iter().flatten().map(|cidr| (i.name.as_str(), *cidr))).collect();
    if addresses.is_empty() {
        let cure = "name one, or remove the line to adopt the kernel's".into();
        report("addresses", "there is no address in this list".into(), cure);
    }
    for (position, cidr) in addresses.iter().enumerate() {
        let field = format!("addresses[{position}]");
        if let Some(why) = not_a_host(*cidr) {
            report(&field, format!("{cidr} cannot be the address of a host: {why}"), "choose another".into());
        }
        if addresses[..position].iter().any(|other| other.addr() == cidr.addr()) {
            report(&field, format!("{} stands here twice", cidr.addr()), "remove one".into());
        }
        if let Some((name, other)) = others.iter().find(|(_, other)| other.overlaps(*cidr)) {
            let what = format!("the network of {cidr} overlaps that of {other} on {name}");
            report(&field, what, "give each interface a network of its own: a neighbour is on one link".into());
        }
    }
    if let Some(gateway) = interface.gateway
        && !addresses.iter().any(|cidr| cidr.contains(gateway) && cidr.addr() != gateway)
    {
        let what = format!("{gateway} is no neighbour on {}", interface.name);
        report("gateway", what, "name a router in a network of `addresses`".into());
    }
}

fn not_a_host(cidr: Prefix) -> Option<&'static str> {
    let address = cidr.addr();
    match address {
        _ if address.is_multicast() || address == Ipv4Addr::BROADCAST => Some("it is a group of hosts"),
        _ if address.octets()[0] == 0 => Some("it is in 0.0.0.0/8, this host on this network"),
        _ if address.is_loopback() => Some("it is in 127.0.0.0/8, the loopback"),
        _ if cidr.len() == 0 => Some("its network would be the whole Internet"),
        _ if cidr.len() < 31 && cidr.is_canonical() => Some("it is the network itself"),
        _ if Some(address) == cidr.broadcast() => Some("it is the network's broadcast address"),
        _ => None,
    }
}

/// A segment belongs to one lane and has at most one other end, which is no interface of the daemon itself.
fn check_segment(config: &Config, index: usize, interface: &Interface, report: &mut Report<'_>) {
    let Some(card) = &interface.el3c501 else { return };
    let cards = config.interfaces[..index].iter().filter_map(|other| Some((other, other.el3c501.as_ref()?)));
    for (other, other_card) in cards.filter(|(_, other)| other.segment == card.segment) {
        if other.lanes != interface.lanes {
            let what = format!("{} and {} share segment {}, not a lane", other.name, interface.name, card.segment);
            report("lanes", what, "put all cards of a segment on one lane".into());
        }
        if let (Some(a), Some(b)) = (&other_card.join, &card.join)
            && a != b
        {
            let what = format!("segment {} is joined to something else already by {}", card.segment, other.name);
            report("el3c501.join", what, "join a segment at one card".into());
        }
    }
    if let Some(Join::AfXdp(name) | Join::Tap(name)) = &card.join {
        if config.interface(name).is_some() {
            let cure = "remove that interface, or join another".into();
            report("el3c501.join", format!("{name} is an interface of the daemon already"), cure);
        }
        if name.len() > NAME_BYTES_MAX {
            let cure = format!("use at most {NAME_BYTES_MAX} bytes");
            report("el3c501.join", format!("`{name}` cannot be the name of an interface"), cure);
        }
    }
}
