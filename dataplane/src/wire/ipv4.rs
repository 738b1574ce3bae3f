//! The IPv4 header (RFC 791 section 3.1; type of service as RFC 2474 and RFC 3168 divide it).
//!
//! ```text
//!   0                   1                   2                   3
//!   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!  |Version|  IHL  |    DSCP   |ECN|          Total length         |   0
//!  |        Identification         |0|D|M|    Fragment offset      |   4
//!  |      TTL      |    Protocol   |        Header checksum        |   8
//!  |                        Source address                         |  12
//!  |                      Destination address                      |  16
//!  |                    Options, padded to 4 bytes                 |  20
//! ```
//!
//! `parse` does not verify the checksum: the NIC may have done so ([`Ipv4::checksum_ok`]).

use super::checksum::{Sum, update};
use super::option::{OPTIONS_LEN_MAX, Options};
use super::{Malformed, address, be16, be32};
use std::net::Ipv4Addr;

/// Bytes of a header without options.
pub const LEN: usize = 20;

/// The bits of the type of service that are the ECN field (RFC 3168 section 5; `INET_ECN_MASK`).
pub const ECN_MASK: u8 = 3;

const VERSION_4: u8 = 0x40;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// The fragment offset counts units of eight bytes.
const OFFSET_MASK: u16 = 0x1fff;

/// What the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Internet Control Message Protocol.
    pub const ICMP: Self = Self(1);
    /// Internet Group Management Protocol.
    pub const IGMP: Self = Self(2);
    /// Transmission Control Protocol.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self(17);
}

/// A view of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    fixed: &'a [u8; LEN],
    header: &'a [u8],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// Reads a packet. Bytes beyond its total length are the padding of the link and are left out.
    ///
    /// # Errors
    /// If version, header length or total length contradict each other or the bytes.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let fixed = bytes.first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        let header_len = check_header_len(fixed, bytes.len())?;
        let total_len = usize::from(be16(fixed, 2));
        let packet = bytes.get(..total_len).ok_or(Malformed::BadTotalLength)?;
        let (header, payload) = packet.split_at_checked(header_len).ok_or(Malformed::BadTotalLength)?;
        let options = header.get(LEN..).ok_or(Malformed::BadHeaderLength)?;
        Ok(Self { fixed, header, options, payload })
    }

    /// The type of service byte.
    #[inline]
    pub fn tos(&self) -> u8 {
        self.fixed[1]
    }

    /// Differentiated services code point, 0 to 63.
    #[inline]
    pub fn dscp(&self) -> u8 {
        self.tos() >> 2
    }

    /// Explicit congestion notification, 0 to 3.
    #[inline]
    pub fn ecn(&self) -> u8 {
        self.tos() & ECN_MASK
    }

    /// Bytes of header and payload.
    #[inline]
    pub fn total_len(&self) -> u16 {
        be16(self.fixed, 2)
    }

    /// The number that the fragments of a packet share.
    #[inline]
    pub fn ident(&self) -> u16 {
        be16(self.fixed, 4)
    }

    /// Routers must not fragment it.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        be16(self.fixed, 6) & DONT_FRAGMENT != 0
    }

    /// Not the last fragment.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        be16(self.fixed, 6) & MORE_FRAGMENTS != 0
    }

    /// Where the payload stands in the whole one, in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> u16 {
        (be16(self.fixed, 6) & OFFSET_MASK) << 3
    }

    /// True for any fragment, the first included.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        be16(self.fixed, 6) & (MORE_FRAGMENTS | OFFSET_MASK) != 0
    }

    /// How many more routers it may pass.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.fixed[8]
    }

    /// What the payload is.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.fixed[9])
    }

    /// The checksum field.
    #[inline]
    pub fn header_checksum(&self) -> u16 {
        be16(self.fixed, 10)
    }

    /// True if the header is as it was sent.
    #[inline]
    pub fn checksum_ok(&self) -> bool {
        let word = |at| u64::from(be32(self.fixed, at));
        let sum =
            Sum::new().append_u64(word(0) << 32 | word(4)).append_u64(word(8) << 32 | word(12)).append_u64(word(16));
        let sum = if self.options.is_empty() { sum } else { sum.append(self.options) };
        sum.fold() == 0xffff
    }

    /// The sender.
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        address(self.fixed, 12)
    }

    /// The receiver.
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        address(self.fixed, 16)
    }

    /// Bytes of the header, options included.
    #[inline]
    pub fn header_len(&self) -> usize {
        self.header.len()
    }

    /// The header's bytes, options included.
    #[inline]
    pub fn header(&self) -> &'a [u8] {
        self.header
    }

    /// The options, one by one.
    #[inline]
    pub fn options(&self) -> Options<'a> {
        Options::new(self.options)
    }

    /// The options as bytes, padding included.
    #[inline]
    pub fn options_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// What the packet carries.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The fields as they would be written again.
    pub fn to_header(&self) -> Header<'a> {
        Header {
            tos: self.tos(),
            ident: self.ident(),
            dont_fragment: self.dont_fragment(),
            more_fragments: self.more_fragments(),
            fragment_offset: self.fragment_offset(),
            ttl: self.ttl(),
            protocol: self.protocol(),
            source: self.source(),
            destination: self.destination(),
            options: self.options,
        }
    }
}

