//! What a stream has to send: the client writes, the lane reads at any offset until the peer has acknowledged it.
//!
//! ```text
//!   head (lane: acknowledged)      next (lane: never sent)      tail (client: written)
//!     | sent, kept for retransmission | to be sent                 | room
//! ```
//!
//! Invariants:
//! * a byte stays readable for the lane from the client's publishing until the lane's release;
//! * a client may change bytes that it has published: the peer then gets a mixture, which is the client's loss alone. The lane
//!   copies a byte into a frame before it sums it up, for each transmission anew.

use super::area::Area;
use super::{RECORDS, StreamFlags, StreamRing, StreamView, ahead, word};
use crate::rubbish::Rubbish;
use crate::sync::Ordering;

/// The client's end.
#[derive(Debug)]
pub struct SendWriter<V: StreamView = StreamRing> {
    view: V,
    area: Area,
    tail: u32,
    /// Written and not yet published ends here.
    placed: u32,
    head_seen: u32,
    urgent_count: u32,
    record_count: u32,
}

/// The lane's end.
#[derive(Debug)]
pub struct SendReader<V: StreamView = StreamRing> {
    view: V,
    area: Area,
    head: u32,
    /// Bytes from `head` that the client has published, when last looked at.
    len: u32,
    urgent_count: u32,
    /// The position behind the urgent byte, while there is one.
    urgent: u32,
    is_urgent: bool,
    /// Ends of records that were taken, modulo 256.
    records_taken: u8,
}

/// What a client has left to send, counted from the oldest byte that is not released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Bytes written, up to the first end of a record that was not taken.
    pub len: u32,
    /// They end with a record (`MSG_EOR`): nothing more is shown before [`SendReader::take_record`].
    pub record: bool,
    /// Bytes of them that shall go out now: what follows was written with `MSG_MORE` and may wait for a full segment. A segment that
    /// ends here carries `PSH`.
    pub pushed: u32,
    /// The offset behind the urgent byte (`MSG_OOB`).
    pub urgent: Option<u32>,
    /// `TCP_NODELAY` and `TCP_CORK` as they stand now.
    pub flags: StreamFlags,
}

impl<V: StreamView> SendWriter<V> {
    /// The writing end; [`SendWriter::restart`] comes before anything else.
    pub fn new(view: V) -> Self {
        Self { view, area: Area::default(), tail: 0, placed: 0, head_seen: 0, urgent_count: 0, record_count: 0 }
    }

    /// Starts anew, after the lane opened the slot.
    pub fn restart(&mut self) {
        (self.tail, self.placed, self.head_seen) = (0, 0, 0);
        (self.urgent_count, self.record_count) = (0, 0);
        self.area.forget();
    }

    /// Bytes that fit now.
    ///
    /// # Errors
    /// [`Rubbish`] if the lane's position or size cannot be.
    pub fn room(&mut self) -> Result<u32, Rubbish> {
        let lane = self.view.lane();
        // Acquire pairs with the Release in `SendReader::release`: the lane is done with the bytes before `head`. Read before the
        // ring's word: who sees a head also sees the change that was made before it.
        let head = lane[word::SEND_HEAD].load(Ordering::Acquire);
        let (released, outstanding) = (head.wrapping_sub(self.head_seen), self.tail.wrapping_sub(self.head_seen));
        if released > outstanding {
            return Err(Rubbish::Backwards { seen: outstanding, claimed: released });
        }
        self.head_seen = head;
        // Acquire pairs with the Release in `SendReader::resize`: the position beside the word belongs to it.
        let ring = lane[word::SEND_RING].load(Ordering::Acquire);
        if self.area.is_news(ring) {
            self.area.learn(&self.view, ring, lane[word::SEND_RING_AT].load(Ordering::Relaxed), self.placed)?;
        }
        self.area.settle(self.placed);
        Ok(ahead(self.placed, self.area.limit(head)).max(0).cast_unsigned())
    }

    /// Bytes of the ring, for the share of it that must be free before a writer is woken.
    pub fn size(&self) -> u32 {
        self.area.size()
    }

