//! Where a position of a stream lies in its rings, also while the stream moves from one ring to another.
//!
//! ```text
//!   the word of a ring   bits 0-4  log2 of the size before the change      the word beside it: the position of the change
//!                        bits 5-9  log2 of the size after it
//!                        bits 10-  number of the change, so that every change is seen
//! ```
//!
//! Invariants: a run of bytes never leaves its ring; a limit never moves back, so what was promised to a sender stays promised.

use super::{StreamView, ahead};
use crate::rubbish::Rubbish;

/// The smallest ring, one page.
pub const STREAM_RING_MIN: u32 = 4096;
/// The largest ring: the largest window that TCP can announce (RFC 7323, section 2.3).
pub const STREAM_RING_MAX: u32 = 1 << 30;

/// One end's idea of the rings of one direction.
#[derive(Debug, Default)]
pub(super) struct Area {
    /// The position that lies where a ring begins: the writer's choice, whenever nothing is in use.
    origin: u32,
    /// The first position that is no longer in the ring before.
    until: u32,
    /// The word as it was written or read last: the ring before, and the one of positions from `until` on.
    word: u32,
    /// The sizes, which are powers of two, of the rings that were in use and whose pages were not given back since. The lane's.
    used: u32,
    /// The ring before is in use.
    leaving: bool,
    /// The stream had another ring than its first.
    moved: bool,
}

/// The ring that a stream is leaving.
#[derive(Clone, Copy, Debug)]
struct Before {
    size: u32,
    /// The first position that is no longer in it.
    until: u32,
}

/// Where a position lies: in which ring, where in it, and how many bytes follow there, at least one.
struct Place {
    ring: u32,
    offset: usize,
    run: usize,
}

const LOG_BITS: u32 = 5;
const LOG_MASK: u32 = (1 << LOG_BITS) - 1;

impl Area {
    /// Bytes of the present ring; 1 while the client has not learned it.
    #[inline]
    pub(super) fn size(&self) -> u32 {
        1 << (self.word >> LOG_BITS & LOG_MASK)
    }

    /// Starts anew with one ring, and answers the word that says so. The lane's.
    pub(super) fn start(&mut self, size: u32) -> u32 {
        (self.origin, self.leaving, self.moved, self.used) = (0, false, false, size);
        self.say(size, size)
    }

    pub(super) fn origin(&self) -> u32 {
        self.origin
    }

    /// Lets position `origin` lie where a ring begins. The writer's, when nothing before it is in use, so that a stream that is read as fast as
    /// it is written stays in a few cache lines instead of walking through its ring; also while it leaves a ring, since positions on either side of
    /// the change span no more than their ring. And the reader's, who takes over what the writer says, whatever that is: a place is always
    /// within its ring.
    #[inline]
    pub(super) fn set_origin(&mut self, origin: u32) {
        self.origin = origin;
    }

    /// Moves to a ring of `size` at position `until`; answers the word to publish. The lane's. `None` if the size cannot be, is
    /// the present one, or the ring before is still in use.
    pub(super) fn change(&mut self, view: &impl StreamView, size: u32, until: u32) -> Option<u32> {
        let old = self.size();
        if size == old || self.leaving || !is_size(view, size) {
            return None;
        }
        (self.leaving, self.until) = (true, until);
        self.moved = true;
        self.used |= size;
        Some(self.say(old, size))
    }

    fn say(&mut self, old: u32, new: u32) -> u32 {
        let number = (self.word >> (2 * LOG_BITS)).wrapping_add(1);
        self.word = number << (2 * LOG_BITS) | new.trailing_zeros() << LOG_BITS | old.trailing_zeros();
        self.word
    }

    /// True if `word` says something new. The client's.
    #[inline]
    pub(super) fn is_news(&self, word: u32) -> bool {
        word != self.word
    }

    /// Takes over what the lane says. The client's. An honest lane changes the ring no later than the old one's size behind
    /// `latest`, the latest position that it can have known as its head.
    pub(super) fn learn(&mut self, view: &impl StreamView, word: u32, until: u32, latest: u32) -> Result<(), Rubbish> {
        let (old, new) = (1u32 << (word & LOG_MASK), 1u32 << (word >> LOG_BITS & LOG_MASK));
        if !is_size(view, old) || !is_size(view, new) || ahead(latest, until) > old.cast_signed() {
            return Err(Rubbish::Size(word));
        }
        self.word = word;
        (self.leaving, self.until) = (old != new, until);
        Ok(())
    }

