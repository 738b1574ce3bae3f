//! The options of an IPv4 header (RFC 791 section 3.1, RFC 2113 for router alert).
//!
//! ```text
//!  | copied (1) class (2) number (5) |                                   End (0), Nop (1)
//!  | kind | length | pointer | address | address ...                     the three routes
//!  | kind | length | pointer | overflow (4) flag (4) | data ...          time stamp
//!  | kind | length | data ...                                            everything else
//! ```
//!
//! Length counts from the kind byte; pointer too, beginning at 1, and names the next free place.

use super::Malformed;
use std::net::Ipv4Addr;

/// The most bytes of options that a header holds.
pub const OPTIONS_LEN_MAX: usize = 40;

/// The bit of the kind that asks for a copy in every fragment.
const COPIED: u8 = 0x80;

const END: u8 = 0;
const NOP: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const SECURITY: u8 = 130;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Option<'a> {
    /// The end of the list; padding may follow.
    End,
    /// One byte of padding between options.
    Nop,
    /// Routers write their addresses here.
    RecordRoute(Route<'a>),
    /// The packet visits these addresses, others between them allowed.
    LooseSourceRoute(Route<'a>),
    /// The packet visits these addresses and no others.
    StrictSourceRoute(Route<'a>),
    /// Routers write their time here.
    Timestamp(Timestamp<'a>),
    /// Every router shall look at this packet: the value says why (0).
    RouterAlert(u16),
    /// The security option (RFC 1108), not interpreted.
    Security(&'a [u8]),
    /// Another option, not interpreted.
    Other {
        /// The kind byte, copied bit included.
        kind: u8,
        /// The bytes behind the length.
        data: &'a [u8],
    },
}

/// The body of the three route options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Where the next address is, in bytes from the kind, beginning at 1: at least 4, beyond the option when full.
    pub pointer: u8,
    /// The addresses.
    pub data: &'a [u8],
}

impl Route<'_> {
    /// The address that the pointer names; `None` when the list is used up.
    pub fn next(&self) -> Option<Ipv4Addr> {
        let at = usize::from(self.pointer).checked_sub(4)?;
        self.data.get(at..)?.first_chunk().copied().map(Ipv4Addr::from)
    }
}

/// The body of the time stamp option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp<'a> {
    /// Where the next entry is, in bytes from the kind, beginning at 1: at least 5, beyond the option when full.
    pub pointer: u8,
    /// How many hosts found no room, 0 to 15.
    pub overflow: u8,
    /// 0 times only, 1 with addresses, 3 with addresses that the sender chose.
    pub flag: u8,
    /// The entries.
    pub data: &'a [u8],
}

impl<'a> Ipv4Option<'a> {
    /// The kind byte, copied bit included.
    pub fn kind(&self) -> u8 {
        match self {
            Self::End => END,
            Self::Nop => NOP,
            Self::RecordRoute(_) => RECORD_ROUTE,
            Self::LooseSourceRoute(_) => LOOSE_SOURCE_ROUTE,
            Self::StrictSourceRoute(_) => STRICT_SOURCE_ROUTE,
            Self::Timestamp(_) => TIMESTAMP,
            Self::RouterAlert(_) => ROUTER_ALERT,
            Self::Security(_) => SECURITY,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// True if every fragment carries the option.
    pub fn copied(&self) -> bool {
        self.kind() & COPIED != 0
    }

    /// Bytes of the option in the header.
    #[allow(clippy::len_without_is_empty)] // an option has at least its kind
    pub fn len(&self) -> usize {
        match self {
            Self::End | Self::Nop => 1,
            Self::RecordRoute(route) | Self::LooseSourceRoute(route) | Self::StrictSourceRoute(route) => {
                3 + route.data.len()
            }
            Self::Timestamp(stamp) => 4 + stamp.data.len(),
            Self::RouterAlert(_) => 4,
            Self::Security(data) | Self::Other { data, .. } => 2 + data.len(),
        }
    }

    /// Writes the option to the front of `out`; answers its length, 0 if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let len = self.len();
        let fits = len <= OPTIONS_LEN_MAX;
        let Some(out) = out.get_mut(..len).filter(|_| fits) else { return 0 };
        let alert;
        let (head, data) = match self {
            Self::End | Self::Nop => ([self.kind(), 0, 0, 0], &[][..]),
            Self::RecordRoute(route) | Self::LooseSourceRoute(route) | Self::StrictSourceRoute(route) => {
                ([self.kind(), len as u8, route.pointer, 0], route.data)
            }
            Self::Timestamp(stamp) => {
                ([TIMESTAMP, len as u8, stamp.pointer, (stamp.overflow << 4) | (stamp.flag & 15)], stamp.data)
            }
            Self::RouterAlert(value) => {
                alert = value.to_be_bytes();
                ([ROUTER_ALERT, 4, 0, 0], &alert[..])
            }
            Self::Security(data) | Self::Other { data, .. } => ([self.kind(), len as u8, 0, 0], *data),
        };
        let (front, back) = out.split_at_mut(len - data.len());
        front.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        back.copy_from_slice(data);
        len
    }

    /// Reads the option whose kind byte is the first of `bytes`.
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, bytes) = match *bytes {
            [END, ..] => return Ok(Self::End),
            [NOP, ..] => return Ok(Self::Nop),
            [kind, len, ..] if len >= 2 => (kind, bytes.get(2..len.into()).ok_or(Malformed::BadOption)?),
            _ => return Err(Malformed::BadOption),
        };
        match (kind, bytes) {
            (RECORD_ROUTE, &[pointer @ 4..=u8::MAX, ref data @ ..]) => Ok(Self::RecordRoute(Route { pointer, data })),
            (LOOSE_SOURCE_ROUTE, &[pointer @ 4..=u8::MAX, ref data @ ..]) => {
                Ok(Self::LooseSourceRoute(Route { pointer, data }))
            }
            (STRICT_SOURCE_ROUTE, &[pointer @ 4..=u8::MAX, ref data @ ..]) => {
                Ok(Self::StrictSourceRoute(Route { pointer, data }))
            }
            (TIMESTAMP, &[pointer @ 5..=u8::MAX, counts, ref data @ ..]) => {
                Ok(Self::Timestamp(Timestamp { pointer, overflow: counts >> 4, flag: counts & 15, data }))
            }
            (ROUTER_ALERT, &[high, low]) => Ok(Self::RouterAlert(u16::from_be_bytes([high, low]))),
            (RECORD_ROUTE | LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE | TIMESTAMP | ROUTER_ALERT, _) => {
                Err(Malformed::BadOption)
            }
            (SECURITY, data) => Ok(Self::Security(data)),
            (kind, data) => Ok(Self::Other { kind, data }),
        }
    }
}