    /// Writes as much of `data` as fits and answers how much. [`SendWriter::publish`] shows it to the lane.
    ///
    /// # Errors
    /// As [`SendWriter::room`].
    #[inline]
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Rubbish> {
        let room = self.room()?;
        Ok(self.write_into(room, data))
    }

    /// The same, if [`SendWriter::room`] has just answered `room`, less what was written since.
    #[inline]
    pub fn write_into(&mut self, room: u32, data: &[u8]) -> usize {
        let data = data.get(..room as usize).unwrap_or(data);
        self.begin_anew();
        self.area.copy_in(&self.view, self.placed, data);
        self.placed = self.placed.wrapping_add(data.len() as u32);
        data.len()
    }

    /// The lane has released all there was: the next byte lies where the ring begins.
    #[inline]
    fn begin_anew(&mut self) {
        if self.placed == self.head_seen {
            self.area.set_origin(self.placed);
            // Relaxed: the tail's Release follows.
            self.view.client()[word::SEND_ORIGIN].store(self.placed, Ordering::Relaxed);
        }
    }

    /// Shows the lane what was written. With `more`, it may wait for what follows (`MSG_MORE`).
    #[inline]
    pub fn publish(&mut self, more: bool) {
        let client = self.view.client();
        self.tail = self.placed;
        if !more {
            // Relaxed: the tail's Release follows.
            client[word::SEND_PUSHED].store(self.tail, Ordering::Relaxed);
        }
        // Release pairs with the Acquire in `SendReader::look`: bytes and marks before `tail` become visible.
        client[word::SEND_TAIL].store(self.tail, Ordering::Release);
    }

    /// As [`SendWriter::publish`]; the last byte written is urgent (`MSG_OOB`).
    pub fn publish_urgent(&mut self) {
        self.urgent_count = self.urgent_count.wrapping_add(1);
        // Relaxed: the tail's Release follows.
        self.view.client()[word::SEND_URGENT].store(self.placed, Ordering::Relaxed);
        self.view.client()[word::SEND_URGENT_COUNT].store(self.urgent_count, Ordering::Relaxed);
        self.publish(false);
    }

    /// True if the end of a record has a place; the lane takes them when it looks.
    pub fn has_record_room(&self) -> bool {
        // Acquire pairs with the Release in `SendReader::take_record`: the place was read.
        let taken = self.view.lane()[word::SEND_RECORDS_TAKEN].load(Ordering::Acquire);
        u32::from((self.record_count as u8).wrapping_sub(taken as u8)) < RECORDS
    }

    /// As [`SendWriter::publish`]; what was written is the end of a record (`MSG_EOR`). It must have a place.
    pub fn publish_record(&mut self) {
        let place = word::SEND_RECORDS + (self.record_count % RECORDS) as usize;
        self.record_count = self.record_count.wrapping_add(1);
        // Relaxed: the tail's Release follows.
        self.view.client()[place].store(self.placed, Ordering::Relaxed);
        self.view.client()[word::SEND_RECORD_COUNT].store(self.record_count, Ordering::Relaxed);
        self.publish(false);
    }

    /// Publishes `flags` and pushes all that is written if `push`; telling the lane is the caller's.
    pub fn set_flags(&mut self, flags: StreamFlags, push: bool) {
        self.view.client()[word::FLAGS].store(flags.0, Ordering::Relaxed);
        self.publish(!push);
    }

    /// Positions: behind what the peer has acknowledged, behind what was sent, and behind what was written.
    ///
    /// # Errors
    /// As [`SendWriter::room`].
    pub fn positions(&mut self) -> Result<[u32; 3], Rubbish> {
        let (all, unsent) = self.outstanding()?;
        Ok([self.tail.wrapping_sub(all), self.tail.wrapping_sub(unsent), self.tail])
    }

    /// Bytes that the peer has not acknowledged (`SIOCOUTQ`) and those of them that were never sent (`SIOCOUTQNSD`).
    ///
    /// # Errors
    /// As [`SendWriter::room`].
    pub fn outstanding(&mut self) -> Result<(u32, u32), Rubbish> {
        self.room()?;
        let all = self.tail.wrapping_sub(self.head_seen);
        // Relaxed: a number for programs and for `TCP_NOTSENT_LOWAT`, nothing is found through it.
        let next = self.view.lane()[word::SEND_NEXT].load(Ordering::Relaxed);
        Ok((all, ahead(next, self.tail).max(0).cast_unsigned().min(all)))
    }
}

