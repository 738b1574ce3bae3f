//! The options of a TCP header: RFC 9293 section 3.2 (end, no-operation, MSS), RFC 7323 (window scale, timestamps),
//! RFC 2018 and 2883 (SACK), RFC 7413 (Fast Open, also in the experimental form of its drafts).
//!
//! Read: [`Walk`] goes through any bytes, [`Options::parse`] keeps what is known. An option whose length contradicts
//! its kind is passed over; one whose length is below 2 or beyond the header ends the list, silently, as in
//! `tcp_parse_options`. Whether an option counts in this segment (MSS only in a SYN, ..) is judged above.
//!
//! Written: in the order and with the padding of Linux (`tcp_options_write`), which the peers' fast paths expect:
//!
//! ```text
//!  SYN, SYN-ACK   MSS 4 mmmm | SACK-perm 2 TS 10 | value | echo | NOP WS 3 s | Fast Open n cookie .. NOP NOP
//!  data           NOP NOP TS 10 | value | echo | NOP NOP SACK 2+8n | left | right | ..
//! ```

/// The most bytes of options that a header holds.
pub const LEN_MAX: usize = 40;
/// The most SACK blocks that a header holds; one less beside timestamps.
pub const SACK_BLOCKS_MAX: usize = 4;
/// The longest Fast Open cookie (RFC 7413 section 4.1.1).
pub const COOKIE_LEN_MAX: usize = 16;
/// Bytes of the timestamps with their padding.
pub const TIMESTAMPS_LEN: usize = 12;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const FAST_OPEN: u8 = 34;
const EXPERIMENTAL: u8 = 254;
/// Names Fast Open among the experiments (RFC 6994, draft-ietf-tcpm-fastopen).
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

/// The two times of RFC 7323 section 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// `TSval`: the sender's clock.
    pub value: u32,
    /// `TSecr`: what the sender last heard; counts with ACK only.
    pub echo: u32,
}

impl Timestamps {
    /// The option with the padding that Linux gives it (RFC 7323 appendix A), as numbers: the first four bytes, and the values.
    #[inline]
    pub(super) const fn aligned(self) -> (u32, u64) {
        (u32::from_be_bytes([NOP, NOP, TIMESTAMPS, 10]), (self.value as u64) << 32 | self.echo as u64)
    }
}

/// One run of bytes that arrived out of order: `left` is its first, `right` the one behind its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlock {
    /// The first byte.
    pub left: u32,
    /// The byte behind the last.
    pub right: u32,
}

/// Up to four SACK blocks, in the order of the option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [SackBlock; SACK_BLOCKS_MAX],
    len: u8,
}

impl SackBlocks {
    /// Without blocks.
    pub const NONE: Self = Self { blocks: [SackBlock { left: 0, right: 0 }; SACK_BLOCKS_MAX], len: 0 };

    /// Appends a block. False if there are four already.
    pub fn push(&mut self, block: SackBlock) -> bool {
        let place = self.blocks.get_mut(usize::from(self.len));
        let fits = place.is_some();
        if let Some(place) = place {
            *place = block;
            self.len += 1;
        }
        fits
    }

    /// The blocks.
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..usize::from(self.len)).unwrap_or(&self.blocks)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// True without blocks.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Of an option's body, if its length is a multiple of a block's.
    fn parse(body: &[u8]) -> Option<Self> {
        let (pairs, rest) = body.as_chunks::<8>();
        let mut blocks = Self::NONE;
        for [a, b, c, d, e, f, g, h] in pairs {
            blocks.push(SackBlock {
                left: u32::from_be_bytes([*a, *b, *c, *d]),
                right: u32::from_be_bytes([*e, *f, *g, *h]),
            });
        }
        (rest.is_empty() && !blocks.is_empty()).then_some(blocks)
    }
}

/// A Fast Open option; without cookie it asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpen<'a> {
    /// 4 to 16 bytes, or none.
    pub cookie: &'a [u8],
    /// Under kind 254 with the magic 0xF989 instead of kind 34.
    pub experimental: bool,
}