/// The header length in bytes, if version and length are possible for a packet of `available` bytes.
#[inline]
fn check_header_len(fixed: &[u8; LEN], available: usize) -> Result<usize, Malformed> {
    if fixed[0] & 0xf0 != VERSION_4 {
        return Err(Malformed::BadVersion);
    }
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < LEN || header_len > available { Err(Malformed::BadHeaderLength) } else { Ok(header_len) }
}

/// A header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'o> {
    /// The type of service byte.
    pub tos: u8,
    /// The number that the fragments of a packet share.
    pub ident: u16,
    /// Routers must not fragment it.
    pub dont_fragment: bool,
    /// Not the last fragment.
    pub more_fragments: bool,
    /// Where the payload stands in the whole one, in bytes: a multiple of eight.
    pub fragment_offset: u16,
    /// How many routers it may pass.
    pub ttl: u8,
    /// What the payload is.
    pub protocol: Protocol,
    /// The sender.
    pub source: Ipv4Addr,
    /// The receiver.
    pub destination: Ipv4Addr,
    /// The options, at most 40 bytes; padded with zeros (end of list) to a multiple of four.
    pub options: &'o [u8],
}

impl Header<'_> {
    /// Of a usual packet: whole, not to be fragmented, of no special service, with the TTL of RFC 1700 and no options.
    pub const fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: Protocol) -> Self {
        Self {
            tos: 0,
            ident: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: 64,
            protocol,
            source,
            destination,
            options: &[],
        }
    }

    /// Bytes of the header.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // a header is never empty
    pub fn len(&self) -> usize {
        LEN + self.options.len().next_multiple_of(4)
    }

    /// Writes the header, checksum included, to the front of `out`; answers its length. 0, with nothing written, if it
    /// does not fit, if the options exceed 40 bytes or the packet 65,535.
    #[inline]
    pub fn emit(&self, payload_len: usize, out: &mut [u8]) -> usize {
        let len = self.len();
        let Ok(total_len) = u16::try_from(len + payload_len) else { return 0 };
        let possible = len <= LEN + OPTIONS_LEN_MAX;
        let Some(out) = out.get_mut(..len).filter(|_| possible) else { return 0 };
        let Some((fixed, options)) = out.split_first_chunk_mut::<LEN>() else { return 0 };
        if !options.is_empty() {
            let (given, padding) = options.split_at_mut(self.options.len());
            given.copy_from_slice(self.options);
            padding.fill(0);
        }
        self.emit_fixed(total_len, Sum::new().append(options), fixed);
        len
    }

    /// The first twenty bytes; `options` is the sum of the options.
    #[inline]
    fn emit_fixed(&self, total_len: u16, options: Sum, fixed: &mut [u8; LEN]) {
        let flags =
            if self.dont_fragment { DONT_FRAGMENT } else { 0 } | if self.more_fragments { MORE_FRAGMENTS } else { 0 };
        let version_and_len = VERSION_4 | (self.len() / 4) as u8;
        let first = u64::from(version_and_len) << 56
            | u64::from(self.tos) << 48
            | u64::from(total_len) << 32
            | u64::from(self.ident) << 16
            | u64::from(flags | self.fragment_offset >> 3);
        let second = u64::from(self.ttl) << 56 | u64::from(self.protocol.0) << 48 | u64::from(u32::from(self.source));
        let destination = u32::from(self.destination);
        let checksum = options.append_u64(first).append_u64(second).append_u64(destination.into()).checksum();
        fixed[..8].copy_from_slice(&first.to_be_bytes());
        fixed[8..16].copy_from_slice(&(second | u64::from(checksum) << 32).to_be_bytes());
        fixed[16..].copy_from_slice(&destination.to_be_bytes());
    }
}

