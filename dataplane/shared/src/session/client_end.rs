//! The client's end of its session.
//!
//! It comes in pieces, so that a client can put each behind its own lock: [`ClientShared`] for all threads, a [`ClientLane`]
//! for the socket calls of each lane, and for each slot a sending and a receiving half and its status.
//!
//! Invariants:
//! * every piece exists once (the status and the shared part may be read by many), so each ring has one producer and one consumer here;
//! * the daemon is not believed either: its positions and lengths are bounded, so a wrong one is an error and no crash.

use super::lane_end::{completion_ring, submission_ring};
use super::layout::Layout;
use super::op::{Completion, Submission};
use super::slot_view::{SlotMemory, SlotRecords, SlotStream};
use super::{SessionConfig, SessionError};
use crate::dirty::{DirtyBits, DirtyMarker, take_marked};
use crate::doorbell::{Sleeper, Waker};
use crate::memory::Memory;
use crate::record::{Meta, PushError, RecordReader, RecordWriter};
use crate::ring::{Consumer, Producer};
use crate::rubbish::Rubbish;
use crate::sleep::SleepWord;
use crate::stream::{ReceiveReader, SendWriter};
use crate::sync::Ordering;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The client's end of its session.
#[derive(Debug)]
pub struct ClientEnd {
    /// For all threads.
    pub shared: Arc<ClientShared>,
    /// The rings of socket calls, one pair for each lane.
    pub lanes: Vec<ClientLane>,
    /// The slots, all unused.
    pub slots: Vec<ClientSlot>,
}

/// What all threads of the client use at once.
#[derive(Debug)]
pub struct ClientShared {
    config: SessionConfig,
    lanes: Box<[(DirtyMarker, Waker)]>,
    news: Box<[DirtyBits]>,
    sleeper: Sleeper,
}

/// The rings of socket calls to and from one lane.
#[derive(Debug)]
pub struct ClientLane {
    submissions: Producer,
    completions: Consumer,
    waker: Waker,
    /// Submitted and not yet completed.
    outstanding: u64,
}

/// One slot, in pieces.
#[derive(Debug)]
pub struct ClientSlot {
    /// Its index, as in [`Submission::slot`].
    pub index: u32,
    /// The sending half.
    pub tx: ClientTx,
    /// The receiving half.
    pub rx: ClientRx,
    /// The sending half of a stream; restart it when the slot is opened for one.
    pub stream_tx: StreamSender,
    /// The receiving half of a stream; restart it when the slot is opened for one.
    pub stream_rx: StreamReceiver,
    /// What both halves look at.
    pub status: SlotStatus,
}

/// The sending half of a slot.
#[derive(Debug)]
pub struct ClientTx(RecordWriter<SlotRecords<false>>);

/// The receiving half of a slot.
#[derive(Debug)]
pub struct ClientRx(RecordReader<SlotRecords<true>>);

/// The sending half of a slot's stream.
pub type StreamSender = SendWriter<SlotStream<false>>;

/// The receiving half of a slot's stream.
pub type StreamReceiver = ReceiveReader<SlotStream<true>>;

/// A slot's pending error and events, written by the lane, and the wish for room, written here.
#[derive(Clone, Debug)]
pub struct SlotStatus {
    slots: Arc<SlotMemory>,
    slot: u32,
}

impl ClientEnd {
    pub(super) fn new(
        memory: &Arc<Memory>,
        layout: &Layout,
        bell: OwnedFd,
        lane_bells: Vec<OwnedFd>,
    ) -> Result<Self, SessionError> {
        let config = *layout.config();
        let (mut lanes, mut kicks, mut news) = (Vec::new(), Vec::new(), Vec::new());
        for (lane, bell) in (0..config.lanes).zip(lane_bells) {
            let at = layout.lane(lane);
            let waker = Waker::new(SleepWord::new(memory.word32(at.lane_sleeps)?), bell);
            kicks.push((DirtyMarker::new(layout.dirty_bits(memory, &at)?), waker.clone()));
            news.push(layout.news_bits(memory, &at)?);
            lanes.push(ClientLane {
                submissions: Producer::new(submission_ring(memory, &at, config.control_entries)?),
                completions: Consumer::new(completion_ring(memory, &at, config.control_entries)?),
                waker,
                outstanding: 0,
            });
        }
        let sleeper = Sleeper::new(SleepWord::new(Layout::client_sleeps(memory)?), bell);
        let of_slots = SlotMemory::new(memory, layout)?;
        let slots = (0..config.slots).map(|slot| ClientSlot::new(&of_slots, slot)).collect();
        Ok(Self {
            shared: Arc::new(ClientShared { config, lanes: kicks.into(), news: news.into(), sleeper }),
            lanes,
            slots,
        })
    }
}

impl ClientShared {
    /// The session's sizes.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Tells `lane` that `slot` has something to send. Call after each push or series of pushes. One system call if
    /// the lane sleeps, none otherwise.
    #[inline]
    pub fn kick(&self, lane: u32, slot: u32) {
        if let Some((dirty, waker)) = self.lanes.get(lane as usize) {
            dirty.mark(slot);
            waker.ring();
        }
    }

