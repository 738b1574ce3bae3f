//! Compares a frame that left with a [`Pattern`], and verifies what every frame must keep.

use super::{Arp, Body, Icmp, Ip, Link, Pattern, Tcp, Udp};
use std::fmt::Display;
use xmit_dataplane::wire::arp::{Arp as ArpView, Operation};
use xmit_dataplane::wire::checksum::{self, Sum, Verdict};
use xmit_dataplane::wire::ethernet::{EtherType, Ethernet};
use xmit_dataplane::wire::icmp::Icmp as IcmpView;
use xmit_dataplane::wire::ipv4::{Ipv4, Protocol};
use xmit_dataplane::wire::tcp::Tcp as TcpView;
use xmit_dataplane::wire::udp::Udp as UdpView;

/// The frame without the padding of short frames: what the protocol inside says it is.
pub fn trimmed(frame: &[u8]) -> &[u8] {
    let Ok(ethernet) = Ethernet::parse(frame) else { return frame };
    let payload = match ethernet.ethertype() {
        EtherType::ARP => ArpView::parse(ethernet.payload()).map(|_| 28).ok(),
        EtherType::IPV4 => Ipv4::parse(ethernet.payload()).map(|ip| usize::from(ip.total_len())).ok(),
        _ => None,
    };
    let len = payload.and_then(|len| frame.get(..ethernet.header_len() + len));
    len.unwrap_or(frame)
}

/// Checks what no frame of ours may get wrong: lengths and checksums.
///
/// # Errors
/// What is wrong.
pub fn verify(frame: &[u8]) -> Result<(), String> {
    let ethernet = Ethernet::parse(frame).map_err(|error| error.to_string())?;
    if ethernet.ethertype() != EtherType::IPV4 {
        return Ok(());
    }
    let ip = Ipv4::parse(ethernet.payload()).map_err(|error| error.to_string())?;
    if !ip.checksum_ok() {
        return Err("its IP checksum is wrong".to_owned());
    }
    match ip.protocol() {
        Protocol::UDP if ip.fragment_offset() == 0 => {
            let udp = UdpView::parse(ip.payload()).map_err(|error| error.to_string())?;
            let good = udp.verify(ip.source(), ip.destination()) == Some(Verdict::Good);
            if good { Ok(()) } else { Err("its UDP checksum is wrong or absent".to_owned()) }
        }
        Protocol::TCP if ip.fragment_offset() == 0 => {
            let tcp = TcpView::parse(ip.payload()).map_err(|error| error.to_string())?;
            let pseudo = Sum::pseudo_header(ip.source(), ip.destination(), Protocol::TCP.0, ip.payload().len() as u16);
            let good = tcp.verify(pseudo) == Verdict::Good;
            if good { Ok(()) } else { Err("its TCP checksum is wrong".to_owned()) }
        }
        Protocol::ICMP if ip.fragment_offset() == 0 => {
            let icmp = IcmpView::parse(ip.payload()).map_err(|error| error.to_string())?;
            if icmp.checksum_ok() { Ok(()) } else { Err("its ICMP checksum is wrong".to_owned()) }
        }
        _ => Ok(()),
    }
}

/// Compares the fields that `pattern` mentions.
///
/// # Errors
/// The first difference.
pub fn matches(pattern: &Pattern, frame: &[u8]) -> Result<(), String> {
    if let Body::Raw(bytes) = &pattern.body {
        let same = frame.len() >= bytes.len() && frame.starts_with(bytes);
        return if same { Ok(()) } else { Err("its bytes differ".to_owned()) };
    }
    let ethernet = Ethernet::parse(frame).map_err(|error| error.to_string())?;
    link(&pattern.link, &ethernet)?;
    match &pattern.body {
        Body::Arp(wanted) => arp(wanted, &ethernet),
        Body::Ethernet(data) => bytes("payload", data.as_deref(), ethernet.payload()),
        _ => {
            same("EtherType", Some(0x0800), ethernet.ethertype().0)?;
            let view = Ipv4::parse(ethernet.payload()).map_err(|error| error.to_string())?;
            datagram(pattern, &view)
        }
    }
}

fn link(wanted: &Link, ethernet: &Ethernet<'_>) -> Result<(), String> {
    same("Ethernet destination", wanted.to, ethernet.destination())?;
    same("Ethernet source", wanted.from, ethernet.source())?;
    same("EtherType", wanted.ethertype, ethernet.ethertype().0)?;
    let tag = ethernet.vlan();
    if let Some(vlan) = wanted.vlan {
        let is = tag.map(|tag| tag.vid);
        if is != vlan {
            return Err(format!("its VLAN is {is:?}, not {vlan:?}"));
        }
    }
    same("VLAN priority", wanted.pcp, tag.map_or(0, |tag| tag.pcp))
}

fn arp(wanted: &Arp, ethernet: &Ethernet<'_>) -> Result<(), String> {
    same("EtherType", Some(0x0806), ethernet.ethertype().0)?;
    let view = ArpView::parse(ethernet.payload()).map_err(|error| error.to_string())?;
    let operation = match view.operation() {
        Operation::Request => 1,
        Operation::Reply => 2,
        Operation::Other(other) => other,
    };
    same("ARP operation", Some(wanted.operation), operation)?;
    same("ARP sender", wanted.sender_ip, view.sender_ip())?;
    same("ARP sender's MAC", wanted.sender_mac, view.sender_mac())?;
    same("ARP target", wanted.target_ip, view.target_ip())?;
    same("ARP target's MAC", wanted.target_mac, view.target_mac())
}

