//! What arrived ahead of `RCV.NXT`: ranges of sequence numbers. Their bytes stand in the receive ring already, at their
//! places, so nothing is queued.
//!
//! Also what the next ACK reports of them: SACK blocks, the latest first (RFC 2018 section 4; `selective_acks`), and one
//! D-SACK (RFC 2883).
//!
//! Invariants: ranges are in order, disjoint, not adjacent, and all after `RCV.NXT`; at most [`RANGES_MAX`] of one
//! connection, in a slab that the lane shares; what does not fit is not taken, and the peer sends it again. A connection without any of
//! this has two words for it; an entry of the lane's holds the rest from the first range or report to the last.

mod held;

use super::seq::SeqNum;
use super::slab::{NONE, Slab};
use super::table::Places;
use crate::wire::tcp_options::SackBlocks;
use held::Held;

/// Ranges of one connection: at 1 % loss a window of 25,000 segments has that many holes.
pub const RANGES_MAX: u16 = 256;

/// A range of sequence numbers, `start .. end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its first number.
    pub start: SeqNum,
    /// One behind its last.
    pub end: SeqNum,
}

/// A range in its connection's list.
#[derive(Clone, Copy, Debug)]
struct Listed {
    range: Range,
    prev: u32,
}

/// The ranges of all connections of a lane.
#[derive(Debug)]
pub struct RangeSlab {
    nodes: Slab<Listed>,
    /// Connections with ranges, or something to report.
    held: Places<Held>,
}

impl RangeSlab {
    /// Room for `max` ranges; pages are touched when used.
    pub fn new(max: usize) -> Self {
        Self { nodes: Slab::new(max), held: Places::new(max) }
    }

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.nodes.in_use()
    }
}

/// What arrived out of order on one connection: where the lane has it, and how much that is.
#[derive(Debug)]
pub struct OutOfOrder {
    held: u32,
    len: u16,
    reports: u8,
}

impl Default for OutOfOrder {
    fn default() -> Self {
        Self::new()
    }
}

impl OutOfOrder {
    /// Nothing.
    pub const fn new() -> Self {
        Self { held: NONE, len: 0, reports: 0 }
    }

    /// True if nothing is ahead.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many ranges there are.
    pub fn len(&self) -> u16 {
        self.len
    }

    /// The end of the last range.
    pub fn end(&self, slab: &RangeSlab) -> Option<SeqNum> {
        slab.held.get(self.held)?.end(&slab.nodes)
    }

    /// The range that contains all of `range`, if there is one: the data is here already.
    pub fn covering(&self, slab: &RangeSlab, range: Range) -> Option<Range> {
        slab.held.get(self.held)?.covering(&slab.nodes, range)
    }

    /// Adds what arrived, joining what it touches. False, and nothing changed, if there is no room. Bounded by
    /// [`RANGES_MAX`]; constant if it lies at the end.
    pub fn insert(&mut self, slab: &mut RangeSlab, range: Range) -> bool {
        self.change(slab, |held, nodes| held.insert(nodes, range)).unwrap_or(false)
    }

    /// What of the first range lies before `nxt`, to which data in order reaches: it arrived twice (`tcp_ofo_queue`).
    pub fn overlap(&self, slab: &RangeSlab, nxt: SeqNum) -> Option<Range> {
        slab.held.get(self.held)?.overlap(&slab.nodes, nxt)
    }

    /// `RCV.NXT` moved to `nxt`: takes the ranges that it reached, and answers where the in-order data now ends.
    pub fn advance(&mut self, slab: &mut RangeSlab, nxt: SeqNum) -> SeqNum {
        if self.held == NONE {
            return nxt;
        }
        self.change(slab, |held, nodes| held.advance(nodes, nxt)).unwrap_or(nxt)
    }

    /// Data that is here already arrived again: the next ACK says so (RFC 2883 section 4), if the lane has room to remember it.
    pub fn report_duplicate(&mut self, slab: &mut RangeSlab, range: Range) {
        self.change(slab, |held, _| held.report_duplicate(range));
    }

    /// Reports the range that holds `range` first: it was sent again.
    pub fn report(&mut self, slab: &mut RangeSlab, range: Range) {
        self.change(slab, |held, _| held.report(range));
    }

    /// True if an ACK has something to report.
    #[inline]
    pub fn has_report(&self) -> bool {
        self.reports > 0
    }

    /// Blocks that an ACK would report, had it room for all.
    pub fn report_len(&self) -> usize {
        self.reports.into()
    }

    /// The blocks for an ACK that has room for `room` of them; the D-SACK is reported once.
    pub fn blocks(&mut self, slab: &mut RangeSlab, room: usize) -> SackBlocks {
        if self.reports == 0 {
            return SackBlocks::NONE;
        }
        self.change(slab, |held, _| held.blocks(room)).unwrap_or(SackBlocks::NONE)
    }

    /// Forgets everything.
    pub fn clear(&mut self, slab: &mut RangeSlab) {
        if self.held != NONE {
            self.change(slab, Held::clear);
        }
    }

