//! Where everything lies in a session's region.
//!
//! ```text
//!      0  header, one page: the facts below as 32-bit words, then client_sleeps on a line of its own (offset 128)
//!   4096  lane 0: page with its words, then its dirty bits, its news bits, then the entries of its two rings
//!         ...
//!         slot 0: line of client words, line of lane words; slot 1 ...
//!         slot 0: tx bytes, rx bytes of datagrams; slot 1 ...
//!         slot 0: TCP_INFO of its stream; slot 1 ...
//!         slot 0: send ring of 4 KiB; slot 1 ..., slot 0: send ring of 8 KiB; slot 1 ..., and so on
//!         the same for receive rings
//! ```
//!
//! Rings of one size lie side by side, so that those of many streams, most of which use one page of a ring, share the kernel's page tables.
//!
//! Invariants: all offsets follow from the facts in the header; nothing that the client writes shares a cache line with
//! anything that a lane writes, sleeping words, dirty bits, news bits and their summaries apart, which both do; buffers start on a page.

use super::SessionError;
use crate::dirty::DirtyBits;
use crate::memory::{Memory, Outside, Word32};
use crate::record::{RECORD_RING_MAX, record_bytes};
use crate::stream::{RECORDS, STREAM_RING_MAX, STREAM_RING_MIN, TCP_INFO_BYTES, word};
use crate::sync::Ordering;
use std::sync::Arc;
use thiserror::Error;

/// The version of the layout. A client and a daemon of different versions refuse each other.
pub const ABI_VERSION: u32 = 6;
/// "xmit", the first word of every region.
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"xmit");
/// Lanes of one session: one bell each is passed, and a message carries at most 253 descriptors.
pub const LANES_MAX: u32 = 64;
/// Slots of one session: the dirty bits of a lane have three levels of 64, and one word is read in every turn.
pub const SLOTS_MAX: u32 = crate::slot_set::SLOTS_MAX;

const PAGE: usize = 4096;
const LINE: usize = 64;
/// Bytes of an entry of the submission and completion rings.
const ENTRY: usize = 32;
const CONTROL_MIN: u32 = 8;
const CONTROL_MAX: u32 = 4096;
/// The largest UDP payload must fit into a buffer at least once.
const BUFFER_MIN: u32 = (record_bytes(65_507) as u32).next_power_of_two();

/// Unused bytes behind the datagram buffers of a slot, whose sizes are even numbers of pages: of an odd number the same page of all slots
/// spreads over all sets of the processor's translation caches. Rings of streams have their skew for it.
const SPREAD: usize = PAGE;
/// Bytes from one slot's `TCP_INFO` to the next one's.
const INFO_STRIDE: usize = TCP_INFO_BYTES.next_multiple_of(LINE);

const CLIENT_SLEEPS: usize = 128;
const FACTS: usize = 9;

/// The sizes of a session, chosen by the daemon: they are the client's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Lanes that the client can use.
    pub lanes: u32,
    /// Sockets that the client can have.
    pub slots: u32,
    /// Entries of each submission and each completion ring, a power of two.
    pub control_entries: u32,
    /// Bytes of a socket's send buffer, a power of two of at least 131,072.
    pub tx_bytes: u32,
    /// Bytes of a socket's receive buffer, a power of two of at least 131,072.
    pub rx_bytes: u32,
    /// What a stream's send buffer may grow to, a power of two of at least 4,096.
    pub stream_tx_bytes: u32,
    /// What a stream's receive buffer may grow to, a power of two of at least 4,096.
    pub stream_rx_bytes: u32,
    /// Bytes that the buffers in use may hold together; the lanes' matter, not in the region.
    pub memory_max: u64,
}

impl Default for SessionConfig {
    /// One lane, 256 sockets, buffers near the kernel's defaults (`net.core.rmem_default` is 212,992; `net.ipv4.tcp_wmem` and
    /// `tcp_rmem` end at 4 and 6 MiB).
    fn default() -> Self {
        Self {
            lanes: 1,
            slots: 256,
            control_entries: 64,
            tx_bytes: 256 << 10,
            rx_bytes: 256 << 10,
            stream_tx_bytes: 4 << 20,
            stream_rx_bytes: 8 << 20,
            memory_max: u64::MAX,
        }
    }
}

/// A size that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a session with {name} = {value}: it must be {must}")]
pub struct ConfigError {
    /// The field.
    pub name: &'static str,
    /// What it was.
    pub value: u32,
    /// What it may be.
    pub must: &'static str,
}

