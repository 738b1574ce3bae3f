//! Packets made whole, layer by layer, from the headers of their protocols: what a peer sends in tests, benchmarks and tools.
//!
//! Allocates: nothing on a packet's path calls it.
//!
//! Invariants:
//! * lengths and checksums are right; what is to be wrong is damaged afterwards;
//! * whoever asks for what does not fit a packet hears it at once, by a panic.

use super::checksum::Sum;
use super::ethernet::EtherType;
use super::ipv4::Protocol;
use super::{MacAddr, ethernet, ipv4, tcp, udp};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A frame from one station to another.
pub fn ethernet(source: MacAddr, destination: MacAddr, ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = ethernet::Header { destination, source, vlan: None, ethertype };
    before(payload, header.len(), |out| header.emit(out))
}

/// A datagram of `payload`.
pub fn ipv4(header: &ipv4::Header<'_>, payload: &[u8]) -> Vec<u8> {
    before(payload, header.len(), |out| header.emit(payload.len(), out))
}

/// A UDP datagram in an IPv4 datagram.
pub fn udp(source: SocketAddrV4, destination: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let header = udp::Header { source_port: source.port(), destination_port: destination.port() };
    let mut bytes = before(data, udp::LEN, |out| header.emit(data.len(), out));
    udp::fill_checksum(*source.ip(), *destination.ip(), &mut bytes);
    ipv4(&ipv4::Header::new(*source.ip(), *destination.ip(), Protocol::UDP), &bytes)
}

/// A TCP segment in an IPv4 datagram.
pub fn tcp(source: Ipv4Addr, destination: Ipv4Addr, header: &tcp::Header<'_>, data: &[u8]) -> Vec<u8> {
    let mut bytes = before(data, header.len(), |out| header.emit(out));
    tcp::fill_checksum(Sum::pseudo_header(source, destination, Protocol::TCP.0, bytes.len() as u16), &mut bytes);
    ipv4(&ipv4::Header::new(source, destination, Protocol::TCP), &bytes)
}

/// `payload` behind a header of `len` bytes.
fn before(payload: &[u8], len: usize, emit: impl FnOnce(&mut [u8]) -> usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes.extend_from_slice(payload);
    assert_eq!(emit(&mut bytes), len, "no such packet");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::Verdict;
    use crate::wire::ethernet::Ethernet;
    use crate::wire::ipv4::Ipv4;
    use crate::wire::tcp::{Flags, Tcp};
    use crate::wire::udp::Udp;

    const A: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 4000);
    const B: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 80);

    #[test]
    fn a_packet_is_read_as_it_was_made() {
        let [from, to] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
        let frame = ethernet(from, to, EtherType::IPV4, &udp(A, B, b"abc"));
        let link = Ethernet::parse(&frame).unwrap();
        assert_eq!((link.source(), link.destination(), link.ethertype()), (from, to, EtherType::IPV4));
        let ip = Ipv4::parse(link.payload()).unwrap();
        assert!(ip.checksum_ok() && ip.dont_fragment());
        assert_eq!((ip.source(), ip.destination(), ip.ttl()), (*A.ip(), *B.ip(), 64));
        let datagram = Udp::parse(ip.payload()).unwrap();
        assert_eq!((datagram.source_port(), datagram.destination_port()), (A.port(), B.port()));
        assert_eq!(datagram.verify(*A.ip(), *B.ip()), Some(Verdict::Good));
        assert_eq!(datagram.payload(), b"abc");
    }

    #[test]
    fn a_segment_is_read_as_it_was_made() {
        let header = tcp::Header { flags: Flags::ACK, seq: 7, ..tcp::Header::default() };
        let bytes = tcp(*A.ip(), *B.ip(), &header, b"abcd");
        let ip = Ipv4::parse(&bytes).unwrap();
        let segment = Tcp::parse(ip.payload()).unwrap();
        let pseudo = Sum::pseudo_header(ip.source(), ip.destination(), ip.protocol().0, ip.payload().len() as u16);
        assert_eq!(segment.verify(pseudo), Verdict::Good);
        assert_eq!((segment.flags(), segment.seq(), segment.payload()), (Flags::ACK, 7, &b"abcd"[..]));
    }

    #[test]
    #[should_panic(expected = "no such packet")]
    fn what_is_longer_than_a_packet_is_refused() {
        udp(A, B, &[0; 65_536]);
    }
}
