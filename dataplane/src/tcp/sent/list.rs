//! A doubly linked list through segments of the slab: by sequence number or by time of sending.
//!
//! Invariants: `head` has no predecessor, `tail` no successor; empty when both are none.

use super::slab::{Links, Segment, SegmentId, SegmentSlab};

/// Which of its segments' links a list runs through.
pub(super) trait Through {
    fn links(segment: &mut Segment) -> &mut Links;
}

/// By sequence number.
#[derive(Debug)]
pub(super) struct BySeq;
/// By time of sending.
#[derive(Debug)]
pub(super) struct ByTime;

impl Through for BySeq {
    fn links(segment: &mut Segment) -> &mut Links {
        &mut segment.by_seq
    }
}

impl Through for ByTime {
    fn links(segment: &mut Segment) -> &mut Links {
        &mut segment.by_time
    }
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: SegmentId,
    pub(super) tail: SegmentId,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: SegmentId::NONE, tail: SegmentId::NONE };

    pub(super) fn push_back<L: Through>(&mut self, slab: &mut SegmentSlab, id: SegmentId) {
        self.insert_after::<L>(slab, self.tail, id);
    }

    /// Puts `id` behind `place`; at the front if that is none.
    pub(super) fn insert_after<L: Through>(&mut self, slab: &mut SegmentSlab, place: SegmentId, id: SegmentId) {
        let next = match place.some() {
            Some(place) => std::mem::replace(&mut L::links(&mut slab[place]).next, id),
            None => std::mem::replace(&mut self.head, id),
        };
        *L::links(&mut slab[id]) = Links { prev: place, next };
        match next.some() {
            Some(next) => L::links(&mut slab[next]).prev = id,
            None => self.tail = id,
        }
    }

    /// Lets go of everything before `first`, which is none for the whole list.
    #[inline]
    pub(super) fn cut_before<L: Through>(&mut self, slab: &mut SegmentSlab, first: SegmentId) {
        self.head = first;
        match first.some() {
            Some(first) => L::links(&mut slab[first]).prev = SegmentId::NONE,
            None => self.tail = SegmentId::NONE,
        }
    }

    pub(super) fn remove<L: Through>(&mut self, slab: &mut SegmentSlab, id: SegmentId) {
        let Links { prev, next } = std::mem::replace(L::links(&mut slab[id]), Links::NONE);
        match prev.some() {
            Some(prev) => L::links(&mut slab[prev]).next = next,
            None => self.head = next,
        }
        match next.some() {
            Some(next) => L::links(&mut slab[next]).prev = prev,
            None => self.tail = prev,
        }
    }
}
