//! An IPv4 address with the length of its network (RFC 4632).

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// `10.77.0.2/24`: an address and its network, or a network alone when the host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    /// The address, host bits included.
    pub address: Ipv4Addr,
    /// Bits of the network, at most 32.
    pub prefix_len: u8,
}

/// The text is not an address with its network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address with the length of its network: write it like \"10.77.0.2/24\"")]
pub struct BadCidr(String);

impl Cidr {
    /// `0.0.0.0/0`, the destination of the default route.
    pub const DEFAULT: Self = Self { address: Ipv4Addr::UNSPECIFIED, prefix_len: 0 };

    /// The bits of the network, as a mask.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.prefix_len)).unwrap_or(0))
    }

    /// The network: the same with its host bits zero.
    pub fn network(self) -> Self {
        Self { address: self.address & self.mask(), ..self }
    }

    /// The broadcast address of the network; networks of 31 and 32 bits have none (RFC 3021).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        (self.prefix_len < 31).then(|| self.address | !self.mask())
    }

    /// True if `address` is of this network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.network().address
    }

    /// True if some address is of both networks.
    pub fn overlaps(self, other: Self) -> bool {
        if self.prefix_len <= other.prefix_len { self.contains(other.address) } else { other.contains(self.address) }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(text.to_owned());
        let (address, prefix_len) = text.split_once('/').ok_or_else(bad)?;
        let address = address.parse().map_err(|_| bad())?;
        let prefix_len = prefix_len.parse().ok().filter(|len| *len <= 32).ok_or_else(bad)?;
        Ok(Self { address, prefix_len })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn networks() {
        let host = cidr("10.77.3.2/22");
        assert_eq!(host.network(), cidr("10.77.0.0/22"));
        assert_eq!(host.broadcast(), Some(Ipv4Addr::new(10, 77, 3, 255)));
        assert_eq!(cidr("10.0.0.0/31").broadcast(), None);
        assert!(host.contains(Ipv4Addr::new(10, 77, 1, 1)) && !host.contains(Ipv4Addr::new(10, 77, 4, 1)));
        assert!(Cidr::DEFAULT.contains(Ipv4Addr::BROADCAST));
        assert!(cidr("10.0.0.0/8").overlaps(host) && host.overlaps(cidr("10.77.2.0/24")));
        assert!(!host.overlaps(cidr("10.77.4.0/22")));
    }

    #[test]
    fn text_and_value_agree() {
        assert_eq!(cidr("10.77.0.2/24").to_string(), "10.77.0.2/24");
        for bad in ["10.0.0.1", "10.0.0.1/33", "10.0.0/8", "/8", "10.0.0.1/-1", "10.0.0.1/255.0.0.0"] {
            assert_eq!(bad.parse::<Cidr>(), Err(BadCidr(bad.into())));
        }
    }
}
