//! From a [`Pattern`] to the bytes of a frame that arrives.

use super::{Arp, Body, Checksum, Faults, Icmp, Pattern, Tcp, Udp, tcp};
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::wire::arp::{self, Message, Operation};
use xmit_dataplane::wire::checksum::{Sum, checksum};
use xmit_dataplane::wire::ethernet::{EtherType, Header as EthernetHeader, VlanTag};
use xmit_dataplane::wire::ipv4::{Header as IpHeader, Protocol};
use xmit_dataplane::wire::udp;
use xmit_nic::MacAddr;

/// What a packet says where its pattern says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The station under test.
    pub ours: MacAddr,
    /// Who sends to it.
    pub peer: MacAddr,
    /// The VLAN of the interface.
    pub vlan: Option<u16>,
    /// Addresses that go to all stations.
    pub broadcasts: Vec<Ipv4Addr>,
}

impl Pattern {
    /// The frame.
    ///
    /// # Errors
    /// If the fields do not fit a packet.
    pub fn build(&self, defaults: &Defaults) -> Result<Vec<u8>, String> {
        let mut frame = match &self.body {
            Body::Raw(bytes) => bytes.clone(),
            Body::Arp(arp) => {
                let mut message = self.arp(arp, defaults);
                patch(&mut message, &self.faults)?;
                self.ethernet(defaults, EtherType::ARP, &message)
            }
            Body::Ethernet(data) => self.ethernet(defaults, EtherType::IPV4, data.as_deref().unwrap_or_default()),
            Body::Icmp(_) | Body::Udp(_) | Body::Tcp(_) | Body::Ip(_) => {
                self.ethernet(defaults, EtherType::IPV4, &self.datagram()?)
            }
        };
        if let Some(len) = self.faults.pad {
            frame.resize(len.max(frame.len()), 0xaa);
        }
        frame.truncate(self.faults.cut.unwrap_or(frame.len()));
        Ok(frame)
    }

    fn ethernet(&self, defaults: &Defaults, usual: EtherType, payload: &[u8]) -> Vec<u8> {
        let vlan = self.link.vlan.unwrap_or(defaults.vlan);
        let header = EthernetHeader {
            destination: self.link.to.unwrap_or_else(|| self.usual_destination(defaults)),
            source: self.link.from.unwrap_or(defaults.peer),
            vlan: vlan.map(|vid| VlanTag { pcp: self.link.pcp.unwrap_or(0), dei: false, vid }),
            ethertype: self.link.ethertype.map_or(usual, EtherType),
        };
        let mut frame = vec![0; header.len()];
        header.emit(&mut frame);
        frame.extend(payload);
        frame
    }

