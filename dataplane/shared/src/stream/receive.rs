//! What a stream received: the lane places segments at their offset, also ahead of a gap, and shows what is in order.
//!
//! ```text
//!   head (client: consumed)      tail (lane: in order)           limit (lane: room promised)
//!     | to be read                  | gap | placed out of order | room
//! ```
//!
//! Invariants:
//! * the client reads only bytes that were shown; bytes ahead of `tail` are the lane's;
//! * what the client consumed is believed only as far as it was shown: a window never opens beyond the ring.

use super::area::Area;
use super::info::{TCP_INFO_BYTES, TcpInfo};
use super::{StreamRing, StreamView, ahead, word};
use crate::rubbish::Rubbish;
use crate::sync::{Ordering, fence};

/// The lane's end.
#[derive(Debug)]
pub struct ReceiveWriter<V: StreamView = StreamRing> {
    view: V,
    area: Area,
    tail: u32,
    /// What was placed ends here, in order or not.
    placed: u32,
    head_seen: u32,
    urgent_count: u32,
}

/// The client's end.
#[derive(Debug)]
pub struct ReceiveReader<V: StreamView = StreamRing> {
    view: V,
    area: Area,
    head: u32,
    /// Bytes from `head` that the lane has shown, when last looked at.
    len: u32,
}

impl<V: StreamView> ReceiveWriter<V> {
    /// The writing end; [`ReceiveWriter::open`] comes before anything else.
    pub fn new(view: V) -> Self {
        Self { view, area: Area::default(), tail: 0, placed: 0, head_seen: 0, urgent_count: 0 }
    }

    /// Starts a stream with a ring of `size`, which was checked.
    pub(crate) fn open(&mut self, size: u32) {
        (self.tail, self.placed, self.head_seen, self.urgent_count) = (0, 0, 0, 0);
        // Relaxed: the answer to the client's call, or the announcement of the connection, follows with its Release.
        self.view.client()[word::RECEIVE_HEAD].store(0, Ordering::Relaxed);
        let ours = [word::RECEIVE_TAIL, word::RECEIVE_WATCH, word::RECEIVE_URGENT, word::RECEIVE_URGENT_COUNT];
        for index in ours.into_iter().chain([word::RECEIVE_RING_AT, word::RECEIVE_ORIGIN]) {
            self.view.lane()[index].store(0, Ordering::Relaxed);
        }
        let ring = self.area.start(size.min(self.view.size_max()));
        self.view.lane()[word::RECEIVE_RING].store(ring, Ordering::Relaxed);
    }

    /// Bytes from the in-order end on that have a place: what may be promised to the peer. Learns what the client consumed.
    ///
    /// # Errors
    /// [`Rubbish`] if the client's position cannot be.
    #[inline]
    pub fn room(&mut self) -> Result<u32, Rubbish> {
        // Acquire pairs with the Release in `ReceiveReader::consume`: the client is done with the bytes before `head`.
        let head = self.view.client()[word::RECEIVE_HEAD].load(Ordering::Acquire);
        let (consumed, shown) = (head.wrapping_sub(self.head_seen), self.tail.wrapping_sub(self.head_seen));
        if consumed > shown {
            return Err(Rubbish::Backwards { seen: shown, claimed: consumed });
        }
        self.head_seen = head;
        self.area.settle(head);
        Ok(self.room_seen())
    }

    /// The same, as it was when the client's position was last looked at.
    #[inline]
    pub fn room_seen(&self) -> u32 {
        self.area.limit(self.head_seen).wrapping_sub(self.tail)
    }

    /// Bytes shown and not yet consumed, as far as was seen.
    pub fn unread(&self) -> u32 {
        self.tail.wrapping_sub(self.head_seen)
    }

    /// Copies `data` to `offset` behind the in-order end, without showing it. Answers how much of it, from its start, had a place.
    #[inline]
    pub fn write_at(&mut self, offset: u32, data: &[u8]) -> u32 {
        let place = self.room_seen().saturating_sub(offset) as usize;
        let data = data.get(..place).unwrap_or(data);
        if self.is_empty() {
            self.begin_anew();
        }
        let position = self.tail.wrapping_add(offset);
        self.area.copy_in(&self.view, position, data);
        let end = position.wrapping_add(data.len() as u32);
        if ahead(self.placed, end) > 0 {
            self.placed = end;
        }
        data.len() as u32
    }