/// A header to be changed in place. Every setter keeps the checksum right if it was right (RFC 1624).
#[derive(Debug)]
pub struct Ipv4Mut<'a> {
    fixed: &'a mut [u8; LEN],
    options: &'a mut [u8],
}

impl<'a> Ipv4Mut<'a> {
    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// If it is not whole, or its version or length is impossible.
    #[inline]
    pub fn parse(bytes: &'a mut [u8]) -> Result<Self, Malformed> {
        let available = bytes.len();
        let (fixed, rest) = bytes.split_first_chunk_mut::<LEN>().ok_or(Malformed::Truncated)?;
        let header_len = check_header_len(fixed, available)?;
        let options = rest.get_mut(..header_len - LEN).ok_or(Malformed::BadHeaderLength)?;
        Ok(Self { fixed, options })
    }

    /// Takes one from the time to live; answers what is left. Zero stays zero: such a packet is not to be sent.
    /// Linux: `ip_decrease_ttl`.
    #[inline]
    pub fn decrement_ttl(&mut self) -> u8 {
        let ttl = self.fixed[8].saturating_sub(1);
        self.set_word(8, u16::from_be_bytes([ttl, self.fixed[9]]));
        ttl
    }

    /// Changes the type of service byte.
    pub fn set_tos(&mut self, tos: u8) {
        self.set_word(0, u16::from_be_bytes([self.fixed[0], tos]));
    }

    /// Changes the identification.
    pub fn set_ident(&mut self, ident: u16) {
        self.set_word(4, ident);
    }

    /// Changes the sender.
    pub fn set_source(&mut self, source: Ipv4Addr) {
        self.set_address(12, source);
    }

    /// Changes the receiver.
    pub fn set_destination(&mut self, destination: Ipv4Addr) {
        self.set_address(16, destination);
    }

    /// The options, to be changed; [`Ipv4Mut::fill_checksum`] afterwards.
    pub fn options_mut(&mut self) -> &mut [u8] {
        self.options
    }

    /// Computes the checksum anew. Linux: `ip_send_check`.
    pub fn fill_checksum(&mut self) {
        self.fixed[10..12].copy_from_slice(&[0, 0]);
        let sum = Sum::new().append(self.fixed).append(self.options).checksum();
        self.fixed[10..12].copy_from_slice(&sum.to_be_bytes());
    }

    fn set_address(&mut self, at: usize, address: Ipv4Addr) {
        let [a, b, c, d] = address.octets();
        self.set_word(at, u16::from_be_bytes([a, b]));
        self.set_word(at + 2, u16::from_be_bytes([c, d]));
    }

    /// Writes one word and corrects the checksum by it.
    #[inline]
    fn set_word(&mut self, at: usize, word: u16) {
        let sum = update(be16(self.fixed, 10), be16(self.fixed, at), word);
        self.fixed[at..at + 2].copy_from_slice(&word.to_be_bytes());
        self.fixed[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
#[path = "ipv4_tests.rs"]
mod tests;
