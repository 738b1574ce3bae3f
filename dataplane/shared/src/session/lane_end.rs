//! The lane's end of one session.
//!
//! Owns the lane's private copies of every position, and a ring pair for each open slot. Called by the lane's socket layer,
//! in this order in each turn: [`LaneEnd::next_submission`], [`LaneEnd::collect_dirty`] and [`LaneEnd::next_dirty`], pushes of
//! what arrived, [`LaneEnd::ring_client`] once at the end; [`LaneEnd::prepare_sleep`] and [`LaneEnd::has_work`] before sleeping.
//!
//! Invariants:
//! * a [`Rubbish`] error ends the session: drop this end; nothing of it must be used again;
//! * a submission is taken only if a completion for it and for all others taken has room, but for those that are
//!   postponed: their answers wait here for room;
//! * at most one system call in each turn, and only if the client sleeps.

use super::layout::{LaneOffsets, Layout};
use super::op::Completion;
use super::quota::{Charge, Quota};
use super::slot_view::{SlotMemory, SlotRecords, SlotStream};
use super::{SessionConfig, SessionError};
use crate::dirty::{DirtyBatch, DirtyCollector};
use crate::doorbell::{Sleeper, Waker};
use crate::memory::{Memory, Outside};
use crate::prefetch::prefetch;
use crate::record::{Meta, PushError, RecordReader, RecordWriter};
use crate::ring::{Consumer, Producer, Ring};
use crate::rubbish::Rubbish;
use crate::sleep::SleepWord;
use crate::stream::{ReceiveWriter, SendReader, StreamView};
use crate::sync::Ordering;
use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The lane's end of one session.
#[derive(Debug)]
pub struct LaneEnd {
    config: SessionConfig,
    pub(super) quota: Arc<Quota>,
    /// What stream calls found.
    pub(super) rubbish: Option<Rubbish>,
    pub(super) submissions: Consumer,
    pub(super) completions: Producer,
    /// Submissions taken and not yet completed, without those postponed.
    pub(super) outstanding: u32,
    /// Answers to postponed submissions that found no room, oldest first; at most one for each slot.
    pub(super) late: VecDeque<Completion>,
    dirty: DirtyCollector,
    memory: Arc<SlotMemory>,
    pub(super) slots: Box<[LaneSlot]>,
    sleeper: Sleeper,
    client: Waker,
    /// Something that any sleeping client waits for was published since the last bell.
    pub(super) posted: bool,
    /// Streams with something to look at since the last bell.
    pub(super) news: DirtyBatch,
    /// Slots whose send buffer got room since the last bell, oldest first; a few are enough, more count as `posted`.
    drained: Vec<u32>,
}

/// The slots that [`LaneEnd::ring_client`] asks one by one whether their client waits for room.
const DRAINED_MAX: usize = 64;

/// What a lane keeps of a slot: positions; where its rings lie follows from its number.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct LaneSlot {
    usage: Usage,
    errors: u16,
    /// log2 of the rings that keep the pages of the last stream for the next; 0 for none.
    kept: (u8, u8),
}

/// What a slot is in use for: its rings are those of datagrams or those of a stream, never both.
#[derive(Debug, Default)]
enum Usage {
    #[default]
    Closed,
    Datagrams {
        tx: RecordReader<SlotRecords<false>>,
        rx: RecordWriter<SlotRecords<true>>,
    },
    Stream(LaneStream),
}

/// A slot in use for a stream.
#[derive(Debug)]
pub(super) struct LaneStream {
    pub(super) stream_tx: SendReader<SlotStream<false>>,
    pub(super) stream_rx: ReceiveWriter<SlotStream<true>>,
    pub(super) notsent_lowat: u32,
    /// log2 of the rings that the stream began with.
    first: (u8, u8),
}

impl LaneStream {
    /// Bytes of the rings that the stream began with.
    pub(super) fn first(&self) -> (u32, u32) {
        (1 << self.first.0, 1 << self.first.1)
    }
}