    /// Nothing waits to be read, as far as was seen, and nothing is placed ahead.
    #[inline]
    fn is_empty(&self) -> bool {
        self.tail == self.head_seen && ahead(self.tail, self.placed) <= 0
    }

    /// The next byte in order lies where the ring begins.
    #[inline]
    fn begin_anew(&mut self) {
        self.area.set_origin(self.tail);
        // Relaxed: the tail's Release follows.
        self.view.lane()[word::RECEIVE_ORIGIN].store(self.tail, Ordering::Relaxed);
    }

    /// Shows the next `len` bytes, all of which were written. Never more than have a place.
    #[inline]
    pub fn advance(&mut self, len: u32) {
        self.tail = self.tail.wrapping_add(len.min(self.room_seen()));
        // Release pairs with the Acquire in `ReceiveReader::available`: the bytes before `tail` become visible.
        self.view.lane()[word::RECEIVE_TAIL].store(self.tail, Ordering::Release);
    }

    /// Asks for the line where the next bytes are written.
    #[inline]
    pub fn prefetch(&self) {
        self.area.prefetch(&self.view, if self.is_empty() { self.area.origin() } else { self.tail });
    }

    /// Asks the client to tell the lane when `len` of the bytes shown are consumed, because the window then opens enough to be
    /// announced; 0 asks for nothing. False if the client has already consumed so much: it will not tell.
    ///
    /// # Errors
    /// As [`ReceiveWriter::room`].
    pub fn watch(&mut self, len: u32) -> Result<bool, Rubbish> {
        // 0 says that nothing is watched; the position 0 is told a byte late.
        let watched = self.head_seen.wrapping_add(len).max(1);
        self.view.lane()[word::RECEIVE_WATCH].store(if len == 0 { 0 } else { watched }, Ordering::Relaxed);
        if len == 0 {
            return Ok(true);
        }
        // Pairs with the fence in `ReceiveReader::consume`: either the client sees the watch, or its position is seen here.
        fence(Ordering::SeqCst);
        self.room()?;
        Ok(ahead(self.head_seen, watched) > 0)
    }

    /// Marks the byte before `offset` behind the in-order end as urgent; it may not have come yet.
    pub fn mark_urgent(&mut self, offset: u32) {
        self.urgent_count = self.urgent_count.wrapping_add(1);
        self.view.lane()[word::RECEIVE_URGENT].store(self.tail.wrapping_add(offset), Ordering::Relaxed);
        // Release pairs with the Acquire in `ReceiveReader::urgent`: the position belongs to the count.
        self.view.lane()[word::RECEIVE_URGENT_COUNT].store(self.urgent_count, Ordering::Release);
    }

    /// Bytes of the ring.
    pub fn size(&self) -> u32 {
        self.area.size()
    }

    /// Moves the stream to a ring of `size`. False if that is no size, or the last move is not over. What was promised stays
    /// promised: to a smaller ring the room shrinks only as the client reads.
    pub fn resize(&mut self, size: u32) -> bool {
        let until = self.area.limit(self.head_seen);
        let Some(ring) = self.area.change(&self.view, size, until) else { return false };
        self.view.lane()[word::RECEIVE_RING_AT].store(until, Ordering::Relaxed);
        // Release pairs with the Acquire in `ReceiveReader::available`.
        self.view.lane()[word::RECEIVE_RING].store(ring, Ordering::Release);
        true
    }

    /// Gives the memory of rings back that are not in use; of the present one as well if `empty`.
    pub(crate) fn give_back(&mut self, empty: bool) -> bool {
        self.area.give_back(&self.view, empty)
    }

    /// The stream had another ring than its first.
    pub(crate) fn has_moved(&self) -> bool {
        self.area.has_moved()
    }

    /// The stream is over. True if its ring keeps its pages for the next one.
    pub(crate) fn end(&self) -> bool {
        self.area.end(&self.view)
    }

    /// Writes `TCP_INFO` to its place.
    pub(crate) fn write_info(&mut self, info: &TcpInfo) {
        let sequence = &self.view.lane()[word::INFO_SEQUENCE];
        let number = sequence.load(Ordering::Relaxed);
        sequence.store(number.wrapping_add(1) | 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.view.write_info(&info.encode());
        // Release pairs with the Acquire in `ReceiveReader::info`: the bytes belong to the even number.
        sequence.store((number | 1).wrapping_add(1), Ordering::Release);
    }
}

impl<V: StreamView> ReceiveReader<V> {
    /// The reading end; [`ReceiveReader::restart`] comes before anything else.
    pub fn new(view: V) -> Self {
        Self { view, area: Area::default(), head: 0, len: 0 }
    }

