//! Where buffers end in what the program wrote and was not sent yet (the borders of Linux's write queue; `tcp_sendmsg_locked`).
//!
//! ```text
//!   nxt          mark              mark (MSG_EOR)       end
//!    | buffer     | buffer          | tail, still open   |
//! ```
//!
//! Linux writes into buffers of up to `size_goal` bytes. A row of segments ends with its buffer, `PSH` stands at the end of one behind
//! which half the peer's largest window was written (`forced_push`), and behind the end of a record (`MSG_EOR`) nothing joins the segment.
//!
//! Invariants: marks are in order and lie between `SND.NXT` and the end of what was written; at most [`MARKS_MAX`] of one connection,
//! in a slab that the lane shares. What does not fit is one buffer, except that a record's end waits for its place.

use super::seq::SeqNum;
use super::slab::{NONE, Slab};

/// Marks of one connection: a send buffer of 4 MiB in buffers of 64 KiB.
pub const MARKS_MAX: u8 = 64;

/// The end of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// One behind its last byte.
    pub at: SeqNum,
    /// Its last segment carries `PSH`.
    pub push: bool,
    /// It is the end of a record: a segment ends here.
    pub record: bool,
}

/// The marks of all connections of a lane.
pub type MarkSlab = Slab<Mark>;

/// How a connection's buffers are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of a full buffer (`size_goal`).
    pub goal: u32,
    /// Written behind the last `PSH`, this much asks for the next (`max_window >> 1`).
    pub half_window: u32,
}

/// The marks of one connection, and its open buffer, which begins behind the last of them.
#[derive(Debug)]
pub struct Marks {
    /// The last one, whose `next` is the first; [`NONE`] without any.
    last: u32,
    /// Where the last `PSH` was put (`pushed_seq`).
    pushed_at: SeqNum,
    len: u8,
    /// The open buffer's end carries `PSH`.
    pushed: bool,
    /// Nothing is added to the open buffer.
    record: bool,
    /// What was shown ends with a record whose end waits for a place: nothing is shown behind it.
    pub held: bool,
}

impl Default for Marks {
    fn default() -> Self {
        Self::new(SeqNum::new(0))
    }
}

impl Marks {
    /// None; the first byte is `first`.
    pub const fn new(first: SeqNum) -> Self {
        Self { last: NONE, pushed_at: first, len: 0, pushed: false, record: false, held: false }
    }

    /// True if a record's end has a place.
    pub fn has_room(&self, slab: &MarkSlab) -> bool {
        self.len < MARKS_MAX && slab.has_room()
    }

    /// The first one behind `nxt`; those up to it are forgotten. Amortised constant.
    #[inline]
    pub fn next(&mut self, slab: &mut MarkSlab, nxt: SeqNum) -> Option<Mark> {
        while let Some(last) = slab.get(self.last) {
            let first = last.next;
            let mark = slab[first].item;
            if mark.at.after(nxt) {
                return Some(mark);
            }
            let second = slab.release(first);
            self.len -= 1;
            if first == self.last {
                self.last = NONE;
            } else {
                slab[self.last].next = second;
            }
        }
        None
    }

    /// The program wrote `from .. to`; all before `nxt` was sent. Bounded by the bytes over `cut.goal`, and by [`MARKS_MAX`].
    #[inline]
    pub fn write(&mut self, slab: &mut MarkSlab, nxt: SeqNum, (from, to): (SeqNum, SeqNum), cut: Cut) {
        if !from.after(nxt) {
            (self.pushed, self.record) = (false, false);
        }
        let mut start = slab.get(self.last).map_or(nxt, |last| last.item.at.later(nxt));
        let mut at = from;
        while at.before(to) {
            if self.record || at.since(start) >= cut.goal {
                self.close(slab, at);
                start = at;
            }
            let room = cut.goal.saturating_sub(at.since(start)).max(1);
            let left = to.since(at);
            if left < room || (left > room && !self.has_room(slab)) {
                at = to;
            } else {
                at += room;
                if at.since(self.pushed_at) > cut.half_window {
                    self.push(at);
                }
            }
        }
    }

    /// What was written ends with `PSH`, at `end`.
    #[inline]
    pub fn push(&mut self, end: SeqNum) {
        (self.pushed, self.pushed_at) = (true, end);
    }

