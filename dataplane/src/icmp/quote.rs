//! The packet that an ICMP error quotes: an IP header and at least eight bytes more (RFC 792).

use crate::wire::ipv4::Protocol;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The sender's view of the quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The protocol it carried.
    pub protocol: Protocol,
    /// Who sent it; the port is that of UDP and TCP.
    pub source: SocketAddrV4,
    /// To whom.
    pub destination: SocketAddrV4,
    /// The four bytes behind the ports: TCP's sequence number.
    pub sequence: u32,
}

impl Quote {
    /// Reads the start of a quoted datagram. Its total length is not compared with what arrived: quotes are cut short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header_len = usize::from(bytes.first()? & 0x0f) * 4;
        if bytes[0] >> 4 != 4 || header_len < 20 {
            return None;
        }
        let address = |at: usize| {
            let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets))
        };
        let ports = bytes.get(header_len..header_len + 8)?;
        let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
        Some(Self {
            protocol: Protocol(*bytes.get(9)?),
            source: SocketAddrV4::new(address(12)?, port(0)),
            destination: SocketAddrV4::new(address(16)?, port(2)),
            sequence: u32::from_be_bytes([ports[4], ports[5], ports[6], ports[7]]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_quotes_are_read_and_broken_ones_refused() {
        let mut bytes = [0; 28];
        bytes[0] = 0x45;
        bytes[3] = 200; // total length, more than is here
        bytes[9] = 17;
        bytes[12..16].copy_from_slice(&[10, 0, 0, 1]);
        bytes[16..20].copy_from_slice(&[10, 0, 0, 2]);
        bytes[20..24].copy_from_slice(&[0x12, 0x34, 0, 53]);
        let quote = Quote::parse(&bytes).unwrap();
        assert_eq!(quote.source, "10.0.0.1:4660".parse().unwrap());
        assert_eq!(quote.destination, "10.0.0.2:53".parse().unwrap());
        for len in 0..bytes.len() {
            assert_eq!(Quote::parse(&bytes[..len]), None, "{len}");
        }
        bytes[0] = 0x44;
        assert_eq!(Quote::parse(&bytes), None);
    }
}