// A lane has one for each of its sockets, and a million of them: two cache lines.
const _: () = assert!(size_of::<LaneSlot>() == 128);

impl LaneEnd {
    pub(super) fn new(
        memory: &Arc<Memory>,
        layout: &Layout,
        lane: u32,
        bell: OwnedFd,
        client_bell: OwnedFd,
        quota: Arc<Quota>,
    ) -> Result<Self, SessionError> {
        let config = *layout.config();
        let at = layout.lane(lane);
        let slots = (0..config.slots).map(|_| LaneSlot::default()).collect();
        Ok(Self {
            config,
            quota,
            rubbish: None,
            submissions: Consumer::new(submission_ring(memory, &at, config.control_entries)?),
            completions: Producer::new(completion_ring(memory, &at, config.control_entries)?),
            outstanding: 0,
            late: VecDeque::new(),
            dirty: DirtyCollector::new(layout.dirty_bits(memory, &at)?, config.slots),
            memory: SlotMemory::new(memory, layout)?,
            slots,
            sleeper: Sleeper::new(SleepWord::new(memory.word32(at.lane_sleeps)?), bell),
            client: Waker::new(SleepWord::new(Layout::client_sleeps(memory)?), client_bell),
            posted: false,
            news: DirtyBatch::new(layout.news_bits(memory, &at)?),
            drained: Vec::with_capacity(DRAINED_MAX),
        })
    }

    /// The session's sizes.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Takes `slot` into use for datagrams: forgets what an earlier socket left to send. False if it is in use, outside the
    /// table, or beyond the session's memory. [`LaneEnd::open_stream`] does it for streams.
    pub fn open(&mut self, slot: u32) -> bool {
        let rings = u64::from(self.config.tx_bytes) + u64::from(self.config.rx_bytes);
        let Some(entry) = self.slots.get_mut(slot as usize).filter(|entry| !entry.is_open()) else { return false };
        if !self.quota.charge(slot, Charge::Datagrams, rings) {
            return false;
        }
        let mut tx = RecordReader::new(self.memory.records(slot));
        let mut rx = RecordWriter::new(self.memory.records(slot));
        tx.restart();
        rx.restart();
        self.memory.events(slot).store(0, Ordering::Relaxed);
        entry.usage = Usage::Datagrams { tx, rx };
        true
    }

    /// Ends the use of `slot`. The client forgets what it has not read when it opens the slot again. A stream's memory goes back
    /// to the kernel, by a few system calls if the stream had more than its first rings.
    pub fn close(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        if let Usage::Stream(stream) = std::mem::take(&mut entry.usage) {
            // First rings are kept for the next socket of the slot.
            let first = stream.first();
            self.quota.overcharge(slot, Charge::Send, first.0.into());
            self.quota.overcharge(slot, Charge::Receive, first.1.into());
            let keeps = |kept: bool, log: u8| if kept { log } else { 0 };
            entry.kept = (keeps(stream.stream_tx.end(), stream.first.0), keeps(stream.stream_rx.end(), stream.first.1));
        }
    }

    /// Learns which slots have something to send. Once each turn.
    #[inline]
    pub fn collect_dirty(&mut self) {
        self.dirty.collect();
    }

    /// The next open slot with something to send, in turn; its records are read with [`LaneEnd::tx_peek`] until there is none,
    /// or until the budget is used up, and then [`LaneEnd::put_back`].
    #[inline]
    pub fn next_dirty(&mut self) -> Option<u32> {
        // Bounded by the bits collected: each is forgotten when it is given out.
        while let Some(slot) = self.dirty.next_slot() {
            if self.slots.get(slot as usize).is_some_and(LaneSlot::is_open) {
                return Some(slot);
            }
        }
        None
    }

    /// Keeps `slot` among the dirty ones for the next turn.
    pub fn put_back(&mut self, slot: u32) {
        self.dirty.put_back(slot);
    }

    /// Keeps slots that were taken ahead; the first of them is the next of the dirty ones.
    pub fn put_back_ahead(&mut self, slots: impl IntoIterator<Item = u32>) {
        self.dirty.put_back_ahead(slots);
    }

