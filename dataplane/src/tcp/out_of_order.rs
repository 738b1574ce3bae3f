//! What arrived ahead of `RCV.NXT`: ranges of sequence numbers. Their bytes stand in the receive ring already, at their
//! places, so nothing is queued.
//!
//! Also what the next ACK reports of them: SACK blocks, the latest first (RFC 2018 section 4; `selective_acks`), and one
//! D-SACK (RFC 2883).
//!
//! Invariants: ranges are in order, disjoint, not adjacent, and all after `RCV.NXT`; at most [`RANGES_MAX`] of one
//! connection, in a slab that the lane shares; what does not fit is not taken, and the peer sends it again.

use super::seq::SeqNum;
use crate::wire::tcp_options::{SACK_BLOCKS_MAX, SackBlock, SackBlocks};

/// Ranges of one connection: at 1 % loss a window of 25,000 segments has that many holes.
pub const RANGES_MAX: u16 = 256;

const NONE: u32 = u32::MAX;

/// A range of sequence numbers, `start .. end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its first number.
    pub start: SeqNum,
    /// One behind its last.
    pub end: SeqNum,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    range: Range,
    prev: u32,
    next: u32,
}

/// The ranges of all connections of a lane.
#[derive(Debug)]
pub struct RangeSlab {
    nodes: Vec<Node>,
    free: u32,
    in_use: usize,
    max: usize,
}

impl RangeSlab {
    /// Room for `max` ranges; pages are touched when used.
    pub fn new(max: usize) -> Self {
        Self { nodes: Vec::with_capacity(max), free: NONE, in_use: 0, max }
    }

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    fn acquire(&mut self, node: Node) -> Option<u32> {
        let index = if self.free != NONE {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        } else if self.nodes.len() < self.max {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            return None;
        };
        self.in_use += 1;
        Some(index)
    }

    fn release(&mut self, index: u32) {
        self.nodes[index as usize].next = self.free;
        self.free = index;
        self.in_use -= 1;
    }
}

/// What arrived out of order on one connection.
#[derive(Debug)]
pub struct OutOfOrder {
    head: u32,
    tail: u32,
    len: u16,
    blocks: u8,
    /// The latest first.
    recent: [Range; SACK_BLOCKS_MAX],
    duplicate: Option<Range>,
}

impl Default for OutOfOrder {
    fn default() -> Self {
        Self::new()
    }
}

const EMPTY: Range = Range { start: SeqNum::new(0), end: SeqNum::new(0) };

