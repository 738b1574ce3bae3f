//! Datagrams as they stand on the wire.

use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::wire::ipv4::{self, Ipv4, Protocol};
use xmit_dataplane::wire::udp::{self, Udp};

fn ip(from: Ipv4Addr, to: Ipv4Addr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        tos: 0,
        ident: 7,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 60,
        protocol,
        source: from,
        destination: to,
        options: &[],
    };
    let mut datagram = vec![0; header.len()];
    assert_eq!(header.emit(payload.len(), &mut datagram), 20);
    datagram.extend_from_slice(payload);
    datagram
}

/// UDP from `from` to `to`.
pub fn udp_datagram(from: &str, to: &str, data: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddrV4, SocketAddrV4) = (from.parse().unwrap(), to.parse().unwrap());
    let mut bytes = vec![0; 8];
    udp::Header { source_port: from.port(), destination_port: to.port() }.emit(data.len(), &mut bytes);
    bytes.extend_from_slice(data);
    udp::fill_checksum(*from.ip(), *to.ip(), &mut bytes);
    ip(*from.ip(), *to.ip(), Protocol::UDP, &bytes)
}

/// An ICMP "port unreachable" about `offender`.
pub fn port_unreachable(offender: &[u8]) -> Vec<u8> {
    let quoted = Ipv4::parse(offender).unwrap();
    let mut bytes = vec![3, 3, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&offender[..28]);
    let sum = xmit_dataplane::wire::checksum::checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    ip(quoted.destination(), quoted.source(), Protocol::ICMP, &bytes)
}

/// Source, destination and payload of a UDP datagram.
pub fn parse_udp(datagram: &[u8]) -> (String, String, Vec<u8>) {
    let ip = Ipv4::parse(datagram).unwrap();
    assert!(ip.checksum_ok());
    let udp = Udp::parse(ip.payload()).unwrap();
    assert_eq!(udp.verify(ip.source(), ip.destination()), udp::ChecksumVerdict::Good);
    let end = |ip, port| SocketAddrV4::new(ip, port).to_string();
    let ends = (end(ip.source(), udp.source_port()), end(ip.destination(), udp.destination_port()));
    (ends.0, ends.1, udp.payload().to_vec())
}
