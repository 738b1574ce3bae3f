//! The lane's end of the streams of one session.
//!
//! A stream's slot is opened with [`LaneEnd::open_stream`], for a call or for a connection that is accepted into a granted slot, and is
//! found among the dirty ones like any other: after writes, after changes of its flags, and when its client consumed what
//! [`LaneEnd::rx_watch`] asked for. Calls on a slot that is no open stream do nothing and answer 0, `None` or false.
//!
//! Offsets count from the oldest byte not released (sending) and from the in-order end (receiving), as `SND.UNA` and `RCV.NXT` do.

use super::lane_end::{LaneSlot, LaneStream};
use super::quota::Charge;
use super::{Accepted, LaneEnd, Outgoing, StreamEvents, TcpInfo};
use crate::rubbish::Rubbish;
use crate::stream::{ACCEPTED_BYTES, STREAM_RING_MIN};

/// A writer is woken when this part of the ring is free, as in Linux (`sk_stream_is_writeable`): not for each segment.
const WRITABLE_SHARE: u32 = 3;

impl LaneEnd {
    /// Takes `slot` into use for a stream, with rings of these sizes: powers of two, raised to a page and cut to the session's limits. False
    /// if it is in use, or outside the table. When the session has used up its memory the rings are the smallest.
    pub fn open_stream(&mut self, slot: u32, tx_bytes: u32, rx_bytes: u32) -> bool {
        let config = *self.config();
        let size = |wanted: u32, max: u32| wanted.clamp(STREAM_RING_MIN, max).next_power_of_two();
        let (mut tx, mut rx) = (size(tx_bytes, config.stream_tx_bytes), size(rx_bytes, config.stream_rx_bytes));
        if self.slots.get(slot as usize).is_none_or(LaneSlot::is_open) {
            return false;
        }
        for (ring, what) in [(&mut tx, Charge::Send), (&mut rx, Charge::Receive)] {
            if !self.quota.charge(slot, what, (*ring).into()) {
                // A connection that arrives cannot be without rings: the quota is exceeded by two pages.
                *ring = STREAM_RING_MIN;
                self.quota.overcharge(slot, what, STREAM_RING_MIN.into());
            }
        }
        self.begin_stream(slot, tx, rx)
    }

    /// What was found of rubbish in the words of streams: whoever works on a connection need not carry it to whoever ends the
    /// session.
    pub fn rubbish(&self) -> Option<Rubbish> {
        self.rubbish
    }

    #[inline]
    fn noted<T>(&mut self, result: Result<T, Rubbish>) -> Result<T, Rubbish> {
        if let Err(rubbish) = result {
            self.rubbish = Some(rubbish);
        }
        result
    }

    /// What `slot` has to send.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    #[inline]
    pub fn tx_look(&mut self, slot: u32) -> Result<Outgoing, Rubbish> {
        let Some(stream) = self.stream_mut(slot) else { return Ok(Outgoing::default()) };
        let look = stream.stream_tx.look();
        self.noted(look)
    }

    /// The end of a record that [`LaneEnd::tx_look`] has shown was noted: it shows what follows from now on, and the client may publish
    /// another.
    pub fn tx_take_record(&mut self, slot: u32) {
        if let Some(stream) = self.stream_mut(slot) {
            stream.stream_tx.take_record();
            self.note_stream_room(slot);
        }
    }

    /// Copies `out.len()` bytes at `offset`, the one copy that a byte sent has; again for each retransmission. False, and nothing copied,
    /// if [`LaneEnd::tx_look`] did not show them all.
    #[inline]
    pub fn tx_copy_at(&self, slot: u32, offset: u32, out: &mut [u8]) -> bool {
        self.stream(slot).is_some_and(|stream| stream.stream_tx.copy_at(offset, out))
    }

    /// Says that everything before `offset` was sent at least once, for `SIOCOUTQNSD` and `TCP_NOTSENT_LOWAT`: a writer that waits because
    /// of the latter is woken.
    #[inline]
    pub fn tx_sent(&mut self, slot: u32, offset: u32) {
        let Some(stream) = self.stream_mut(slot) else { return };
        let unsent = stream.stream_tx.sent(offset);
        if unsent < stream.notsent_lowat {
            self.note_stream_room(slot);
        }
    }

    /// `TCP_NOTSENT_LOWAT`, 0 for none: the client asks for it by its option.
    pub fn set_notsent_lowat(&mut self, slot: u32, bytes: u32) {
        if let Some(stream) = self.stream_mut(slot) {
            stream.notsent_lowat = bytes;
        }
    }

