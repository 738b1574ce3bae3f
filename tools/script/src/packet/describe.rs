//! A frame in the words of a script, so that what left can be compared with what was expected by eye.

use super::parse::ICMP_NAMES;
use super::{tcp, trimmed};
use crate::flows::Flows;
use std::fmt::Write;
use std::net::SocketAddrV4;
use xmit_dataplane::wire::arp::{Arp, Operation};
use xmit_dataplane::wire::ethernet::{EtherType, Ethernet};
use xmit_dataplane::wire::ipv4::{Ipv4, Protocol};
use xmit_dataplane::wire::tcp::Tcp;
use xmit_dataplane::wire::udp::Udp;

/// The most data that is written out.
const DATA_SHOWN_MAX: usize = 48;

/// The frame in words, without the padding of short frames.
pub fn describe(frame: &[u8]) -> String {
    describe_in(frame, &Flows::default())
}

/// The same, with the numbers of segments counted from where `flows` say.
pub(crate) fn describe_in(frame: &[u8], flows: &Flows) -> String {
    let frame = trimmed(frame);
    let Ok(ethernet) = Ethernet::parse(frame) else { return format!("raw {}", hex(frame)) };
    let mut text = match ethernet.ethertype() {
        EtherType::ARP => arp(ethernet.payload()),
        EtherType::IPV4 => Ipv4::parse(ethernet.payload()).ok().map(|ip| datagram(&ip, flows)),
        _ => None,
    }
    .unwrap_or_else(|| format!("ethernet type {:#06x} {}", ethernet.ethertype().0, data(ethernet.payload())));
    // Writing to a string cannot fail.
    let _ = write!(text, " eth to {}", ethernet.destination());
    if let Some(tag) = ethernet.vlan() {
        let _ = write!(text, " vlan {} pcp {}", tag.vid, tag.pcp);
    }
    text
}

fn arp(payload: &[u8]) -> Option<String> {
    let arp = Arp::parse(payload).ok()?;
    let (sender, target) = (arp.sender_ip(), arp.target_ip());
    Some(match arp.operation() {
        Operation::Request => format!("arp request who-has {target} tell {sender} sender {}", arp.sender_mac()),
        Operation::Reply => format!("arp reply {sender} is-at {} to {target}", arp.sender_mac()),
        Operation::Other(other) => format!("arp operation {other} who-has {target} tell {sender}"),
    })
}

fn datagram(ip: &Ipv4<'_>, flows: &Flows) -> String {
    let mut text = body(ip, flows).unwrap_or_else(|| {
        let (from, to) = (ip.source(), ip.destination());
        format!("ip protocol {} {from} > {to} {}", ip.protocol().0, data(ip.payload()))
    });
    let _ = write!(text, " ttl {}", ip.ttl());
    if ip.tos() != 0 {
        let _ = write!(text, " tos {:#04x}", ip.tos());
    }
    if ip.dont_fragment() {
        text.push_str(" df");
    }
    if ip.more_fragments() {
        text.push_str(" mf");
    }
    if ip.fragment_offset() != 0 {
        let _ = write!(text, " offset {}", ip.fragment_offset());
    }
    if !ip.options_bytes().is_empty() {
        let _ = write!(text, " options hex {}", hex(ip.options_bytes()));
    }
    text
}

fn body(ip: &Ipv4<'_>, flows: &Flows) -> Option<String> {
    let (from, to) = (ip.source(), ip.destination());
    match ip.protocol() {
        Protocol::UDP if ip.fragment_offset() == 0 => {
            let udp = Udp::parse(ip.payload()).ok()?;
            let (source, destination) = (udp.source_port(), udp.destination_port());
            Some(format!("udp {from}:{source} > {to}:{destination} {}", data(udp.payload())))
        }
        Protocol::TCP if ip.fragment_offset() == 0 => {
            let view = Tcp::parse(ip.payload()).ok()?;
            let source = SocketAddrV4::new(from, view.source_port());
            let destination = SocketAddrV4::new(to, view.destination_port());
            let origin = flows.origin(source, destination);
            let data = if view.payload().is_empty() { String::new() } else { format!(" {}", data(view.payload())) };
            Some(format!("tcp {source} > {destination} {}{data}", tcp::describe(&view, &origin)))
        }
        Protocol::ICMP if ip.fragment_offset() == 0 => {
            let (head, rest) = ip.payload().split_first_chunk::<8>()?;
            Some(icmp(&format!("{from} > {to}"), head, rest, flows))
        }
        _ => None,
    }
}

fn icmp(addresses: &str, head: &[u8; 8], rest: &[u8], flows: &Flows) -> String {
    let named = ICMP_NAMES.iter().find(|(_, kind, code)| (*kind, *code) == (head[0], head[1]));
    let name = named.map_or_else(|| format!("type {} code {}", head[0], head[1]), |(name, ..)| (*name).to_owned());
    let (id, seq) = (u16::from_be_bytes([head[4], head[5]]), u16::from_be_bytes([head[6], head[7]]));
    if !matches!(head[0], 3 | 4 | 5 | 11 | 12) {
        return format!("icmp {name} {addresses} id {id} seq {seq} {}", data(rest));
    }
    let quoted = quoted(rest, flows).map_or_else(|| data(rest), |quoted| format!("quoting {quoted}"));
    format!("icmp {name} {addresses} mtu {seq} {quoted}")
}

fn quoted(bytes: &[u8], flows: &Flows) -> Option<String> {
    let mut whole = bytes.to_vec();
    whole.get_mut(2..4)?.copy_from_slice(&(bytes.len() as u16).to_be_bytes());
    Ipv4::parse(&whole).ok().map(|ip| datagram(&ip, flows))
}

fn data(bytes: &[u8]) -> String {
    if bytes.len() > DATA_SHOWN_MAX {
        return format!("{} bytes", bytes.len());
    }
    if bytes.iter().all(|b| matches!(b, 0x20..=0x7e)) {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    format!("hex {}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
