//! The ranges of one connection as a list through the lane's nodes, and what the next ACK reports of them.

use super::{Listed, RANGES_MAX, Range};
use crate::tcp::seq::SeqNum;
use crate::tcp::slab::{NONE, Node, Slab};
use crate::wire::tcp_options::{SACK_BLOCKS_MAX, SackBlock, SackBlocks};

/// The ranges of one connection, and what is reported of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    head: u32,
    tail: u32,
    len: u16,
    blocks: u8,
    /// The latest first.
    recent: [Range; SACK_BLOCKS_MAX],
    duplicate: Option<Range>,
}

const EMPTY: Range = Range { start: SeqNum::new(0), end: SeqNum::new(0) };

impl Held {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0, blocks: 0, recent: [EMPTY; SACK_BLOCKS_MAX], duplicate: None }
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> u16 {
        self.len
    }

    /// The end of the last range.
    pub(super) fn end(&self, nodes: &Slab<Listed>) -> Option<SeqNum> {
        Some(nodes.get(self.tail)?.item.range.end)
    }

    /// The range that contains all of `range`, if there is one: the data is here already.
    pub(super) fn covering(&self, nodes: &Slab<Listed>, range: Range) -> Option<Range> {
        let at = nodes.get(self.last_at_or_before(nodes, range.start))?.item.range;
        (at.start.at_or_before(range.start) && at.end.at_or_after(range.end)).then_some(at)
    }

    /// Adds what arrived, joining what it touches. False, and nothing changed, if there is no room. Bounded by
    /// [`RANGES_MAX`]; constant if it lies at the end.
    pub(super) fn insert(&mut self, nodes: &mut Slab<Listed>, range: Range) -> bool {
        let before = self.last_at_or_before(nodes, range.start);
        let joined = match nodes.get(before).map(|node| node.item.range) {
            Some(at) if at.end.at_or_after(range.start) => {
                let joined = Range { start: at.start, end: at.end.later(range.end) };
                nodes[before].item.range = joined;
                self.join_followers(nodes, before)
            }
            _ => match self.insert_after(nodes, before, range) {
                Some(index) => self.join_followers(nodes, index),
                None => return false,
            },
        };
        self.report(joined);
        true
    }

    /// What of the first range lies before `nxt`, to which data in order reaches: it arrived twice (`tcp_ofo_queue`).
    pub(super) fn overlap(&self, nodes: &Slab<Listed>, nxt: SeqNum) -> Option<Range> {
        let first = nodes.get(self.head)?.item.range;
        first.start.before(nxt).then(|| Range { start: first.start, end: first.end.earlier(nxt) })
    }

    /// `RCV.NXT` moved to `nxt`: takes the ranges that it reached, and answers where the in-order data now ends.
    pub(super) fn advance(&mut self, nodes: &mut Slab<Listed>, nxt: SeqNum) -> SeqNum {
        let mut end = nxt;
        while let Some(first) = nodes.get(self.head).map(|node| node.item.range) {
            if first.start.after(end) {
                break;
            }
            end = end.later(first.end);
            self.remove(nodes, self.head);
        }
        self.forget_reported(end);
        end
    }

    /// Data that is here already arrived again: the next ACK says so (RFC 2883 section 4).
    pub(super) fn report_duplicate(&mut self, range: Range) {
        self.duplicate = match self.duplicate {
            // A longer one that touches it (`tcp_sack_extend`).
            Some(known) if known.start.at_or_before(range.end) && range.start.at_or_before(known.end) => {
                Some(Range { start: known.start.earlier(range.start), end: known.end.later(range.end) })
            }
            _ => Some(range),
        };
    }

    /// Reports the range that holds `range` first: it was sent again.
    pub(super) fn report(&mut self, range: Range) {
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

    /// Blocks that an ACK would report, had it room for all.
    pub(super) fn report_len(&self) -> usize {
        usize::from(self.blocks) + usize::from(self.duplicate.is_some())
    }

    /// The blocks for an ACK that has room for `room` of them; the D-SACK is reported once.
    pub(super) fn blocks(&mut self, room: usize) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        let duplicate = self.duplicate.take();
        let reported = self.recent[..usize::from(self.blocks)].iter();
        for range in duplicate.iter().chain(reported).take(room) {
            blocks.push(SackBlock { left: range.start.number(), right: range.end.number() });
        }
        blocks
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self, nodes: &mut Slab<Listed>) {
        while self.head != NONE {
            self.remove(nodes, self.head);
        }
        *self = Self::new();
    }

    /// All ranges, in order.
    pub(super) fn iter<'a>(&self, nodes: &'a Slab<Listed>) -> impl Iterator<Item = Range> + 'a {
        let mut at = self.head;
        std::iter::from_fn(move || {
            let node = nodes.get(at)?;
            at = node.next;
            Some(node.item.range)
        })
    }

    /// The last range that begins at or before `seq`, searched from the end: what arrives usually lies there.
    fn last_at_or_before(&self, nodes: &Slab<Listed>, seq: SeqNum) -> u32 {
        let mut at = self.tail;
        while let Some(node) = nodes.get(at) {
            if node.item.range.start.at_or_before(seq) {
                break;
            }
            at = node.item.prev;
        }
        at
    }

    fn insert_after(&mut self, nodes: &mut Slab<Listed>, before: u32, range: Range) -> Option<u32> {
        if self.len >= RANGES_MAX {
            return None;
        }
        let next = nodes.get(before).map_or(self.head, |node| node.next);
        let index = nodes.acquire(Listed { range, prev: before }, next)?;
        match nodes.get_mut(before) {
            Some(node) => node.next = index,
            None => self.head = index,
        }
        match nodes.get_mut(next) {
            Some(node) => node.item.prev = index,
            None => self.tail = index,
        }
        self.len += 1;
        Some(index)
    }

    /// The range at `index` grew: swallows those that it reached.
    fn join_followers(&mut self, nodes: &mut Slab<Listed>, index: u32) -> Range {
        loop {
            let Node { item: Listed { range, .. }, next } = nodes[index];
            match nodes.get(next).map(|node| node.item.range) {
                Some(after) if after.start.at_or_before(range.end) => {
                    nodes[index].item.range.end = range.end.later(after.end);
                    self.remove(nodes, next);
                }
                _ => return range,
            }
        }
    }

    fn remove(&mut self, nodes: &mut Slab<Listed>, index: u32) {
        let Node { item: Listed { prev, .. }, next } = nodes[index];
        match nodes.get_mut(prev) {
            Some(node) => node.next = next,
            None => self.head = next,
        }
        match nodes.get_mut(next) {
            Some(node) => node.item.prev = prev,
            None => self.tail = prev,
        }
        nodes.release(index);
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
