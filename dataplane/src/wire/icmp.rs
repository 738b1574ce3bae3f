//! ICMP messages (RFC 792; RFC 950 address masks; RFC 1191 section 4 for the next hop's MTU).
//!
//! ```text
//!  0      1      2          4                    8
//!  | kind | code | checksum | depends on kind    | data, or the header and first bytes of the packet in question
//! ```
//!
//! A [`Message`] is a message with its fields by name; a [`Header`] is the first eight bytes, for replies that are
//! made in place around data that already stands where it must.

use super::checksum;
use super::{Malformed, address, be16, be32};
use std::net::Ipv4Addr;

/// Bytes of the header.
pub const LEN: usize = 8;

/// What the message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u8);

impl Kind {
    /// The answer to a ping.
    pub const ECHO_REPLY: Self = Self(0);
    /// A packet could not be delivered.
    pub const UNREACHABLE: Self = Self(3);
    /// Send slower (deprecated by RFC 6633).
    pub const SOURCE_QUENCH: Self = Self(4);
    /// There is a better first router.
    pub const REDIRECT: Self = Self(5);
    /// A ping.
    pub const ECHO_REQUEST: Self = Self(8);
    /// The time to live, or the time for reassembly, is over.
    pub const TIME_EXCEEDED: Self = Self(11);
    /// A header is malformed.
    pub const PARAMETER_PROBLEM: Self = Self(12);
    /// What time is it?
    pub const TIMESTAMP_REQUEST: Self = Self(13);
    /// It is this late.
    pub const TIMESTAMP_REPLY: Self = Self(14);
    /// What is the mask of this network?
    pub const ADDRESS_MASK_REQUEST: Self = Self(17);
    /// This is the mask.
    pub const ADDRESS_MASK_REPLY: Self = Self(18);
}

/// The codes of [`Kind::UNREACHABLE`] (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1).
pub mod unreachable {
    /// No route.
    pub const NETWORK: u8 = 0;
    /// The neighbour does not answer.
    pub const HOST: u8 = 1;
    /// Nobody takes this protocol.
    pub const PROTOCOL: u8 = 2;
    /// Nobody listens on this port.
    pub const PORT: u8 = 3;
    /// Too big for the next hop, and not to be fragmented.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// The source route cannot be followed.
    pub const SOURCE_ROUTE_FAILED: u8 = 5;
    /// Forbidden by a filter.
    pub const PROHIBITED: u8 = 13;
}

/// Identifier, sequence number and data of a ping and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo<'a> {
    /// Tells the senders apart.
    pub ident: u16,
    /// Tells the requests apart.
    pub sequence: u16,
    /// Comes back as it was sent.
    pub data: &'a [u8],
}

/// The body of the time stamp messages; times in milliseconds since midnight UT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Tells the senders apart.
    pub ident: u16,
    /// Tells the requests apart.
    pub sequence: u16,
    /// When the asker last touched the request.
    pub originate: u32,
    /// When the answerer received it.
    pub receive: u32,
    /// When the answerer sent the reply.
    pub transmit: u32,
}

/// The body of the address mask messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressMask {
    /// Tells the senders apart.
    pub ident: u16,
    /// Tells the requests apart.
    pub sequence: u16,
    /// The mask; zero in a request.
    pub mask: Ipv4Addr,
}