    /// Gives the oldest `len` bytes back to the client: the peer has acknowledged them. A waiting writer is woken once a third of
    /// the ring is free.
    #[inline]
    pub fn tx_release(&mut self, slot: u32, len: u32) {
        let Some(stream) = self.stream_mut(slot) else { return };
        stream.stream_tx.release(len);
        if stream.stream_tx.room() >= stream.stream_tx.size() / WRITABLE_SHARE {
            self.note_stream_room(slot);
        }
    }

    /// What the client wrote so far is nobody's: the connection that it was for is gone, and another may follow in the slot.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn tx_discard(&mut self, slot: u32) -> Result<(), Rubbish> {
        let discarded = self.stream_mut(slot).map_or(Ok(()), |stream| stream.stream_tx.discard());
        self.note_stream_room(slot);
        self.noted(discarded)
    }

    /// Bytes of the send ring.
    pub fn tx_size(&self, slot: u32) -> u32 {
        self.stream(slot).map_or(0, |stream| stream.stream_tx.size())
    }

    /// Lets the send ring grow or shrink to `size`, a power of two within the session's limit. False if it cannot be, or if the last change
    /// is still under way; then try again after further acknowledgements.
    pub fn tx_resize(&mut self, slot: u32, size: u32) -> bool {
        let size = size.max(STREAM_RING_MIN);
        let changed = self.may_have(slot, Charge::Send, size)
            && self.stream_mut(slot).is_some_and(|stream| stream.stream_tx.resize(size));
        if changed {
            self.note_stream_room(slot);
        }
        changed
    }

    /// Bytes from the in-order end on that have a place: the window that may be announced. Learns what the client consumed.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    #[inline]
    pub fn rx_room(&mut self, slot: u32) -> Result<u32, Rubbish> {
        let room = self.stream_mut(slot).map_or(Ok(0), |stream| stream.stream_rx.room());
        self.noted(room)
    }

    /// [`LaneEnd::rx_room`], and the bytes that are shown and not consumed.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    #[inline]
    pub fn rx_space(&mut self, slot: u32) -> Result<(u32, u32), Rubbish> {
        let Some(stream) = self.stream_mut(slot) else { return Ok((0, 0)) };
        let space = stream.stream_rx.room().map(|room| (room, stream.stream_rx.unread()));
        self.noted(space)
    }

    /// Bytes shown to the client that it had not consumed at the last [`LaneEnd::rx_room`].
    pub fn rx_unread(&self, slot: u32) -> u32 {
        self.stream(slot).map_or(0, |stream| stream.stream_rx.unread())
    }

    /// Places received bytes at `offset` behind the in-order end, the one copy that a byte received has. Answers how many of them, from the
    /// first on, had a place in the room seen last.
    #[inline]
    pub fn rx_write_at(&mut self, slot: u32, offset: u32, data: &[u8]) -> u32 {
        self.stream_mut(slot).map_or(0, |stream| stream.stream_rx.write_at(offset, data))
    }

    /// Shows the next `len` bytes to the client: they are all placed.
    #[inline]
    pub fn rx_advance(&mut self, slot: u32, len: u32) {
        let Some(stream) = self.stream_mut(slot) else { return };
        stream.stream_rx.advance(len);
        self.post(slot);
    }

    /// Asks for `slot` among the dirty ones when the client has consumed `len` bytes more than at the last [`LaneEnd::rx_room`]; 0 takes
    /// the wish back. It stands until then. False if it is already fulfilled, and then nothing will be told.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn rx_watch(&mut self, slot: u32, len: u32) -> Result<bool, Rubbish> {
        let watched = self.stream_mut(slot).map_or(Ok(true), |stream| stream.stream_rx.watch(len));
        self.noted(watched)
    }

    /// Marks the byte before `offset` behind the in-order end as urgent, which may not have come yet. It is placed like all others: the client
    /// takes it out of the stream, or not (`SO_OOBINLINE`).
    pub fn rx_urgent(&mut self, slot: u32, offset: u32) {
        let Some(stream) = self.stream_mut(slot) else { return };
        stream.stream_rx.mark_urgent(offset);
        self.post(slot);
    }

    /// Bytes of the receive ring.
    pub fn rx_size(&self, slot: u32) -> u32 {
        self.stream(slot).map_or(0, |stream| stream.stream_rx.size())
    }

    /// As [`LaneEnd::tx_resize`], for the receive ring. Room that was seen stays room, so a window never has to be taken back.
    pub fn rx_resize(&mut self, slot: u32, size: u32) -> bool {
        let size = size.max(STREAM_RING_MIN);
        self.may_have(slot, Charge::Receive, size)
            && self.stream_mut(slot).is_some_and(|stream| stream.stream_rx.resize(size))
    }

    /// True if the session's memory allows another ring of `size`; the rings that `slot` had are charged as well.
    fn may_have(&self, slot: u32, what: Charge, size: u32) -> bool {
        let Some(stream) = self.stream(slot) else { return false };
        let (present, max) = match what {
            Charge::Receive => (stream.stream_rx.size(), self.config().stream_rx_bytes),
            _ => (stream.stream_tx.size(), self.config().stream_tx_bytes),
        };
        let wanted = u64::from(size) * 2;
        let charged = self.quota.charged(slot, what);
        size <= max && (size <= present || wanted <= charged || self.quota.charge(slot, what, wanted))
    }

    /// Says how the stream stands. Bytes that belong before the end of a stream are shown first.
    pub fn set_stream_events(&mut self, slot: u32, events: StreamEvents) {
        self.set_events(slot, events.0);
    }

    /// Connections that were announced to the listener in `slot` and not fetched; none of a region that holds rubbish.
    pub fn unfetched(&mut self, slot: u32) -> usize {
        self.rx_room(slot).map_or(0, |_| self.rx_unread(slot) as usize / ACCEPTED_BYTES)
    }

    /// Announces a connection to the listener in `slot`. False if its ring is full: the connection waits, or is dropped, as the
    /// backlog says.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn announce(&mut self, slot: u32, accepted: &Accepted) -> Result<bool, Rubbish> {
        let Some(stream) = self.stream_mut(slot) else { return Ok(false) };
        let room = stream.stream_rx.room();
        if (self.noted(room)? as usize) < ACCEPTED_BYTES {
            return Ok(false);
        }
        let Some(stream) = self.stream_mut(slot) else { return Ok(false) };
        let len = stream.stream_rx.write_at(0, &accepted.encode());
        self.rx_advance(slot, len);
        Ok(true)
    }

    /// Writes the answer to [`super::Op::Info`]; complete the call afterwards.
    pub fn write_info(&mut self, slot: u32, info: &TcpInfo) {
        if let Some(stream) = self.stream_mut(slot) {
            stream.stream_rx.write_info(info);
        }
    }

    /// True if a ring of `slot` was ever another than its first: there may be memory to give back.
    pub fn has_moved(&self, slot: u32) -> bool {
        self.stream(slot).is_some_and(|stream| stream.stream_tx.has_moved() || stream.stream_rx.has_moved())
    }

    /// Gives memory back that an idle stream does not need: rings that it has left, and the receive ring if everything was read
    /// and nothing is placed ahead of the in-order end. Its charge falls to what its present rings can hold. A few system calls: for a
    /// timer, not for each packet.
    pub fn give_back(&mut self, slot: u32, nothing_ahead: bool) {
        let Some(stream) = self.stream_mut(slot) else { return };
        let empty = nothing_ahead && stream.stream_rx.unread() == 0;
        let send = stream.stream_tx.give_back().then(|| stream.stream_tx.size());
        let receive = stream.stream_rx.give_back(empty).then(|| stream.stream_rx.size());
        for (what, size) in [(Charge::Send, send), (Charge::Receive, receive)] {
            let Some(size) = size.map(u64::from) else { continue };
            if size < self.quota.charged(slot, what) {
                self.quota.charge(slot, what, size);
            }
        }
    }

    /// Lets an idle stream move back to the send ring that it began with, as soon as its client has filled the present one once more: until
    /// then the client may write there at any moment.
    pub fn tx_shrink(&mut self, slot: u32) {
        if let Some(stream) = self.stream_mut(slot) {
            stream.stream_tx.resize(stream.first().0);
        }
    }

    /// Something that its client waits for happened to `slot`.
    fn post(&mut self, slot: u32) {
        self.posted = true;
        self.news.mark(slot);
    }

    fn note_stream_room(&mut self, slot: u32) {
        self.note_room(slot);
        self.news.mark(slot);
    }

    #[inline]
    fn stream(&self, slot: u32) -> Option<&LaneStream> {
        self.slots.get(slot as usize)?.stream()
    }

    #[inline]
    fn stream_mut(&mut self, slot: u32) -> Option<&mut LaneStream> {
        self.slots.get_mut(slot as usize)?.stream_mut()
    }
}
