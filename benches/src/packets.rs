//! The frames that the benchmarks send: from a peer at [`PEER`] to a lane at [`HOST`].
//!
//! Built by the stack's own emitters, so a benchmark never measures a packet that the stack would not send itself.

use crate::numbers::numbers;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::wire::arp as wire_arp;
use xmit_dataplane::wire::compose;
use xmit_dataplane::wire::ethernet::EtherType;
use xmit_dataplane::wire::icmp::{self, Echo, Message};
use xmit_dataplane::wire::ipv4::{self, Protocol};
use xmit_nic::MacAddr;

/// The address of the lane under measurement.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The address of whoever talks to it.
pub const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The lane's station address.
pub const HOST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
/// The peer's station address.
pub const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// The port that the echo program is bound to.
pub const ECHO_PORT: u16 = 7;
/// The port that the peer sends from.
pub const PEER_PORT: u16 = 4000;

/// A UDP datagram of `len` payload bytes to `port` of the host.
pub fn udp(port: u16, len: usize, seed: u64) -> Vec<u8> {
    let payload: Vec<u8> = payload(len, seed).collect();
    let (peer, host) = (SocketAddrV4::new(PEER, PEER_PORT), SocketAddrV4::new(HOST, port));
    framed(HOST_MAC, EtherType::IPV4, &compose::udp(peer, host, &payload))
}

/// A ping with `len` bytes of data.
pub fn ping(len: usize, sequence: u16) -> Vec<u8> {
    let data: Vec<u8> = payload(len, u64::from(sequence)).collect();
    let mut message = vec![0; icmp::LEN + len];
    Message::EchoRequest(Echo { ident: 7, sequence, data: &data }).emit(&mut message);
    let header = ipv4::Header::new(PEER, HOST, Protocol::ICMP);
    framed(HOST_MAC, EtherType::IPV4, &compose::ipv4(&header, &message))
}

/// The peer asks by ARP who has the host's address.
pub fn arp_request() -> Vec<u8> {
    let mut body = [0; wire_arp::LEN];
    let request = wire_arp::Message {
        operation: wire_arp::Operation::Request,
        sender_mac: PEER_MAC,
        sender_ip: PEER,
        target_mac: MacAddr([0; 6]),
        target_ip: HOST,
    };
    request.emit(&mut body);
    framed(MacAddr::BROADCAST, EtherType::ARP, &body)
}

/// Eight packets in ten are small datagrams to the echo, the others what else a host hears: larger datagrams, pings,
/// ARP, and datagrams to a port that nobody has.
pub fn mixture(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let one = |number: u64| match number % 100 {
        0..80 => udp(ECHO_PORT, 64, number),
        80..86 => udp(ECHO_PORT, 512, number),
        86..92 => udp(ECHO_PORT, 1400, number),
        92..97 => ping(56, number as u16),
        97..99 => arp_request(),
        _ => udp(ECHO_PORT + 1, 64, number),
    };
    numbers(seed).take(count).map(one).collect()
}

fn payload(len: usize, seed: u64) -> impl Iterator<Item = u8> {
    numbers(seed).flat_map(u64::to_le_bytes).take(len)
}

fn framed(destination: MacAddr, ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    compose::ethernet(PEER_MAC, destination, ethertype, payload)
}