    /// Forgets the client's copy of the word, so that the next one is news.
    pub(super) fn forget(&mut self) {
        (self.origin, self.leaving, self.word) = (0, false, 0);
    }

    #[inline]
    fn before(&self) -> Option<Before> {
        self.leaving.then(|| Before { size: 1 << (self.word & LOG_MASK), until: self.until })
    }

    /// The first position without a place while `head` is the oldest one in use.
    #[inline]
    pub(super) fn limit(&self, head: u32) -> u32 {
        let end = head.wrapping_add(self.size());
        match self.before() {
            Some(before) if ahead(end, before.until) > 0 => before.until,
            _ => end,
        }
    }

    /// Says that nothing before `head` is in use. True if that ended the use of a ring.
    #[inline]
    pub(super) fn settle(&mut self, head: u32) -> bool {
        let left = self.leaving && ahead(self.until, head) >= 0;
        self.leaving &= !left;
        left
    }

    /// Copies `data` to `position`. Bounded by two runs in each ring, because a caller never copies more than a ring holds.
    #[inline]
    pub(super) fn copy_in(&self, view: &impl StreamView, mut position: u32, mut data: &[u8]) {
        while !data.is_empty() {
            let Place { ring, offset, run } = self.place(view, position);
            let (now, rest) = data.split_at(data.len().min(run));
            view.write(ring, offset, now);
            position = position.wrapping_add(now.len() as u32);
            data = rest;
        }
    }

    /// Copies bytes from `position` on to `out`. Bounded as [`Self::copy_in`].
    #[inline]
    pub(super) fn copy_out(&self, view: &impl StreamView, mut position: u32, mut out: &mut [u8]) {
        while !out.is_empty() {
            let Place { ring, offset, run } = self.place(view, position);
            let len = out.len().min(run);
            let (now, rest) = out.split_at_mut(len);
            view.read(ring, offset, now);
            position = position.wrapping_add(len as u32);
            out = rest;
        }
    }

    /// Asks for the line where `position` lies, to be written soon.
    #[inline]
    pub(super) fn prefetch(&self, view: &impl StreamView, position: u32) {
        let Place { ring, offset, .. } = self.place(view, position);
        view.prefetch(ring, offset);
    }

    /// Where `position` lies.
    #[inline]
    fn place(&self, view: &impl StreamView, position: u32) -> Place {
        let (ring, left) = match self.before() {
            Some(before) if ahead(position, before.until) > 0 => (before.size, before.until.wrapping_sub(position)),
            _ => (self.size(), u32::MAX),
        };
        let offset = position.wrapping_sub(self.origin).wrapping_add(view.skew()) & (ring - 1);
        Place { ring, offset: offset as usize, run: (ring - offset).min(left) as usize }
    }

    /// The stream had another ring than its first.
    pub(super) fn has_moved(&self) -> bool {
        self.moved
    }

    /// Gives the pages of every ring back that is not in use: of all but the present one, and of that one as well if `empty`. False, and
    /// nothing given, while the stream leaves a ring. The lane's.
    pub(super) fn give_back(&mut self, view: &impl StreamView, empty: bool) -> bool {
        if self.leaving {
            return false;
        }
        let present = self.size();
        each_size(self.used).filter(|size| empty || *size != present).for_each(|size| {
            view.give_back(size);
        });
        self.used = present;
        true
    }

    /// The stream is over: gives all pages back, unless it had its first ring only. That one serves the next stream of the slot, so
    /// that a short connection costs no system call. Answers whether there is such a one. The lane's.
    pub(super) fn end(&self, view: &impl StreamView) -> bool {
        if self.moved {
            each_size(self.used).for_each(|size| {
                view.give_back(size);
            });
        }
        !self.moved
    }
}

/// The sizes that stand in `used`, which are powers of two.
fn each_size(used: u32) -> impl Iterator<Item = u32> {
    (0..u32::BITS).map(|log| 1 << log).filter(move |size| used & size != 0)
}

fn is_size(view: &impl StreamView, size: u32) -> bool {
    size.is_power_of_two() && size <= view.size_max()
}
