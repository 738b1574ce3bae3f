//! Segments as a script writes them, in the notation of packetdrill:
//!
//! ```text
//! tcp 10.0.0.1:1000 > 10.0.0.2:7 S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
//! tcp P. 1:11(10) ack 1 win 257 "0123456789"
//! ```
//!
//! `F S R P . U E W` are the control bits, `.` being ACK; `p` PSH or not; `-` none. Numbers are relative: 0 is the SYN of whoever counts. A line
//! without addresses speaks of the flow of the line before. Options that leave are compared only if some are written, and then all of
//! them; timestamps count from the first that each side sent, `TS val 100` of that line being 100.

use crate::words::{Words, filler_at};
use std::net::SocketAddrV4;
use xmit_dataplane::wire::checksum::Sum;
use xmit_dataplane::wire::ipv4::Protocol;
use xmit_dataplane::wire::tcp::{Flags, Tcp as View};
use xmit_dataplane::wire::tcp_options::{TcpOption, Walk};

/// A segment with the fields that a script mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// Left of `>`.
    pub source: Option<SocketAddrV4>,
    /// Right of `>`.
    pub destination: Option<SocketAddrV4>,
    /// Control bits.
    pub flags: u16,
    /// `p`: PSH or not.
    pub push_or_not: bool,
    /// The first sequence number, relative.
    pub seq: u32,
    /// Data bytes.
    pub len: u32,
    /// So many segments of `len` bytes each, one behind the other.
    pub count: u32,
    /// `ack`, relative.
    pub ack: Option<u32>,
    /// `win`, as it stands in the header.
    pub window: Option<u16>,
    /// `urg`.
    pub urgent: Option<u16>,
    /// `<...>`.
    pub options: Option<Vec<Opt>>,
    /// The data, if it matters.
    pub data: Option<Vec<u8>>,
    /// What the numbers count from; known when the script runs.
    pub origin: Origin,
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opt {
    /// `nop`.
    Nop,
    /// `eol`.
    End,
    /// `mss N`.
    Mss(u16),
    /// `wscale N`.
    WindowScale(u8),
    /// `sackOK`.
    SackPermitted,
    /// `sack A:B C:D`, relative to the numbers that are acknowledged.
    Sack(Vec<(u32, u32)>),
    /// `TS val N ecr N`; `None` for `any`.
    Timestamps(Option<u32>, Option<u32>),
    /// `FO HEX`, or `FO` alone, which asks for a cookie.
    FastOpen(Vec<u8>),
    /// `hex HEX`: as it stands.
    Raw(Vec<u8>),
}

/// What relative numbers count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Of the sender's sequence numbers.
    pub seq: u32,
    /// Of its acknowledgment numbers and SACK blocks: the receiver's.
    pub ack: u32,
    /// Of the sender's timestamps.
    pub ts_value: u32,
    /// Of those that it echoes.
    pub ts_echo: u32,
}

const LETTERS: [(char, u16); 9] =
    [('F', 1), ('S', 2), ('R', 4), ('P', 8), ('.', 16), ('U', 32), ('E', 64), ('W', 128), ('e', 256)];

impl Tcp {
    /// Reads what follows the word `tcp`.
    pub(super) fn read(words: &mut Words) -> Result<Self, String> {
        let mut tcp = Self::default();
        if words.peek().is_some_and(|word| word.contains(':') && word.contains('.')) && !words.peek_is_range() {
            tcp.source = Some(words.value("an address with a port")?);
            words.expect(">")?;
            tcp.destination = Some(words.value("an address with a port")?);
        }
        let bits = words.bare("control bits (F S R P . U E W, or -)")?;
        tcp.push_or_not = bits.contains('p');
        tcp.flags = flags(&bits.replace('p', ""))?;
        (tcp.seq, tcp.len, tcp.count) = range(&words.bare("sequence numbers, A:B(LENGTH)")?)?;
        Ok(tcp)
    }