    /// All ranges, in order.
    pub fn iter<'a>(&self, slab: &'a RangeSlab) -> impl Iterator<Item = Range> + 'a {
        let held = slab.held.get(self.held);
        held.into_iter().flat_map(|held| held.iter(&slab.nodes))
    }

    /// Takes an entry if there is none yet, and gives it back if nothing is left in it. `None` if the lane has none.
    fn change<T>(&mut self, slab: &mut RangeSlab, change: impl FnOnce(&mut Held, &mut Slab<Listed>) -> T) -> Option<T> {
        if self.held == NONE {
            self.held = slab.held.insert(|_| Held::new())?;
        }
        let held = slab.held.get_mut(self.held)?;
        let answer = change(held, &mut slab.nodes);
        (self.len, self.reports) = (held.len(), held.report_len() as u8);
        if self.len == 0 && self.reports == 0 {
            slab.held.remove(self.held);
            self.held = NONE;
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn range(start: u32, end: u32) -> Range {
        Range { start: SeqNum::new(start), end: SeqNum::new(end) }
    }

    proptest! {
        #[test]
        fn behaves_like_a_set_of_bytes(steps in proptest::collection::vec((0..200u32, 1..20u32, any::<bool>()), 1..60)) {
            let (mut slab, mut queue, mut model) = (RangeSlab::new(400), OutOfOrder::new(), BTreeSet::new());
            let base = u32::MAX - 100;
            let mut nxt = 0;
            for (start, len, advance) in steps {
                if advance {
                    nxt += len;
                    let reached = queue.advance(&mut slab, SeqNum::new(base.wrapping_add(nxt)));
                    while model.contains(&nxt) { nxt += 1; }
                    model.retain(|byte| *byte >= nxt);
                    prop_assert_eq!(reached.number(), base.wrapping_add(nxt));
                } else {
                    let start = nxt + 1 + start;
                    prop_assert!(queue.insert(&mut slab, range(base.wrapping_add(start), base.wrapping_add(start + len))));
                    model.extend(start..start + len);
                }
                let bytes: Vec<u32> = queue
                    .iter(&slab)
                    .flat_map(|r| (0..r.end.since(r.start)).map(move |i| (r.start + i).number().wrapping_sub(base)))
                    .collect();
                prop_assert_eq!(bytes, model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(queue.iter(&slab).count(), usize::from(queue.len()));
            }
            queue.clear(&mut slab);
            prop_assert_eq!((slab.in_use(), slab.held.len()), (0, 0));
        }
    }

    #[test]
    fn the_latest_range_is_reported_first_and_a_duplicate_once() {
        let (mut slab, mut queue) = (RangeSlab::new(16), OutOfOrder::new());
        for start in [100, 300, 500] {
            queue.insert(&mut slab, range(start, start + 100));
        }
        queue.insert(&mut slab, range(200, 250));
        queue.report_duplicate(&mut slab, range(300, 400));
        let shown = |blocks: SackBlocks| blocks.as_slice().iter().map(|b| (b.left, b.right)).collect::<Vec<_>>();
        assert_eq!(shown(queue.blocks(&mut slab, 4)), [(300, 400), (100, 250), (500, 600), (300, 400)]);
        assert_eq!(shown(queue.blocks(&mut slab, 3)), [(100, 250), (500, 600), (300, 400)]);
        assert_eq!(queue.advance(&mut slab, SeqNum::new(100)), SeqNum::new(250));
        assert_eq!(shown(queue.blocks(&mut slab, 3)), [(500, 600), (300, 400)]);
    }

    #[test]
    fn what_has_no_room_is_not_taken() {
        let (mut slab, mut queue) = (RangeSlab::new(2), OutOfOrder::new());
        assert!(queue.insert(&mut slab, range(10, 20)));
        assert!(queue.insert(&mut slab, range(30, 40)));
        assert!(!queue.insert(&mut slab, range(50, 60)));
        assert!(queue.insert(&mut slab, range(20, 30)), "joining needs no room");
        assert_eq!(queue.iter(&slab).collect::<Vec<_>>(), [range(10, 40)]);
    }

    #[test]
    fn an_entry_is_held_from_the_first_report_to_the_last() {
        let (mut slab, mut queue, mut other) = (RangeSlab::new(1), OutOfOrder::new(), OutOfOrder::new());
        queue.report_duplicate(&mut slab, range(10, 20));
        other.report_duplicate(&mut slab, range(10, 20));
        assert!(queue.has_report() && !other.has_report(), "there is room for one");
        assert!(!other.insert(&mut slab, range(30, 40)) && other.is_empty());
        assert_eq!(queue.blocks(&mut slab, 1).as_slice().len(), 1);
        assert!(!queue.has_report() && other.insert(&mut slab, range(30, 40)));
        assert_eq!(other.advance(&mut slab, SeqNum::new(30)), SeqNum::new(40));
        assert_eq!(slab.held.len(), 0);
    }
}