impl OutOfOrder {
    /// Nothing.
    pub const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0, blocks: 0, recent: [EMPTY; SACK_BLOCKS_MAX], duplicate: None }
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
        Some(slab.nodes.get(self.tail as usize)?.range.end)
    }

    /// The range that contains all of `range`, if there is one: the data is here already.
    pub fn covering(&self, slab: &RangeSlab, range: Range) -> Option<Range> {
        let at = slab.nodes.get(self.last_at_or_before(slab, range.start) as usize)?.range;
        (at.start.at_or_before(range.start) && at.end.at_or_after(range.end)).then_some(at)
    }

    /// Adds what arrived, joining what it touches. False, and nothing changed, if there is no room. Bounded by
    /// [`RANGES_MAX`]; constant if it lies at the end.
    pub fn insert(&mut self, slab: &mut RangeSlab, range: Range) -> bool {
        let before = self.last_at_or_before(slab, range.start);
        let joined = match slab.nodes.get(before as usize).map(|node| node.range) {
            Some(at) if at.end.at_or_after(range.start) => {
                let joined = Range { start: at.start, end: at.end.later(range.end) };
                slab.nodes[before as usize].range = joined;
                self.join_followers(slab, before)
            }
            _ => match self.insert_after(slab, before, range) {
                Some(index) => self.join_followers(slab, index),
                None => return false,
            },
        };
        self.report(joined);
        true
    }

    /// What of the first range lies before `nxt`, to which data in order reaches: it arrived twice (`tcp_ofo_queue`).
    pub fn overlap(&self, slab: &RangeSlab, nxt: SeqNum) -> Option<Range> {
        let first = slab.nodes.get(self.head as usize)?.range;
        first.start.before(nxt).then(|| Range { start: first.start, end: first.end.earlier(nxt) })
    }

    /// `RCV.NXT` moved to `nxt`: takes the ranges that it reached, and answers where the in-order data now ends.
    pub fn advance(&mut self, slab: &mut RangeSlab, nxt: SeqNum) -> SeqNum {
        let mut end = nxt;
        while let Some(node) = slab.nodes.get(self.head as usize).copied() {
            if node.range.start.after(end) {
                break;
            }
            end = end.later(node.range.end);
            self.remove(slab, self.head);
        }
        self.forget_reported(end);
        end
    }

    /// Data that is here already arrived again: the next ACK says so (RFC 2883 section 4).
    pub fn report_duplicate(&mut self, range: Range) {
        self.duplicate = match self.duplicate {
            // A longer one that touches it (`tcp_sack_extend`).
            Some(known) if known.start.at_or_before(range.end) && range.start.at_or_before(known.end) => {
                Some(Range { start: known.start.earlier(range.start), end: known.end.later(range.end) })
            }
            _ => Some(range),
        };
    }

    /// Reports the range that holds `range` first: it was sent again.
    pub fn report(&mut self, range: Range) {
        let mut kept: [Range; SACK_BLOCKS_MAX] = [EMPTY; SACK_BLOCKS_MAX];
        let mut count = 1;
        kept[0] = range;
        let others = self.recent[..usize::from(self.blocks)].iter().filter(|r| !touches(**r, range));
        for other in others.take(SACK_BLOCKS_MAX - 1) {
            kept[count] = *other;
            count += 1;
        }
        (self.recent, self.blocks) = (kept, count as u8);
    }

    /// True if an ACK has something to report.
    pub fn has_report(&self) -> bool {
        self.blocks > 0 || self.duplicate.is_some()
    }

    /// Blocks that an ACK would report, had it room for all.
    pub fn report_len(&self) -> usize {
        usize::from(self.blocks) + usize::from(self.duplicate.is_some())
    }

    /// The blocks for an ACK that has room for `room` of them; the D-SACK is reported once.
    pub fn blocks(&mut self, room: usize) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        let duplicate = self.duplicate.take();
        let reported = self.recent[..usize::from(self.blocks)].iter();
        for range in duplicate.iter().chain(reported).take(room) {
            blocks.push(SackBlock { left: range.start.number(), right: range.end.number() });
        }
        blocks
    }

    /// Forgets everything.
    pub fn clear(&mut self, slab: &mut RangeSlab) {
        while self.head != NONE {
            self.remove(slab, self.head);
        }
        *self = Self::new();
    }

    /// All ranges, in order.
    pub fn iter<'a>(&self, slab: &'a RangeSlab) -> impl Iterator<Item = Range> + 'a {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let node = slab.nodes.get(at as usize)?;
            at = node.next;
            Some(node.range)
        })
    }

    /// The last range that begins at or before `seq`, searched from the end: what arrives usually lies there.
    fn last_at_or_before(&self, slab: &RangeSlab, seq: SeqNum) -> u32 {
        let mut at = self.tail;
        while let Some(node) = slab.nodes.get(at as usize) {
            if node.range.start.at_or_before(seq) {
                break;
            }
            at = node.prev;
        }
        at
    }

    fn insert_after(&mut self, slab: &mut RangeSlab, before: u32, range: Range) -> Option<u32> {
        if self.len >= RANGES_MAX {
            return None;
        }
        let next = slab.nodes.get(before as usize).map_or(self.head, |node| node.next);
        let index = slab.acquire(Node { range, prev: before, next })?;
        match slab.nodes.get_mut(before as usize) {
            Some(node) => node.next = index,
            None => self.head = index,
        }
        match slab.nodes.get_mut(next as usize) {
            Some(node) => node.prev = index,
            None => self.tail = index,
        }
        self.len += 1;
        Some(index)
    }

    /// The range at `index` grew: swallows those that it reached.
    fn join_followers(&mut self, slab: &mut RangeSlab, index: u32) -> Range {
        loop {
            let Node { range, next, .. } = slab.nodes[index as usize];
            match slab.nodes.get(next as usize).map(|node| node.range) {
                Some(after) if after.start.at_or_before(range.end) => {
                    slab.nodes[index as usize].range.end = range.end.later(after.end);
                    self.remove(slab, next);
                }
                _ => return range,
            }
        }
    }

    fn remove(&mut self, slab: &mut RangeSlab, index: u32) {
        let Node { prev, next, .. } = slab.nodes[index as usize];
        match slab.nodes.get_mut(prev as usize) {
            Some(node) => node.next = next,
            None => self.head = next,
        }
        match slab.nodes.get_mut(next as usize) {
            Some(node) => node.prev = prev,
            None => self.tail = prev,
        }
        slab.release(index);
        self.len -= 1;
    }

    /// What is in order is reported no more (`tcp_sack_remove`).
    fn forget_reported(&mut self, nxt: SeqNum) {
        let (mut kept, mut count) = ([EMPTY; SACK_BLOCKS_MAX], 0);
        for range in self.recent[..usize::from(self.blocks)].iter().filter(|r| r.start.after(nxt)) {
            kept[count] = *range;
            count += 1;
        }
        (self.recent, self.blocks) = (kept, count as u8);
    }
}

fn touches(a: Range, b: Range) -> bool {
    a.start.at_or_before(b.end) && b.start.at_or_before(a.end)
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
            prop_assert_eq!(slab.in_use(), 0);
        }
    }

    #[test]
    fn the_latest_range_is_reported_first_and_a_duplicate_once() {
        let (mut slab, mut queue) = (RangeSlab::new(16), OutOfOrder::new());
        for start in [100, 300, 500] {
            queue.insert(&mut slab, range(start, start + 100));
        }
        queue.insert(&mut slab, range(200, 250));
        queue.report_duplicate(range(300, 400));
        let shown = |blocks: SackBlocks| blocks.as_slice().iter().map(|b| (b.left, b.right)).collect::<Vec<_>>();
        assert_eq!(shown(queue.blocks(4)), [(300, 400), (100, 250), (500, 600), (300, 400)]);
        assert_eq!(shown(queue.blocks(3)), [(100, 250), (500, 600), (300, 400)]);
        assert_eq!(queue.advance(&mut slab, SeqNum::new(100)), SeqNum::new(250));
        assert_eq!(shown(queue.blocks(3)), [(500, 600), (300, 400)]);
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
}