/// A message with its fields by name. A `quote` is the header and the first bytes of the packet in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A ping.
    EchoRequest(Echo<'a>),
    /// The answer to a ping.
    EchoReply(Echo<'a>),
    /// A packet could not be delivered.
    Unreachable {
        /// Why, more closely.
        code: u8,
        /// With code 4: the largest packet that the next hop takes; 0 from old routers.
        next_hop_mtu: u16,
        /// The packet in question.
        quote: &'a [u8],
    },
    /// There is a better first router.
    Redirect {
        /// Why, more closely.
        code: u8,
        /// The better router.
        gateway: Ipv4Addr,
        /// The packet in question.
        quote: &'a [u8],
    },
    /// The time to live (code 0), or the time for reassembly (1), is over.
    TimeExceeded {
        /// Why, more closely.
        code: u8,
        /// The packet in question.
        quote: &'a [u8],
    },
    /// The octet at `pointer` of the quoted header is wrong.
    ParameterProblem {
        /// Why, more closely.
        code: u8,
        /// Which octet of the quoted header.
        pointer: u8,
        /// The packet in question.
        quote: &'a [u8],
    },
    /// What time is it?
    TimestampRequest(Timestamp),
    /// It is this late.
    TimestampReply(Timestamp),
    /// What is the mask of this network?
    AddressMaskRequest(AddressMask),
    /// This is the mask.
    AddressMaskReply(AddressMask),
    /// A message that xmit does not interpret.
    Other {
        /// What it is about.
        kind: Kind,
        /// Why, more closely.
        code: u8,
        /// The four bytes that depend on the kind.
        rest: [u8; 4],
        /// What follows them.
        data: &'a [u8],
    },
}

/// A view of a message.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    header: &'a [u8; LEN],
    bytes: &'a [u8],
    message: Message<'a>,
}

impl<'a> Icmp<'a> {
    /// Reads a message, which is the whole payload of its packet. The checksum is not verified
    /// ([`Icmp::checksum_ok`]).
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if the header, or the fixed body that its kind has, is not whole.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, data) = bytes.split_first_chunk::<LEN>().ok_or(Malformed::Truncated)?;
        Ok(Self { header, bytes, message: Message::parse(header, data).ok_or(Malformed::Truncated)? })
    }

    /// What it is about.
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind(self.header[0])
    }

    /// What it is about, more closely.
    #[inline]
    pub fn code(&self) -> u8 {
        self.header[1]
    }

    /// True if the message is as it was sent.
    #[inline]
    pub fn checksum_ok(&self) -> bool {
        checksum::verify(self.bytes)
    }

    /// The message with its fields by name.
    #[inline]
    pub fn message(&self) -> Message<'a> {
        self.message
    }
}

impl<'a> Message<'a> {
    fn parse(header: &[u8; LEN], data: &'a [u8]) -> Option<Self> {
        let (kind, code, quote) = (Kind(header[0]), header[1], data);
        let echo = Echo { ident: be16(header, 4), sequence: be16(header, 6), data };
        Some(match kind {
            Kind::ECHO_REQUEST => Self::EchoRequest(echo),
            Kind::ECHO_REPLY => Self::EchoReply(echo),
            Kind::UNREACHABLE => Self::Unreachable { code, next_hop_mtu: be16(header, 6), quote },
            Kind::REDIRECT => Self::Redirect { code, gateway: address(header, 4), quote },
            Kind::TIME_EXCEEDED => Self::TimeExceeded { code, quote },
            Kind::PARAMETER_PROBLEM => Self::ParameterProblem { code, pointer: header[4], quote },
            Kind::TIMESTAMP_REQUEST => Self::TimestampRequest(Timestamp::parse(&echo)?),
            Kind::TIMESTAMP_REPLY => Self::TimestampReply(Timestamp::parse(&echo)?),
            Kind::ADDRESS_MASK_REQUEST => Self::AddressMaskRequest(AddressMask::parse(&echo)?),
            Kind::ADDRESS_MASK_REPLY => Self::AddressMaskReply(AddressMask::parse(&echo)?),
            _ => Self::Other { kind, code, rest: be32(header, 4).to_be_bytes(), data },
        })
    }

