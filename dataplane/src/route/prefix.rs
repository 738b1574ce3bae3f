//! An IPv4 address with the length of its network part (RFC 4632 section 3.1).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// `192.0.2.7/24`. The host part is kept, because an interface's address has one; [`Prefix::canonical`] clears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    addr: Ipv4Addr,
    len: u8,
}

impl Prefix {
    /// Every address.
    pub const DEFAULT: Self = Self { addr: Ipv4Addr::UNSPECIFIED, len: 0 };

    /// `None` if `len` is above 32.
    pub const fn new(addr: Ipv4Addr, len: u8) -> Option<Self> {
        if len <= 32 { Some(Self { addr, len }) } else { None }
    }

    /// The one address `addr`.
    pub const fn host(addr: Ipv4Addr) -> Self {
        Self { addr, len: 32 }
    }

    /// The address, host part included.
    pub const fn addr(self) -> Ipv4Addr {
        self.addr
    }

    /// Bits of the network part, 0 to 32.
    #[allow(clippy::len_without_is_empty)] // a prefix is never empty
    pub const fn len(self) -> u8 {
        self.len
    }

    /// The network part as ones.
    pub const fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.mask_bits())
    }

    /// True if `addr` has the same network part.
    #[inline]
    pub const fn contains(self, addr: Ipv4Addr) -> bool {
        (addr.to_bits() ^ self.addr.to_bits()) & self.mask_bits() == 0
    }

    /// True if some address is of both networks.
    pub const fn overlaps(self, other: Self) -> bool {
        if self.len <= other.len { self.contains(other.addr) } else { other.contains(self.addr) }
    }

    /// The same network, the host part zero.
    #[must_use]
    pub const fn canonical(self) -> Self {
        Self { addr: Ipv4Addr::from_bits(self.addr.to_bits() & self.mask_bits()), len: self.len }
    }

    /// True if the host part is zero.
    pub const fn is_canonical(self) -> bool {
        self.addr.to_bits() & !self.mask_bits() == 0
    }

    /// The address of all hosts of the network; `None` for /31 (RFC 3021) and /32, which have none.
    pub const fn broadcast(self) -> Option<Ipv4Addr> {
        if self.len <= 30 { Some(Ipv4Addr::from_bits(self.addr.to_bits() | !self.mask_bits())) } else { None }
    }

    const fn mask_bits(self) -> u32 {
        match u32::MAX.checked_shl(32 - self.len as u32) {
            Some(mask) => mask,
            None => 0,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

/// The text was not an address and a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is an IPv4 address and a length from 0 to 32, such as 192.0.2.0/24")]
pub struct BadPrefix;

impl FromStr for Prefix {
    type Err = BadPrefix;

    /// An address alone is a /32.
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (addr, len) = text.split_once('/').unwrap_or((text, "32"));
        let digits = matches!(len.len(), 1 | 2) && len.bytes().all(|b| b.is_ascii_digit());
        let len = len.parse().ok().filter(|_| digits).ok_or(BadPrefix)?;
        Self::new(addr.parse().map_err(|_| BadPrefix)?, len).ok_or(BadPrefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_value_agree(addr: u32, len in 0..=32u8) {
            let prefix = Prefix::new(addr.into(), len).unwrap();
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }

        #[test]
        fn contains_compares_the_first_bits(a: u32, b: u32, len in 0..=32u8, same in 0..=32u8) {
            // Make the first `same` bits of both equal, otherwise long prefixes would never contain.
            let b = (u64::from(a) >> (32 - same) << (32 - same)) as u32 | (u64::from(b) & ((1 << (32 - same)) - 1)) as u32;
            let prefix = Prefix::new(a.into(), len).unwrap();
            prop_assert_eq!(prefix.contains(b.into()), (a ^ b).leading_zeros() >= len.into());
            prop_assert!(prefix.canonical().is_canonical());
            prop_assert_eq!(prefix.canonical().contains(b.into()), prefix.contains(b.into()));
        }
    }

    #[test]
    fn networks_have_masks_and_broadcasts() {
        let prefix: Prefix = "192.0.2.7/24".parse().unwrap();
        assert_eq!(prefix.canonical().to_string(), "192.0.2.0/24");
        assert_eq!(prefix.mask(), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(prefix.broadcast(), Some(Ipv4Addr::new(192, 0, 2, 255)));
        assert_eq!("192.0.2.7/31".parse::<Prefix>().unwrap().broadcast(), None);
        let net = |text: &str| text.parse::<Prefix>().unwrap();
        assert!(net("192.0.0.0/8").overlaps(prefix) && prefix.overlaps(net("192.0.2.128/25")));
        assert!(!prefix.overlaps(net("192.0.3.0/24")));
        assert_eq!("192.0.2.7".parse::<Prefix>().unwrap().len(), 32);
        for bad in ["", "/24", "192.0.2/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+4", "192.0.2.0/024", "::/0"] {
            assert_eq!(bad.parse::<Prefix>(), Err(BadPrefix), "{bad}");
        }
    }
}