impl FastOpen<'_> {
    /// Bytes of the option without padding.
    fn len(&self) -> usize {
        self.cookie.len() + if self.experimental { 4 } else { 2 }
    }
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// One byte of padding between options.
    Nop,
    /// The largest segment that the sender takes.
    Mss(u16),
    /// How far windows are shifted, as it stands on the wire.
    WindowScale(u8),
    /// SACK may be sent.
    SackPermitted,
    /// What arrived out of order.
    Sack(SackBlocks),
    /// The two times.
    Timestamps(Timestamps),
    /// A Fast Open cookie or the wish for one.
    FastOpen(FastOpen<'a>),
    /// Another option, or a known one of a wrong length; not interpreted.
    Other {
        /// The kind byte.
        kind: u8,
        /// The bytes behind the length.
        body: &'a [u8],
    },
}

impl<'a> TcpOption<'a> {
    /// The option of this kind and body.
    fn read(kind: u8, body: &'a [u8]) -> Self {
        let other = Self::Other { kind, body };
        match (kind, body) {
            (MSS, &[a, b]) => Self::Mss(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => Self::WindowScale(shift),
            (SACK_PERMITTED, []) => Self::SackPermitted,
            (SACK, blocks) => SackBlocks::parse(blocks).map_or(other, Self::Sack),
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => Self::Timestamps(Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo: u32::from_be_bytes([e, f, g, h]),
            }),
            (FAST_OPEN, cookie) if cookie_len_ok(cookie) => Self::FastOpen(FastOpen { cookie, experimental: false }),
            (EXPERIMENTAL, [a, b, cookie @ ..]) if [*a, *b] == FAST_OPEN_MAGIC && cookie_len_ok(cookie) => {
                Self::FastOpen(FastOpen { cookie, experimental: true })
            }
            _ => other,
        }
    }
}

/// RFC 7413 section 4.1.1: none, or 4 to 16 bytes and an even number.
fn cookie_len_ok(cookie: &[u8]) -> bool {
    cookie.is_empty() || ((4..=COOKIE_LEN_MAX).contains(&cookie.len()) && cookie.len().is_multiple_of(2))
}

/// The options of a header, in order, with their padding. Ends at the end-of-list option, after the last byte, or
/// before an option whose length cannot be.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Of the bytes between the fixed header and the payload.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes not gone through.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = TcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (option, rest) = match *self.bytes {
            [NOP, ref rest @ ..] => (TcpOption::Nop, rest),
            [kind, len, ..] if kind != END => {
                let (whole, rest) = self.bytes.split_at_checked(len.into())?;
                (TcpOption::read(kind, whole.get(2..)?), rest)
            }
            _ => return None,
        };
        self.bytes = rest;
        Some(option)
    }
}

/// The known options of one header, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// The largest segment that the sender takes; never 0.
    pub mss: Option<u16>,
    /// How far windows are shifted, as it stands on the wire.
    pub window_scale: Option<u8>,
    /// SACK may be sent.
    pub sack_permitted: bool,
    /// The two times.
    pub timestamps: Option<Timestamps>,
    /// What arrived out of order.
    pub sack: SackBlocks,
    /// A Fast Open cookie or the wish for one.
    pub fast_open: Option<FastOpen<'a>>,
}

