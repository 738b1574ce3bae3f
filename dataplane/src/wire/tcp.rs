//! The TCP header (RFC 9293 section 3.1; RFC 3168 for ECE and CWR, RFC 9768 for AE).
//!
//! ```text
//!  0             2                  4
//!  | source port | destination port | sequence number   |
//!  8                                12
//!  | acknowledgment number          | offset (4) reserved (3) flags (9) | window |
//!  16            18                 20
//!  | checksum    | urgent pointer   | options .. | payload ..
//! ```
//!
//! Sequence numbers are plain here; `tcp::seq` gives them their arithmetic. The pseudo-header is an argument as a sum,
//! so that nothing here knows the address family.

use super::checksum::{Sum, Verdict};
use super::tcp_options::{self, Options, TIMESTAMPS_LEN, Timestamps, Walk};
use super::{Malformed, be16, be32};
use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// Bytes of the header without options.
pub const LEN: usize = 20;

/// The most bytes of a header with its options.
pub const HEADER_LEN_MAX: usize = LEN + tcp_options::LEN_MAX;

/// The control bits, reserved ones included, as they stand in the low twelve bits of their word.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// None.
    pub const NONE: Self = Self(0);
    /// The sender is done sending.
    pub const FIN: Self = Self(0x001);
    /// Synchronises sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Resets the connection.
    pub const RST: Self = Self(0x004);
    /// Do not hold the data back.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x020);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768); the nonce sum of RFC 3540 before.
    pub const AE: Self = Self(0x100);

    /// Of the low twelve bits of `bits`.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x0fff)
    }

    /// The twelve bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// True if all of `others` are set.
    #[inline]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// True if any of `others` is set.
    #[inline]
    pub const fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// These flags but `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Sequence numbers that SYN and FIN use up: 0 to 2.
    #[inline]
    pub const fn sequence_len(self) -> u32 {
        (self.0 & 1) as u32 + (self.0 >> 1 & 1) as u32
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, others: Self) {
        self.0 |= others.0;
    }
}

/// Names and letters as tcpdump prints them: `S`, `.` for ACK, `E`, `W`, `e` for AE; reserved bits in hexadecimal.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in "FSRP.UEWe".chars().enumerate() {
            if self.0 >> bit & 1 == 1 {
                write!(f, "{letter}")?;
            }
        }
        match self.0 >> 9 {
            0 if self.0 == 0 => f.write_str("none"),
            0 => Ok(()),
            reserved => write!(f, "+{reserved:x}"),
        }
    }
}

/// A view of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    header: &'a [u8; LEN],
    segment: &'a [u8],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// Reads a segment from a packet's payload.
    ///
    /// # Errors
    /// If the fixed header is not whole, or the data offset is below 20 bytes or beyond the packet.
    #[inline]
    pub fn parse(segment: &'a [u8]) -> Result<Self, Malformed> {
        let header = segment.first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        let header_len = usize::from(header[12] >> 4) * 4;
        let options = segment.get(LEN..header_len).ok_or(Malformed::BadTcpHeaderLength)?;
        let payload = segment.get(header_len..).ok_or(Malformed::BadTcpHeaderLength)?;
        Ok(Self { header, segment, options, payload })
    }

    /// The sender's port.
    #[inline]
    pub fn source_port(&self) -> u16 {
        be16(self.header, 0)
    }

    /// The receiver's port.
    #[inline]
    pub fn destination_port(&self) -> u16 {
        be16(self.header, 2)
    }

    /// The sequence number of the first byte, or of the SYN.
    #[inline]
    pub fn seq(&self) -> u32 {
        be32(self.header, 4)
    }

    /// The next sequence number the sender expects; counts with [`Flags::ACK`] only.
    #[inline]
    pub fn ack(&self) -> u32 {
        be32(self.header, 8)
    }

    /// Bytes of the header and its options.
    #[inline]
    pub fn header_len(&self) -> usize {
        LEN + self.options.len()
    }

    /// The control bits.
    #[inline]
    pub fn flags(&self) -> Flags {
        Flags::from_bits(be16(self.header, 12))
    }

    /// The data offset, reserved bits and flags in one word: what header prediction compares.
    #[inline]
    pub fn offset_and_flags(&self) -> u16 {
        be16(self.header, 12)
    }

    /// The window as it stands on the wire.
    #[inline]
    pub fn window(&self) -> u16 {
        be16(self.header, 14)
    }

    /// The checksum field.
    #[inline]
    pub fn checksum(&self) -> u16 {
        be16(self.header, 16)
    }

    /// Where urgent data ends, from the sequence number; counts with [`Flags::URG`] only.
    #[inline]
    pub fn urgent(&self) -> u16 {
        be16(self.header, 18)
    }

    /// The bytes of the options.
    #[inline]
    pub fn options_bytes(&self) -> &'a [u8] {
        self.options
    }

    /// The options, one by one.
    #[inline]
    pub fn walk_options(&self) -> Walk<'a> {
        Walk::new(self.options)
    }

    /// The options, each once.
    #[inline]
    pub fn options(&self) -> Options<'a> {
        Options::parse(self.options)
    }

    /// The timestamps, if they are the only option and stand where Linux puts them: so in nearly every segment of an established
    /// connection (`tcp_parse_aligned_timestamp`).
    #[inline]
    pub fn aligned_timestamps(&self) -> Option<Timestamps> {
        tcp_options::aligned_timestamps(self.options)
    }

    /// What the segment carries.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Sequence numbers that the segment takes (`SEG.LEN`): its bytes, its SYN and its FIN.
    #[inline]
    pub fn sequence_len(&self) -> u32 {
        self.payload.len() as u32 + self.flags().sequence_len()
    }

    /// Checks the checksum; `pseudo` is the sum of the pseudo-header, the segment's length included.
    #[inline]
    pub fn verify(&self, pseudo: Sum) -> Verdict {
        Verdict::of(pseudo, self.segment, self.checksum())
    }
}

