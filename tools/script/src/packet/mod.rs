//! A packet as a script writes it: only the fields that matter.
//!
//! ```text
//! arp request who-has 10.0.0.2 tell 10.0.0.1          arp reply 10.0.0.2 is-at 02:60:8c:00:00:02 to 10.0.0.1
//! icmp echo request 10.0.0.1 > 10.0.0.2 id 1 seq 1 "abc"
//! icmp port unreachable 10.0.0.2 > 10.0.0.1 quoting udp 10.0.0.1:1000 > 10.0.0.2:7
//! udp 10.0.0.1:1000 > 10.0.0.2:7 "hello" ttl 1 bad checksum
//! tcp 10.0.0.1:1000 > 10.0.0.2:7 S 0:0(0) win 65535 <mss 1460>          (see `tcp`)
//! ip protocol 6 10.0.0.1 > 10.0.0.2 20 bytes           ethernet type 0x86dd 40 bytes        raw 0200...
//! ```
//!
//! A packet that arrives is built from the pattern, with what it does not mention as usual; a packet that leaves is
//! compared with the fields that the pattern mentions. The checksums of everything that leaves are verified always.

mod build;
mod comparable;
mod describe;
mod matching;
mod parse;
mod tcp;
#[cfg(test)]
mod tests;

pub use build::Defaults;
pub use comparable::comparable;
pub use describe::describe;
pub(crate) use describe::describe_in;
pub use matching::{matches, trimmed, verify};
pub(crate) use tcp::timestamp;
pub use tcp::{Opt, Origin, Tcp};

use std::net::Ipv4Addr;
use xmit_nic::MacAddr;

/// A packet with the fields that a script mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// Ethernet.
    pub link: Link,
    /// The IPv4 header, where there is one.
    pub ip: Ip,
    /// What the packet is.
    pub body: Body,
    /// What is wrong with it on purpose.
    pub faults: Faults,
}

/// The Ethernet header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// `eth to`.
    pub to: Option<MacAddr>,
    /// `eth from`.
    pub from: Option<MacAddr>,
    /// `vlan`; on a packet that leaves, `Some(None)` is `untagged`.
    pub vlan: Option<Option<u16>>,
    /// `pcp`: the priority in the tag.
    pub pcp: Option<u8>,
    /// `type`.
    pub ethertype: Option<u16>,
}

/// The IPv4 header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ip {
    /// Left of `>`.
    pub source: Option<Ipv4Addr>,
    /// Right of `>`.
    pub destination: Option<Ipv4Addr>,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// `tos`.
    pub tos: Option<u8>,
    /// `not-ect`, `ect1`, `ect0`, `ce`: the last two bits of the type of service.
    pub ecn: Option<u8>,
    /// `ident`.
    pub ident: Option<u16>,
    /// `df` or `no df`.
    pub df: Option<bool>,
    /// `mf`.
    pub mf: Option<bool>,
    /// `offset`, in bytes.
    pub offset: Option<u16>,
    /// `options` or `no options`.
    pub options: Option<Vec<u8>>,
    /// `length`: the total length field.
    pub length: Option<u16>,
    /// `protocol`.
    pub protocol: Option<u8>,
}

/// What the packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// ARP.
    Arp(Arp),
    /// ICMP.
    Icmp(Icmp),
    /// UDP.
    Udp(Udp),
    /// TCP.
    Tcp(Box<Tcp>),
    /// IPv4 with another payload.
    Ip(Option<Vec<u8>>),
    /// Ethernet with another payload.
    Ethernet(Option<Vec<u8>>),
    /// The whole frame.
    Raw(Vec<u8>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Raw(Vec::new())
    }
}

/// An ARP message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// `tell`, or before `is-at`.
    pub sender_ip: Option<Ipv4Addr>,
    /// Behind `is-at`, or `sender`.
    pub sender_mac: Option<MacAddr>,
    /// `who-has`, or behind `to`.
    pub target_ip: Option<Ipv4Addr>,
    /// `target`.
    pub target_mac: Option<MacAddr>,
}

/// An ICMP message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: Option<u8>,
    /// `id`.
    pub id: Option<u16>,
    /// `seq`.
    pub seq: Option<u16>,
    /// `mtu` of the next hop.
    pub mtu: Option<u16>,
    /// What it carries.
    pub data: Option<Vec<u8>>,
    /// `quoting`: the packet in question.
    pub quote: Option<Box<Pattern>>,
}

/// A UDP datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// Left of `>`.
    pub source: u16,
    /// Right of `>`.
    pub destination: u16,
    /// `udp length`: the length field.
    pub length: Option<u16>,
    /// What it carries.
    pub data: Option<Vec<u8>>,
}

/// What is wrong with an arriving packet on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// `bad ip checksum`.
    pub ip_checksum: bool,
    /// The checksum of UDP or ICMP.
    pub checksum: Checksum,
    /// `byte N = V`: changed behind the Ethernet header, before checksums are computed.
    pub bytes: Vec<(usize, u8)>,
    /// `truncated to N bytes`, Ethernet header included.
    pub cut: Option<usize>,
    /// `padded to N bytes`, Ethernet header included.
    pub pad: Option<usize>,
}

/// The checksum of UDP or ICMP in an arriving packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Right.
    #[default]
    Good,
    /// `bad checksum`.
    Bad,
    /// `no checksum`: zero, which UDP allows.
    Absent,
    /// `unfinished checksum`: the sum of the pseudo-header, as veth peers send it.
    Unfinished,
}