impl<'a> Options<'a> {
    /// None of them.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::NONE,
        fast_open: None,
    };

    /// Reads the options of a header. Of several of a kind the last counts.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let mut options = Self::NONE;
        if let Some(timestamps) = aligned_timestamps(bytes) {
            options.timestamps = Some(timestamps);
            return options;
        }
        for option in Walk::new(bytes) {
            match option {
                TcpOption::Mss(0) | TcpOption::Nop | TcpOption::Other { .. } => {}
                TcpOption::Mss(mss) => options.mss = Some(mss),
                TcpOption::WindowScale(shift) => options.window_scale = Some(shift),
                TcpOption::SackPermitted => options.sack_permitted = true,
                TcpOption::Sack(blocks) => options.sack = blocks,
                TcpOption::Timestamps(timestamps) => options.timestamps = Some(timestamps),
                TcpOption::FastOpen(fast_open) => options.fast_open = Some(fast_open),
            }
        }
        options
    }

    /// Bytes of the options with their padding: a multiple of four.
    #[inline]
    pub fn len(&self) -> usize {
        let mut len = if self.mss.is_some() { 4 } else { 0 };
        // SACK-permitted takes the place of the two NOPs before timestamps.
        len += if self.timestamps.is_some() { TIMESTAMPS_LEN } else { usize::from(self.sack_permitted) * 4 };
        len += if self.window_scale.is_some() { 4 } else { 0 };
        len += if self.sack.is_empty() { 0 } else { 4 + 8 * self.sack.len() };
        len + self.fast_open.map_or(0, |option| option.len().next_multiple_of(4))
    }

    /// True without options.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many SACK blocks fit beside these options.
    pub fn sack_room(&self) -> usize {
        let used = Self { sack: SackBlocks::NONE, ..*self }.len();
        (LEN_MAX.saturating_sub(used + 4) / 8).min(SACK_BLOCKS_MAX)
    }

    /// Writes the options to the front of `out`; answers their length. 0, with nothing written, if they do not fit.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let len = self.len();
        let fits = len <= LEN_MAX;
        let Some(out) = out.get_mut(..len).filter(|_| fits) else { return 0 };
        let mut to = Writer { out };
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            to.put([MSS, 4, a, b]);
        }
        if let Some(Timestamps { value, echo }) = self.timestamps {
            let [a, b] = if self.sack_permitted { [SACK_PERMITTED, 2] } else { [NOP, NOP] };
            to.put([a, b, TIMESTAMPS, 10]);
            to.put(value.to_be_bytes());
            to.put(echo.to_be_bytes());
        } else if self.sack_permitted {
            to.put([NOP, NOP, SACK_PERMITTED, 2]);
        }
        if let Some(shift) = self.window_scale {
            to.put([NOP, WINDOW_SCALE, 3, shift]);
        }
        if !self.sack.is_empty() {
            to.put([NOP, NOP, SACK, 2 + 8 * self.sack.len]);
        }
        for block in self.sack.as_slice() {
            to.put(block.left.to_be_bytes());
            to.put(block.right.to_be_bytes());
        }
        if let Some(option) = self.fast_open {
            to.fast_open(option);
        }
        len
    }
}

/// See [`super::tcp::Tcp::aligned_timestamps`].
#[inline]
pub(super) fn aligned_timestamps(bytes: &[u8]) -> Option<Timestamps> {
    match *bytes {
        [NOP, NOP, TIMESTAMPS, 10, a, b, c, d, e, f, g, h] => {
            Some(Timestamps { value: u32::from_be_bytes([a, b, c, d]), echo: u32::from_be_bytes([e, f, g, h]) })
        }
        _ => None,
    }
}

/// Writes from front to back into room of the right length.
struct Writer<'o> {
    out: &'o mut [u8],
}

impl Writer<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.slice(&bytes);
    }

    fn slice(&mut self, bytes: &[u8]) {
        let out = std::mem::take(&mut self.out);
        if let Some((front, back)) = out.split_at_mut_checked(bytes.len()) {
            front.copy_from_slice(bytes);
            self.out = back;
        }
    }

    fn fast_open(&mut self, option: FastOpen<'_>) {
        let len = option.len() as u8;
        if option.experimental {
            let [a, b] = FAST_OPEN_MAGIC;
            self.put([EXPERIMENTAL, len, a, b]);
        } else {
            self.put([FAST_OPEN, len]);
        }
        self.slice(option.cookie);
        self.out.fill(NOP);
    }
}