    fn usual_destination(&self, defaults: &Defaults) -> MacAddr {
        let to_all = match &self.body {
            Body::Arp(arp) => arp.operation == 1,
            _ => self.ip.destination.is_some_and(|ip| ip.is_broadcast() || defaults.broadcasts.contains(&ip)),
        };
        match self.ip.destination {
            _ if to_all => MacAddr::BROADCAST,
            Some(group) if group.is_multicast() => {
                let [_, b, c, d] = group.octets();
                MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            _ => defaults.ours,
        }
    }

    fn arp(&self, arp: &Arp, defaults: &Defaults) -> Vec<u8> {
        let operation = match arp.operation {
            1 => Operation::Request,
            2 => Operation::Reply,
            other => Operation::Other(other),
        };
        let usual_target = if arp.operation == 2 { defaults.ours } else { MacAddr::ZERO };
        let message = Message {
            operation,
            sender_mac: arp.sender_mac.or(self.link.from).unwrap_or(defaults.peer),
            sender_ip: arp.sender_ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
            target_mac: arp.target_mac.unwrap_or(usual_target),
            target_ip: arp.target_ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
        };
        let mut bytes = vec![0; arp::LEN];
        message.emit(&mut bytes);
        bytes
    }

    /// The IP datagram.
    pub(super) fn datagram(&self) -> Result<Vec<u8>, String> {
        let source = self.ip.source.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let destination = self.ip.destination.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let (protocol, payload) = match &self.body {
            Body::Icmp(icmp) => (Protocol::ICMP, self.icmp(icmp)?),
            Body::Udp(udp) => (Protocol::UDP, self.udp(udp, source, destination)),
            Body::Tcp(tcp) => (Protocol::TCP, self.tcp(tcp)?),
            Body::Ip(data) => (Protocol(253), data.clone().unwrap_or_default()),
            _ => return Err("only an IP packet can be quoted".to_owned()),
        };
        let header = IpHeader {
            tos: self.ip.tos.unwrap_or(0) | self.ip.ecn.unwrap_or(0),
            ident: self.ip.ident.unwrap_or(1),
            dont_fragment: self.ip.df.unwrap_or(false),
            more_fragments: self.ip.mf.unwrap_or(false),
            fragment_offset: self.ip.offset.unwrap_or(0),
            ttl: self.ip.ttl.unwrap_or(64),
            protocol: self.ip.protocol.map_or(protocol, Protocol),
            source,
            destination,
            options: self.ip.options.as_deref().unwrap_or_default(),
        };
        let mut bytes = vec![0; header.len() + payload.len()];
        if header.emit(payload.len(), &mut bytes) == 0 {
            return Err("the packet is longer than IP allows, or its options are".to_owned());
        }
        bytes[header.len()..].copy_from_slice(&payload);
        if let Some(length) = self.ip.length {
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
        }
        patch(&mut bytes, &self.faults)?;
        finish_header(&mut bytes, header.len(), self.faults.ip_checksum);
        Ok(bytes)
    }

    fn icmp(&self, icmp: &Icmp) -> Result<Vec<u8>, String> {
        let rest = match icmp.mtu {
            Some(mtu) => [0, mtu],
            None => [icmp.id.unwrap_or(0), icmp.seq.unwrap_or(0)],
        };
        let mut bytes = vec![icmp.kind, icmp.code.unwrap_or(0), 0, 0];
        rest.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
        match &icmp.quote {
            Some(quoted) => bytes.extend(quoted.datagram()?),
            None => bytes.extend(icmp.data.as_deref().unwrap_or_default()),
        }
        let sum = checksum(&bytes);
        let sum = if self.faults.checksum == Checksum::Bad { spoil(sum) } else { sum };
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        Ok(bytes)
    }

    fn udp(&self, pattern: &Udp, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
        let data = pattern.data.as_deref().unwrap_or_default();
        let header = udp::Header { source_port: pattern.source, destination_port: pattern.destination };
        let mut bytes = vec![0; udp::LEN];
        header.emit(data.len(), &mut bytes);
        bytes.extend(data);
        udp::fill_checksum(source, destination, &mut bytes);
        let good = u16::from_be_bytes([bytes[6], bytes[7]]);
        let sum = match self.faults.checksum {
            Checksum::Good => good,
            Checksum::Bad => spoil(good),
            Checksum::Absent => 0,
            Checksum::Unfinished => Sum::pseudo_header(source, destination, Protocol::UDP.0, bytes.len() as u16).fold(),
        };
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        if let Some(length) = pattern.length {
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
        }
        bytes
    }
}

impl Pattern {
    fn tcp(&self, pattern: &Tcp) -> Result<Vec<u8>, String> {
        let none = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let (source, destination) = (pattern.source.unwrap_or(none), pattern.destination.unwrap_or(none));
        let mut bytes = pattern.build(source, destination)?;
        let pseudo = tcp::pseudo_header(source, destination, bytes.len());
        let good = pseudo.append(&bytes).checksum();
        let sum = match self.faults.checksum {
            Checksum::Good => good,
            Checksum::Bad => spoil(good),
            Checksum::Absent => 0,
            Checksum::Unfinished => pseudo.fold(),
        };
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        Ok(bytes)
    }
}

/// A wrong checksum that no special value of UDP can be mistaken for.
fn spoil(sum: u16) -> u16 {
    sum ^ 0x5500
}

fn patch(bytes: &mut [u8], faults: &Faults) -> Result<(), String> {
    for (at, value) in &faults.bytes {
        let place = bytes.get_mut(*at).ok_or_else(|| format!("there is no byte {at} in this packet"))?;
        *place = *value;
    }
    Ok(())
}

/// Computes the header's checksum over what now stands there.
fn finish_header(bytes: &mut [u8], header_len: usize, bad: bool) {
    bytes[10..12].fill(0);
    let sum = checksum(&bytes[..header_len]);
    let sum = if bad { spoil(sum) } else { sum };
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
}