impl<V: StreamView> SendReader<V> {
    /// The reading end; [`SendReader::open`] comes before anything else.
    pub fn new(view: V) -> Self {
        Self {
            view,
            area: Area::default(),
            head: 0,
            len: 0,
            urgent_count: 0,
            urgent: 0,
            is_urgent: false,
            records_taken: 0,
        }
    }

    /// Starts a stream with a ring of `size`, which was checked.
    pub(crate) fn open(&mut self, size: u32) {
        (self.head, self.len, self.urgent_count, self.is_urgent, self.records_taken) = (0, 0, 0, false, 0);
        let counts = [word::SEND_URGENT_COUNT, word::SEND_RECORD_COUNT];
        // Relaxed: the answer to the client's call, or the announcement of the connection, follows with its Release.
        let positions = [word::SEND_TAIL, word::SEND_ORIGIN, word::SEND_PUSHED, word::SEND_URGENT];
        for index in positions.into_iter().chain(counts).chain([word::FLAGS]) {
            self.view.client()[index].store(0, Ordering::Relaxed);
        }
        for index in [word::SEND_HEAD, word::SEND_NEXT, word::SEND_RING_AT, word::SEND_RECORDS_TAKEN] {
            self.view.lane()[index].store(0, Ordering::Relaxed);
        }
        let ring = self.area.start(size.min(self.view.size_max()));
        self.view.lane()[word::SEND_RING].store(ring, Ordering::Relaxed);
    }

    /// What there is to send.
    ///
    /// # Errors
    /// [`Rubbish`] if the client's position cannot be.
    #[inline]
    pub fn look(&mut self) -> Result<Outgoing, Rubbish> {
        let client = self.view.client();
        // Acquire pairs with the Release in `SendWriter::publish`.
        let len = client[word::SEND_TAIL].load(Ordering::Acquire).wrapping_sub(self.head);
        let capacity = self.area.limit(self.head).wrapping_sub(self.head);
        if len > capacity {
            return Err(Rubbish::Position { claimed: len, capacity });
        }
        let (len, record) = self.first_record(len)?;
        if len < self.len {
            return Err(Rubbish::Backwards { seen: self.len, claimed: len });
        }
        self.len = len;
        // Relaxed: the tail was read before, and the lane has released what lies before the origin that belongs to it.
        self.area.set_origin(client[word::SEND_ORIGIN].load(Ordering::Relaxed));
        let pushed = client[word::SEND_PUSHED].load(Ordering::Relaxed);
        let count = client[word::SEND_URGENT_COUNT].load(Ordering::Relaxed);
        if count != self.urgent_count {
            self.urgent_count = count;
            self.urgent = client[word::SEND_URGENT].load(Ordering::Relaxed);
            self.is_urgent = true;
        }
        let flags = StreamFlags(client[word::FLAGS].load(Ordering::Relaxed));
        let urgent = self.is_urgent.then(|| self.offset(self.urgent)).filter(|offset| *offset > 0);
        Ok(Outgoing { len, record, pushed: self.offset(pushed), urgent, flags })
    }

    /// The bytes up to the first end of a record that was not taken, and true; or all `len`, and false.
    #[inline]
    fn first_record(&self, len: u32) -> Result<(u32, bool), Rubbish> {
        let count = self.view.client()[word::SEND_RECORD_COUNT].load(Ordering::Relaxed);
        let waiting = u32::from((count as u8).wrapping_sub(self.records_taken));
        if waiting == 0 {
            return Ok((len, false));
        }
        if waiting > RECORDS {
            return Err(Rubbish::Position { claimed: waiting, capacity: RECORDS });
        }
        let place = word::SEND_RECORDS + (u32::from(self.records_taken) % RECORDS) as usize;
        let end = self.view.client()[place].load(Ordering::Relaxed).wrapping_sub(self.head);
        // A count may be seen before the tail that it was published with.
        Ok(if end <= len { (end, true) } else { (len, false) })
    }

