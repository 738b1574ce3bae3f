//! The rings of a session's slots, found by the slot's number: what an open slot costs its lane is positions, not pointers.
//!
//! Invariants: a view is of a slot of the session; a copy never leaves the slot's ring, whatever stands in the words.

use super::layout::Layout;
use crate::memory::{LineWords, Lines, Memory, Outside};
use crate::prefetch::prefetch;
use crate::record::RecordView;
use crate::stream::{STREAM_RING_MIN, StreamView, TCP_INFO_BYTES, word as stream_word};
use crate::sync::{AtomicU32, Ordering};
use std::sync::Arc;

/// Words of the two lines that datagrams use, and those of both kinds; `docs/shared-memory.md`.
mod word {
    /// The client's line: its tail, its head, threads that wait for room.
    pub(super) const TX_TAIL: usize = 0;
    pub(super) const RX_HEAD: usize = 1;
    pub(super) const WANTS: usize = 2;
    /// The lane's.
    pub(super) const TX_HEAD: usize = 0;
    pub(super) const RX_TAIL: usize = 1;
    pub(super) const ERROR: usize = 2;
    pub(super) const EVENTS: usize = 3;
}

/// Lines at the beginning of a page over which origins are spread; behind them is room for what a light stream carries at a time.
const SKEW_LINES: u32 = 32;
/// Slots whose origins lie on the same page of their rings. Rings of one size lie side by side, and their sizes are powers of two: without
/// this the pages that are used would fall into a few sets of the processor's translation caches.
const SLOTS_A_PAGE: u32 = 16;
const LINE_BYTES: u32 = 64;

/// The slots of one session.
#[derive(Debug)]
pub(super) struct SlotMemory {
    lines: Lines,
    layout: Layout,
}

/// One direction of a slot's stream; `RECEIVE`: lane to client.
#[derive(Debug)]
pub struct SlotStream<const RECEIVE: bool> {
    slots: Arc<SlotMemory>,
    slot: u32,
}

/// One direction of a slot's datagrams; `RECEIVE`: lane to client.
#[derive(Debug)]
pub struct SlotRecords<const RECEIVE: bool> {
    slots: Arc<SlotMemory>,
    slot: u32,
}

impl SlotMemory {
    pub(super) fn new(memory: &Arc<Memory>, layout: &Layout) -> Result<Arc<Self>, Outside> {
        let lines = memory.lines(layout.slot(0).client, 2 * layout.config().slots as usize)?;
        Ok(Arc::new(Self { lines, layout: *layout }))
    }

    /// One direction of the stream in `slot`, which was checked.
    pub(super) fn stream<const RECEIVE: bool>(self: &Arc<Self>, slot: u32) -> SlotStream<RECEIVE> {
        debug_assert!(slot < self.layout.config().slots);
        SlotStream { slots: Arc::clone(self), slot }
    }

    /// One direction of the datagrams in `slot`, which was checked.
    pub(super) fn records<const RECEIVE: bool>(self: &Arc<Self>, slot: u32) -> SlotRecords<RECEIVE> {
        debug_assert!(slot < self.layout.config().slots);
        SlotRecords { slots: Arc::clone(self), slot }
    }

    /// Threads of the client that wait for room in `slot`.
    pub(super) fn wants(&self, slot: u32) -> &AtomicU32 {
        &self.client(slot)[word::WANTS]
    }

    /// The pending error of `slot`.
    pub(super) fn error(&self, slot: u32) -> &AtomicU32 {
        &self.lane(slot)[word::ERROR]
    }

    /// The events of `slot`.
    pub(super) fn events(&self, slot: u32) -> &AtomicU32 {
        &self.lane(slot)[word::EVENTS]
    }

    /// Asks for the two lines of `slot`.
    #[inline]
    pub(super) fn prefetch(&self, slot: u32) {
        prefetch(self.client(slot));
        prefetch(self.lane(slot));
    }

    /// What is shown of the stream in `slot` and not consumed, unchecked.
    #[inline]
    pub(super) fn stream_unread(&self, slot: u32) -> u32 {
        // Acquire pairs with the Release in `ReceiveWriter::advance`, though nothing is read by it: the read looks again.
        let tail = self.lane(slot)[stream_word::RECEIVE_TAIL].load(Ordering::Acquire);
        tail.wrapping_sub(self.client(slot)[stream_word::RECEIVE_HEAD].load(Ordering::Relaxed))
    }

    /// Urgent bytes that the stream in `slot` had.
    #[inline]
    pub(super) fn stream_urgent_count(&self, slot: u32) -> u32 {
        // Acquire pairs with the Release in `ReceiveWriter::mark_urgent`.
        self.lane(slot)[stream_word::RECEIVE_URGENT_COUNT].load(Ordering::Acquire)
    }