    /// Starts anew, after the lane opened the slot.
    pub fn restart(&mut self) {
        (self.head, self.len) = (0, 0);
        self.area.forget();
    }

    /// Bytes to be read.
    ///
    /// # Errors
    /// [`Rubbish`] if the lane's position or size cannot be.
    #[inline]
    pub fn available(&mut self) -> Result<u32, Rubbish> {
        let lane = self.view.lane();
        // Acquire pairs with the Release in `ReceiveWriter::advance`. Read before the ring's word: a tail beyond a change
        // is never seen without the change.
        let len = lane[word::RECEIVE_TAIL].load(Ordering::Acquire).wrapping_sub(self.head);
        // Acquire pairs with the Release in `ReceiveWriter::resize`: the position beside the word belongs to it.
        let ring = lane[word::RECEIVE_RING].load(Ordering::Acquire);
        if self.area.is_news(ring) {
            self.area.learn(&self.view, ring, lane[word::RECEIVE_RING_AT].load(Ordering::Relaxed), self.head)?;
            self.area.settle(self.head);
        }
        let capacity = self.area.limit(self.head).wrapping_sub(self.head);
        if len > capacity {
            return Err(Rubbish::Position { claimed: len, capacity });
        }
        if len < self.len {
            return Err(Rubbish::Backwards { seen: self.len, claimed: len });
        }
        self.len = len;
        // Relaxed: the tail was read before, and what lies before the origin that belongs to it is consumed.
        self.area.set_origin(lane[word::RECEIVE_ORIGIN].load(Ordering::Relaxed));
        Ok(len)
    }

    /// Bytes of the ring, as far as the lane has said.
    pub fn size(&self) -> u32 {
        self.area.size()
    }

    /// Bytes shown since the stream began, modulo 2^32, as of the last [`ReceiveReader::available`].
    pub fn shown(&self) -> u32 {
        self.head.wrapping_add(self.len)
    }

    /// Copies bytes from `offset` behind the oldest one to `out`, as many as [`ReceiveReader::available`] has seen; answers how many.
    #[inline]
    pub fn copy_at(&self, offset: u32, out: &mut [u8]) -> usize {
        let len = (self.len.saturating_sub(offset) as usize).min(out.len());
        self.area.copy_out(&self.view, self.head.wrapping_add(offset), out.get_mut(..len).unwrap_or_default());
        len
    }

    /// Drops the oldest `len` bytes and gives their place back. True if the lane waits to be told.
    #[inline]
    pub fn consume(&mut self, len: u32) -> bool {
        let len = len.min(self.len);
        self.head = self.head.wrapping_add(len);
        self.len -= len;
        self.area.settle(self.head);
        // Release pairs with the Acquire in `ReceiveWriter::room`: the bytes were read before their place is given back.
        self.view.client()[word::RECEIVE_HEAD].store(self.head, Ordering::Release);
        // Pairs with the fence in `ReceiveWriter::watch`.
        fence(Ordering::SeqCst);
        let watched = self.view.lane()[word::RECEIVE_WATCH].load(Ordering::Relaxed);
        watched != 0 && ahead(self.head, watched) <= 0
    }

    /// The number of urgent bytes there were, and where the last one stands from the oldest byte on; behind it if negative.
    pub fn urgent(&self) -> (u32, i32) {
        // Acquire pairs with the Release in `ReceiveWriter::mark_urgent`.
        let count = self.view.lane()[word::RECEIVE_URGENT_COUNT].load(Ordering::Acquire);
        let position = self.view.lane()[word::RECEIVE_URGENT].load(Ordering::Relaxed);
        (count, ahead(self.head, position).wrapping_sub(1))
    }

    /// `TCP_INFO` as the lane wrote it for a call that is answered; `None` while it writes it again for another thread's.
    pub fn info(&self) -> Option<TcpInfo> {
        let sequence = &self.view.lane()[word::INFO_SEQUENCE];
        // Acquire pairs with the Release in `ReceiveWriter::write_info`.
        let number = sequence.load(Ordering::Acquire);
        let mut bytes = [0; TCP_INFO_BYTES];
        self.view.read_info(&mut bytes);
        fence(Ordering::Acquire);
        let same = number.is_multiple_of(2) && sequence.load(Ordering::Relaxed) == number;
        same.then(|| TcpInfo::decode(&bytes))
    }
}