    /// The end of the record that [`SendReader::look`] has shown was noted: what follows it is shown from now on.
    pub fn take_record(&mut self) {
        self.records_taken = self.records_taken.wrapping_add(1);
        // Release pairs with the Acquire in `SendWriter::has_record_room`: its place was read for the last time.
        self.view.lane()[word::SEND_RECORDS_TAKEN].store(self.records_taken.into(), Ordering::Release);
    }

    /// A position of the client's as an offset from `head`, bounded by what it published.
    fn offset(&self, position: u32) -> u32 {
        ahead(self.head, position).max(0).cast_unsigned().min(self.len)
    }

    /// Copies `out.len()` bytes from `offset` behind the oldest byte kept. False, and nothing copied, if they were not all
    /// seen by [`SendReader::look`].
    #[inline]
    pub fn copy_at(&self, offset: u32, out: &mut [u8]) -> bool {
        let seen = (self.len as usize).checked_sub(offset as usize).is_some_and(|left| out.len() <= left);
        if seen {
            self.area.copy_out(&self.view, self.head.wrapping_add(offset), out);
        }
        seen
    }

    /// Gives the place of the oldest `len` bytes back: the peer has them. Never more than was seen.
    #[inline]
    pub fn release(&mut self, len: u32) {
        let len = len.min(self.len);
        self.head = self.head.wrapping_add(len);
        self.len -= len;
        self.area.settle(self.head);
        self.is_urgent &= ahead(self.head, self.urgent) > 0;
        // Release pairs with the Acquire in `SendWriter::room`: the bytes were read for the last time.
        self.view.lane()[word::SEND_HEAD].store(self.head, Ordering::Release);
    }

    /// Gives back all that the client has published: nobody will send it.
    ///
    /// # Errors
    /// [`Rubbish`] if the client's position cannot be.
    pub(crate) fn discard(&mut self) -> Result<(), Rubbish> {
        // Bounded by the ends of records that a client may publish at once.
        while self.look()?.record {
            self.take_record();
        }
        self.release(self.len);
        self.sent(0);
        Ok(())
    }

    /// Says that all before `offset` was sent at least once. Answers the bytes seen that were not.
    #[inline]
    pub fn sent(&mut self, offset: u32) -> u32 {
        self.view.lane()[word::SEND_NEXT].store(self.head.wrapping_add(offset), Ordering::Relaxed);
        self.len.saturating_sub(offset)
    }

    /// Bytes of the ring.
    pub fn size(&self) -> u32 {
        self.area.size()
    }

    /// Bytes that the client can still write, as far as the lane has seen.
    pub fn room(&self) -> u32 {
        self.area.limit(self.head).wrapping_sub(self.head).saturating_sub(self.len)
    }

    /// Moves the stream to a ring of `size`. False if that is no size, or the last move is not over.
    pub fn resize(&mut self, size: u32) -> bool {
        // The client may already write up to the end of the present ring.
        let until = self.area.limit(self.head);
        let Some(ring) = self.area.change(&self.view, size, until) else { return false };
        self.view.lane()[word::SEND_RING_AT].store(until, Ordering::Relaxed);
        // Release pairs with the Acquire in `SendWriter::room`.
        self.view.lane()[word::SEND_RING].store(ring, Ordering::Release);
        true
    }

    /// Gives the memory of rings back that are not in use. The present one is the client's to write to at any moment.
    pub(crate) fn give_back(&mut self) -> bool {
        self.area.give_back(&self.view, false)
    }

    /// The stream had another ring than its first.
    pub(crate) fn has_moved(&self) -> bool {
        self.area.has_moved()
    }

    /// The stream is over. True if its ring keeps its pages for the next one.
    pub(crate) fn end(&self) -> bool {
        self.area.end(&self.view)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
impl SendWriter {
    /// Publishes `len` bytes without writing them.
    pub(super) fn skip(&mut self, len: u32) {
        self.placed = self.placed.wrapping_add(len);
        self.publish(false);
    }
}
