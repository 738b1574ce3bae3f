//! A received segment as the connection sees it: checked, copied out of the header once.

use super::flow::Flow;
use super::seq::SeqNum;
use crate::ip::Packet;
use crate::wire::ipv4::ECN_MASK;
use crate::wire::tcp::{Flags, Tcp};
use crate::wire::tcp_options::{SackBlocks, Timestamps};
use std::net::SocketAddrV4;

/// What a segment says. Its payload stays in the frame; Fast Open's option, too.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Between whom; `local` is the destination.
    pub flow: Flow,
    /// `SEG.SEQ`.
    pub seq: SeqNum,
    /// `SEG.ACK`; counts while the ACK flag is set.
    pub ack: SeqNum,
    /// Its control bits.
    pub flags: Flags,
    /// `SEG.WND` as it stands in the header.
    pub window: u16,
    /// `SEG.UP` as it stands in the header.
    pub urgent: u16,
    /// Data bytes.
    pub len: u32,
    /// Where in the frame (from the IP header on) the TCP header stands, and its bytes, options included; data follows.
    pub(in crate::tcp) header: (u16, u16),
    /// The timestamps, if it carries them.
    pub timestamps: Option<Timestamps>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// The IP header says that the network is congested (CE, RFC 3168).
    pub congestion_experienced: bool,
    /// The IP header says that the sender is capable of ECN.
    pub ecn_capable: bool,
    /// Type of service, for answers without a socket.
    pub tos: u8,
}

/// A segment and the packet that holds its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// What it says.
    pub segment: &'a Segment,
    /// Where its options and its data are.
    pub packet: &'a Packet,
}

impl<'a> Incoming<'a> {
    /// The bytes of its TCP header.
    pub fn header(self) -> &'a [u8] {
        self.segment.header_in(self.packet)
    }

    /// The bytes of its data.
    pub fn payload(self) -> &'a [u8] {
        self.segment.payload_in(self.packet)
    }
}

/// Congestion experienced (RFC 3168 section 5).
const ECN_CE: u8 = 3;

impl Segment {
    /// Of the header in `packet`, which `tcp_v4_rcv` has checked.
    #[inline(always)] // it is large, and made where it is used
    pub fn new(packet: &Packet, tcp: &Tcp<'_>) -> Self {
        match tcp.aligned_timestamps() {
            None if !tcp.options_bytes().is_empty() => Self::with_all_options(packet, tcp),
            timestamps => Self::with(packet, tcp, timestamps, SackBlocks::NONE),
        }
    }

    /// Of a header that carries others than timestamps.
    #[cold]
    fn with_all_options(packet: &Packet, tcp: &Tcp<'_>) -> Self {
        let options = tcp.options();
        Self::with(packet, tcp, options.timestamps, options.sack)
    }

    #[inline(always)] // as above
    fn with(packet: &Packet, tcp: &Tcp<'_>, timestamps: Option<Timestamps>, sack: SackBlocks) -> Self {
        let (start, tos) = (packet.header_len, packet.tos);
        let (header_len, len) = (tcp.header_len(), tcp.payload().len());
        Self {
            flow: Flow {
                local: SocketAddrV4::new(packet.destination, tcp.destination_port()),
                remote: SocketAddrV4::new(packet.source, tcp.source_port()),
            },
            seq: SeqNum::new(tcp.seq()),
            ack: SeqNum::new(tcp.ack()),
            flags: tcp.flags(),
            window: tcp.window(),
            urgent: tcp.urgent(),
            len: len as u32,
            header: (start.into(), header_len as u16),
            timestamps,
            sack,
            congestion_experienced: tos & ECN_MASK == ECN_CE,
            ecn_capable: tos & ECN_MASK != 0,
            tos,
        }
    }

    /// The bytes of its TCP header, in the packet that holds it.
    pub fn header_in<'a>(&self, packet: &'a Packet) -> &'a [u8] {
        let (start, len) = (usize::from(self.header.0), usize::from(self.header.1));
        packet.frame.bytes().get(start..start + len).unwrap_or_default()
    }

    /// The bytes of its data, in the packet that holds it.
    #[inline]
    pub fn payload_in<'a>(&self, packet: &'a Packet) -> &'a [u8] {
        let start = usize::from(self.header.0) + usize::from(self.header.1);
        packet.frame.bytes().get(start..start + self.len as usize).unwrap_or_default()
    }

    /// One behind its last sequence number: SYN and FIN count one each.
    #[inline]
    pub fn end(&self) -> SeqNum {
        self.seq + self.len + self.flags.sequence_len()
    }

    /// One behind its last data byte.
    #[inline]
    pub fn data_end(&self) -> SeqNum {
        self.seq + u32::from(self.flags.contains(Flags::SYN)) + self.len
    }
}
