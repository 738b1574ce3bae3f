//! Ethernet II frames, with at most one 802.1Q tag (IEEE 802.3 clause 3, IEEE 802.1Q clause 9).
//!
//! ```text
//!  0             6        12   14
//!  | destination | source | type | payload                    untagged
//!  | destination | source | 8100 | TCI | type | payload       tagged: TCI = priority (3) DEI (1) VLAN (12)
//! ```
//!
//! The payload keeps the padding of short frames: only the protocol inside knows its length.

use super::{MacAddr, Malformed, be16, mac};
use std::fmt;

/// Bytes of an untagged header.
pub const LEN: usize = 14;
/// Bytes of an 802.1Q tag.
pub const TAG_LEN: usize = 4;
/// Frames below this many bytes (without the checksum) are padded on the wire.
pub const FRAME_LEN_MIN: usize = 60;

/// What the payload is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// Internet Protocol version 4.
    pub const IPV4: Self = Self(0x0800);
    /// Address Resolution Protocol.
    pub const ARP: Self = Self(0x0806);
    /// An 802.1Q tag follows.
    pub const VLAN: Self = Self(0x8100);
    /// Internet Protocol version 6.
    pub const IPV6: Self = Self(0x86dd);

    /// True if the field is an IEEE 802.3 length, not a type: such a frame carries LLC and none of our protocols.
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

impl fmt::Debug for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EtherType({:#06x})", self.0)
    }
}

/// The fields of an 802.1Q tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// Priority code point, 0 to 7.
    pub pcp: u8,
    /// Drop eligible indicator.
    pub dei: bool,
    /// VLAN identifier, 0 (priority only) to 4094.
    pub vid: u16,
}

impl VlanTag {
    const fn from_tci(tci: u16) -> Self {
        Self { pcp: (tci >> 13) as u8, dei: tci & 0x1000 != 0, vid: tci & 0x0fff }
    }

    const fn tci(self) -> u16 {
        ((self.pcp as u16) << 13) | ((self.dei as u16) << 12) | (self.vid & 0x0fff)
    }
}

/// A view of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<'a> {
    addresses: &'a [u8; LEN],
    vlan: Option<VlanTag>,
    ethertype: EtherType,
    payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    /// Reads a frame without its checksum.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if the header or the tag that it announces is not whole.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (addresses, payload) = bytes.split_first_chunk().ok_or(Malformed::Truncated)?;
        let ethertype = EtherType(be16(addresses, 12));
        if ethertype != EtherType::VLAN {
            return Ok(Self { addresses, vlan: None, ethertype, payload });
        }
        let (tag, payload) = payload.split_first_chunk::<TAG_LEN>().ok_or(Malformed::Truncated)?;
        let vlan = Some(VlanTag::from_tci(be16(tag, 0)));
        Ok(Self { addresses, vlan, ethertype: EtherType(be16(tag, 2)), payload })
    }

    /// The station (or group) that it is for.
    #[inline]
    pub fn destination(&self) -> MacAddr {
        mac(self.addresses, 0)
    }

    /// The station that sent it.
    #[inline]
    pub fn source(&self) -> MacAddr {
        mac(self.addresses, 6)
    }

    /// The 802.1Q tag, if there is one.
    #[inline]
    pub fn vlan(&self) -> Option<VlanTag> {
        self.vlan
    }

    /// The type of the payload: the inner one, behind a tag.
    #[inline]
    pub fn ethertype(&self) -> EtherType {
        self.ethertype
    }

    /// Bytes before the payload.
    #[inline]
    pub fn header_len(&self) -> usize {
        if self.vlan.is_some() { LEN + TAG_LEN } else { LEN }
    }

    /// What the frame carries, padding included.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The station (or group) that it is for.
    pub destination: MacAddr,
    /// The station that sends it.
    pub source: MacAddr,
    /// The 802.1Q tag, if any.
    pub vlan: Option<VlanTag>,
    /// The type of the payload.
    pub ethertype: EtherType,
}

impl Header {
    /// Bytes of the header.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // a header is never empty
    pub fn len(&self) -> usize {
        if self.vlan.is_some() { LEN + TAG_LEN } else { LEN }
    }

    /// Writes the header to the front of `out`; answers its length, 0 if it does not fit.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.get_mut(..self.len()) else { return 0 };
        let Some((fixed, tag)) = out.split_first_chunk_mut::<LEN>() else { return 0 };
        fixed[..6].copy_from_slice(&self.destination.0);
        fixed[6..12].copy_from_slice(&self.source.0);
        match (self.vlan, tag.first_chunk_mut::<TAG_LEN>()) {
            (Some(vlan), Some(tag)) => {
                fixed[12..].copy_from_slice(&EtherType::VLAN.0.to_be_bytes());
                tag[..2].copy_from_slice(&vlan.tci().to_be_bytes());
                tag[2..].copy_from_slice(&self.ethertype.0.to_be_bytes());
            }
            _ => fixed[12..].copy_from_slice(&self.ethertype.0.to_be_bytes()),
        }
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vlan() -> impl Strategy<Value = Option<VlanTag>> {
        proptest::option::of((0..8u8, any::<bool>(), 0..4096u16).prop_map(|(pcp, dei, vid)| VlanTag { pcp, dei, vid }))
    }

    proptest! {
        #[test]
        fn parse_of_emit_is_the_identity(
            destination: [u8; 6], source: [u8; 6], vlan in vlan(), kind: u16, payload in proptest::collection::vec(any::<u8>(), 0..64)
        ) {
            // An untagged header whose type announces a tag is no header that anyone may build.
            prop_assume!(vlan.is_some() || kind != EtherType::VLAN.0);
            let header = Header { destination: MacAddr(destination), source: MacAddr(source), vlan, ethertype: EtherType(kind) };
            let mut bytes = vec![0; header.len()];
            prop_assert_eq!(header.emit(&mut bytes), header.len());
            bytes.extend(&payload);
            let frame = Ethernet::parse(&bytes).unwrap();
            let read = Header { destination: frame.destination(), source: frame.source(), vlan: frame.vlan(), ethertype: frame.ethertype() };
            prop_assert_eq!(read, header);
            prop_assert_eq!(frame.payload(), &payload[..]);
            prop_assert_eq!(frame.header_len(), header.len());
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Ethernet::parse(&bytes);
        }
    }

    #[test]
    fn half_a_tag_is_truncated() {
        let mut bytes = [0; 17];
        bytes[12..14].copy_from_slice(&[0x81, 0x00]);
        assert_eq!(Ethernet::parse(&bytes).unwrap_err(), Malformed::Truncated);
        assert_eq!(Ethernet::parse(&bytes[..13]).unwrap_err(), Malformed::Truncated);
    }

    #[test]
    fn a_short_buffer_is_left_alone() {
        let header = Header {
            destination: MacAddr::BROADCAST,
            source: MacAddr::ZERO,
            vlan: Some(VlanTag::default()),
            ethertype: EtherType::ARP,
        };
        let mut out = [7; 17];
        assert_eq!((header.emit(&mut out), out), (0, [7; 17]));
    }
}