/// A header to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The sequence number.
    pub seq: u32,
    /// The acknowledgment number; 0 without [`Flags::ACK`].
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window as it stands on the wire.
    pub window: u16,
    /// The urgent pointer; 0 without [`Flags::URG`].
    pub urgent: u16,
    /// The options, laid out as Linux does.
    pub options: Options<'a>,
}

impl Header<'_> {
    /// Bytes of the header and its options.
    #[inline]
    pub fn len(&self) -> usize {
        LEN + self.options.len()
    }

    /// Never: a header has its fixed part.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the header, without a checksum, to the front of `out`; answers its length. 0, with nothing written, if
    /// it does not fit or the options exceed what a header holds.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let len = self.len();
        let fits = len <= HEADER_LEN_MAX;
        let Some((fixed, options)) = out.get_mut(..len).filter(|_| fits).and_then(|out| out.split_first_chunk_mut())
        else {
            return 0;
        };
        emit_fixed(self.words(len), 0, self.urgent, fixed);
        self.options.emit(options);
        len
    }

    /// The first sixteen bytes of a header that has `len`, as numbers: what follows them is checksum and urgent pointer.
    #[inline(always)] // of a plain header nothing but these fields is made
    fn words(&self, len: usize) -> [u64; 2] {
        let ports = u64::from(self.source_port) << 48 | u64::from(self.destination_port) << 32;
        let word = (len as u16 / 4) << 12 | self.flags.bits();
        [ports | u64::from(self.seq), u64::from(self.ack) << 32 | u64::from(word) << 16 | u64::from(self.window)]
    }
}

/// Writes the fixed part of a header.
#[inline]
fn emit_fixed([first, second]: [u64; 2], checksum: u16, urgent: u16, fixed: &mut [u8; LEN]) {
    fixed[..8].copy_from_slice(&first.to_be_bytes());
    fixed[8..16].copy_from_slice(&second.to_be_bytes());
    fixed[16..].copy_from_slice(&(u32::from(checksum) << 16 | u32::from(urgent)).to_be_bytes());
}

/// The header of nearly every segment of an established connection: no options, or timestamps alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainHeader {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// The sequence number.
    pub seq: u32,
    /// The acknowledgment number.
    pub ack: u32,
    /// The control bits.
    pub flags: Flags,
    /// The window as it stands on the wire.
    pub window: u16,
    /// The two times.
    pub timestamps: Option<Timestamps>,
}

impl PlainHeader {
    /// Bytes of one with or without timestamps.
    #[inline]
    pub const fn len_with(timestamps: bool) -> usize {
        if timestamps { LEN + TIMESTAMPS_LEN } else { LEN }
    }

    /// Writes what [`Header::emit`] would to the front of `segment`, which holds the payload behind it, and the checksum over both;
    /// `pseudo` is the sum of the pseudo-header, and without it the checksum stays zero. False, with nothing written, if it does not fit.
    #[inline]
    pub fn emit(&self, pseudo: Option<Sum>, segment: &mut [u8]) -> bool {
        let len = Self::len_with(self.timestamps.is_some());
        let Some((header, payload)) = segment.split_at_mut_checked(len) else { return false };
        let Some((fixed, options)) = header.split_first_chunk_mut::<LEN>() else { return false };
        let Self { source_port, destination_port, seq, ack, flags, window, .. } = *self;
        let header = Header { source_port, destination_port, seq, ack, flags, window, ..Header::default() };
        let words = header.words(len);
        let mut sum = pseudo.map(|pseudo| words.into_iter().fold(pseudo, Sum::append_u64));
        if let (Some(timestamps), Some(place)) = (self.timestamps, options.first_chunk_mut()) {
            let (kind, values) = timestamps.aligned();
            sum = sum.map(|sum| sum.append_u64(kind.into()).append_u64(values));
            let [a, b, c, d] = kind.to_be_bytes();
            let [e, f, g, h, i, j, k, l] = values.to_be_bytes();
            *place = [a, b, c, d, e, f, g, h, i, j, k, l];
        }
        let checksum = sum.map_or(0, |sum| sum.append(payload).checksum());
        emit_fixed(words, checksum, 0, fixed);
        true
    }
}

/// Computes the checksum of `segment` (header and payload, nothing behind them) over `pseudo`, the sum of its
/// pseudo-header. Too short a segment is left alone.
#[inline]
pub fn fill_checksum(pseudo: Sum, segment: &mut [u8]) {
    let Some(header) = segment.first_chunk_mut::<LEN>() else { return };
    header[16..18].copy_from_slice(&[0, 0]);
    let sum = pseudo.append(segment).checksum();
    if let Some(header) = segment.first_chunk_mut::<LEN>() {
        header[16..18].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
