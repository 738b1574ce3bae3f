//! `[[neighbor]]`: one neighbour that is known without ARP.

use super::from_text;
use serde::Deserialize;
use std::net::Ipv4Addr;
use xmit_nic::MacAddr;

/// `[[neighbor]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbor {
    /// The interface it is on. Required.
    pub interface: String,
    /// Its address. Required.
    pub address: Ipv4Addr,
    /// Its link-layer address. Required.
    #[serde(deserialize_with = "from_text")]
    pub mac: MacAddr,
}