fn datagram(pattern: &Pattern, view: &Ipv4<'_>) -> Result<(), String> {
    let protocol = match &pattern.body {
        Body::Icmp(_) => Some(1),
        Body::Udp(_) => Some(17),
        Body::Tcp(_) => Some(6),
        _ => pattern.ip.protocol,
    };
    same("IP protocol", protocol, view.protocol().0)?;
    header(&pattern.ip, view)?;
    match &pattern.body {
        Body::Icmp(wanted) => icmp(wanted, view.payload()),
        Body::Udp(wanted) => udp(wanted, view.payload()),
        Body::Tcp(wanted) => tcp(wanted, view.payload()),
        Body::Ip(data) => bytes("payload", data.as_deref(), view.payload()),
        _ => Err("a quoted packet is an IP packet".to_owned()),
    }
}

fn header(wanted: &Ip, view: &Ipv4<'_>) -> Result<(), String> {
    same("IP source", wanted.source, view.source())?;
    same("IP destination", wanted.destination, view.destination())?;
    same("TTL", wanted.ttl, view.ttl())?;
    same("type of service", wanted.tos, view.tos())?;
    same("ECN field", wanted.ecn, view.tos() & 3)?;
    same("identification", wanted.ident, view.ident())?;
    same("DF", wanted.df, view.dont_fragment())?;
    same("MF", wanted.mf, view.more_fragments())?;
    same("fragment offset", wanted.offset, view.fragment_offset())?;
    same("total length", wanted.length, view.total_len())?;
    bytes("IP options", wanted.options.as_deref(), view.options_bytes())
}

fn icmp(wanted: &Icmp, payload: &[u8]) -> Result<(), String> {
    let (head, data) = payload.split_first_chunk::<8>().ok_or("its ICMP header is cut short")?;
    same("ICMP type", Some(wanted.kind), head[0])?;
    same("ICMP code", wanted.code, head[1])?;
    same("ICMP identifier", wanted.id, u16::from_be_bytes([head[4], head[5]]))?;
    same("ICMP sequence number", wanted.seq, u16::from_be_bytes([head[6], head[7]]))?;
    same("next hop's MTU", wanted.mtu, u16::from_be_bytes([head[6], head[7]]))?;
    bytes("ICMP data", wanted.data.as_deref(), data)?;
    match &wanted.quote {
        Some(pattern) => quote(pattern, data).map_err(|why| format!("in the quoted packet: {why}")),
        None => Ok(()),
    }
}

/// A quote may be cut short: its header is verified as it stands, its length is what is there.
fn quote(pattern: &Pattern, quoted: &[u8]) -> Result<(), String> {
    let header_len = quoted.first().map_or(0, |first| usize::from(first & 15) * 4);
    let header = quoted.get(..header_len).filter(|h| h.len() >= 20).ok_or("it has no IP header")?;
    if !checksum::verify(header) {
        return Err("its IP checksum is wrong".to_owned());
    }
    same("total length", pattern.ip.length, u16::from_be_bytes([header[2], header[3]]))?;
    let mut whole = quoted.to_vec();
    whole[2..4].copy_from_slice(&(quoted.len() as u16).to_be_bytes());
    let view = Ipv4::parse(&whole).map_err(|error| error.to_string())?;
    let pattern = Pattern { ip: Ip { length: None, ..pattern.ip.clone() }, ..pattern.clone() };
    datagram(&pattern, &view)
}

fn udp(wanted: &Udp, payload: &[u8]) -> Result<(), String> {
    let (head, data) = payload.split_first_chunk::<8>().ok_or("its UDP header is cut short")?;
    same("UDP source port", Some(wanted.source), u16::from_be_bytes([head[0], head[1]]))?;
    same("UDP destination port", Some(wanted.destination), u16::from_be_bytes([head[2], head[3]]))?;
    same("UDP length", wanted.length, u16::from_be_bytes([head[4], head[5]]))?;
    bytes("UDP data", wanted.data.as_deref(), data)
}

fn tcp(wanted: &Tcp, payload: &[u8]) -> Result<(), String> {
    let view = TcpView::parse(payload).map_err(|error| error.to_string())?;
    same("TCP source port", wanted.source.map(|s| s.port()), view.source_port())?;
    same("TCP destination port", wanted.destination.map(|d| d.port()), view.destination_port())?;
    wanted.matches(&view)
}

fn same<T: PartialEq + Display>(what: &str, wanted: Option<T>, is: T) -> Result<(), String> {
    match wanted {
        Some(wanted) if wanted != is => Err(format!("its {what} is {is}, not {wanted}")),
        _ => Ok(()),
    }
}

fn bytes(what: &str, wanted: Option<&[u8]>, is: &[u8]) -> Result<(), String> {
    let Some(wanted) = wanted.filter(|wanted| *wanted != is) else { return Ok(()) };
    let at = wanted.iter().zip(is).position(|(a, b)| a != b).unwrap_or(wanted.len().min(is.len()));
    Err(format!("its {what} ({} bytes) differs from the {} expected at byte {at}", is.len(), wanted.len()))
}