/// The offsets of one region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    config: SessionConfig,
    lane_bytes: usize,
    slots_at: usize,
    datagrams_at: usize,
    /// Bytes of one slot's datagram buffers.
    datagram_bytes: usize,
    info_at: usize,
    /// What the places of send rings are counted from ([`Layout::ring`]).
    stream_tx_at: usize,
    /// The same for receive rings.
    stream_rx_at: usize,
    total: usize,
}

/// The offsets of one lane's part, in bytes from the region's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneOffsets {
    pub(crate) lane_sleeps: usize,
    pub(crate) submit_tail: usize,
    pub(crate) submit_head: usize,
    pub(crate) complete_head: usize,
    pub(crate) complete_tail: usize,
    pub(crate) dirty_summary: usize,
    pub(crate) news_summary: usize,
    pub(crate) dirty: usize,
    pub(crate) news: usize,
    pub(crate) submissions: usize,
    pub(crate) completions: usize,
}

/// The offsets of one slot, in bytes from the region's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotOffsets {
    /// The line that the client writes; that of the lane follows.
    pub(crate) client: usize,
    // Buffers of datagrams.
    pub(crate) tx_bytes: usize,
    pub(crate) rx_bytes: usize,
    /// `TCP_INFO`.
    pub(crate) info: usize,
}

impl SessionConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let buffer = "a power of two from 131072 to 1073741824";
        let stream = "a power of two from 4096 to 1073741824";
        let ranges = [
            ("lanes", self.lanes, 1, LANES_MAX, false, "1 to 64"),
            ("slots", self.slots, 1, SLOTS_MAX, false, "1 to 262144"),
            ("control_entries", self.control_entries, CONTROL_MIN, CONTROL_MAX, true, "a power of two from 8 to 4096"),
            ("tx_bytes", self.tx_bytes, BUFFER_MIN, RECORD_RING_MAX, true, buffer),
            ("rx_bytes", self.rx_bytes, BUFFER_MIN, RECORD_RING_MAX, true, buffer),
            ("stream_tx_bytes", self.stream_tx_bytes, STREAM_RING_MIN, STREAM_RING_MAX, true, stream),
            ("stream_rx_bytes", self.stream_rx_bytes, STREAM_RING_MIN, STREAM_RING_MAX, true, stream),
        ];
        for (name, value, min, max, power, must) in ranges {
            if value < min || value > max || (power && !value.is_power_of_two()) {
                return Err(ConfigError { name, value, must });
            }
        }
        Ok(())
    }
}

impl Layout {
    pub(crate) fn new(config: &SessionConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let rings = 2 * config.control_entries as usize * ENTRY;
        let lane_bytes = (PAGE + 2 * dirty_bytes(config.slots) + rings).next_multiple_of(PAGE);
        let slots_at = PAGE + config.lanes as usize * lane_bytes;
        let slots = config.slots as usize;
        let datagrams_at = (slots_at + slots * 2 * LINE).next_multiple_of(PAGE);
        let datagram_bytes = config.tx_bytes as usize + config.rx_bytes as usize + SPREAD;
        let info_at = datagrams_at + slots * datagram_bytes;
        let stream_tx_at = (info_at + slots * INFO_STRIDE).next_multiple_of(PAGE);
        let stream_rx_at = stream_tx_at + slots * rings_bytes(config.stream_tx_bytes);
        let total = stream_rx_at + slots * rings_bytes(config.stream_rx_bytes);
        // The smallest ring of slot 0 is `slots` times its size behind it.
        let counted_from = |smallest: usize| smallest - slots * STREAM_RING_MIN as usize;
        Ok(Self {
            config: *config,
            lane_bytes,
            slots_at,
            datagrams_at,
            datagram_bytes,
            info_at,
            stream_tx_at: counted_from(stream_tx_at),
            stream_rx_at: counted_from(stream_rx_at),
            total,
        })
    }