    /// The first eight bytes.
    pub fn header(&self) -> Header {
        let (kind, code, rest) = match *self {
            Self::EchoRequest(echo) => (Kind::ECHO_REQUEST, 0, pair(echo.ident, echo.sequence)),
            Self::EchoReply(echo) => (Kind::ECHO_REPLY, 0, pair(echo.ident, echo.sequence)),
            Self::Unreachable { code, next_hop_mtu, .. } => (Kind::UNREACHABLE, code, pair(0, next_hop_mtu)),
            Self::Redirect { code, gateway, .. } => (Kind::REDIRECT, code, gateway.octets()),
            Self::TimeExceeded { code, .. } => (Kind::TIME_EXCEEDED, code, [0; 4]),
            Self::ParameterProblem { code, pointer, .. } => (Kind::PARAMETER_PROBLEM, code, [pointer, 0, 0, 0]),
            Self::TimestampRequest(stamp) => (Kind::TIMESTAMP_REQUEST, 0, pair(stamp.ident, stamp.sequence)),
            Self::TimestampReply(stamp) => (Kind::TIMESTAMP_REPLY, 0, pair(stamp.ident, stamp.sequence)),
            Self::AddressMaskRequest(mask) => (Kind::ADDRESS_MASK_REQUEST, 0, pair(mask.ident, mask.sequence)),
            Self::AddressMaskReply(mask) => (Kind::ADDRESS_MASK_REPLY, 0, pair(mask.ident, mask.sequence)),
            Self::Other { kind, code, rest, .. } => (kind, code, rest),
        };
        Header { kind, code, rest }
    }

    /// Writes the message, checksum included, to the front of `out`; answers its length. 0, with nothing written, if
    /// it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let mut fixed = [0; 12];
        let data = match self {
            Self::EchoRequest(echo) | Self::EchoReply(echo) => echo.data,
            Self::Unreachable { quote, .. }
            | Self::Redirect { quote, .. }
            | Self::TimeExceeded { quote, .. }
            | Self::ParameterProblem { quote, .. } => quote,
            Self::TimestampRequest(stamp) | Self::TimestampReply(stamp) => stamp.emit_body(&mut fixed),
            Self::AddressMaskRequest(mask) | Self::AddressMaskReply(mask) => mask.emit_body(&mut fixed),
            Self::Other { data, .. } => data,
        };
        let Some(room) = out.get_mut(LEN..).and_then(|rest| rest.get_mut(..data.len())) else { return 0 };
        room.copy_from_slice(data);
        self.header().emit(data.len(), out)
    }
}

impl Timestamp {
    fn parse(echo: &Echo<'_>) -> Option<Self> {
        let times = echo.data.first_chunk::<12>()?;
        let (originate, receive, transmit) = (be32(times, 0), be32(times, 4), be32(times, 8));
        Some(Self { ident: echo.ident, sequence: echo.sequence, originate, receive, transmit })
    }

    fn emit_body<'b>(&self, out: &'b mut [u8; 12]) -> &'b [u8] {
        out[..4].copy_from_slice(&self.originate.to_be_bytes());
        out[4..8].copy_from_slice(&self.receive.to_be_bytes());
        out[8..].copy_from_slice(&self.transmit.to_be_bytes());
        out
    }
}

impl AddressMask {
    fn parse(echo: &Echo<'_>) -> Option<Self> {
        let mask = address(echo.data.first_chunk::<4>()?, 0);
        Some(Self { ident: echo.ident, sequence: echo.sequence, mask })
    }

    fn emit_body<'b>(&self, out: &'b mut [u8; 12]) -> &'b [u8] {
        out[..4].copy_from_slice(&self.mask.octets());
        &out[..4]
    }
}

/// Two numbers in the place that depends on the kind.
const fn pair(high: u16, low: u16) -> [u8; 4] {
    (((high as u32) << 16) | low as u32).to_be_bytes()
}

/// The first eight bytes of a message to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is about.
    pub kind: Kind,
    /// What it is about, more closely.
    pub code: u8,
    /// The four bytes that depend on the kind.
    pub rest: [u8; 4],
}

