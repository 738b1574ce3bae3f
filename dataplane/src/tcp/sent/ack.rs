//! What an ACK does to the scoreboard: SACK blocks first, then the cumulative part (`tcp_sacktag_write_queue`,
//! `tcp_clean_rtx_queue`), then the rate sample. Called once per acceptable ACK.

use super::list::{BySeq, ByTime};
use super::outcome::{Ack, AckOutcome, Newest, RateSample};
use super::slab::{Segment, SegmentId, SegmentSlab};
use super::{Delivered, Marks, Sent};
use crate::Instant;
use crate::tcp::timestamp::left_after;

impl Sent {
    /// Takes an ACK. Amortised over a segment's life the cumulative part is constant; blocks are bounded by the
    /// segments between `una` and the highest block.
    pub fn on_ack(&mut self, slab: &mut SegmentSlab, ack: &Ack) -> AckOutcome {
        let prior_highest = self.highest_sacked().filter(|_| ack.sack_permitted);
        let mut outcome = AckOutcome { acked_bytes: ack.ack.since(ack.una), prior_highest, ..AckOutcome::default() };
        if !ack.sack.is_empty() {
            self.take_blocks(slab, ack, &mut outcome);
        }
        let by_sack = outcome.reordered_from.take();
        outcome.overtaken.by_sack = self.distance_overtaken(ack, by_sack);
        let duplicates = self.sacked;
        self.take_acked(slab, ack, &mut outcome);
        outcome.overtaken.by_ack = self.distance_overtaken(ack, outcome.reordered_from);
        outcome.reordered_from = match (by_sack, outcome.reordered_from) {
            (Some(one), Some(other)) => Some(one.earlier(other)),
            (one, other) => one.or(other),
        };
        if outcome.retransmitted_acked {
            // What a filled hole released arrived at a time that nobody knows (Karn; `FLAG_RETRANS_DATA_ACKED`).
            (outcome.rtt, outcome.rtt_newest) = (None, None);
        }
        if !ack.sack_permitted && outcome.acked > 0 {
            self.eat_duplicates(duplicates, &mut outcome);
        }
        self.deliver(ack.now, outcome.delivered);
        outcome.reneging = self.first().is_some_and(|id| slab[id].marks.sacked);
        outcome.rate = self.rate(ack, &outcome);
        outcome
    }

    /// From the segment that was late to the end of what arrived before it.
    fn distance_overtaken(&self, ack: &Ack, late: Option<super::SeqNum>) -> u32 {
        let highest = self.highest_sacked().unwrap_or(ack.ack);
        late.map_or(0, |late| highest.distance(late).max(0).cast_unsigned())
    }

    /// Lets go of everything below the acknowledgment number.
    fn take_acked(&mut self, slab: &mut SegmentSlab, ack: &Ack, outcome: &mut AckOutcome) {
        while let Some(id) = self.first() {
            let segment = slab[id];
            if segment.end.after(ack.ack) {
                if segment.start.before(ack.ack) {
                    // In part: the rest is what a retransmission has to carry.
                    slab[id].start = ack.ack;
                }
                break;
            }
            Self::count_acked(&segment, ack, outcome);
            self.forget_segment(slab, id, segment.marks);
        }
    }

    /// What the acknowledgment of `segment` says.
    fn count_acked(segment: &Segment, ack: &Ack, outcome: &mut AckOutcome) {
        let marks = segment.marks;
        outcome.acked += 1;
        outcome.syn_acked |= marks.syn;
        if marks.ever_retransmitted {
            outcome.retransmitted_acked = true;
        } else if !marks.sacked {
            let rtt = ack.now.saturating_since(segment.sent_at);
            outcome.rtt = outcome.rtt.or(Some(rtt));
            outcome.rtt_newest = Some(rtt);
            note_order(segment, ack, outcome);
        }
        if !marks.sacked {
            // The echo speaks of what advanced the window; beside a SACK block it is that of an older segment.
            let earlier = ack.echoed.is_some_and(|echoed| left_after(segment.sent_at, echoed));
            arrived(segment, ack, marks.ever_retransmitted && earlier, outcome);
        }
    }