    /// Writes the header of a fresh region.
    pub(crate) fn write(&self, memory: &Arc<Memory>) -> Result<(), Outside> {
        for (i, fact) in self.facts().into_iter().enumerate() {
            memory.word32(i * 4)?.store(fact, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads the header of a region that somebody else made, once, and checks that the region is what it says.
    pub(crate) fn read(memory: &Arc<Memory>) -> Result<Self, SessionError> {
        let mut facts = [0; FACTS];
        for (i, fact) in facts.iter_mut().enumerate() {
            *fact = memory.word32(i * 4)?.load(Ordering::Relaxed);
        }
        let [magic, version, lanes, slots, control_entries, tx_bytes, rx_bytes, stream_tx_bytes, stream_rx_bytes] =
            facts;
        if magic != MAGIC {
            return Err(SessionError::Header("it does not begin with \"xmit\""));
        }
        if version != ABI_VERSION {
            return Err(SessionError::Header("another version"));
        }
        let layout = Self::new(&SessionConfig {
            lanes,
            slots,
            control_entries,
            tx_bytes,
            rx_bytes,
            stream_tx_bytes,
            stream_rx_bytes,
            memory_max: u64::MAX,
        })?;
        if layout.total != memory.len() {
            return Err(SessionError::Header("the region's size is not the one that follows from its header"));
        }
        Ok(layout)
    }

    fn facts(&self) -> [u32; FACTS] {
        let c = &self.config;
        let (stream_tx, stream_rx) = (c.stream_tx_bytes, c.stream_rx_bytes);
        [MAGIC, ABI_VERSION, c.lanes, c.slots, c.control_entries, c.tx_bytes, c.rx_bytes, stream_tx, stream_rx]
    }

    pub(crate) fn config(&self) -> &SessionConfig {
        &self.config
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn client_sleeps(memory: &Arc<Memory>) -> Result<Word32, Outside> {
        memory.word32(CLIENT_SLEEPS)
    }

    pub(crate) fn lane(&self, lane: u32) -> LaneOffsets {
        let base = PAGE + lane as usize * self.lane_bytes;
        let dirty = base + PAGE;
        let news = dirty + dirty_bytes(self.config.slots);
        let submissions = news + dirty_bytes(self.config.slots);
        LaneOffsets {
            lane_sleeps: base,
            submit_tail: base + LINE,
            complete_head: base + LINE + 4,
            submit_head: base + 2 * LINE,
            complete_tail: base + 2 * LINE + 4,
            dirty_summary: base + LINE + 8,
            news_summary: base + 2 * LINE + 8,
            dirty,
            news,
            submissions,
            completions: submissions + self.config.control_entries as usize * ENTRY,
        }
    }

    pub(crate) fn slot(&self, slot: u32) -> SlotOffsets {
        let client = self.slots_at + slot as usize * 2 * LINE;
        let tx_bytes = self.datagrams_at + slot as usize * self.datagram_bytes;
        let rx_bytes = tx_bytes + self.config.tx_bytes as usize;
        SlotOffsets { client, tx_bytes, rx_bytes, info: self.info_at + slot as usize * INFO_STRIDE }
    }

    /// Where the send ring, or the receive ring, of `size` bytes of `slot` begins: those of all slots lie side by side, behind all smaller
    /// ones, which are `size - STREAM_RING_MIN` bytes for each slot.
    #[inline]
    pub(crate) fn ring<const RECEIVE: bool>(&self, slot: u32, size: u32) -> usize {
        let at = if RECEIVE { self.stream_rx_at } else { self.stream_tx_at };
        at + (self.config.slots as usize + slot as usize) * size as usize
    }

    /// The dirty bits of one lane.
    pub(super) fn dirty_bits(&self, memory: &Arc<Memory>, at: &LaneOffsets) -> Result<DirtyBits, Outside> {
        self.bits(memory, at.dirty_summary, at.dirty)
    }

    /// Its news bits.
    pub(super) fn news_bits(&self, memory: &Arc<Memory>, at: &LaneOffsets) -> Result<DirtyBits, Outside> {
        self.bits(memory, at.news_summary, at.news)
    }

    fn bits(&self, memory: &Arc<Memory>, summary: usize, words: usize) -> Result<DirtyBits, Outside> {
        let middle = memory.words64(words + lines(self.dirty_words()), self.dirty_words().div_ceil(64))?;
        Ok(DirtyBits {
            summary: memory.words64(summary, 1)?,
            middle,
            words: memory.words64(words, self.dirty_words())?,
        })
    }

    pub(crate) fn dirty_words(&self) -> usize {
        (self.config.slots as usize).div_ceil(64)
    }
}

/// Bytes of a slot's rings of one direction, one of each size up to `max`.
const fn rings_bytes(max: u32) -> usize {
    2 * max as usize - STREAM_RING_MIN as usize
}

/// Bytes of a lane's dirty bits and of the bits over their words, whole cache lines each.
const fn dirty_bytes(slots: u32) -> usize {
    let words = (slots as usize).div_ceil(64);
    lines(words) + lines(words.div_ceil(64))
}

/// Bytes of the cache lines that so many words of 64 bits fill.
const fn lines(words: usize) -> usize {
    words.div_ceil(8) * LINE
}

// The words of streams stand behind those of datagrams, on the same two lines, each at its place for good.
const _: () = assert!(word::SEND_TAIL == 4 && word::RECEIVE_HEAD == 5 && word::SEND_URGENT_COUNT == 9);
const _: () = assert!(word::SEND_HEAD == 4 && word::RECEIVE_TAIL == 5 && word::RECEIVE_URGENT_COUNT == 9);
const _: () = assert!(word::SEND_RING == 10 && word::RECEIVE_RING_AT == 13 && word::INFO_SEQUENCE == 14);
const _: () = assert!(
    word::SEND_RECORD_COUNT == 10 && word::SEND_RECORDS + RECORDS as usize == 15 && word::SEND_RECORDS_TAKEN == 15
);
const _: () = assert!(word::SEND_ORIGIN == 15 && word::RECEIVE_ORIGIN == 0);
const _: () = assert!(BUFFER_MIN == 131_072 && CLIENT_SLEEPS.is_multiple_of(LINE) && FACTS * 4 <= CLIENT_SLEEPS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_end_at_the_total() {
        let good = SessionConfig { stream_tx_bytes: 1 << 14, stream_rx_bytes: 1 << 15, ..SessionConfig::default() };
        let config =
            SessionConfig { lanes: 3, slots: 1000, control_entries: 16, tx_bytes: 1 << 17, rx_bytes: 1 << 18, ..good };
        let layout = Layout::new(&config).unwrap();
        let mut last_end = PAGE;
        for lane in 0..3 {
            let at = layout.lane(lane);
            assert_eq!(at.lane_sleeps, last_end);
            assert!(at.complete_tail < at.dirty && at.dirty + layout.dirty_words() * 8 <= at.news);
            assert!(at.news + layout.dirty_words() * 8 <= at.submissions);
            assert_eq!(at.completions - at.submissions, 16 * ENTRY);
            last_end = (at.completions + 16 * ENTRY).next_multiple_of(PAGE);
        }
        assert_eq!(layout.slot(0).client, last_end);
        assert!(layout.slot(999).client + LINE < layout.slot(0).tx_bytes);
        let last = layout.slot(999);
        assert_eq!(last.rx_bytes + (1 << 18) + SPREAD, layout.slot(0).info);
        let mut end = (last.info + INFO_STRIDE).next_multiple_of(PAGE);
        for size in [4096, 8192, 16_384] {
            for slot in 0..1000 {
                assert_eq!(layout.ring::<false>(slot, size), end);
                end += size as usize;
            }
        }
        for size in [4096, 8192, 16_384, 32_768] {
            assert_eq!(layout.ring::<true>(0, size), end);
            assert_eq!(layout.ring::<true>(999, size), end + 999 * size as usize);
            end += 1000 * size as usize;
        }
        assert_eq!(end, layout.total());
    }

    #[test]
    fn client_and_lane_words_stand_on_different_lines() {
        let layout = Layout::new(&SessionConfig::default()).unwrap();
        let (lane, slot) = (layout.lane(0), layout.slot(3));
        let lines = |offsets: &[usize]| offsets.iter().map(|o| o / LINE).collect::<std::collections::BTreeSet<_>>();
        let client = lines(&[lane.submit_tail, lane.complete_head, slot.client]);
        let ours = lines(&[lane.submit_head, lane.complete_tail, slot.client + LINE]);
        assert!(client.is_disjoint(&ours));
    }

    #[test]
    fn sizes_out_of_bounds_are_named() {
        let bad = |config: SessionConfig| Layout::new(&config).unwrap_err().name;
        let good = SessionConfig::default();
        assert_eq!(bad(SessionConfig { lanes: 0, ..good }), "lanes");
        assert_eq!(bad(SessionConfig { slots: SLOTS_MAX + 1, ..good }), "slots");
        assert_eq!(bad(SessionConfig { control_entries: 9, ..good }), "control_entries");
        assert_eq!(bad(SessionConfig { tx_bytes: 1 << 16, ..good }), "tx_bytes");
        assert_eq!(bad(SessionConfig { rx_bytes: u32::MAX, ..good }), "rx_bytes");
        assert_eq!(bad(SessionConfig { stream_rx_bytes: 2048, ..good }), "stream_rx_bytes");
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        let layout = Layout::new(&SessionConfig::default()).unwrap();
        let memory = Memory::anonymous(layout.total()).unwrap();
        assert!(Layout::read(&memory).is_err(), "no header");
        layout.write(&memory).unwrap();
        assert!(Layout::read(&memory).is_ok());
        for (word, value) in
            [(0, 1), (1, 1), (2, 0), (3, u32::MAX), (3, 257), (4, 1 << 31), (5, 1 << 30), (6, 3), (7, 0), (8, 1 << 31)]
        {
            let word = memory.word32(word * 4).unwrap();
            let honest = word.swap(value, Ordering::Relaxed);
            assert!(Layout::read(&memory).is_err(), "{value} instead of {honest}");
            word.store(honest, Ordering::Relaxed);
        }
    }
}
