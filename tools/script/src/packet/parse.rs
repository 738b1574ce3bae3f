//! From words to a [`Pattern`].

use super::{Arp, Body, Checksum, Icmp, Ip, Pattern, Tcp, Udp};
use crate::words::{Words, hex};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Names of ICMP messages with their type and code.
pub(super) const ICMP_NAMES: &[(&str, u8, u8)] = &[
    ("echo request", 8, 0),
    ("echo reply", 0, 0),
    ("net unreachable", 3, 0),
    ("host unreachable", 3, 1),
    ("protocol unreachable", 3, 2),
    ("port unreachable", 3, 3),
    ("fragmentation needed", 3, 4),
    ("source route failed", 3, 5),
    ("admin prohibited", 3, 13),
    ("source quench", 4, 0),
    ("redirect", 5, 1),
    ("time exceeded", 11, 0),
    ("parameter problem", 12, 0),
    ("timestamp request", 13, 0),
    ("timestamp reply", 14, 0),
    ("address mask request", 17, 0),
    ("address mask reply", 18, 0),
];

/// The codepoints of RFC 3168 by their numbers.
const ECN_NAMES: [&str; 4] = ["not-ect", "ect1", "ect0", "ce"];

impl Pattern {
    /// Reads a packet from `text`, which holds nothing else.
    ///
    /// # Errors
    /// What was not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words::split(text)?;
        let pattern = Self::read(&mut words)?;
        words.end().map(|()| pattern)
    }

    /// Reads a packet from the rest of a line.
    pub(crate) fn read(words: &mut Words) -> Result<Self, String> {
        let mut pattern = Self::default();
        match words.bare("a packet (arp, icmp, udp, tcp, ip, ethernet, raw)")?.as_str() {
            "arp" => pattern.body = Body::Arp(arp(words)?),
            "icmp" => pattern.body = Body::Icmp(icmp(words, &mut pattern.ip)?),
            "udp" => pattern.body = Body::Udp(udp(words, &mut pattern.ip)?),
            "tcp" => pattern.body = Body::Tcp(Box::new(Tcp::read(words)?)),
            "ip" => {
                if words.take("protocol") {
                    pattern.ip.protocol = Some(words.number("a protocol")?);
                }
                addresses(words, &mut pattern.ip)?;
                pattern.body = Body::Ip(None);
            }
            "ethernet" => pattern.body = Body::Ethernet(None),
            "raw" => pattern.body = Body::Raw(hex(&words.bare("hexadecimal bytes")?)?),
            other => {
                return Err(format!(
                    "`{other}` is not a packet; it begins with arp, icmp, udp, tcp, ip, ethernet or raw"
                ));
            }
        }
        while !words.is_empty() {
            pattern.modifier(words)?;
        }
        Ok(pattern)
    }

    /// The packets that this stands for: several if it says so of a segment.
    pub(crate) fn parts(&self) -> Vec<Self> {
        match &self.body {
            Body::Tcp(tcp) if tcp.count > 1 => {
                tcp.parts().into_iter().map(|tcp| Self { body: Body::Tcp(Box::new(tcp)), ..self.clone() }).collect()
            }
            _ => vec![self.clone()],
        }
    }

    fn modifier(&mut self, words: &mut Words) -> Result<(), String> {
        if let Some(data) = words.data()? {
            return self.carry(data);
        }
        if self.link_modifier(words)? || self.ip_modifier(words)? || self.fault(words)? || self.body_modifier(words)? {
            return Ok(());
        }
        words.end()
    }

    fn carry(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let place = match &mut self.body {
            Body::Icmp(Icmp { data, .. }) | Body::Udp(Udp { data, .. }) | Body::Ip(data) | Body::Ethernet(data) => data,
            Body::Tcp(tcp) if bytes.len() == tcp.len as usize => &mut tcp.data,
            Body::Tcp(tcp) => return Err(format!("the data is {} bytes long, not {}", bytes.len(), tcp.len)),
            Body::Arp(_) | Body::Raw(_) => return Err("this packet carries no data".to_owned()),
        };
        *place = Some(bytes);
        Ok(())
    }

    fn link_modifier(&mut self, words: &mut Words) -> Result<bool, String> {
        let link = &mut self.link;
        if words.take("eth to") {
            link.to = Some(words.value("a MAC address")?);
        } else if words.take("eth from") {
            link.from = Some(words.value("a MAC address")?);
        } else if words.take("vlan") {
            link.vlan = Some(Some(words.number("a VLAN")?));
        } else if words.take("untagged") {
            link.vlan = Some(None);
        } else if words.take("pcp") {
            link.pcp = Some(words.number("a priority")?);
        } else if matches!(self.body, Body::Ethernet(_)) && words.take("type") {
            link.ethertype = Some(words.number("an EtherType")?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn ip_modifier(&mut self, words: &mut Words) -> Result<bool, String> {
        let ip = &mut self.ip;
        if words.take("ttl") {
            ip.ttl = Some(words.number("a TTL")?);
        } else if words.take("tos") {
            ip.tos = Some(words.number("a type of service")?);
        } else if let Some(at) = ECN_NAMES.iter().position(|name| words.take(name)) {
            ip.ecn = Some(at as u8);
        } else if words.take("ident") {
            ip.ident = Some(words.number("an identification")?);
        } else if words.take("df") {
            ip.df = Some(true);
        } else if words.take("no df") {
            ip.df = Some(false);
        } else if words.take("mf") {
            ip.mf = Some(true);
        } else if words.take("offset") {
            ip.offset = Some(words.number("a fragment offset")?);
        } else if words.take("length") {
            ip.length = Some(words.number("a total length")?);
        } else if words.take("options") {
            ip.options = Some(options(words)?);
        } else if words.take("no options") {
            ip.options = Some(Vec::new());
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn fault(&mut self, words: &mut Words) -> Result<bool, String> {
        let faults = &mut self.faults;
        if words.take("bad ip checksum") {
            faults.ip_checksum = true;
        } else if words.take("bad checksum") {
            faults.checksum = Checksum::Bad;
        } else if words.take("no checksum") {
            faults.checksum = Checksum::Absent;
        } else if words.take("unfinished checksum") {
            faults.checksum = Checksum::Unfinished;
        } else if words.take("byte") {
            let at = words.number("an offset")?;
            words.expect("=")?;
            faults.bytes.push((at, words.number("a byte")?));
        } else if words.take("truncated to") {
            faults.cut = Some(words.number("a number of bytes")?);
            words.take("bytes");
        } else if words.take("padded to") {
            faults.pad = Some(words.number("a number of bytes")?);
            words.take("bytes");
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn body_modifier(&mut self, words: &mut Words) -> Result<bool, String> {
        match &mut self.body {
            Body::Icmp(icmp) if words.take("id") => icmp.id = Some(words.number("an identifier")?),
            Body::Icmp(icmp) if words.take("seq") => icmp.seq = Some(words.number("a sequence number")?),
            Body::Icmp(icmp) if words.take("mtu") => icmp.mtu = Some(words.number("an MTU")?),
            Body::Icmp(icmp) if words.take("quoting") => icmp.quote = Some(Box::new(Self::read(words)?)),
            Body::Tcp(tcp) => return tcp.field(words),
            Body::Udp(udp) if words.take("udp length") => udp.length = Some(words.number("a length")?),
            Body::Arp(arp) if words.take("sender") => arp.sender_mac = Some(words.value("a MAC address")?),
            Body::Arp(arp) if words.take("target") => arp.target_mac = Some(words.value("a MAC address")?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn arp(words: &mut Words) -> Result<Arp, String> {
    let mut arp = Arp::default();
    if words.take("reply") {
        arp.operation = 2;
        arp.sender_ip = Some(words.value("an address")?);
        words.expect("is-at")?;
        arp.sender_mac = Some(words.value("a MAC address")?);
        if words.take("to") {
            arp.target_ip = Some(words.value("an address")?);
        }
        return Ok(arp);
    }
    arp.operation = if words.take("operation") { words.number("an operation")? } else { 1 };
    if arp.operation == 1 {
        words.expect("request")?;
    }
    words.expect("who-has")?;
    arp.target_ip = Some(words.value("an address")?);
    words.expect("tell")?;
    arp.sender_ip = Some(words.value("an address")?);
    Ok(arp)
}

fn icmp(words: &mut Words, ip: &mut Ip) -> Result<Icmp, String> {
    let mut icmp = Icmp::default();
    if words.take("type") {
        icmp.kind = words.number("a type")?;
        if words.take("code") {
            icmp.code = Some(words.number("a code")?);
        }
    } else {
        let found = ICMP_NAMES.iter().find(|(name, ..)| words.take(name));
        let known = || ICMP_NAMES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
        let (_, kind, code) =
            found.ok_or_else(|| format!("an ICMP message is `type N code N` or one of: {}", known()))?;
        (icmp.kind, icmp.code) = (*kind, Some(*code));
    }
    addresses(words, ip)?;
    Ok(icmp)
}

fn udp(words: &mut Words, ip: &mut Ip) -> Result<Udp, String> {
    let source: SocketAddrV4 = words.value("an address with a port")?;
    words.expect(">")?;
    let destination: SocketAddrV4 = words.value("an address with a port")?;
    (ip.source, ip.destination) = (Some(*source.ip()), Some(*destination.ip()));
    Ok(Udp { source: source.port(), destination: destination.port(), length: None, data: None })
}

fn addresses(words: &mut Words, ip: &mut Ip) -> Result<(), String> {
    ip.source = Some(words.value("an address")?);
    words.expect(">")?;
    ip.destination = Some(words.value("an address")?);
    Ok(())
}

/// The options that scripts know by name; all others are `options hex ...`.
fn options(words: &mut Words) -> Result<Vec<u8>, String> {
    let route = |kind: u8, via: Ipv4Addr| [&[kind, 7, 4][..], &via.octets(), &[0]].concat();
    let name = words.bare("an option (rr, ts, nop, alert, lsrr, ssrr, hex)")?;
    match name.as_str() {
        "rr" => Ok([&[7, 15, 4][..], &[0; 13]].concat()),
        "ts" => Ok([&[68, 12, 5, 0][..], &[0; 8]].concat()),
        "nop" => Ok(vec![1; 4]),
        "alert" => Ok(vec![148, 4, 0, 0]),
        "lsrr" => Ok(route(131, words.value("an address")?)),
        "ssrr" => Ok(route(137, words.value("an address")?)),
        "hex" => hex(&words.bare("hexadecimal bytes")?),
        other => Err(format!("`{other}` is not an option; it is one of rr, ts, nop, alert, lsrr, ssrr, hex")),
    }
}