impl Header {
    /// Writes the header to the front of `out` and finishes the checksum over the `data_len` bytes that already stand
    /// behind it; answers the length of the message. 0, with nothing written, if `out` is shorter than that.
    #[inline]
    pub fn emit(&self, data_len: usize, out: &mut [u8]) -> usize {
        let Some(message) = out.get_mut(..LEN + data_len) else { return 0 };
        let Some((header, data)) = message.split_first_chunk_mut::<LEN>() else { return 0 };
        header[..4].copy_from_slice(&[self.kind.0, self.code, 0, 0]);
        header[4..].copy_from_slice(&self.rest);
        let sum = checksum::Sum::new().append(header).append(data).checksum();
        header[2..4].copy_from_slice(&sum.to_be_bytes());
        LEN + data_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn messages(data: &[u8], code: u8, words: [u16; 2], times: [u32; 3], kind: u8) -> Vec<Message<'_>> {
        let ([ident, sequence], [originate, receive, transmit]) = (words, times);
        let echo = Echo { ident, sequence, data };
        let stamp = Timestamp { ident, sequence, originate, receive, transmit };
        let mask = AddressMask { ident, sequence, mask: originate.into() };
        vec![
            Message::EchoRequest(echo),
            Message::EchoReply(echo),
            Message::Unreachable { code, next_hop_mtu: ident, quote: data },
            Message::Redirect { code, gateway: receive.into(), quote: data },
            Message::TimeExceeded { code, quote: data },
            Message::ParameterProblem { code, pointer: kind, quote: data },
            Message::TimestampRequest(stamp),
            Message::TimestampReply(stamp),
            Message::AddressMaskRequest(mask),
            Message::AddressMaskReply(mask),
            Message::Other { kind: Kind(kind | 0x20), code, rest: pair(ident, sequence), data },
        ]
    }

    proptest! {
        #[test]
        fn parse_of_emit_is_the_identity(
            data in vec(any::<u8>(), 0..120), code: u8, words: [u16; 2], times: [u32; 3], kind: u8
        ) {
            for message in messages(&data, code, words, times, kind) {
                let mut out = [0xee; 160];
                let len = message.emit(&mut out);
                prop_assert!(len >= LEN);
                let read = Icmp::parse(&out[..len]).unwrap();
                prop_assert_eq!(read.message(), message);
                prop_assert!(read.checksum_ok());
                prop_assert_eq!(Header { kind: read.kind(), code: read.code(), ..message.header() }, message.header());
                prop_assert_eq!(message.emit(&mut out[..len - 1]), 0, "one byte too little room");
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in vec(any::<u8>(), 0..40)) {
            let _ = Icmp::parse(&bytes).map(|icmp| icmp.checksum_ok());
        }
    }

    #[test]
    fn a_ping_is_answered_in_place() {
        let mut bytes = [0; 15];
        assert_eq!(Message::EchoRequest(Echo { ident: 1, sequence: 2, data: b"ping me" }).emit(&mut bytes), 15);
        let Message::EchoRequest(echo) = Icmp::parse(&bytes).unwrap().message() else { panic!("not a request") };
        let (header, data_len) = (Message::EchoReply(echo).header(), echo.data.len());
        assert_eq!(header.emit(data_len, &mut bytes), 15);
        let reply = Icmp::parse(&bytes).unwrap();
        assert!(reply.checksum_ok());
        assert_eq!(reply.message(), Message::EchoReply(Echo { ident: 1, sequence: 2, data: b"ping me" }));
    }

    #[test]
    fn half_a_body_is_truncated() {
        for (kind, body) in [(0, 0), (13, 12), (14, 12), (17, 4), (18, 4)] {
            let mut bytes = vec![0; LEN + body];
            bytes[0] = kind;
            assert!(Icmp::parse(&bytes).is_ok(), "kind {kind}");
            bytes.pop();
            assert_eq!(Icmp::parse(&bytes).unwrap_err(), Malformed::Truncated, "kind {kind}");
        }
    }
}
