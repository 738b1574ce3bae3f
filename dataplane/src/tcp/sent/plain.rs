//! The ACK that nearly all are: it acknowledges whole segments that were sent once, and nothing is sacked, lost or sent again.
//!
//! It says the same to the scoreboard as `ack` would find out, at a small part of the cost: without holes the list by time
//! begins with the same segments as the list by sequence number, so that both are cut behind the last of them.

use super::list::{BySeq, ByTime};
use super::outcome::RateSample;
use super::slab::{SegmentId, SegmentSlab};
use super::{Sent, SeqNum};
use crate::Instant;

/// What a plain ACK said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainOutcome {
    /// Segments that it acknowledges, at least one.
    pub acked: u32,
    /// The round trip of the first of them, nanoseconds: with the peer's delay of ACKs, the sample for the timeout.
    pub rtt_first: u64,
    /// The round trip of the last, nanoseconds.
    pub rtt_last: u64,
    /// When the last one left, and its end.
    pub last: (Instant, SeqNum),
    /// How fast data was delivered.
    pub rate: RateSample,
}

/// The acknowledged segments: how many, the last one, and what follows it by number. Within them both orders are one, because
/// each was sent once; behind them they may differ.
struct Run {
    count: u32,
    last: SegmentId,
    next: SegmentId,
}

impl Sent {
    /// Takes an acknowledgment up to `ack` that came without SACK blocks. `None`, with nothing changed, if it is not plain:
    /// [`Sent::on_ack`] takes it then. Bounded by the segments acknowledged.
    #[inline]
    pub fn on_plain_ack(&mut self, slab: &mut SegmentSlab, now: Instant, ack: SeqNum) -> Option<PlainOutcome> {
        if self.sacked | self.lost | self.retransmitted != 0 {
            return None;
        }
        let run = self.plain_run(slab, ack)?;
        let (first, last) = (&slab[self.by_seq.head], &slab[run.last]);
        let (rtt_first, rtt_last) = (now.nanos_since(first.sent_at), now.nanos_since(last.sent_at));
        let (base, last) = (last.delivered, (last.sent_at, last.end));
        self.cut(slab, &run);
        self.deliver(now, run.count);
        let rate = self.rate_since(now, &base, last.0);
        Some(PlainOutcome { acked: run.count, rtt_first, rtt_last, last, rate })
    }

    /// The segments that end at or before `ack`; none if that is none, if it cuts one, or if one of them is special.
    #[inline]
    fn plain_run(&self, slab: &SegmentSlab, ack: SeqNum) -> Option<Run> {
        let mut run = Run { count: 0, last: SegmentId::NONE, next: self.by_seq.head };
        while let Some(id) = run.next.some() {
            let segment = &slab[id];
            if segment.end.after(ack) {
                if segment.start.before(ack) {
                    return None;
                }
                break;
            }
            if segment.marks.ever_retransmitted || segment.marks.syn {
                return None;
            }
            (run.count, run.last, run.next) = (run.count + 1, id, segment.by_seq.next);
        }
        (run.count > 0).then_some(run)
    }

    /// Takes the segments of `run` out of both lists.
    #[inline]
    fn cut(&mut self, slab: &mut SegmentSlab, run: &Run) {
        self.segments -= run.count;
        let by_time = slab[run.last].by_time.next;
        let mut id = self.by_seq.head;
        for _ in 0..run.count {
            let next = slab[id].by_seq.next;
            slab.release(id);
            id = next;
        }
        self.by_seq.cut_before::<BySeq>(slab, run.next);
        self.by_time.cut_before::<ByTime>(slab, by_time);
        // Nothing is lost, so nothing is searched for.
        self.lost_hint = SegmentId::NONE;
    }
}
