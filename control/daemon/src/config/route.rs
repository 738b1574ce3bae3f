//! `[[route]]`: one route beside those that follow from addresses and gateways.

use super::cidr;
use serde::Deserialize;
use std::net::Ipv4Addr;
use xmit_dataplane::route::Prefix;

/// `[[route]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The network, such as `"192.168.0.0/16"`; `"0.0.0.0/0"` is the default route. Required.
    #[serde(deserialize_with = "cidr::one")]
    pub destination: Prefix,
    /// The next hop, a neighbour. Absent: the destination is on the link itself.
    #[serde(default)]
    pub via: Option<Ipv4Addr>,
    /// The interface. Default: the one whose network `via` is of.
    #[serde(default)]
    pub interface: Option<String>,
    /// The source address of packets whose socket has none. Default: the interface's first of the next hop's network.
    #[serde(default)]
    pub source: Option<Ipv4Addr>,
    /// Smaller wins between routes to the same network. Default 0.
    #[serde(default)]
    pub metric: u32,
    /// The largest datagram on this route in bytes. Default: the interface's.
    #[serde(default)]
    pub mtu: Option<u16>,
}
