//! Datagrams as they stand on the wire.

use std::net::SocketAddrV4;
use xmit_dataplane::wire::checksum::{Sum, Verdict};
use xmit_dataplane::wire::compose;
use xmit_dataplane::wire::ipv4::{self, Ipv4, Ipv4Mut, Protocol};
use xmit_dataplane::wire::tcp::{self, Flags, Tcp};
use xmit_dataplane::wire::tcp_options::Options;
use xmit_dataplane::wire::udp::Udp;

/// UDP from `from` to `to`.
pub(crate) fn udp_datagram(from: &str, to: &str, data: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddrV4, SocketAddrV4) = (from.parse().unwrap(), to.parse().unwrap());
    let mut datagram = compose::udp(from, to, data);
    // Four routers stand between.
    let mut view = Ipv4Mut::parse(&mut datagram).unwrap();
    (0..4).for_each(|_| _ = view.decrement_ttl());
    datagram
}

/// An ICMP "port unreachable" about `offender`.
pub(crate) fn port_unreachable(offender: &[u8]) -> Vec<u8> {
    let quoted = Ipv4::parse(offender).unwrap();
    let mut bytes = vec![3, 3, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&offender[..28]);
    let sum = xmit_dataplane::wire::checksum::checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    compose::ipv4(&ipv4::Header::new(quoted.destination(), quoted.source(), Protocol::ICMP), &bytes)
}

/// Source, destination and payload of a UDP datagram.
pub(crate) fn parse_udp(datagram: &[u8]) -> (String, String, Vec<u8>) {
    let ip = Ipv4::parse(datagram).unwrap();
    assert!(ip.checksum_ok());
    let udp = Udp::parse(ip.payload()).unwrap();
    assert_eq!(udp.verify(ip.source(), ip.destination()), Some(Verdict::Good));
    let end = |ip, port| SocketAddrV4::new(ip, port).to_string();
    let ends = (end(ip.source(), udp.source_port()), end(ip.destination(), udp.destination_port()));
    (ends.0, ends.1, udp.payload().to_vec())
}

/// A segment as a peer sees it; sequence numbers are relative to the first ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) flags: String,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) data: Vec<u8>,
}

/// A peer's end of one connection, driven by hand: it counts nothing by itself.
#[derive(Debug)]
pub(crate) struct Peer {
    ours: SocketAddrV4,
    theirs: SocketAddrV4,
    /// The first sequence number of the stack.
    first: u32,
    /// What the next segment announces.
    pub(crate) window: u16,
}

/// Ours; any will do.
const FIRST: u32 = 1_000_000;

impl Peer {
    /// The end `ours` of a connection with the stack's `theirs`.
    pub(crate) fn new(ours: &str, theirs: &str) -> Self {
        Self { ours: ours.parse().unwrap(), theirs: theirs.parse().unwrap(), first: 0, window: 30_000 }
    }

    /// Sends a segment: `S.` is SYN and ACK, `F` FIN, `R` RST, `P` PSH; `seq` and `ack` count from the first numbers.
    pub(crate) fn sends(&self, flags: &str, seq: u32, ack: u32, data: &[u8]) {
        let bits = [
            ('S', Flags::SYN),
            ('F', Flags::FIN),
            ('R', Flags::RST),
            ('P', Flags::PSH),
            ('.', Flags::ACK),
            ('U', Flags::URG),
        ];
        let flag_set = bits.into_iter().filter(|(name, _)| flags.contains(*name)).map(|(_, bit)| bit);
        let syn = flags.contains('S');
        let header = tcp::Header {
            source_port: self.ours.port(),
            destination_port: self.theirs.port(),
            seq: FIRST.wrapping_add(seq),
            ack: if flags.contains('.') { self.first.wrapping_add(ack) } else { 0 },
            flags: Flags::from_bits(flag_set.fold(0, |bits, flag| bits | flag.bits())),
            window: self.window,
            urgent: if flags.contains('U') { data.len() as u16 } else { 0 },
            options: Options { mss: syn.then_some(1000), ..Options::NONE },
        };
        assert_eq!(super::inject(&compose::tcp(*self.ours.ip(), *self.theirs.ip(), &header, data)), 0);
    }

    /// The next segment that left, and when.
    pub(crate) fn hears(&mut self) -> Option<(i64, Segment)> {
        let (time, datagram) = super::collect()?;
        let ip = Ipv4::parse(&datagram).unwrap();
        let tcp = Tcp::parse(ip.payload()).unwrap();
        let pseudo = Sum::pseudo_header(ip.source(), ip.destination(), 6, ip.payload().len() as u16);
        assert_eq!(tcp.verify(pseudo), Verdict::Good);
        assert_eq!((ip.destination(), tcp.destination_port()), (*self.ours.ip(), self.ours.port()));
        let has = |flag| tcp.flags().contains(flag);
        if has(Flags::SYN) {
            self.first = tcp.seq();
            self.theirs = SocketAddrV4::new(ip.source(), tcp.source_port());
        }
        let names = [
            ("S", Flags::SYN),
            ("F", Flags::FIN),
            ("R", Flags::RST),
            ("P", Flags::PSH),
            ("U", Flags::URG),
            (".", Flags::ACK),
        ];
        let flags = names.into_iter().filter(|(_, flag)| has(*flag)).map(|(name, _)| name).collect();
        let ack = if has(Flags::ACK) { tcp.ack().wrapping_sub(FIRST) } else { 0 };
        let (seq, data) = (tcp.seq().wrapping_sub(self.first), tcp.payload().to_vec());
        Some((time, Segment { flags, seq, ack, window: tcp.window(), data }))
    }

    /// The next segment that left, in short: flags, sequence number, acknowledgement, bytes of data.
    pub(crate) fn hears_short(&mut self) -> Option<(String, u32, u32, usize)> {
        self.hears().map(|(_, segment)| (segment.flags, segment.seq, segment.ack, segment.data.len()))
    }

    /// What left must be this.
    pub(crate) fn expects(&mut self, flags: &str, seq: u32, ack: u32, len: usize) {
        assert_eq!(self.hears_short(), Some((flags.to_owned(), seq, ack, len)));
    }

    /// Opens the connection to a listener; the stack's handshake is over afterwards.
    pub(crate) fn connects(&mut self) {
        self.sends("S", 0, 0, b"");
        self.expects("S.", 0, 1, 0);
        self.sends(".", 1, 1, b"");
        assert_eq!(super::collect(), None);
    }
}