    /// Reads one of its fields, if one comes next.
    pub(super) fn field(&mut self, words: &mut Words) -> Result<bool, String> {
        if words.take("ack") {
            self.ack = Some(words.number("a number")?);
        } else if words.take("win") {
            self.window = Some(words.number("a window")?);
        } else if words.take("urg") {
            self.urgent = Some(words.number("an urgent pointer")?);
        } else if words.peek().is_some_and(|word| word.starts_with('<')) {
            self.options = Some(options(&words.bracketed('<', '>')?)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The segments that this stands for: PSH and FIN are the last one's.
    pub(super) fn parts(&self) -> Vec<Self> {
        let last = self.count.saturating_sub(1);
        let part = |i: u32| {
            let flags = if i < last { self.flags & !(Flags::PSH | Flags::FIN).bits() } else { self.flags };
            Self { flags, seq: self.seq.wrapping_add(i.wrapping_mul(self.len)), count: 1, ..self.clone() }
        };
        (0..=last).map(part).collect()
    }

    /// The segment, with its checksum not filled in.
    pub(super) fn build(&self, source: SocketAddrV4, destination: SocketAddrV4) -> Result<Vec<u8>, String> {
        let origin = &self.origin;
        let mut options = Vec::new();
        for option in self.options.iter().flatten() {
            option.emit(origin, &mut options);
        }
        options.resize(options.len().next_multiple_of(4), 0);
        let header_len = 20 + options.len();
        if header_len > 60 {
            return Err(format!("the options are {} bytes long, and 40 fit", options.len()));
        }
        let data = self.data.clone().unwrap_or_else(|| filler_at(self.seq.wrapping_sub(1), self.len.into()));
        let ack = self.ack.map_or(0, |ack| ack.wrapping_add(origin.ack));
        let mut bytes = Vec::with_capacity(header_len + data.len());
        bytes.extend(source.port().to_be_bytes());
        bytes.extend(destination.port().to_be_bytes());
        bytes.extend(self.seq.wrapping_add(origin.seq).to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend((((header_len / 4) as u16) << 12 | self.flags).to_be_bytes());
        bytes.extend(self.window.unwrap_or(65_535).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.unwrap_or(0).to_be_bytes());
        bytes.extend(options);
        bytes.extend(data);
        Ok(bytes)
    }

    /// The timestamp that the script writes.
    pub(crate) fn timestamp_value(&self) -> Option<u32> {
        self.options.iter().flatten().find_map(|option| match option {
            Opt::Timestamps(value, _) => *value,
            _ => None,
        })
    }

    /// Compares a segment that left.
    pub(super) fn matches(&self, view: &View<'_>) -> Result<(), String> {
        let origin = &self.origin;
        let relative = |number: u32, from: u32| number.wrapping_sub(from);
        let bits = view.flags().bits();
        let bits = if self.push_or_not { bits & !Flags::PSH.bits() } else { bits };
        let is = (bits, relative(view.seq(), origin.seq), view.payload().len() as u32);
        let letters = |bits: u16| text(bits);
        if is != (self.flags, self.seq, self.len) {
            let (a, b) = (letters(is.0), letters(self.flags));
            return Err(format!("it is {a} {}({}), not {b} {}({})", is.1, is.2, self.seq, self.len));
        }
        let ack = relative(view.ack(), origin.ack);
        if let Some(wanted) = self.ack.filter(|wanted| *wanted != ack || !view.flags().contains(Flags::ACK)) {
            return Err(format!("it acknowledges {ack}, not {wanted}"));
        }
        if let Some(wanted) = self.window.filter(|wanted| *wanted != view.window()) {
            return Err(format!("its window is {}, not {wanted}", view.window()));
        }
        if let Some(wanted) = self.urgent.filter(|wanted| *wanted != view.urgent()) {
            return Err(format!("its urgent pointer is {}, not {wanted}", view.urgent()));
        }
        if let Some(wanted) = &self.options {
            let is: Vec<Opt> = view.walk_options().map(|option| Opt::of(&option, origin)).collect();
            if is.len() != wanted.len() || !is.iter().zip(wanted).all(|(is, wanted)| wanted.covers(is)) {
                return Err(format!("its options are {}, not {}", written(&is), written(wanted)));
            }
        }
        match &self.data {
            Some(data) if data != view.payload() => Err("its data differs".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Opt {
    fn of(option: &TcpOption<'_>, origin: &Origin) -> Self {
        match option {
            TcpOption::Nop => Self::Nop,
            TcpOption::Mss(mss) => Self::Mss(*mss),
            TcpOption::WindowScale(shift) => Self::WindowScale(*shift),
            TcpOption::SackPermitted => Self::SackPermitted,
            TcpOption::Sack(blocks) => {
                let relative = |number: u32| number.wrapping_sub(origin.ack);
                Self::Sack(blocks.as_slice().iter().map(|b| (relative(b.left), relative(b.right))).collect())
            }
            TcpOption::Timestamps(t) => Self::Timestamps(
                Some(t.value.wrapping_sub(origin.ts_value)),
                Some(if t.echo == 0 { 0 } else { t.echo.wrapping_sub(origin.ts_echo) }),
            ),
            TcpOption::FastOpen(option) => Self::FastOpen(option.cookie.to_vec()),
            TcpOption::Other { kind, body } => Self::Raw([&[*kind, body.len() as u8 + 2][..], body].concat()),
        }
    }

    fn covers(&self, is: &Self) -> bool {
        match (self, is) {
            (Self::Timestamps(value, echo), Self::Timestamps(v, e)) => {
                (value.is_none() || value == v) && (echo.is_none() || echo == e)
            }
            (wanted, is) => wanted == is,
        }
    }

    fn emit(&self, origin: &Origin, out: &mut Vec<u8>) {
        match self {
            Self::Nop => out.push(1),
            Self::End => out.push(0),
            Self::Mss(mss) => out.extend([&[2, 4][..], &mss.to_be_bytes()].concat()),
            Self::WindowScale(shift) => out.extend([3, 3, *shift]),
            Self::SackPermitted => out.extend([4, 2]),
            Self::Sack(blocks) => {
                out.extend([5, 2 + 8 * blocks.len() as u8]);
                for (left, right) in blocks {
                    out.extend(left.wrapping_add(origin.ack).to_be_bytes());
                    out.extend(right.wrapping_add(origin.ack).to_be_bytes());
                }
            }
            Self::Timestamps(value, echo) => {
                out.extend([8, 10]);
                out.extend(value.unwrap_or(0).wrapping_add(origin.ts_value).to_be_bytes());
                let echo = echo.filter(|echo| *echo != 0).map_or(0, |echo| echo.wrapping_add(origin.ts_echo));
                out.extend(echo.to_be_bytes());
            }
            Self::FastOpen(cookie) => {
                out.extend([34, 2 + cookie.len() as u8]);
                out.extend(cookie);
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

/// The first timestamp in a segment's options.
pub(crate) fn timestamp(segment: &[u8]) -> Option<u32> {
    let view = View::parse(segment).ok()?;
    Walk::new(view.options_bytes()).find_map(|option| match option {
        TcpOption::Timestamps(t) => Some(t.value),
        _ => None,
    })
}

/// The sum that a segment's checksum has to complete.
pub(super) fn pseudo_header(source: SocketAddrV4, destination: SocketAddrV4, len: usize) -> Sum {
    Sum::pseudo_header(*source.ip(), *destination.ip(), Protocol::TCP.0, len as u16)
}

fn flags(word: &str) -> Result<u16, String> {
    if word == "-" {
        return Ok(0);
    }
    word.chars().try_fold(0, |bits, letter| {
        let found = LETTERS.iter().find(|(known, _)| *known == letter);
        found.map(|(_, bit)| bits | bit).ok_or_else(|| format!("`{word}` is not made of F S R P . U E W e"))
    })
}

/// Control bits as scripts write them.
pub(super) fn text(bits: u16) -> String {
    let letters: String = LETTERS.iter().filter(|(_, bit)| bits & bit != 0).map(|(letter, _)| letter).collect();
    if letters.is_empty() { "-".to_owned() } else { letters }
}

/// `A:B(LENGTH)`: first number and length; `B` has to be their sum. `A:B(N*LENGTH)`: of each of N segments.
fn range(word: &str) -> Result<(u32, u32, u32), String> {
    let parse = || {
        let (first, rest) = word.split_once(':')?;
        let (last, len) = rest.split_once('(')?;
        let len = len.strip_suffix(')')?;
        let (count, len) = len.split_once('*').unwrap_or(("1", len));
        let number = |text: &str| text.parse::<u32>().ok();
        Some((number(first)?, number(last)?, number(len)?, number(count).filter(|n| (1..=1000).contains(n))?))
    };
    match parse() {
        Some((first, last, len, count)) if first.wrapping_add(len.wrapping_mul(count)) == last => {
            Ok((first, len, count))
        }
        Some((first, _, len, count)) => {
            let all = len.wrapping_mul(count);
            Err(format!("`{word}`: from {first} on {all} bytes end at {}", first.wrapping_add(all)))
        }
        None => Err(format!("`{word}` is not a range of sequence numbers like 1:11(10)")),
    }
}

fn options(text: &str) -> Result<Vec<Opt>, String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(option).collect()
}

fn option(part: &str) -> Result<Opt, String> {
    let words: Vec<&str> = part.split_whitespace().collect();
    let wrong = || {
        format!(
            "`{part}` is not an option like mss 1460, wscale 7, sackOK, nop, eol, TS val 1 ecr 0, sack 1:2, FO 00aa"
        )
    };
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let or_any = |text: &str| if text == "any" { Ok(None) } else { number(text).map(Some) };
    Ok(match words.as_slice() {
        ["nop"] => Opt::Nop,
        ["eol"] => Opt::End,
        ["mss", mss] => Opt::Mss(number(mss)? as u16),
        ["wscale", shift] => Opt::WindowScale(number(shift)? as u8),
        ["sackOK"] => Opt::SackPermitted,
        ["sack", blocks @ ..] => {
            let block = |text: &&str| {
                let (left, right) = text.split_once(':').ok_or_else(wrong)?;
                Ok::<_, String>((number(left)?, number(right)?))
            };
            Opt::Sack(blocks.iter().map(block).collect::<Result<_, _>>()?)
        }
        ["TS", "val", value, "ecr", echo] => Opt::Timestamps(or_any(value)?, or_any(echo)?),
        ["FO"] => Opt::FastOpen(Vec::new()),
        ["FO", cookie] => Opt::FastOpen(crate::words::hex(cookie)?),
        ["hex", bytes] => Opt::Raw(crate::words::hex(bytes)?),
        _ => return Err(wrong()),
    })
}

/// Options as scripts write them.
pub(super) fn written(options: &[Opt]) -> String {
    let or_any = |number: &Option<u32>| number.map_or_else(|| "any".to_owned(), |n| n.to_string());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let one = |option: &Opt| match option {
        Opt::Nop => "nop".to_owned(),
        Opt::End => "eol".to_owned(),
        Opt::Mss(mss) => format!("mss {mss}"),
        Opt::WindowScale(shift) => format!("wscale {shift}"),
        Opt::SackPermitted => "sackOK".to_owned(),
        Opt::Sack(blocks) => {
            blocks.iter().fold("sack".to_owned(), |text, (left, right)| format!("{text} {left}:{right}"))
        }
        Opt::Timestamps(value, echo) => format!("TS val {} ecr {}", or_any(value), or_any(echo)),
        Opt::FastOpen(cookie) => format!("FO {}", hex(cookie)).trim_end().to_owned(),
        Opt::Raw(bytes) => format!("hex {}", hex(bytes)),
    };
    format!("<{}>", options.iter().map(one).collect::<Vec<_>>().join(","))
}

/// A segment in the words of a script, its numbers counted from `origin`.
pub(super) fn describe(view: &View<'_>, origin: &Origin) -> String {
    let (seq, len) = (view.seq().wrapping_sub(origin.seq), view.payload().len());
    let mut out = format!("{} {seq}:{}({len})", text(view.flags().bits()), seq.wrapping_add(len as u32));
    if view.flags().contains(Flags::ACK) {
        out += &format!(" ack {}", view.ack().wrapping_sub(origin.ack));
    }
    out += &format!(" win {}", view.window());
    if view.flags().contains(Flags::URG) {
        out += &format!(" urg {}", view.urgent());
    }
    let options: Vec<Opt> = view.walk_options().map(|option| Opt::of(&option, origin)).collect();
    if !options.is_empty() {
        out += &format!(" {}", written(&options));
    }
    out
}