/// The options of a header, in order. Ends after [`Ipv4Option::End`], after the last byte, or after the first error.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Options<'a> {
    /// Of the bytes between the fixed header and the payload.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, ended: false }
    }

    /// Where the next option begins, in bytes from the first option. After an error: where the bad one begins, for
    /// the pointer of an ICMP parameter problem.
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<Ipv4Option<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.bytes.get(self.at..).filter(|bytes| !bytes.is_empty() && !self.ended)?;
        let option = Ipv4Option::parse(bytes);
        match &option {
            Ok(option) => {
                self.at += option.len();
                self.ended = *option == Ipv4Option::End;
            }
            Err(_) => self.ended = true,
        }
        Some(option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is accepted is written back byte for byte.
        #[test]
        fn emit_of_parse_is_the_identity(
            kind in prop_oneof![Just(RECORD_ROUTE), Just(TIMESTAMP), Just(LOOSE_SOURCE_ROUTE), Just(STRICT_SOURCE_ROUTE),
                                Just(ROUTER_ALERT), Just(SECURITY), any::<u8>()],
            data in vec(any::<u8>(), 0..=38),
        ) {
            let bytes = [&[kind, data.len() as u8 + 2][..], &data].concat();
            if let Ok(option) = Ipv4Option::parse(&bytes) {
                let mut out = [0; OPTIONS_LEN_MAX];
                prop_assert_eq!(option.emit(&mut out), option.len());
                prop_assert_eq!(&out[..option.len()], &bytes[..option.len()]);
                prop_assert_eq!(option.copied(), kind >= 0x80);
            }
        }

        #[test]
        fn any_bytes_end(bytes in vec(any::<u8>(), 0..=40)) {
            prop_assert!(Options::new(&bytes).count() <= 40);
        }
    }

    #[test]
    fn a_list_is_walked_to_its_end() {
        let bytes = [NOP, RECORD_ROUTE, 7, 4, 0, 0, 0, 0, ROUTER_ALERT, 4, 0, 0, END, 9, 9];
        let list: Vec<_> = Options::new(&bytes).map(Result::unwrap).collect();
        let route = Route { pointer: 4, data: &[0; 4] };
        let expected = [Ipv4Option::Nop, Ipv4Option::RecordRoute(route), Ipv4Option::RouterAlert(0), Ipv4Option::End];
        assert_eq!(list, expected);
        assert_eq!(route.next(), Some(Ipv4Addr::UNSPECIFIED));
        assert_eq!(Route { pointer: 8, ..route }.next(), None);
    }

    #[test]
    fn an_option_may_be_without_data() {
        let list: Vec<_> = Options::new(&[200, 2, NOP, SECURITY, 2]).map(Result::unwrap).collect();
        let expected = [Ipv4Option::Other { kind: 200, data: &[] }, Ipv4Option::Nop, Ipv4Option::Security(&[])];
        assert_eq!(list, expected);
    }

    #[test]
    fn an_error_names_its_place_and_ends_the_list() {
        for bad in
            [[NOP, RECORD_ROUTE, 3, 3], [NOP, TIMESTAMP, 3, 5], [NOP, 200, 1, 0], [NOP, 200, 4, 0], [NOP, NOP, NOP, 7]]
        {
            let mut options = Options::new(&bad);
            let error = options.by_ref().find_map(Result::err);
            assert_eq!(error, Some(Malformed::BadOption), "{bad:?}");
            assert_eq!(options.position(), if bad[1] == NOP { 3 } else { 1 }, "{bad:?}");
            assert!(options.next().is_none());
        }
    }
}
