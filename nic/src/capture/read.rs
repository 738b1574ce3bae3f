//! A pcap or pcapng file, read whole.
//!
//! The pcap-file crate cuts blocks and checks lengths; link type, resolution of time stamps and truncation are judged
//! here. Invariant: every record's range lies inside `bytes`.

use super::Direction;
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, Endianness, TsResolution};
use std::path::Path;

/// The largest file that is read, in bytes: it is held in memory.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The block type of a pcapng section header, the same in both byte orders.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Blocks that matter here: interface description, packet (obsolete), simple packet, enhanced packet.
const BLOCKS_READ: [u32; 4] = [1, 2, 3, 6];

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The kernel would not give it.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// The file.
        path: String,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// Longer than is held in memory.
    #[error("{path} has {bytes} bytes, of which at most {FILE_BYTES_MAX} are read: cut it with `editcap -c`")]
    TooLong {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// Neither pcap nor pcapng.
    #[error("neither pcap nor pcapng: the first four bytes are {0:02x?}; convert it with `editcap IN OUT.pcapng`")]
    UnknownFormat(Vec<u8>),
    /// Something in it is wrong.
    #[error("malformed at byte {offset} (packet {packet}): {what}")]
    Malformed {
        /// Where the block or packet begins.
        offset: usize,
        /// How many packets were good before it.
        packet: usize,
        /// What is wrong, and the cure if there is one.
        what: String,
    },
}

/// One packet of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcapRecord {
    /// Nanoseconds since the Unix epoch, or whatever the file counts from.
    pub nanos: u64,
    /// Length on the wire, which may be more than was captured.
    pub original_len: u32,
    /// The interface's number in its section; 0 in a pcap file.
    pub interface: u32,
    /// From the flags of pcapng, if they say.
    pub direction: Option<Direction>,
    start: usize,
    len: usize,
}

/// A capture file in memory.
#[derive(Clone, Debug, Default)]
pub struct PcapFile {
    bytes: Vec<u8>,
    records: Vec<PcapRecord>,
}

impl PcapFile {
    /// Reads a pcap or pcapng file.
    ///
    /// # Errors
    /// [`PcapError`], which says where the file is wrong.
    pub fn open(path: &Path) -> Result<Self, PcapError> {
        let name = || path.display().to_string();
        let failed = |source| PcapError::Io { path: name(), source };
        let bytes = std::fs::metadata(path).map_err(failed)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(PcapError::TooLong { path: name(), bytes });
        }
        Self::parse(std::fs::read(path).map_err(failed)?)
    }

    /// Reads the bytes of a pcap or pcapng file.
    ///
    /// # Errors
    /// [`PcapError`], which says where the bytes are wrong.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, PcapError> {
        let records = match bytes.first_chunk::<4>() {
            Some(&SECTION_HEADER) => parse_pcapng(&bytes)?,
            Some(
                [0xa1, 0xb2, 0xc3, 0xd4]
                | [0xd4, 0xc3, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0x3c, 0x4d]
                | [0x4d, 0x3c, 0xb2, 0xa1],
            ) => parse_pcap(&bytes)?,
            _ => return Err(PcapError::UnknownFormat(bytes.iter().take(4).copied().collect())),
        };
        Ok(Self { bytes, records })
    }

    /// Its packets, in the order of the file.
    pub fn records(&self) -> &[PcapRecord] {
        &self.records
    }

    /// What was captured of a packet.
    pub fn data(&self, record: &PcapRecord) -> &[u8] {
        self.bytes.get(record.start..record.start + record.len).unwrap_or_default()
    }
}

fn parse_pcap(bytes: &[u8]) -> Result<Vec<PcapRecord>, PcapError> {
    let mut records = Vec::new();
    let (mut rest, parser) = PcapParser::new(bytes).map_err(|e| malformed(0, 0, &e))?;
    check_link(parser.header().datalink, 0, 0)?;
    let fraction_nanos = match parser.header().ts_resolution {
        TsResolution::MicroSecond => 1_000,
        TsResolution::NanoSecond => 1,
    };
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        // The raw form, because the checked one refuses packets that were longer than the snapshot length.
        let (next, packet) = parser.next_raw_packet(rest).map_err(|e| malformed(offset, records.len(), &e))?;
        let len = packet.data.len();
        records.push(PcapRecord {
            nanos: u64::from(packet.ts_sec) * 1_000_000_000 + u64::from(packet.ts_frac) * fraction_nanos,
            original_len: packet.orig_len,
            interface: 0,
            direction: None,
            start: bytes.len() - next.len() - len,
            len,
        });
        rest = next;
    }
    Ok(records)
}