    /// Takes the news of all lanes and gives it to `each`: 64 slots by their bits, the first of them times 64. A stream has news when bytes, an
    /// urgent byte, room, an event or an error came; look at it afterwards. Datagram sockets have none.
    pub fn take_news(&self, mut each: impl FnMut(usize, u64)) {
        self.news.iter().for_each(|bits| take_marked(bits, &mut each));
    }

    /// What the client sleeps on: one word and one bell for all its threads. Only one thread at a time may sleep on it; it
    /// must wake the others, which have to announce their sleep as well (the `xmit` crate does that).
    pub fn sleeper(&self) -> &Sleeper {
        &self.sleeper
    }
}

impl ClientLane {
    /// Leaves a socket call for the lane and wakes it. False if the ring is full.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn submit(&mut self, submission: &Submission) -> Result<bool, Rubbish> {
        let taken = self.submissions.push(submission.encode())?;
        self.outstanding += u64::from(taken);
        self.waker.ring();
        Ok(taken)
    }

    /// The next answer.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn next_completion(&mut self) -> Result<Option<Completion>, Rubbish> {
        let Some(entry) = self.completions.pop()? else { return Ok(None) };
        self.outstanding = self.outstanding.saturating_sub(1);
        if self.outstanding > 0 {
            // The lane takes no call that it could not answer; it may wait for the room that was just made.
            self.waker.ring();
        }
        Ok(Some(Completion::decode(entry)))
    }
}

impl ClientSlot {
    fn new(memory: &Arc<SlotMemory>, slot: u32) -> Self {
        Self {
            index: slot,
            tx: ClientTx(RecordWriter::new(memory.records(slot))),
            rx: ClientRx(RecordReader::new(memory.records(slot))),
            stream_tx: SendWriter::new(memory.stream(slot)),
            stream_rx: ReceiveReader::new(memory.stream(slot)),
            status: SlotStatus { slots: Arc::clone(memory), slot },
        }
    }
}

impl ClientTx {
    /// Leaves a datagram for the lane; [`ClientShared::kick`] tells it.
    ///
    /// # Errors
    /// [`PushError`]; nothing is left then.
    #[inline]
    pub fn push(&mut self, meta: &Meta, parts: &[&[u8]]) -> Result<(), PushError> {
        self.0.push(meta, parts)
    }

    /// Bytes that fit now, with 32 for each datagram's header.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn room(&mut self) -> Result<u32, Rubbish> {
        self.0.room()
    }

    /// True if the lane has taken every datagram. A socket call that changes where or how they go waits for this, because
    /// calls and datagrams take different ways to the lane.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn is_drained(&mut self) -> Result<bool, Rubbish> {
        self.0.is_drained()
    }
}

impl ClientRx {
    /// Forgets what an earlier socket in the slot did not read. Call between the completions of `Open` and `Bind`.
    pub fn restart(&mut self) {
        self.0.restart();
    }

    /// The header of the oldest datagram. The same one until [`ClientRx::consume`].
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<Meta>, Rubbish> {
        self.0.peek()
    }

    /// Grows with every datagram that arrives, modulo 2^32.
    pub fn shown(&mut self) -> u32 {
        // Rubbish is reported by the next read.
        let _ = self.0.available();
        self.0.shown()
    }

    /// Copies the peeked datagram's payload into `out`. Answers the bytes copied; the rest is left out.
    #[inline]
    pub fn copy(&self, out: &mut [u8]) -> usize {
        self.0.copy(out)
    }

    /// Drops the peeked datagram.
    #[inline]
    pub fn consume(&mut self) {
        self.0.consume();
    }
}

impl SlotStatus {
    /// The pending error with the number it has: a different answer than before is a new error in the low 16 bits.
    #[inline]
    pub fn error(&self) -> u32 {
        // Acquire pairs with the Release in `LaneEnd::set_error`.
        self.slots.error(self.slot).load(Ordering::Acquire)
    }

    /// Events that the rings do not show; a stream's are [`super::StreamEvents`]. Look at them before the ring: what was shown
    /// before the end of a stream was told is then seen.
    #[inline]
    pub fn events(&self) -> u32 {
        // Acquire pairs with the Release in `LaneEnd::set_events`.
        self.slots.events(self.slot).load(Ordering::Acquire)
    }

    /// Bytes of a stream that the lane has shown and no thread has consumed, without the lock of the receiving half: a look before a
    /// read. What stands there is not checked; a read finds rubbish.
    #[inline]
    pub fn stream_unread(&self) -> u32 {
        self.slots.stream_unread(self.slot)
    }

    /// How many urgent bytes the stream had, by the same kind of look.
    #[inline]
    pub fn stream_urgent_count(&self) -> u32 {
        self.slots.stream_urgent_count(self.slot)
    }

    /// Says that a thread waits for room to send. Before [`Sleeper::prepare`], and taken back by [`Self::forget_room`].
    pub fn want_room(&self) {
        // Relaxed: the fence in `SleepWord::announce` follows.
        self.slots.wants(self.slot).fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back one [`Self::want_room`].
    pub fn forget_room(&self) {
        self.slots.wants(self.slot).fetch_sub(1, Ordering::Relaxed);
    }
}
