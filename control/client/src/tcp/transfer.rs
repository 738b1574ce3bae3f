//! Sending and receiving: all calls meet in `send_with` and `receive_with` (`tcp_sendmsg`, `tcp_recvmsg`).

use super::socket::{Phase, TcpSocket};
use super::urgent::OutOfBand;
use crate::session::os_error;
use crate::slot::Slot;
use crate::wait::lock;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::atomic::Ordering;
use xmit_shared::session::StreamEvents;

/// The flags of `send` and `recv`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MsgFlags {
    /// `MSG_PEEK`: leave the bytes for the next call.
    pub peek: bool,
    /// `MSG_OOB`: the urgent byte.
    pub oob: bool,
    /// `MSG_MORE`: more follows, a partial segment may wait for it.
    pub more: bool,
    /// `MSG_EOR`: the end of a record; what is written later joins no segment of it.
    pub end_of_record: bool,
    /// `MSG_DONTWAIT`: as if the socket were non-blocking.
    pub dont_wait: bool,
    /// `MSG_WAITALL`: wait until the buffer is full.
    pub wait_all: bool,
}

/// A waiting writer goes on when this part of its ring is free; the lane wakes it then (`sk_stream_is_writeable`).
const WRITABLE_SHARE: u32 = 3;

impl TcpSocket {
    /// `sendmsg`: blocking, all of `parts`; non-blocking, what fits.
    ///
    /// # Errors
    /// `EPIPE` when nothing more can be sent (no signal is raised), `EAGAIN`, `ENETDOWN`, and pending errors such as `ECONNRESET`.
    pub fn send_with(&self, parts: &[IoSlice<'_>], flags: MsgFlags) -> io::Result<usize> {
        if self.phase() == Phase::Deferred {
            return self.send_first(parts, flags);
        }
        self.send_behind(parts, 0, flags)
    }

    /// Sends what follows the first `sent` bytes of `parts`; answers how many were sent of all.
    pub(super) fn send_behind(&self, parts: &[IoSlice<'_>], mut sent: usize, flags: MsgFlags) -> io::Result<usize> {
        let (total, slot) = (parts.iter().map(|part| part.len()).sum(), self.slot()?);
        let first = self.send_some(slot, parts, &mut sent, total, flags, 1);
        if matches!(first, Ok(None)) && !self.waits(flags) {
            return if sent > 0 { Ok(sent) } else { Err(os_error(libc::EAGAIN)) };
        }
        let outcome = match first {
            Ok(None) => {
                slot.status.want_room();
                let outcome = self.session.wait_for(self.write_timeout.deadline(self.session.now()), || {
                    self.send_some(slot, parts, &mut sent, total, flags, WRITABLE_SHARE)
                });
                slot.status.forget_room();
                outcome
            }
            Ok(Some(())) => Ok(()),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if sent == 0 => Err(error),
            // What was sent was sent; the next call reports the error.
            _ => Ok(sent),
        }
    }

    /// Sends what fits of `parts` behind `sent`. `None` if something is left.
    fn send_some(
        &self,
        slot: &Slot,
        parts: &[IoSlice<'_>],
        sent: &mut usize,
        total: usize,
        flags: MsgFlags,
        share: u32,
    ) -> io::Result<Option<()>> {
        if !self.may_send(slot, *sent > 0)? {
            return Ok(None);
        }
        if self.starved.load(Ordering::Relaxed) {
            self.look_for_room(slot);
        }
        if self.session.is_embedded() {
            // A writer that waits is woken when there is a good deal of room (`sk_stream_wait_memory`).
            if share > 1 && !self.is_writable_by_limit()? {
                return Ok(None);
            }
            self.write_pieces(slot, parts, sent, total, flags)?;
        } else {
            let written = self.write_parts(slot, parts, *sent, total, flags, share)?;
            if written > 0 {
                *sent += written;
                self.session.kick(self.lane, self.index);
            }
        }
        if *sent < total {
            self.starved.store(true, Ordering::Relaxed);
        }
        Ok((*sent == total).then_some(()))
    }

    /// True if the connection takes data now. An error is left for the next call if this one has sent something.
    fn may_send(&self, slot: &Slot, some_sent: bool) -> io::Result<bool> {
        self.session.check_up()?;
        let pending = if some_sent { slot.has_error().then_some(libc::EPIPE) } else { slot.take_error() };
        if let Some(errno) = pending {
            return Err(os_error(errno));
        }
        let events = slot.stream_events();
        if self.write_shut.load(Ordering::Relaxed) || events.contains(StreamEvents::SEND_END) {
            return Err(os_error(libc::EPIPE));
        }
        match self.phase_now() {
            Phase::Connected => Ok(true),
            Phase::Connecting | Phase::Deferred => Ok(false),
            Phase::Idle | Phase::Listening => Err(os_error(libc::EPIPE)),
        }
    }

    /// Writes piece after piece, each when the one before is on its way as far as it can be (`tcp_push_one`).
    fn write_pieces(
        &self,
        slot: &Slot,
        parts: &[IoSlice<'_>],
        sent: &mut usize,
        total: usize,
        flags: MsgFlags,
    ) -> io::Result<()> {
        while *sent < total {
            let end = total.min(*sent + self.next_piece()? as usize);
            let piece = cut(parts, end);
            let last = end == total;
            let end_of_record = flags.end_of_record && last;
            let now = MsgFlags { more: flags.more || !last, oob: flags.oob && last, end_of_record, ..flags };
            let written = self.write_parts(slot, &piece, *sent, end, now, 1)?;
            if written == 0 {
                // Nothing follows soon: what was written need not wait for it.
                lock(&slot.stream_tx).publish(flags.more);
                self.session.kick(self.lane, self.index);
                return Ok(());
            }
            *sent += written;
            self.session.kick(self.lane, self.index);
        }
        Ok(())
    }

    fn write_parts(
        &self,
        slot: &Slot,
        parts: &[IoSlice<'_>],
        mut skip: usize,
        total: usize,
        flags: MsgFlags,
        share: u32,
    ) -> io::Result<usize> {
        let rubbish = |rubbish| self.session.rubbish(rubbish);
        let mut tx = lock(&slot.stream_tx);
        let mut room = tx.room().map_err(rubbish)?;
        // A writer that has waited goes on in large steps.
        let step = if share > 1 { (tx.size() / share) as usize } else { 1 };
        // In an embedded stack the piece says how much may be unsent.
        let below = self.session.is_embedded() || self.below_lowat(tx.outstanding().map_err(rubbish)?.1);
        if (room as usize) < step.min(total - skip) || !below || (flags.end_of_record && !tx.has_record_room()) {
            return Ok(0);
        }
        let left = total - skip;
        let mut written = 0;
        for part in parts {
            let rest = part.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part.len());
            let len = tx.write_into(room, rest);
            room -= len as u32;
            written += len;
            if len < rest.len() {
                break;
            }
        }
        if flags.oob && written > 0 {
            tx.publish_urgent();
        } else if flags.end_of_record && written > 0 && written == left {
            tx.publish_record();
        } else {
            tx.publish(flags.more);
        }
        Ok(written)
    }

    /// `recvmsg`: what is there, into `parts` one after the other. Zero at the end of the stream.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOTCONN`, `ENETDOWN`, and pending errors such as `ECONNRESET`, after the bytes that came before them.
    pub fn receive_with(&self, parts: &mut [IoSliceMut<'_>], flags: MsgFlags) -> io::Result<usize> {
        if flags.oob {
            return self.receive_urgent(parts, flags);
        }
        let (total, slot) = (parts.iter().map(|part| part.len()).sum::<usize>(), self.slot()?);
        if total == 0 {
            return Ok(0);
        }
        let (mut received, mut ended) = (0, false);
        let target = if flags.wait_all { total } else { total.min(self.receive_lowat() as usize) };
        let attempt = |parts: &mut [IoSliceMut<'_>], received: &mut usize, ended: &mut bool| {
            let Some(len) = self.receive_some(slot, parts, *received, flags)? else { return Ok(None) };
            *received += len;
            *ended = len == 0;
            let enough = flags.peek || *received >= target || *ended;
            Ok(enough.then_some(()))
        };
        let mut outcome = attempt(parts, &mut received, &mut ended);
        if matches!(outcome, Ok(None)) && self.waits(flags) {
            let deadline = self.read_timeout.deadline(self.session.now());
            outcome = self.session.wait_for(deadline, || attempt(parts, &mut received, &mut ended)).map(Some);
        }
        match outcome {
            Ok(None) if received == 0 => Err(os_error(libc::EAGAIN)),
            Err(error) if received == 0 => Err(error),
            _ => Ok(received),
        }
    }

    /// Receives into `parts` behind `skip`. Zero at the end of the stream, `None` if there is nothing yet.
    fn receive_some(
        &self,
        slot: &Slot,
        parts: &mut [IoSliceMut<'_>],
        skip: usize,
        flags: MsgFlags,
    ) -> io::Result<Option<usize>> {
        self.session.check_up()?;
        // Before the ring: what was shown before the end is then seen.
        let events = slot.stream_events();
        let len = self.read_parts(slot, parts, skip, flags)?;
        if len.is_some() {
            return Ok(len);
        }
        // An error comes after the bytes before it, and is left for the next call if this one has received something.
        if skip == 0
            && let Some(errno) = slot.take_error()
        {
            return Err(os_error(errno));
        }
        if self.read_shut.load(Ordering::Relaxed) || events.contains(StreamEvents::RECEIVE_END) {
            return Ok(Some(0));
        }
        match self.phase_now() {
            Phase::Idle | Phase::Listening => Err(os_error(libc::ENOTCONN)),
            Phase::Connecting | Phase::Deferred | Phase::Connected => Ok(None),
        }
    }

    fn read_parts(
        &self,
        slot: &Slot,
        parts: &mut [IoSliceMut<'_>],
        mut skip: usize,
        flags: MsgFlags,
    ) -> io::Result<Option<usize>> {
        let mut rx = lock(&slot.stream_rx);
        let available = rx.available().map_err(|rubbish| self.session.rubbish(rubbish))?;
        let (readable, mut told) = match rx.urgent().0 {
            // No urgent byte ever came.
            0 => (available, false),
            _ => lock(&self.urgent).readable(&mut rx, available),
        };
        let mut len = 0;
        for part in parts {
            let part_len = part.len();
            let place = part.get_mut(skip..).unwrap_or_default();
            skip = skip.saturating_sub(part_len);
            let space = place.len().min(readable as usize - len);
            len += rx.copy_at(len as u32, place.get_mut(..space).unwrap_or_default());
        }
        if len > 0 && !flags.peek {
            told |= rx.consume(len as u32);
        }
        drop(rx);
        if told {
            self.session.kick(self.lane, self.index);
        }
        Ok((readable > 0).then_some(len))
    }

    fn receive_urgent(&self, parts: &mut [IoSliceMut<'_>], flags: MsgFlags) -> io::Result<usize> {
        self.session.check_up()?;
        let slot = self.slot()?;
        if self.phase_now() != Phase::Connected {
            return Err(os_error(libc::ENOTCONN));
        }
        let mut rx = lock(&slot.stream_rx);
        let available = rx.available().map_err(|rubbish| self.session.rubbish(rubbish))?;
        let mut urgent = lock(&self.urgent);
        match urgent.out_of_band(&rx, available) {
            OutOfBand::Nothing => Err(os_error(libc::EINVAL)),
            OutOfBand::Coming => Err(os_error(libc::EAGAIN)),
            OutOfBand::Byte(byte) => {
                let Some(place) = parts.iter_mut().find_map(|part| part.first_mut()) else { return Ok(0) };
                *place = byte;
                if !flags.peek {
                    urgent.taken(&rx);
                }
                Ok(1)
            }
        }
    }

    /// `SIOCATMARK`: the stream stands at the urgent byte.
    pub fn at_mark(&self) -> bool {
        self.slot().is_ok_and(|slot| {
            let rx = lock(&slot.stream_rx);
            lock(&self.urgent).at_mark(&rx)
        })
    }

    /// `SIOCINQ`: bytes to be read; `SIOCOUTQ`: bytes not acknowledged; `SIOCOUTQNSD`: bytes not sent.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn queued(&self) -> io::Result<(u32, u32, u32)> {
        self.session.check_up()?;
        let slot = self.slot()?;
        let rubbish = |rubbish| self.session.rubbish(rubbish);
        let unread = lock(&slot.stream_rx).available().map_err(rubbish)?;
        let (unacknowledged, unsent) = lock(&slot.stream_tx).outstanding().map_err(rubbish)?;
        Ok((unread, unacknowledged, unsent))
    }

    /// True if a write takes something now. Rubbish counts as room: the write reports it.
    pub(super) fn has_room(&self, slot: &Slot) -> bool {
        if self.session.is_embedded() {
            // An error is reported by the write.
            return self.is_writable_by_limit().unwrap_or(true);
        }
        let mut tx = lock(&slot.stream_tx);
        let (room, size) = (tx.room(), tx.size());
        room.map_or(true, |room| room >= size / WRITABLE_SHARE)
            && tx.outstanding().map_or(true, |(_, unsent)| self.below_lowat(unsent))
    }

    fn below_lowat(&self, unsent: u32) -> bool {
        let lowat = self.notsent_lowat.load(Ordering::Relaxed);
        lowat == 0 || unsent < lowat
    }

    pub(super) fn waits(&self, flags: MsgFlags) -> bool {
        !flags.dont_wait && !self.nonblocking.load(Ordering::Relaxed)
    }
}

/// The first `end` bytes of `parts`.
fn cut<'a>(parts: &'a [IoSlice<'_>], end: usize) -> Vec<IoSlice<'a>> {
    let mut left = end;
    let piece = |part: &'a IoSlice<'_>| {
        let len = part.len().min(left);
        left -= len;
        IoSlice::new(part.get(..len).unwrap_or_default())
    };
    parts.iter().map(piece).collect()
}
