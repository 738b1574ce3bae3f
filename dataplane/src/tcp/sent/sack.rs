//! SACK blocks on the scoreboard: which can be (`tcp_is_sackblock_valid`), which tell of duplicates (RFC 2883), and
//! what the others mark (`tcp_sacktag_walk`).
//!
//! A peer cannot make the scoreboard grow: a segment that a block covers in part is split only if it is longer than the
//! segment size, and then at a multiple of it; otherwise it stays unmarked until it is covered whole.

use super::ack::{arrived, note_order};
use super::outcome::{Ack, AckOutcome, DuplicateSack};
use super::slab::{SegmentId, SegmentSlab};
use super::{Sent, SeqNum};
use crate::wire::tcp_options::{SACK_BLOCKS_MAX, SackBlock};

/// A D-SACK below `una` by more than this is too old to be about this connection's recent sending: the largest window.
const DUPLICATE_AGE_MAX: u32 = 1 << 30;

#[derive(Clone, Copy)]
struct Block {
    start: SeqNum,
    end: SeqNum,
}

impl From<SackBlock> for Block {
    fn from(block: SackBlock) -> Self {
        Self { start: SeqNum::new(block.left), end: SeqNum::new(block.right) }
    }
}

impl Sent {
    /// Marks what the blocks of an ACK cover.
    pub(super) fn take_blocks(&mut self, slab: &mut SegmentSlab, ack: &Ack, outcome: &mut AckOutcome) {
        let mut blocks = [Block { start: ack.ack, end: ack.ack }; SACK_BLOCKS_MAX];
        let mut count = 0;
        let duplicate = is_duplicate(ack);
        for (at, block) in ack.sack.as_slice().iter().map(|block| Block::from(*block)).enumerate() {
            let is_duplicate = duplicate && at == 0;
            if !can_be(block, ack, is_duplicate) {
                outcome.bad_blocks += 1;
                continue;
            }
            if is_duplicate {
                outcome.duplicate = Some(DuplicateSack { start: block.start, end: block.end });
                self.clear_spurious(slab, block, ack);
            }
            if block.end.after(ack.ack) {
                blocks[count] = block;
                count += 1;
            }
        }
        let blocks = &mut blocks[..count];
        // In order, one walk serves all.
        blocks.sort_unstable_by_key(|block| block.start.since(ack.una));
        let mut from = self.by_seq.head;
        for block in blocks {
            from = self.mark_block(slab, *block, from, ack, outcome);
        }
    }

    /// Marks the segments within `block`, beginning the search at `from`. Answers where the next block's may begin.
    fn mark_block(
        &mut self,
        slab: &mut SegmentSlab,
        block: Block,
        from: SegmentId,
        ack: &Ack,
        outcome: &mut AckOutcome,
    ) -> SegmentId {
        let mut next = from;
        while let Some(id) = next.some() {
            if slab[id].start.at_or_after(block.end) {
                break;
            }
            let covered = slab[id].end.after(block.start) && self.cut_to_block(slab, id, block, ack.mss);
            if covered && !slab[id].marks.sacked {
                self.mark_sacked(slab, id, ack, outcome);
            }
            // Not beyond a segment that reaches past the block: the next block may cover its rest.
            if slab[id].end.after(block.end) {
                break;
            }
            next = slab[id].by_seq.next;
        }
        next
    }

    /// Splits a segment longer than the segment size at the block's edges. True if what remains of `id` lies within
    /// the block.
    fn cut_to_block(&mut self, slab: &mut SegmentSlab, id: SegmentId, block: Block, mss: u32) -> bool {
        let (start, end, mss) = (slab[id].start, slab[id].end, mss.max(1));
        if start.before(block.start) {
            // The front is a hole, rounded up; the rest comes next in the walk.
            let front = block.start.since(start).next_multiple_of(mss);
            if end.since(start) > mss && front < end.since(start) {
                self.split(slab, id, start + front);
            }
            return false;
        }
        if end.after(block.end) {
            let covered = block.end.since(start) / mss * mss;
            return covered > 0 && end.since(start) > mss && self.split(slab, id, start + covered).is_some();
        }
        true
    }

    /// The peer holds `id` (`tcp_sacktag_one`).
    fn mark_sacked(&mut self, slab: &mut SegmentSlab, id: SegmentId, ack: &Ack, outcome: &mut AckOutcome) {
        let segment = slab[id];
        let mut marks = segment.marks;
        if !marks.ever_retransmitted {
            note_order(&segment, ack, outcome);
            // Of one judged lost, maybe only an earlier ACK was lost: its time may hold a timeout of ours.
            let rtt = (!marks.lost).then(|| ack.now.saturating_since(segment.sent_at));
            outcome.sack_rtt = outcome.sack_rtt.or(rtt);
        }
        arrived(&segment, ack, false, outcome);
        // One of two transmissions arrived. If it was judged lost, that was wrong or the second arrived: nothing of
        // it is in flight. If not, the retransmission is still on its way.
        if marks.lost {
            self.lost -= 1;
            self.retransmitted -= u32::from(marks.in_flight_again);
            (marks.lost, marks.in_flight_again) = (false, false);
        }
        self.sacked += 1;
        self.highest_sacked = if self.sacked == 1 { segment.end } else { self.highest_sacked.later(segment.end) };
        outcome.newly_sacked += 1;
        marks.sacked = true;
        slab[id].marks = marks;
        self.forget_time(slab, id);
    }

    /// Data that arrived twice was retransmitted in vain: the retransmission is not in flight any more.
    fn clear_spurious(&mut self, slab: &mut SegmentSlab, block: Block, ack: &Ack) {
        let mut next = if block.end.after(ack.ack) { self.by_seq.head } else { SegmentId::NONE };
        while let Some(id) = next.some().filter(|id| slab[*id].start.before(block.end)) {
            let segment = &mut slab[id];
            let within = segment.start.at_or_after(block.start) && segment.end.at_or_before(block.end);
            if within && segment.marks.sacked && segment.marks.in_flight_again {
                segment.marks.in_flight_again = false;
                self.retransmitted -= 1;
            }
            next = segment.by_seq.next;
        }
    }
}

/// RFC 2883 section 4: the first block lies below the acknowledgment number, or within the second.
fn is_duplicate(ack: &Ack) -> bool {
    let mut blocks = ack.sack.as_slice().iter().map(|block| Block::from(*block));
    let (Some(first), second) = (blocks.next(), blocks.next()) else { return false };
    first.start.before(ack.ack)
        || second.is_some_and(|second| first.start.at_or_after(second.start) && first.end.at_or_before(second.end))
}

/// Not empty, not of data never sent, and not too old. Only a duplicate may lie at or below the acknowledgment
/// number, and then wholly.
fn can_be(block: Block, ack: &Ack, duplicate: bool) -> bool {
    if !block.start.before(block.end) || block.end.after(ack.nxt) || !block.start.before(ack.nxt) {
        return false;
    }
    if block.start.after(ack.ack) {
        return true;
    }
    duplicate && block.end.at_or_before(ack.ack) && ack.ack.since(block.start) <= DUPLICATE_AGE_MAX
}
