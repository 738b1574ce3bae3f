//! The UDP header (RFC 768; RFC 1122 section 4.1.3.4 for checksums).
//!
//! ```text
//!  0             2                  4        6          8
//!  | source port | destination port | length | checksum | payload
//! ```

use super::checksum::{Sum, Verdict};
use super::ipv4::Protocol;
use super::{Malformed, be16};
use std::net::Ipv4Addr;

/// Bytes of the header.
pub const LEN: usize = 8;

/// A view of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    header: &'a [u8; LEN],
    datagram: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Udp<'a> {
    /// Reads a datagram from a packet's payload. Bytes beyond its length are left out.
    ///
    /// # Errors
    /// If the header is not whole, or the length is below 8 or beyond the packet.
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, Malformed> {
        let header = packet.first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        let datagram = packet.get(..be16(header, 4).into()).ok_or(Malformed::BadUdpLength)?;
        let payload = datagram.get(LEN..).ok_or(Malformed::BadUdpLength)?;
        Ok(Self { header, datagram, payload })
    }

    /// The sender's port; 0 if no answer is expected.
    #[inline]
    pub fn source_port(&self) -> u16 {
        be16(self.header, 0)
    }

    /// The receiver's port.
    #[inline]
    pub fn destination_port(&self) -> u16 {
        be16(self.header, 2)
    }

    /// Bytes of header and payload.
    #[inline]
    pub fn length(&self) -> u16 {
        be16(self.header, 4)
    }

    /// The checksum field; 0 if there is none.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, 6)
    }

    /// What the datagram carries.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Checks the checksum for a packet from `source` to `destination`; `None` if the sender computed none (zero), which
    /// RFC 768 allows.
    #[inline]
    pub fn verify(&self, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Verdict> {
        if self.checksum() == 0 {
            return None;
        }
        let pseudo = Sum::pseudo_header(source, destination, Protocol::UDP.0, self.length());
        Some(Verdict::of(pseudo, self.datagram, self.checksum()))
    }
}

/// A header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
}

impl Header {
    /// Writes the header, without a checksum, to the front of `out`; answers [`LEN`]. 0, with nothing written, if it
    /// does not fit or the datagram exceeds 65,535 bytes.
    #[inline]
    pub fn emit(&self, payload_len: usize, out: &mut [u8]) -> usize {
        let Ok(length) = u16::try_from(LEN + payload_len) else { return 0 };
        let Some(out) = out.first_chunk_mut::<LEN>() else { return 0 };
        out[..2].copy_from_slice(&self.source_port.to_be_bytes());
        out[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        out[4..6].copy_from_slice(&length.to_be_bytes());
        out[6..].copy_from_slice(&[0, 0]);
        LEN
    }
}

/// Computes the checksum of `datagram` (header and payload, nothing behind them). A sum of zero is sent as 0xffff,
/// because zero means that there is none. Too short a datagram is left alone.
#[inline]
pub fn fill_checksum(source: Ipv4Addr, destination: Ipv4Addr, datagram: &mut [u8]) {
    let Ok(length) = u16::try_from(datagram.len()) else { return };
    let Some(header) = datagram.first_chunk_mut::<LEN>() else { return };
    header[6..].copy_from_slice(&[0, 0]);
    let sum = Sum::pseudo_header(source, destination, Protocol::UDP.0, length).append(datagram).checksum();
    let sum = if sum == 0 { 0xffff } else { sum };
    if let Some(header) = datagram.first_chunk_mut::<LEN>() {
        header[6..].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const B: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

    fn datagram(header: Header, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xee; LEN];
        assert_eq!(header.emit(payload.len(), &mut bytes), LEN);
        bytes.extend(payload);
        bytes
    }

    proptest! {
        #[test]
        fn parse_of_emit_is_the_identity(
            source_port: u16, destination_port: u16, payload in vec(any::<u8>(), 0..300), behind in 0..20usize
        ) {
            let mut bytes = datagram(Header { source_port, destination_port }, &payload);
            prop_assert_eq!(Udp::parse(&bytes).unwrap().verify(A, B), None);
            fill_checksum(A, B, &mut bytes);
            bytes.resize(bytes.len() + behind, 0xaa);
            let read = Udp::parse(&bytes).unwrap();
            prop_assert_eq!((read.source_port(), read.destination_port()), (source_port, destination_port));
            prop_assert_eq!(read.payload(), &payload[..]);
            prop_assert_eq!(usize::from(read.length()), LEN + payload.len());
            prop_assert_eq!(read.verify(A, B), Some(Verdict::Good));
            prop_assert_ne!(read.verify(A, A), Some(Verdict::Good));
        }

        #[test]
        fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..40)) {
            let _ = Udp::parse(&bytes).map(|udp| udp.verify(A, B));
        }
    }

    #[test]
    fn an_unfinished_checksum_is_recognised() {
        let mut bytes = datagram(Header { source_port: 7, destination_port: 9 }, b"left to hardware");
        let pseudo = Sum::pseudo_header(A, B, 17, bytes.len() as u16).fold();
        bytes[6..8].copy_from_slice(&pseudo.to_be_bytes());
        assert_eq!(Udp::parse(&bytes).unwrap().verify(A, B), Some(Verdict::PseudoOnly));
        assert_eq!(Udp::parse(&bytes).unwrap().verify(B, B), Some(Verdict::Bad));
    }

    #[test]
    fn a_sum_of_zero_is_sent_as_all_ones() {
        let mut bytes = datagram(Header { source_port: 0, destination_port: 0 }, &[0, 0]);
        let sum = Sum::pseudo_header(A, B, 17, 10).append(&bytes).fold();
        bytes[8..].copy_from_slice(&(!sum).to_be_bytes());
        fill_checksum(A, B, &mut bytes);
        assert_eq!(Udp::parse(&bytes).unwrap().checksum(), 0xffff);
        assert_eq!(Udp::parse(&bytes).unwrap().verify(A, B), Some(Verdict::Good));
    }

    #[test]
    fn lengths_are_checked() {
        let good = datagram(Header { source_port: 1, destination_port: 2 }, b"abc");
        for length in [0, 7, 12, 0xffffu16] {
            let mut bytes = good.clone();
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
            assert_eq!(Udp::parse(&bytes).unwrap_err(), Malformed::BadUdpLength, "{length}");
        }
        assert_eq!(Udp::parse(&good[..7]).unwrap_err(), Malformed::Truncated);
        let mut out = [0; LEN];
        assert_eq!(Header { source_port: 1, destination_port: 2 }.emit(65_528, &mut out), 0);
    }
}
