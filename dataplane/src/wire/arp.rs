//! ARP for IPv4 over Ethernet (RFC 826).
//!
//! ```text
//!  0               2               4       5       6
//!  | hardware = 1  | proto = 0800  | 6     | 4     | operation     |
//!  | sender MAC (8..14) | sender IP (14..18) | target MAC (18..24) | target IP (24..28) |
//! ```

use super::{MacAddr, Malformed, address, be16, mac};
use std::net::Ipv4Addr;

/// Bytes of a message.
pub const LEN: usize = 28;

/// Hardware type, protocol type and address lengths: the same in every message we accept.
const FORMAT: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// What the message asks or tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
    /// Reverse ARP and other operations that xmit does not speak.
    Other(u16),
}

impl Operation {
    const fn from_wire(code: u16) -> Self {
        match code {
            1 => Self::Request,
            2 => Self::Reply,
            other => Self::Other(other),
        }
    }

    const fn to_wire(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Other(other) => other,
        }
    }
}

/// A view of a message.
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a>(&'a [u8; LEN]);

impl<'a> Arp<'a> {
    /// Reads a message; bytes behind it (padding) are ignored.
    ///
    /// # Errors
    /// If it is too short, or not about IPv4 over Ethernet.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = bytes.first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        match *bytes {
            [0, 1, 0x08, 0x00, 6, 4, ..] => Ok(Self(bytes)),
            [0, 1, 0x08, 0x00, ..] => Err(Malformed::BadAddressLength),
            [0, 1, ..] => Err(Malformed::BadProtocolType),
            _ => Err(Malformed::BadHardwareType),
        }
    }

    /// What it asks or tells.
    #[inline]
    pub fn operation(&self) -> Operation {
        Operation::from_wire(be16(self.0, 6))
    }

    /// The link address of the sender.
    #[inline]
    pub fn sender_mac(&self) -> MacAddr {
        mac(self.0, 8)
    }

    /// The IPv4 address of the sender; 0.0.0.0 in a probe (RFC 5227).
    #[inline]
    pub fn sender_ip(&self) -> Ipv4Addr {
        address(self.0, 14)
    }

    /// The link address of the target: meaningless in a request.
    #[inline]
    pub fn target_mac(&self) -> MacAddr {
        mac(self.0, 18)
    }

    /// The IPv4 address that is asked for.
    #[inline]
    pub fn target_ip(&self) -> Ipv4Addr {
        address(self.0, 24)
    }

    /// All fields.
    pub fn message(&self) -> Message {
        Message {
            operation: self.operation(),
            sender_mac: self.sender_mac(),
            sender_ip: self.sender_ip(),
            target_mac: self.target_mac(),
            target_ip: self.target_ip(),
        }
    }
}

/// A message to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it asks or tells.
    pub operation: Operation,
    /// The link address of the sender.
    pub sender_mac: MacAddr,
    /// The IPv4 address of the sender.
    pub sender_ip: Ipv4Addr,
    /// The link address of the target: zero in a request.
    pub target_mac: MacAddr,
    /// The IPv4 address that is asked for.
    pub target_ip: Ipv4Addr,
}

impl Message {
    /// Writes the message to the front of `out`; answers [`LEN`], 0 if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<LEN>() else { return 0 };
        out[..6].copy_from_slice(&FORMAT);
        out[6..8].copy_from_slice(&self.operation.to_wire().to_be_bytes());
        out[8..14].copy_from_slice(&self.sender_mac.0);
        out[14..18].copy_from_slice(&self.sender_ip.octets());
        out[18..24].copy_from_slice(&self.target_mac.0);
        out[24..].copy_from_slice(&self.target_ip.octets());
        LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_the_identity(code: u16, sender: ([u8; 6], u32), target: ([u8; 6], u32)) {
            let message = Message {
                operation: Operation::from_wire(code),
                sender_mac: MacAddr(sender.0),
                sender_ip: sender.1.into(),
                target_mac: MacAddr(target.0),
                target_ip: target.1.into(),
            };
            let mut bytes = [0xee; 60];
            prop_assert_eq!(message.emit(&mut bytes), LEN);
            prop_assert_eq!(Arp::parse(&bytes).unwrap().message(), message);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Arp::parse(&bytes);
        }
    }

    #[test]
    fn each_foreign_format_has_its_name() {
        let good = {
            let mut bytes = [0; LEN];
            bytes[..6].copy_from_slice(&FORMAT);
            bytes
        };
        let expected = [
            Malformed::BadHardwareType,
            Malformed::BadHardwareType,
            Malformed::BadProtocolType,
            Malformed::BadProtocolType,
            Malformed::BadAddressLength,
            Malformed::BadAddressLength,
        ];
        for (at, reason) in expected.into_iter().enumerate() {
            let mut bytes = good;
            bytes[at] ^= 0x10;
            assert_eq!(Arp::parse(&bytes).unwrap_err(), reason, "byte {at}");
        }
        assert_eq!(Arp::parse(&good[..27]).unwrap_err(), Malformed::Truncated);
        assert_eq!(Arp::parse(&good).unwrap().operation(), Operation::Other(0));
    }
}
