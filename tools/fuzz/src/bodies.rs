//! One function per parser: what must hold for any bytes.

use std::net::Ipv4Addr;
use xmit_dataplane::wire::checksum::{self, Sum, Verdict};
use xmit_dataplane::wire::ethernet::{self, EtherType, Ethernet};
use xmit_dataplane::wire::icmp::{Icmp, Message};
use xmit_dataplane::wire::ipv4::{Ipv4, Ipv4Mut, Protocol};
use xmit_dataplane::wire::option::{OPTIONS_LEN_MAX, Options};
use xmit_dataplane::wire::tcp::{self, Tcp};
use xmit_dataplane::wire::tcp_options;
use xmit_dataplane::wire::udp::{self, Udp};
use xmit_dataplane::wire::{Malformed, arp::Arp};

/// What a target does with an input.
pub type Body = fn(&[u8]);

/// The name and the body of every target.
pub const TARGETS: [(&str, Body); 8] = [
    ("ethernet", ethernet),
    ("arp", arp),
    ("ipv4", ipv4),
    ("options", options),
    ("icmp", icmp),
    ("udp", udp),
    ("tcp", tcp),
    ("checksum", checksum),
];

/// A whole frame, as deep as it can be read.
pub fn ethernet(bytes: &[u8]) {
    let Ok(frame) = Ethernet::parse(bytes) else { return assert!(bytes.len() < 18) };
    let header = ethernet::Header {
        destination: frame.destination(),
        source: frame.source(),
        vlan: frame.vlan(),
        ethertype: frame.ethertype(),
    };
    let mut out = [0; 18];
    let len = header.emit(&mut out);
    assert_eq!(out[..len], bytes[..frame.header_len()]);
    assert_eq!(len + frame.payload().len(), bytes.len());
    match frame.ethertype() {
        EtherType::IPV4 => ipv4(frame.payload()),
        EtherType::ARP => arp(frame.payload()),
        _ => (),
    }
}

/// An ARP message.
pub fn arp(bytes: &[u8]) {
    if let Ok(arp) = Arp::parse(bytes) {
        let mut out = [0; 28];
        assert_eq!(arp.message().emit(&mut out), 28);
        assert_eq!(out, bytes[..28]);
    }
}

/// An IPv4 packet and what it carries.
pub fn ipv4(bytes: &[u8]) {
    let Ok(packet) = Ipv4::parse(bytes) else { return };
    assert_eq!(packet.header_len() + packet.payload().len(), usize::from(packet.total_len()));
    let mut out = [0; 60];
    assert_eq!(packet.to_header().emit(packet.payload().len(), &mut out), packet.header_len());
    // The reserved flag is not kept, and the checksum is made anew.
    let same = |at: &usize| !matches!(at, 10 | 11) && (*at != 6 || bytes[6] & 0x80 == 0);
    assert!((0..packet.header_len()).filter(same).all(|at| out[at] == bytes[at]));
    assert!(
        Ipv4::parse(&[&out[..packet.header_len()], packet.payload()].concat()).is_ok_and(|again| again.checksum_ok())
    );
    options(packet.options_bytes());
    change_header(packet);
    match packet.protocol() {
        Protocol::ICMP => icmp(packet.payload()),
        Protocol::UDP => udp(packet.payload()),
        Protocol::TCP => tcp(packet.payload()),
        _ => (),
    }
}

/// Setters keep a right checksum right and a wrong one wrong.
fn change_header(packet: Ipv4<'_>) {
    let mut header = packet.header().to_vec();
    let Ok(mut view) = Ipv4Mut::parse(&mut header) else { panic!("accepted to be read, refused to be changed") };
    assert_eq!(view.decrement_ttl(), packet.ttl().saturating_sub(1));
    view.set_destination(packet.source());
    view.set_source(packet.destination());
    view.set_tos(!packet.tos());
    assert_eq!(checksum::verify(&header), packet.checksum_ok());
}