    /// The header of the oldest datagram to send on `slot`, checked. The same one until [`LaneEnd::tx_consume`].
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    #[inline]
    pub fn tx_peek(&mut self, slot: u32) -> Result<Option<Meta>, Rubbish> {
        match self.usage_mut(slot) {
            Some(Usage::Datagrams { tx, .. }) => tx.peek(),
            _ => Ok(None),
        }
    }

    /// Copies the payload of the peeked datagram into `out`, the one copy that a byte sent has. Answers the bytes copied.
    #[inline]
    pub fn tx_copy(&self, slot: u32, out: &mut [u8]) -> usize {
        match self.slots.get(slot as usize).map(|slot| &slot.usage) {
            Some(Usage::Datagrams { tx, .. }) => tx.copy(out),
            _ => 0,
        }
    }

    /// Drops the peeked datagram and gives its room back to the client.
    #[inline]
    pub fn tx_consume(&mut self, slot: u32) {
        let Some(Usage::Datagrams { tx, .. }) = self.usage_mut(slot) else { return };
        tx.consume();
        self.note_room(slot);
    }

    /// Remembers that `slot`'s send buffer got room.
    #[inline]
    pub(super) fn note_room(&mut self, slot: u32) {
        if self.drained.last() != Some(&slot) {
            if self.drained.len() < DRAINED_MAX {
                self.drained.push(slot);
            } else {
                self.posted = true;
            }
        }
    }

    /// Leaves a received datagram, `parts` one after the other, for `slot`'s reader; the one copy that a byte received has.
    ///
    /// # Errors
    /// [`PushError::Full`] or [`PushError::TooLarge`]: drop and count it. [`PushError::Rubbish`]: the session is over.
    #[inline]
    pub fn rx_push(&mut self, slot: u32, meta: &Meta, parts: &[&[u8]]) -> Result<(), PushError> {
        let Some(Usage::Datagrams { rx, .. }) = self.usage_mut(slot) else { return Err(PushError::Full) };
        rx.push(meta, parts)?;
        self.posted = true;
        Ok(())
    }

    /// Gives slot `index` a pending error, a positive `errno` (`SO_ERROR`): the client's next call reports it.
    pub fn set_error(&mut self, index: u32, errno: u16) {
        if let Some(slot) = self.slots.get_mut(index as usize).filter(|slot| slot.is_open()) {
            // A number beside the error lets the client take it without writing to the lane's line.
            slot.errors = slot.errors.wrapping_add(1);
            let error = u32::from(slot.errors) << 16 | u32::from(errno);
            self.memory.error(index).store(error, Ordering::Release);
            self.posted = true;
            self.news.mark(index);
        }
    }

    /// Publishes the events of slot `index` that its rings do not show: `POLLHUP` and its like, for streams. Zero when opened.
    pub fn set_events(&mut self, index: u32, events: u32) {
        if self.slots.get(index as usize).is_some_and(LaneSlot::is_open) {
            self.memory.events(index).store(events, Ordering::Release);
            self.posted = true;
            self.news.mark(index);
        }
    }

    /// Asks for what a call on `slot` touches: the lane's positions, and the two lines that it shares with its client.
    #[inline]
    pub fn prefetch(&self, slot: u32) {
        if let Some(entry) = self.slots.get(slot as usize) {
            prefetch(entry);
            self.memory.prefetch(slot);
        }
    }

    /// Asks for the line where the next bytes received for `slot` are written; after [`LaneEnd::prefetch`], when that has arrived.
    #[inline]
    pub fn prefetch_ring(&self, slot: u32) {
        if let Some(stream) = self.slots.get(slot as usize).and_then(LaneSlot::stream) {
            stream.stream_rx.prefetch();
        }
    }

