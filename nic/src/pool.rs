//! A lane's stack of free frames.
//!
//! Invariants:
//! * every slot of the region has exactly one [`Holder`]; `Free` slots are on the stack, once;
//! * a [`Frame`] exists for a slot exactly while its holder is `Lane`;
//! * frames handed to a port's rings (`lend`) become slots, and come back by `reclaim`.

use crate::frame::{FRAME_HOME, Frame, FrameMetas, SlotId};
use crate::region::Region;
use std::io;
use std::ptr::NonNull;

/// Who holds a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Holder {
    /// On the pool's stack.
    Free,
    /// A [`Frame`] value: the lane, a queue, a mailbox.
    Lane,
    /// A port's fill or receive ring.
    Receive,
    /// A port's transmit or completion ring.
    Transmit,
}

/// How many frames each holder has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// On the pool's stack.
    pub free: usize,
    /// Held as [`Frame`] values.
    pub lane: usize,
    /// Lent to receive rings.
    pub receive: usize,
    /// Lent to transmit rings.
    pub transmit: usize,
}

/// A lane's stack of free frames over one [`Region`].
#[derive(Debug)]
pub struct Pool {
    id: u16,
    region: Region,
    frame_size: u16,
    free: Vec<SlotId>,
    holders: Vec<Holder>,
    metas: FrameMetas,
    foreign: Vec<Frame>,
}

/// The largest number of foreign frames waiting to be sent home; the lane empties the list every turn.
const FOREIGN_FRAMES_MAX: usize = 4096;