fn parse_pcapng(bytes: &[u8]) -> Result<Vec<PcapRecord>, PcapError> {
    let mut records: Vec<PcapRecord> = Vec::new();
    let (mut rest, mut parser) = PcapNgParser::new(bytes).map_err(|e| malformed(0, 0, &e))?;
    while !rest.is_empty() {
        let (offset, packet) = (bytes.len() - rest.len(), records.len());
        let wanted = block_type(rest, parser.section().endianness)
            .is_some_and(|t| BLOCKS_READ.contains(&t) || t.to_be_bytes() == SECTION_HEADER);
        if !wanted {
            rest = parser.next_raw_block(rest).map_err(|e| malformed(offset, packet, &e))?.0;
            continue;
        }
        let (next, block) = parser.next_block(rest).map_err(|e| malformed(offset, packet, &e))?;
        let raw = RawPacket::of(block, parser.section().endianness);
        rest = next;
        let Some(raw) = raw else { continue };
        let Some(interface) = parser.interfaces().get(raw.interface as usize) else {
            return Err(malformed(
                offset,
                packet,
                &format!("it names interface {}, which no block describes", raw.interface),
            ));
        };
        check_link(interface.linktype, offset, packet)?;
        // A simple packet has no time: it follows the one before at once.
        let before = records.last().map_or(0, |r| r.nanos);
        let snaplen = if interface.snaplen == 0 { usize::MAX } else { interface.snaplen as usize };
        records.push(PcapRecord {
            nanos: raw.units.map_or(before, |units| to_nanos(units, interface)),
            original_len: raw.original_len,
            interface: raw.interface,
            direction: raw.direction,
            start: raw.data.as_ptr() as usize - bytes.as_ptr() as usize,
            len: if raw.units.is_none() { raw.data.len().min(snaplen) } else { raw.data.len() },
        });
    }
    Ok(records)
}

/// What the three kinds of packet block have in common.
struct RawPacket<'a> {
    interface: u32,
    units: Option<u64>,
    original_len: u32,
    direction: Option<Direction>,
    data: &'a [u8],
}

impl<'a> RawPacket<'a> {
    fn of(block: Block<'a>, endianness: Endianness) -> Option<Self> {
        let (interface, units, original_len, direction, data) = match block {
            Block::EnhancedPacket(p) => {
                let direction = p.options.iter().find_map(direction_of);
                // The crate takes the units for nanoseconds whatever the interface says.
                (p.interface_id, Some(p.timestamp.as_nanos() as u64), p.original_len, direction, p.data)
            }
            Block::SimplePacket(p) => (0, None, p.original_len, None, p.data),
            Block::Packet(p) => {
                // The crate reads one number where pcapng has the high word first.
                let little = endianness == Endianness::Little;
                let units = if little { p.timestamp.rotate_left(32) } else { p.timestamp };
                (p.interface_id.into(), Some(units), p.original_len, None, p.data)
            }
            _ => return None,
        };
        // Borrowed from the file's bytes, as every block that the parser cuts.
        let std::borrow::Cow::Borrowed(data) = data else { return None };
        // The data of a simple packet comes with its padding.
        let data = if units.is_none() { data.get(..original_len as usize).unwrap_or(data) } else { data };
        Some(Self { interface, units, original_len, direction, data })
    }
}

fn direction_of(option: &EnhancedPacketOption<'_>) -> Option<Direction> {
    match option {
        EnhancedPacketOption::Flags(flags) if flags & 3 == 1 => Some(Direction::Inbound),
        EnhancedPacketOption::Flags(flags) if flags & 3 == 2 => Some(Direction::Outbound),
        _ => None,
    }
}

fn block_type(bytes: &[u8], endianness: Endianness) -> Option<u32> {
    let word = *bytes.first_chunk::<4>()?;
    Some(if endianness == Endianness::Big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

/// Time stamp units into nanoseconds: `if_tsresol` (microseconds if absent; with the top bit a power of two) and
/// `if_tsoffset` (seconds).
fn to_nanos(units: u64, interface: &InterfaceDescriptionBlock<'_>) -> u64 {
    let (mut resolution, mut offset_seconds) = (6, 0);
    for option in &interface.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(r) => resolution = *r,
            InterfaceDescriptionOption::IfTsOffset(seconds) => offset_seconds = *seconds,
            _ => {}
        }
    }
    let units = u128::from(units) * 1_000_000_000;
    let nanos = match resolution {
        0..128 => 10u128.checked_pow(resolution.into()).map_or(0, |per_second| units / per_second),
        _ => units.checked_shr(u32::from(resolution) & 0x7f).unwrap_or(0),
    };
    u64::try_from(nanos + u128::from(offset_seconds) * 1_000_000_000).unwrap_or(u64::MAX)
}

fn check_link(link: DataLink, offset: usize, packet: usize) -> Result<(), PcapError> {
    if link == DataLink::ETHERNET {
        return Ok(());
    }
    let what = format!("the link type is {link:?}, but only Ethernet can be played; capture on an Ethernet interface");
    Err(malformed(offset, packet, &what))
}

fn malformed(offset: usize, packet: usize, what: &dyn std::fmt::Display) -> PcapError {
    let what = match what.to_string() {
        cut if cut == pcap_file::PcapError::IncompleteBuffer.to_string() => {
            "the file ends in the middle of it; drop the rest with `editcap IN OUT`".to_owned()
        }
        other => other,
    };
    PcapError::Malformed { offset, packet, what }
}
