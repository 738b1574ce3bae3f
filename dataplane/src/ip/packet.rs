//! A received datagram whose header was checked.

use crate::route::InterfaceId;
use crate::wire::ipv4::Protocol;
use std::net::Ipv4Addr;
use xmit_nic::Frame;

/// To how many a packet was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// To one host.
    Unicast,
    /// To all on the link, by IP or by link address.
    Broadcast,
    /// To a group.
    Multicast,
}

/// A datagram that passed `ip_rcv`. The frame starts with the IP header and ends with the datagram.
#[derive(Debug)]
pub struct Packet {
    /// Holds the datagram.
    pub frame: Frame,
    /// Where it came in.
    pub input: InterfaceId,
    /// It never left this host.
    pub looped: bool,
    /// To how many it was sent.
    pub cast: Cast,
    /// Who sent it.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
    /// What it carries.
    pub protocol: Protocol,
    /// Type of service.
    pub tos: u8,
    /// Hops left when it arrived.
    pub ttl: u8,
    /// Bytes of IP header, options included.
    pub header_len: u8,
}

impl Packet {
    /// What follows the IP header.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.frame.bytes().get(usize::from(self.header_len)..).unwrap_or_default()
    }

    /// The whole datagram.
    pub fn datagram(&self) -> &[u8] {
        self.frame.bytes()
    }
}