    /// Without SACK: one of the acknowledged segments filled the hole, the others are those that `duplicates` told
    /// of, and were delivered then (`tcp_remove_reno_sacks`).
    fn eat_duplicates(&mut self, duplicates: u32, outcome: &mut AckOutcome) {
        outcome.delivered = outcome.acked.saturating_sub(duplicates).max(1);
        let holes = self.lost.max(1).min(self.segments);
        self.sacked = duplicates.saturating_sub(outcome.acked - 1).min(self.segments - holes);
    }

    /// Takes `id` out of lists, counters and slab.
    fn forget_segment(&mut self, slab: &mut SegmentSlab, id: SegmentId, marks: Marks) {
        self.segments -= 1;
        self.sacked -= u32::from(marks.sacked);
        self.lost -= u32::from(marks.lost);
        self.retransmitted -= u32::from(marks.in_flight_again);
        if self.lost_hint == id {
            self.lost_hint = slab[id].by_seq.next;
        }
        if marks.timed {
            self.by_time.remove::<ByTime>(slab, id);
        }
        self.by_seq.remove::<BySeq>(slab, id);
        slab.release(id);
    }

    /// The rate from the leaving of the newest segment that arrived until now (`tcp_rate_gen`).
    fn rate(&mut self, ack: &Ack, outcome: &AckOutcome) -> Option<RateSample> {
        let (base, sent_at) = outcome.rate_base?;
        Some(self.rate_since(ack.now, &base, sent_at))
    }

    /// The rate since the segment left at `sent_at`, when `base` had been delivered.
    #[inline]
    pub(super) fn rate_since(&mut self, now: Instant, base: &Delivered, sent_at: Instant) -> RateSample {
        self.delivered.flight_began = sent_at;
        RateSample {
            segments: self.delivered.segments.wrapping_sub(base.segments),
            interval_nanos: sent_at.nanos_since(base.flight_began).max(now.nanos_since(base.at)),
            app_limited: base.app_limited,
            prior_delivered: base.segments,
        }
    }
}

/// Notes data that was sent once and arrived after data above it, and what that means for F-RTO.
pub(super) fn note_order(segment: &Segment, ack: &Ack, outcome: &mut AckOutcome) {
    outcome.original_arrived |= segment.end.at_or_before(ack.high_seq);
    if outcome.prior_highest.is_some_and(|highest| segment.start.before(highest)) {
        let from = outcome.reordered_from.map_or(segment.start, |from| from.earlier(segment.start));
        outcome.reordered_from = Some(from);
    }
}

/// `segment` arrived, as this ACK is the first to tell: counts it, and keeps the latest sent one for RACK and the rate.
/// `earlier`: what arrived is proven to be an earlier transmission than the last, whose time says nothing then
/// (`tcp_skb_spurious_retrans`; RFC 8985 section 6.2 step 2).
pub(super) fn arrived(segment: &Segment, ack: &Ack, earlier: bool, outcome: &mut AckOutcome) {
    outcome.delivered += 1;
    let later = outcome.rate_base.is_none_or(|(_, sent_at)| segment.sent_at >= sent_at);
    if later {
        outcome.rate_base = Some((segment.delivered, segment.sent_at));
    }
    // A SYN-ACK is no part of Linux's queue: with data behind it, its round trip says nothing of theirs.
    if earlier || segment.marks.syn {
        return;
    }
    let rtt = ack.now.saturating_since(segment.sent_at);
    if segment.marks.ever_retransmitted && ack.min_rtt.is_none_or(|min| rtt < min) {
        // So short a round trip was that of an earlier transmission.
        return;
    }
    // The round trip is that of what is found last (`tcp_rack_advance`).
    let newest = outcome.newest.get_or_insert(Newest { sent_at: segment.sent_at, end: segment.end, rtt });
    newest.rtt = rtt;
    let later =
        segment.sent_at > newest.sent_at || (segment.sent_at == newest.sent_at && segment.end.after(newest.end));
    if later {
        (newest.sent_at, newest.end) = (segment.sent_at, segment.end);
    }
}