    /// What was written is the end of a record.
    pub fn end_record(&mut self) {
        self.record = true;
    }

    /// True if the end of what was written carries `PSH`.
    #[inline]
    pub fn is_pushed(&self) -> bool {
        self.pushed
    }

    /// Another buffer begins at `at`.
    fn close(&mut self, slab: &mut MarkSlab, at: SeqNum) {
        let mark = Mark { at, push: self.pushed, record: self.record };
        (self.pushed, self.record) = (false, false);
        let Some(index) = (self.len < MARKS_MAX).then(|| slab.acquire(mark, NONE)).flatten() else { return };
        let first = match slab.get_mut(self.last) {
            Some(last) => std::mem::replace(&mut last.next, index),
            None => index,
        };
        slab[index].next = first;
        self.last = index;
        self.len += 1;
    }

    /// Forgets all: the connection is over.
    pub fn clear(&mut self, slab: &mut MarkSlab) {
        // Behind the last one lies none.
        let end = slab.get(self.last).map(|last| last.item.at);
        end.into_iter().for_each(|end| _ = self.next(slab, end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Cut = Cut { goal: 1000, half_window: 1500 };

    fn at(number: u32) -> SeqNum {
        SeqNum::new(number)
    }

    fn all(marks: &mut Marks, slab: &mut MarkSlab) -> Vec<(u32, bool, bool)> {
        let mut found = Vec::new();
        let mut nxt = at(1);
        while let Some(mark) = marks.next(slab, nxt) {
            found.push((mark.at.number(), mark.push, mark.record));
            nxt = mark.at;
        }
        found
    }

    #[test]
    fn a_long_write_is_cut_and_pushed_behind_half_a_window() {
        let (mut slab, mut marks) = (MarkSlab::new(100), Marks::new(at(1)));
        marks.write(&mut slab, at(1), (at(1), at(4501)), CUT);
        marks.push(at(4501));
        assert!(marks.is_pushed());
        assert_eq!(
            all(&mut marks, &mut slab),
            [(1001, false, false), (2001, true, false), (3001, false, false), (4001, true, false)]
        );
        assert_eq!(slab.in_use(), 0);
    }

    #[test]
    fn an_open_buffer_is_filled_up_and_its_push_moves_to_its_end() {
        let (mut slab, mut marks) = (MarkSlab::new(100), Marks::new(at(1)));
        marks.write(&mut slab, at(1), (at(1), at(401)), CUT);
        marks.push(at(401));
        marks.write(&mut slab, at(1), (at(401), at(1101)), CUT);
        assert!(!marks.is_pushed());
        assert_eq!(all(&mut marks, &mut slab), [(1001, true, false)]);
        // What was sent of it makes room in it.
        let mut marks = Marks::new(at(1));
        marks.write(&mut slab, at(1), (at(1), at(1001)), CUT);
        marks.write(&mut slab, at(501), (at(1001), at(1601)), CUT);
        assert_eq!(all(&mut marks, &mut slab), [(1501, false, false)]);
    }

    #[test]
    fn nothing_joins_a_record() {
        let (mut slab, mut marks) = (MarkSlab::new(2), Marks::new(at(1)));
        for record in 0..3 {
            let (from, to) = (at(1 + record * 10), at(11 + record * 10));
            assert_eq!(marks.has_room(&slab), record < 3, "{record}");
            marks.write(&mut slab, at(1), (from, to), CUT);
            marks.push(to);
            marks.end_record();
        }
        assert!(!marks.has_room(&slab));
        assert_eq!(all(&mut marks, &mut slab), [(11, true, true), (21, true, true)]);
        // All was sent: the next write begins anew.
        marks.write(&mut slab, at(31), (at(31), at(41)), CUT);
        assert_eq!(marks.next(&mut slab, at(31)), None);
        assert!(!marks.is_pushed());
    }

    #[test]
    fn a_connection_holds_a_bounded_number() {
        let (mut slab, mut marks) = (MarkSlab::new(1000), Marks::new(at(1)));
        marks.write(&mut slab, at(1), (at(1), at(1_000_001)), CUT);
        assert_eq!(slab.in_use(), usize::from(MARKS_MAX));
        marks.clear(&mut slab);
        assert_eq!(slab.in_use(), 0);
    }
}