impl Pool {
    /// A pool named `id` of all the frames of `frame_size` bytes that fit `region`.
    ///
    /// # Errors
    /// If `frame_size` leaves no room behind the headroom, or the region holds no frame.
    pub fn new(id: u16, region: Region, frame_size: u16) -> io::Result<Self> {
        let count = region.len() / usize::from(frame_size.max(1));
        if frame_size <= FRAME_HOME || count == 0 || u32::try_from(count).is_err() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "a pool needs frames larger than {FRAME_HOME} bytes and at least one; got {count} of {frame_size}"
                ),
            ));
        }
        // SAFETY: so many whole frames fit the region, which a pool that is dropped before its frames leaks.
        let metas = unsafe { FrameMetas::new(region.base(), count, frame_size, id) };
        Ok(Self {
            id,
            region,
            metas,
            frame_size,
            // The lowest slots are on top, so that a lightly loaded lane keeps touching the same memory.
            free: (0..count as u32).rev().map(SlotId).collect(),
            holders: vec![Holder::Free; count],
            foreign: Vec::with_capacity(FOREIGN_FRAMES_MAX),
        })
    }

    /// A pool of `frames` frames of 2,048 bytes in anonymous memory.
    ///
    /// # Errors
    /// As [`Pool::new`] and [`Region::anonymous`].
    pub fn anonymous(id: u16, frames: usize) -> io::Result<Self> {
        Self::new(id, Region::anonymous(frames * 2048)?, 2048)
    }

    /// The pool's name: frames of other pools are foreign to it.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Bytes per frame, headroom included.
    pub fn frame_size(&self) -> u16 {
        self.frame_size
    }

    /// All frames, wherever they are.
    pub fn total(&self) -> usize {
        self.holders.len()
    }

    /// Frames on the stack.
    pub fn available(&self) -> usize {
        self.free.len()
    }

    /// An empty frame, its start at [`FRAME_HOME`]; `None` when all are out.
    #[inline]
    pub fn acquire(&mut self) -> Option<Frame> {
        let slot = self.free.pop()?;
        self.materialise(slot)
    }

    /// Takes `frame` back. A frame of another pool waits in [`Pool::take_foreign`] to be sent home.
    #[inline]
    pub fn release(&mut self, frame: Frame) {
        if frame.pool() != self.id {
            // The list is drained every turn and a turn handles fewer frames; growing beyond is allowed, not lost.
            self.foreign.push(frame);
            return;
        }
        let slot = frame.slot();
        self.set_holder(slot, Holder::Free);
        self.free.push(slot);
    }

    /// A frame of another pool that was released here and must be sent home.
    pub fn take_foreign(&mut self) -> Option<Frame> {
        self.foreign.pop()
    }

    /// Frames of other pools that wait to be sent home.
    #[inline]
    pub fn foreign(&self) -> usize {
        self.foreign.len()
    }

    /// True if `frame` was cut from this pool's region (a port over that region may send it without copying).
    #[inline]
    pub fn owns(&self, frame: &Frame) -> bool {
        frame.pool() == self.id
    }

    /// Gives `frame` into a ring: it becomes a slot until [`Pool::reclaim`]. `Err` returns a foreign frame.
    ///
    /// # Errors
    /// The frame itself, if it belongs to another pool.
    #[inline]
    pub fn lend(&mut self, frame: Frame, holder: Holder) -> Result<SlotId, Frame> {
        if frame.pool() != self.id {
            return Err(frame);
        }
        debug_assert!(matches!(holder, Holder::Receive | Holder::Transmit), "lent to {holder:?}");
        let slot = frame.slot();
        self.set_holder(slot, holder);
        Ok(slot)
    }

    /// Takes a free slot straight into a ring, for fill rings.
    #[inline]
    pub fn lend_free(&mut self, holder: Holder) -> Option<SlotId> {
        let slot = self.free.pop()?;
        self.set_holder(slot, holder);
        Some(slot)
    }

    /// The frame for a slot that came back from a ring, empty, its start at [`FRAME_HOME`].
    /// `None` if the slot was not lent to `holder`: the ring gave something it did not have.
    #[inline]
    pub fn reclaim(&mut self, slot: SlotId, holder: Holder) -> Option<Frame> {
        let lent = matches!(holder, Holder::Receive | Holder::Transmit)
            && self.holders.get(slot.0 as usize).copied() == Some(holder);
        if lent { self.materialise(slot) } else { None }
    }

    /// Counts the frames by holder. Slow: for tests, shutdown and operators.
    pub fn census(&self) -> Census {
        let count = |holder| self.holders.iter().filter(|h| **h == holder).count();
        Census {
            free: self.free.len(),
            lane: count(Holder::Lane),
            receive: count(Holder::Receive),
            transmit: count(Holder::Transmit),
        }
    }

    /// Where the buffer of a slot starts, for rings that tell the kernel addresses. `None` beyond the region.
    /// Whoever reads or writes there must hold the slot by [`Pool::lend`] or [`Pool::lend_free`].
    #[inline]
    pub fn slot_ptr(&self, slot: SlotId) -> Option<NonNull<u8>> {
        let index = slot.0 as usize;
        // SAFETY: an index below `total` is a whole frame inside the region, so the offset stays in the mapping.
        (index < self.holders.len()).then(|| unsafe { self.region.base().add(index * usize::from(self.frame_size)) })
    }

    #[inline]
    fn materialise(&mut self, slot: SlotId) -> Option<Frame> {
        self.set_holder(slot, Holder::Lane);
        // SAFETY: the holder was Free or a ring a moment ago, hence no `Frame` existed for the slot; now it is Lane.
        unsafe { self.metas.frame(slot) }
    }

    #[inline]
    fn set_holder(&mut self, slot: SlotId, holder: Holder) {
        if let Some(entry) = self.holders.get_mut(slot.0 as usize) {
            *entry = holder;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let out = self.holders.iter().any(|h| *h != Holder::Free);
        if out {
            // Frames that outlive their pool must not dangle.
            self.region.leak();
            self.metas.leak();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_conserved_through_lending() {
        let mut pool = Pool::anonymous(1, 4).unwrap();
        let mut a = pool.acquire().unwrap();
        assert!(a.fill(b"hello"));
        let slot = pool.lend(a, Holder::Transmit).unwrap();
        assert_eq!(pool.census(), Census { free: 3, lane: 0, receive: 0, transmit: 1 });
        assert!(pool.reclaim(slot, Holder::Receive).is_none(), "lent to another ring");
        let back = pool.reclaim(slot, Holder::Transmit).unwrap();
        assert!(pool.reclaim(slot, Holder::Transmit).is_none(), "only once");
        pool.release(back);
        assert_eq!(pool.census().free, 4);
    }

    #[test]
    fn pool_is_bounded_and_frames_do_not_overlap() {
        let mut pool = Pool::anonymous(1, 3).unwrap();
        let mut frames: Vec<_> = std::iter::from_fn(|| pool.acquire()).collect();
        assert_eq!(frames.len(), 3);
        for (i, frame) in frames.iter_mut().enumerate() {
            assert!(frame.fill(&[i as u8; 1792]));
            assert!(!frame.fill(&[0; 1793]), "beyond the buffer");
        }
        for (i, frame) in frames.iter().enumerate() {
            assert!(frame.bytes().iter().all(|b| *b == i as u8));
        }
        frames.into_iter().for_each(|f| pool.release(f));
    }

    #[test]
    fn foreign_frames_wait_to_go_home() {
        let (mut here, mut there) = (Pool::anonymous(1, 2).unwrap(), Pool::anonymous(2, 2).unwrap());
        let frame = there.acquire().unwrap();
        let frame = here.lend(frame, Holder::Transmit).unwrap_err();
        here.release(frame);
        let frame = here.take_foreign().unwrap();
        there.release(frame);
        assert_eq!(there.census().free, 2);
    }

    #[test]
    fn what_is_noted_of_frames_may_change_places_and_the_bytes_do_not() {
        let mut pool = Pool::anonymous(1, 2).unwrap();
        let (mut a, mut b) = (pool.acquire().unwrap(), pool.acquire().unwrap());
        (a.port, b.port) = (1, 2);
        std::mem::swap(&mut *a, &mut *b);
        assert_eq!((a.port, b.port), (2, 1));
        assert!(b.fill(b"old"));
        pool.release(a);
        let mut c = pool.acquire().unwrap();
        assert!(c.fill(b"new"));
        assert_eq!((b.bytes(), c.bytes(), c.port), (&b"old"[..], &b"new"[..], 0));
        [b, c].into_iter().for_each(|frame| pool.release(frame));
    }

    #[test]
    fn headers_come_and_go_at_the_front() {
        let mut pool = Pool::anonymous(1, 2).unwrap();
        let mut frame = pool.acquire().unwrap();
        assert!(frame.fill(b"payload"));
        frame.push_front(3).unwrap().copy_from_slice(b"hdr");
        assert_eq!(frame.bytes(), b"hdrpayload");
        assert!(frame.move_to(FRAME_HOME));
        assert_eq!((frame.bytes(), frame.start()), (&b"hdrpayload"[..], FRAME_HOME));
        assert!(frame.trim_front(3));
        assert!(!frame.trim_front(8));
        assert_eq!(frame.bytes(), b"payload");
        pool.release(frame);
    }
}