    #[inline]
    fn client(&self, slot: u32) -> &LineWords {
        &self.lines[2 * slot as usize]
    }

    #[inline]
    fn lane(&self, slot: u32) -> &LineWords {
        &self.lines[2 * slot as usize + 1]
    }

    /// Copies out of the part of `size` bytes at `start`.
    #[inline]
    fn read(&self, start: usize, size: usize, offset: usize, out: &mut [u8]) -> bool {
        let fits = offset.checked_add(out.len()).is_some_and(|end| end <= size);
        fits && self.lines.memory().read(start + offset, out)
    }

    /// Copies into the part of `size` bytes at `start`.
    #[inline]
    fn write(&self, start: usize, size: usize, offset: usize, data: &[u8]) -> bool {
        let fits = offset.checked_add(data.len()).is_some_and(|end| end <= size);
        fits && self.lines.memory().write(start + offset, data)
    }
}

impl<const RECEIVE: bool> SlotStream<RECEIVE> {
    #[inline]
    fn ring(&self, size: u32) -> usize {
        self.slots.layout.ring::<RECEIVE>(self.slot, size)
    }

    /// The bytes of a ring that there is.
    #[inline]
    fn bytes(size: u32) -> usize {
        if size < STREAM_RING_MIN { 0 } else { size as usize }
    }
}

impl<const RECEIVE: bool> StreamView for SlotStream<RECEIVE> {
    #[inline]
    fn client(&self) -> &LineWords {
        self.slots.client(self.slot)
    }

    #[inline]
    fn lane(&self) -> &LineWords {
        self.slots.lane(self.slot)
    }

    #[inline]
    fn size_max(&self) -> u32 {
        let config = self.slots.layout.config();
        if RECEIVE { config.stream_rx_bytes } else { config.stream_tx_bytes }
    }

    #[inline]
    fn skew(&self) -> u32 {
        // The two directions of a slot differ as well.
        let line = (self.slot + if RECEIVE { SKEW_LINES / 2 } else { 0 }) % SKEW_LINES;
        line * LINE_BYTES + self.slot / SLOTS_A_PAGE * STREAM_RING_MIN
    }

    #[inline]
    fn prefetch(&self, ring: u32, offset: usize) {
        self.slots.lines.memory().prefetch(self.ring(ring) + offset);
    }

    #[inline]
    fn read(&self, ring: u32, offset: usize, out: &mut [u8]) -> bool {
        self.slots.read(self.ring(ring), Self::bytes(ring), offset, out)
    }

    #[inline]
    fn write(&self, ring: u32, offset: usize, data: &[u8]) -> bool {
        self.slots.write(self.ring(ring), Self::bytes(ring), offset, data)
    }

    fn give_back(&self, ring: u32) -> bool {
        let fits = (STREAM_RING_MIN..=self.size_max()).contains(&ring);
        fits && self.slots.lines.memory().give_back(self.ring(ring), ring as usize)
    }

    fn read_info(&self, out: &mut [u8; TCP_INFO_BYTES]) {
        self.slots.read(self.slots.layout.slot(self.slot).info, TCP_INFO_BYTES, 0, out);
    }

    fn write_info(&self, info: &[u8; TCP_INFO_BYTES]) {
        self.slots.write(self.slots.layout.slot(self.slot).info, TCP_INFO_BYTES, 0, info);
    }
}

impl<const RECEIVE: bool> SlotRecords<RECEIVE> {
    #[inline]
    fn start(&self) -> usize {
        let at = self.slots.layout.slot(self.slot);
        if RECEIVE { at.rx_bytes } else { at.tx_bytes }
    }
}

impl<const RECEIVE: bool> RecordView for SlotRecords<RECEIVE> {
    #[inline]
    fn head(&self) -> &AtomicU32 {
        if RECEIVE { &self.slots.client(self.slot)[word::RX_HEAD] } else { &self.slots.lane(self.slot)[word::TX_HEAD] }
    }

    #[inline]
    fn tail(&self) -> &AtomicU32 {
        if RECEIVE { &self.slots.lane(self.slot)[word::RX_TAIL] } else { &self.slots.client(self.slot)[word::TX_TAIL] }
    }

    #[inline]
    fn size(&self) -> u32 {
        let config = self.slots.layout.config();
        if RECEIVE { config.rx_bytes } else { config.tx_bytes }
    }

    #[inline]
    fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        self.slots.read(self.start(), self.size() as usize, offset, out)
    }

    #[inline]
    fn write(&self, offset: usize, data: &[u8]) -> bool {
        self.slots.write(self.start(), self.size() as usize, offset, data)
    }
}
