//! The 48-bit link-layer address.

use std::fmt;
use std::str::FromStr;

/// An IEEE 802 MAC address, in the order of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`: not an address of any station.
    pub const ZERO: Self = Self([0; 6]);

    /// True for the address of all stations.
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// True if the group bit (the first bit on the wire) is set: multicast and broadcast.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// True if one station can own it: neither a group address nor all zeros.
    pub fn is_unicast(self) -> bool {
        !self.is_group() && self != Self::ZERO
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text was not six hexadecimal bytes joined by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a MAC address is six hexadecimal bytes joined by colons, such as 02:60:8c:00:00:01")]
pub struct BadMacAddr;

impl FromStr for MacAddr {
    type Err = BadMacAddr;

    fn from_str(text: &str) -> Result<Self, BadMacAddr> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| matches!(p.len(), 1 | 2)).ok_or(BadMacAddr)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| BadMacAddr)?;
        }
        if parts.next().is_some() { Err(BadMacAddr) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let mac = MacAddr([0x02, 0x60, 0x8c, 0, 0, 0x1f]);
        assert_eq!(mac.to_string(), "02:60:8c:00:00:1f");
        assert_eq!("02:60:8c:0:0:1F".parse(), Ok(mac));
        for bad in ["", "02:60", "02:60:8c:00:00:01:02", "02:60:8c:00:00:xx", "02:60:8c:00:00:001"] {
            assert_eq!(bad.parse::<MacAddr>(), Err(BadMacAddr), "{bad}");
        }
    }
}