    /// Wakes the client if it sleeps and something happened that it may wait for. Once, at the end of a turn. True if
    /// that took a system call.
    #[inline]
    pub fn ring_client(&mut self) -> bool {
        self.news.publish();
        let rang = if self.posted {
            self.client.ring()
        } else if self.drained.is_empty() {
            false
        } else {
            // Room in a send buffer wakes only who waits for it: most clients sleep for something to read.
            self.client.ring_if(|| self.drained.iter().any(|slot| self.wants_room(*slot)))
        };
        self.drained.clear();
        self.posted = false;
        rang
    }

    /// True if the program waits for room in `slot`.
    pub fn wants_room(&self, slot: u32) -> bool {
        (slot as usize) < self.slots.len() && self.memory.wants(slot).load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn usage_mut(&mut self, slot: u32) -> Option<&mut Usage> {
        Some(&mut self.slots.get_mut(slot as usize)?.usage)
    }

    /// Takes `slot`, which is closed, into use for a stream. False if there is no such slot.
    pub(super) fn begin_stream(&mut self, slot: u32, tx_bytes: u32, rx_bytes: u32) -> bool {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return false };
        let mut stream_tx = SendReader::new(self.memory.stream(slot));
        let mut stream_rx = ReceiveWriter::new(self.memory.stream(slot));
        stream_tx.open(tx_bytes);
        stream_rx.open(rx_bytes);
        self.memory.events(slot).store(0, Ordering::Relaxed);
        let first = (tx_bytes.trailing_zeros() as u8, rx_bytes.trailing_zeros() as u8);
        // A ring that an earlier stream has left is of no use to one that begins with another.
        let kept = entry.kept;
        if kept.0 > 0 && kept.0 != first.0 {
            self.memory.stream::<false>(slot).give_back(1 << kept.0);
        }
        if kept.1 > 0 && kept.1 != first.1 {
            self.memory.stream::<true>(slot).give_back(1 << kept.1);
        }
        entry.usage = Usage::Stream(LaneStream { stream_tx, stream_rx, notsent_lowat: 0, first });
        true
    }

    /// Announces that the lane is about to sleep. Ask [`LaneEnd::has_work`] afterwards, of every session, and sleep only
    /// if none has any.
    pub fn prepare_sleep(&self) {
        self.sleeper.prepare();
    }

    /// True if the client left something. A client that wrote rubbish counts as one with work: the next turn finds it.
    pub fn has_work(&mut self) -> bool {
        self.has_submission() || self.dirty.any()
    }

    /// As [`LaneEnd::has_work`], but for the datagrams that were put back: the lane cannot send them before some time.
    pub fn has_news(&mut self) -> bool {
        self.has_submission() || self.dirty.any_new()
    }

    /// Says that the lane is awake again and silences the bell, by a system call only if it rang. After each
    /// [`LaneEnd::prepare_sleep`].
    pub fn awake(&self) {
        self.sleeper.awake();
    }

    /// The bell that the client rings for this lane: to be polled while it sleeps. Not shared with other sessions, so that
    /// no client can take another's bell away.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.sleeper.fd()
    }
}

impl LaneSlot {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.usage, Usage::Closed)
    }

    #[inline]
    pub(super) fn stream(&self) -> Option<&LaneStream> {
        if let Usage::Stream(stream) = &self.usage { Some(stream) } else { None }
    }

    #[inline]
    pub(super) fn stream_mut(&mut self) -> Option<&mut LaneStream> {
        if let Usage::Stream(stream) = &mut self.usage { Some(stream) } else { None }
    }
}

pub(super) fn submission_ring(memory: &Arc<Memory>, at: &LaneOffsets, capacity: u32) -> Result<Ring, Outside> {
    Ok(Ring {
        head: memory.word32(at.submit_head)?,
        tail: memory.word32(at.submit_tail)?,
        entries: memory.entries(at.submissions, capacity as usize)?,
        capacity,
    })
}

pub(super) fn completion_ring(memory: &Arc<Memory>, at: &LaneOffsets, capacity: u32) -> Result<Ring, Outside> {
    Ok(Ring {
        head: memory.word32(at.complete_head)?,
        tail: memory.word32(at.complete_tail)?,
        entries: memory.entries(at.completions, capacity as usize)?,
        capacity,
    })
}