/// The options of an IPv4 header.
pub fn options(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(OPTIONS_LEN_MAX)];
    let (mut options, mut at) = (Options::new(bytes), 0);
    while let Some(option) = options.next() {
        match option {
            Ok(option) => {
                let mut out = [0; OPTIONS_LEN_MAX];
                let len = option.emit(&mut out);
                assert_eq!(out[..len], bytes[at..at + len]);
                at += len;
            }
            Err(reason) => assert_eq!((reason, options.next()), (Malformed::BadOption, None)),
        }
        assert_eq!(options.position(), at);
    }
    assert!(at <= bytes.len());
}

/// An ICMP message; quoted packets are read too.
pub fn icmp(bytes: &[u8]) {
    let Ok(icmp) = Icmp::parse(bytes) else { return };
    let mut out = vec![0; bytes.len()];
    let len = icmp.message().emit(&mut out);
    assert!((8..=bytes.len()).contains(&len));
    assert!(Icmp::parse(&out[..len]).is_ok_and(|again| again.message() == icmp.message() && again.checksum_ok()));
    if let Message::Unreachable { quote, .. } | Message::TimeExceeded { quote, .. } = icmp.message() {
        let _ = Ipv4::parse(quote);
    }
}

/// A UDP datagram.
pub fn udp(bytes: &[u8]) {
    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    let Ok(udp) = Udp::parse(bytes) else { return };
    assert_eq!(udp.payload().len() + udp::LEN, udp.length().into());
    let _ = udp.verify(A, A);
    let mut out = vec![0; udp.length().into()];
    let header = udp::Header { source_port: udp.source_port(), destination_port: udp.destination_port() };
    assert_eq!(header.emit(udp.payload().len(), &mut out), udp::LEN);
    out[udp::LEN..].copy_from_slice(udp.payload());
    udp::fill_checksum(A, A, &mut out);
    assert!(Udp::parse(&out).is_ok_and(|again| again.verify(A, A) == Some(Verdict::Good)));
    assert_eq!(out[..6], bytes[..6]);
}

/// A TCP segment and its options.
pub fn tcp(bytes: &[u8]) {
    let Ok(tcp) = Tcp::parse(bytes) else { return };
    assert_eq!(tcp.header_len() + tcp.payload().len(), bytes.len());
    let mut walk = tcp.walk_options();
    assert!(walk.by_ref().count() <= tcp_options::LEN_MAX);
    assert!(tcp.options_bytes().ends_with(walk.rest()));
    let header = tcp::Header {
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        seq: tcp.seq(),
        ack: tcp.ack(),
        flags: tcp.flags(),
        window: tcp.window(),
        urgent: tcp.urgent(),
        options: tcp.options(),
    };
    let mut out = [0; tcp::HEADER_LEN_MAX];
    let len = header.emit(&mut out);
    if len == 0 {
        // Options packed without padding may not fit with it.
        return assert!(header.options.len() > tcp_options::LEN_MAX);
    }
    let mut out = [&out[..len], tcp.payload()].concat();
    let pseudo = Sum::pseudo_header(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Protocol::TCP.0, out.len() as u16);
    tcp::fill_checksum(pseudo, &mut out);
    let Ok(again) = Tcp::parse(&out) else { panic!("written, and refused to be read") };
    assert_eq!(again.verify(pseudo), Verdict::Good);
    assert_eq!((again.options(), again.payload()), (header.options, tcp.payload()));
    // The offset changes with the padding, the checksum with everything.
    let same = |at: &usize| !matches!(at, 12 | 16 | 17);
    assert!((0..tcp::LEN).filter(same).all(|at| out[at] == bytes[at]));
}

/// Sums in pieces: the first byte says where to cut.
pub fn checksum(bytes: &[u8]) {
    let Some((cut, data)) = bytes.split_first() else { return };
    let (a, b) = data.split_at(usize::from(*cut).min(data.len()));
    let whole = Sum::new().append(data).fold();
    assert_eq!(Sum::new().append(a).append(b).fold(), whole);
    assert_eq!(Sum::new().append(a).join(Sum::new().append(b)).fold(), whole);
    assert_eq!(reference(data), whole);
}

/// RFC 1071 section 4.1.
fn reference(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u64 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
