//! What was sent and is not acknowledged: who keeps it, when it left, how much is in flight (`tcp_rtx_queue`,
//! `packets_out`).
//!
//! ```text
//!   una                                                      nxt
//!    | sacked? | lost, again in flight |  lost  | sacked | .. |
//!      by sequence number ->                 by time: only what may be in flight, oldest first
//! ```
//!
//! Owns the scoreboard of one connection over the lane's [`SegmentSlab`]. Segments are counted, not bytes, as Linux
//! does: `in_flight = segments - sacked - lost + retransmitted` is the pipe of RFC 6675 section 4. The bytes stay in
//! the connection's send ring; a segment knows its sequence numbers.
//!
//! Invariants: segments are in order, disjoint and without gaps between `una` and `nxt`; the counters equal the marks;
//! no segment is sacked and lost; a segment in the list by time is neither sacked nor (lost and not sent again).
//!
//! * `mod`: sending, marking, counting; `ack`: what an ACK does; `plain`: what nearly all do; `sack`: its blocks; `outcome`: what it
//!   said.

mod ack;
mod list;
mod outcome;
mod plain;
mod sack;
mod slab;
#[cfg(test)]
mod tests;

pub use outcome::{Ack, AckOutcome, DuplicateSack, Newest, Overtaken, RateSample};
pub use plain::PlainOutcome;
pub use slab::{Border, Delivered, Marks, Segment, SegmentId, SegmentSlab};

use super::seq::SeqNum;
use crate::{Duration, Instant};
use list::{BySeq, ByTime, List};
use slab::Links;

/// The scoreboard of one connection. What every ACK looks at stands first, on one cache line.
#[derive(Debug)]
#[repr(C)]
pub struct Sent {
    by_seq: List,
    by_time: List,
    delivered: Delivered,
    segments: u32,
    sacked: u32,
    lost: u32,
    retransmitted: u32,
    /// Delivered segments up to which the application, not the network, limited what was in flight; 0: it does not.
    app_limited_until: u32,
    /// Where the search for a lost segment begins: none before it waits for retransmission.
    lost_hint: SegmentId,
    /// When the last segment left. Segments that leave in one turn of the lane get times a nanosecond apart, so that
    /// RACK knows their order.
    last_sent: Instant,
    /// The end of the highest selectively acknowledged segment; counts while `sacked > 0`.
    highest_sacked: SeqNum,
    total_retransmits: u32,
}

impl Default for Sent {
    fn default() -> Self {
        Self::new()
    }
}

impl Sent {
    /// So many bytes are what every ACK looks at.
    pub(in crate::tcp) const HOT_LEN: usize = std::mem::offset_of!(Self, last_sent);

    /// Nothing sent. Holds no segment of any slab.
    pub const fn new() -> Self {
        const NEVER: Delivered =
            Delivered { segments: 0, app_limited: false, at: Instant::ZERO, flight_began: Instant::ZERO };
        Self {
            by_seq: List::EMPTY,
            by_time: List::EMPTY,
            lost_hint: SegmentId::NONE,
            segments: 0,
            sacked: 0,
            lost: 0,
            retransmitted: 0,
            highest_sacked: SeqNum::new(0),
            delivered: NEVER,
            total_retransmits: 0,
            last_sent: Instant::ZERO,
            app_limited_until: 0,
        }
    }

    /// Keeps the segment `start .. start + len`, sent at `now`; `start` is the end of the one before. `None`, with
    /// nothing changed, if the slab is full: ask [`SegmentSlab::room`] before sending. `syn`: its first number is a
    /// SYN.
    pub fn push(
        &mut self,
        slab: &mut SegmentSlab,
        now: Instant,
        start: SeqNum,
        len: u32,
        syn: bool,
    ) -> Option<SegmentId> {
        let now = self.departure(now);
        if self.segments == 0 {
            // A flight begins: time without anything in flight is not part of a rate (`tcp_rate_skb_sent`).
            (self.delivered.flight_began, self.delivered.at) = (now, now);
        }
        let id = slab.acquire(Segment {
            start,
            end: start + len,
            sent_at: now,
            delivered: self.delivered_now(),
            by_seq: Links::NONE,
            by_time: Links::NONE,
            marks: Marks { syn, timed: true, ..Marks::default() },
            retransmits: 0,
        })?;
        self.by_seq.push_back::<BySeq>(slab, id);
        self.by_time.push_back::<ByTime>(slab, id);
        self.segments += 1;
        Some(id)
    }

    /// Notes that `id` was sent again at `now`.
    pub fn retransmit(&mut self, slab: &mut SegmentSlab, now: Instant, id: SegmentId) {
        let now = self.departure(now);
        let delivered = self.delivered_now();
        let segment = &mut slab[id];
        segment.sent_at = now;
        segment.delivered = delivered;
        segment.retransmits = segment.retransmits.saturating_add(1);
        segment.marks.ever_retransmitted = true;
        if !segment.marks.in_flight_again {
            segment.marks.in_flight_again = true;
            self.retransmitted += 1;
        }
        self.total_retransmits = self.total_retransmits.wrapping_add(1);
        self.forget_time(slab, id);
        slab[id].marks.timed = true;
        self.by_time.push_back::<ByTime>(slab, id);
    }

    /// Cuts `id` at `at`, which lies within it: for a retransmission with a smaller segment size. The second half;
    /// `None` if the slab is full or `at` is not within.
    pub fn split(&mut self, slab: &mut SegmentSlab, id: SegmentId, at: SeqNum) -> Option<SegmentId> {
        let first = slab[id];
        if !at.after(first.start) || !at.before(first.end) {
            return None;
        }
        let marks = Marks { syn: false, ..first.marks };
        let second = slab.acquire(Segment { start: at, marks, ..first })?;
        slab[id].end = at;
        slab[id].marks.border = Border::None;
        self.by_seq.insert_after::<BySeq>(slab, id, second);
        if marks.timed {
            self.by_time.insert_after::<ByTime>(slab, id, second);
        }
        self.segments += 1;
        self.sacked += u32::from(marks.sacked);
        self.lost += u32::from(marks.lost);
        self.retransmitted += u32::from(marks.in_flight_again);
        Some(second)
    }

    /// Judges `id` lost (`tcp_mark_skb_lost`). A retransmission that was in flight is lost too. False if nothing
    /// changed: it arrived, or waits for retransmission already.
    pub fn mark_lost(&mut self, slab: &mut SegmentSlab, id: SegmentId) -> bool {
        let marks = slab[id].marks;
        if marks.sacked || (marks.lost && !marks.in_flight_again) {
            return false;
        }
        if marks.in_flight_again {
            self.retransmitted -= 1;
        }
        self.lost += u32::from(!marks.lost);
        slab[id].marks = Marks { lost: true, in_flight_again: false, ..marks };
        self.forget_time(slab, id);
        let hint_is_later = self.lost_hint.some().is_none_or(|hint| slab[id].start.before(slab[hint].start));
        if hint_is_later {
            self.lost_hint = id;
        }
        true
    }

    /// After a timeout everything that has not arrived is lost (`tcp_timeout_mark_lost`). If the peer took back what
    /// it had selectively acknowledged (`reneged`), its word is worth nothing and all of it is lost too (RFC 2018
    /// section 8). Answers how many were newly lost. Bounded by the segments in flight.
    pub fn mark_all_lost(&mut self, slab: &mut SegmentSlab, reneged: bool) -> u32 {
        let mut count = 0;
        let mut next = self.by_seq.head;
        while let Some(id) = next.some() {
            if reneged && slab[id].marks.sacked {
                slab[id].marks.sacked = false;
                self.sacked -= 1;
            }
            count += u32::from(self.mark_lost(slab, id));
            next = slab[id].by_seq.next;
        }
        count
    }

    /// Nothing counts as lost any more: the timeout or the recovery was spurious (`tcp_undo_cwnd_reduction`). What was
    /// retransmitted in vain stays in flight until it is acknowledged. Bounded by the segments in flight: both lists
    /// are nearly in one order, so the place in the second is found from the place of the segment before.
    pub fn unmark_lost(&mut self, slab: &mut SegmentSlab) {
        let (mut next, mut place) = (self.by_seq.head, SegmentId::NONE);
        while let Some(id) = next.some() {
            next = slab[id].by_seq.next;
            if std::mem::take(&mut slab[id].marks.lost) && !slab[id].marks.timed {
                slab[id].marks.timed = true;
                place = self.place_by_time(slab, place, slab[id].sent_at);
                self.by_time.insert_after::<ByTime>(slab, place, id);
                place = id;
            }
        }
        self.lost = 0;
        self.lost_hint = SegmentId::NONE;
    }

    /// Behind which segment one belongs that left at `sent_at`; the search begins at `from` if that left earlier.
    fn place_by_time(&self, slab: &SegmentSlab, from: SegmentId, sent_at: Instant) -> SegmentId {
        let mut place = from.some().filter(|from| slab[*from].sent_at <= sent_at).unwrap_or(SegmentId::NONE);
        loop {
            let next = place.some().map_or(self.by_time.head, |place| slab[place].by_time.next);
            match next.some().filter(|next| slab[*next].sent_at <= sent_at) {
                Some(next) => place = next,
                None => return place,
            }
        }
    }

    /// The first segment that is lost and not again in flight (RFC 6675 section 4, NextSeg rule 1). Amortised over
    /// calls each segment is passed once.
    pub fn next_to_retransmit(&mut self, slab: &SegmentSlab) -> Option<SegmentId> {
        if self.lost == 0 {
            return None;
        }
        while let Some(id) = self.lost_hint.some() {
            let marks = slab[id].marks;
            if marks.lost && !marks.in_flight_again && !marks.sacked {
                return Some(id);
            }
            self.lost_hint = slab[id].by_seq.next;
        }
        None
    }

    /// True if what is to be retransmitted goes on behind `id`, in the row that this left in.
    pub fn row_goes_on(&self, slab: &SegmentSlab, id: SegmentId) -> bool {
        let next = slab[id].by_seq.next.some().map(|next| slab[next].marks);
        let again = next.is_some_and(|marks| marks.lost && !marks.in_flight_again && !marks.sacked);
        again && slab[id].marks.border == Border::None
    }

    /// The first unacknowledged segment: what a timeout retransmits.
    pub fn first(&self) -> Option<SegmentId> {
        self.by_seq.head.some()
    }

    /// The last segment: what a tail loss probe retransmits.
    pub fn last(&self) -> Option<SegmentId> {
        self.by_seq.tail.some()
    }

    /// The segment that left first of those that may be in flight.
    pub fn oldest(&self) -> Option<SegmentId> {
        self.by_time.head.some()
    }

    /// The segment that left next after `id`, of those that may be in flight.
    pub fn sent_after(&self, slab: &SegmentSlab, id: SegmentId) -> Option<SegmentId> {
        slab[id].by_time.next.some()
    }

    /// Segments without acknowledgment (`packets_out`).
    pub fn segments(&self) -> u32 {
        self.segments
    }

    /// Of these, what the peer holds (`sacked_out`).
    pub fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Of these, what is judged lost (`lost_out`).
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Retransmissions in flight (`retrans_out`).
    pub fn retransmitted(&self) -> u32 {
        self.retransmitted
    }

    /// The pipe of RFC 6675 section 4, in segments (`tcp_packets_in_flight`).
    #[inline]
    pub fn in_flight(&self) -> u32 {
        (self.segments + self.retransmitted).saturating_sub(self.sacked + self.lost)
    }

    /// The end of the highest segment that the peer holds out of order; without SACK of no meaning.
    pub fn highest_sacked(&self) -> Option<SeqNum> {
        (self.sacked > 0).then_some(self.highest_sacked)
    }

    /// Segments delivered in the connection's life (`tcpi_delivered`).
    pub fn delivered(&self) -> u32 {
        self.delivered.segments
    }

    /// A SYN and its data are delivered as one segment (`tcp_rcv_fastopen_synack`).
    pub fn join_syn_data(&mut self) {
        if self.delivered.segments > 1 {
            self.delivered.segments -= 1;
        }
    }

    /// Retransmissions in the connection's life (`tcpi_total_retrans`).
    pub fn total_retransmits(&self) -> u32 {
        self.total_retransmits
    }

    /// The application left the pipe unfilled: rate samples until all that is in flight now arrived say so
    /// (`tcp_rate_check_app_limited`).
    pub fn set_app_limited(&mut self) {
        self.app_limited_until = self.delivered.segments.wrapping_add(self.in_flight()).max(1);
    }

    /// Without SACK, a duplicate ACK says that one more segment arrived (RFC 5681 section 3.2; `tcp_add_reno_sack`).
    /// True if that can be: one hole must remain.
    pub fn add_duplicate_ack(&mut self, now: Instant) -> bool {
        let possible = self.sacked + self.lost.max(1) < self.segments;
        if possible {
            self.sacked += 1;
            self.deliver(now, 1);
        }
        possible
    }

    /// Without SACK, forgets what duplicate ACKs said (`tcp_reset_reno_sack`). Never with SACK: marks would contradict.
    pub fn forget_duplicate_acks(&mut self) {
        self.sacked = 0;
    }

    /// Gives all segments back: the connection is over.
    pub fn clear(&mut self, slab: &mut SegmentSlab) {
        while let Some(id) = self.first() {
            self.by_seq.remove::<BySeq>(slab, id);
            slab.release(id);
        }
        let kept = (self.delivered, self.total_retransmits, self.last_sent);
        *self = Self { delivered: kept.0, total_retransmits: kept.1, last_sent: kept.2, ..Self::new() };
    }

    /// The base of a rate sample for what leaves now.
    fn delivered_now(&self) -> Delivered {
        Delivered { app_limited: self.app_limited_until != 0, ..self.delivered }
    }

    /// Counts a SYN that was sent by a request, before there was a connection, and arrived.
    pub fn count_syn(&mut self, now: Instant) {
        self.deliver(now, 1);
    }

    /// `now`, or a moment after the last departure.
    fn departure(&mut self, now: Instant) -> Instant {
        let first = self.last_sent == Instant::ZERO;
        self.last_sent = if first { now } else { now.max(self.last_sent + Duration::from_nanos(1)) };
        self.last_sent
    }

    #[inline]
    fn deliver(&mut self, now: Instant, segments: u32) {
        self.delivered.segments = self.delivered.segments.wrapping_add(segments);
        self.delivered.at = now;
        let over = self.delivered.segments.wrapping_sub(self.app_limited_until) as i32 > 0;
        if over && self.app_limited_until != 0 {
            self.app_limited_until = 0;
        }
    }

    /// Takes `id` out of the list by time, if it is there.
    fn forget_time(&mut self, slab: &mut SegmentSlab, id: SegmentId) {
        if std::mem::take(&mut slab[id].marks.timed) {
            self.by_time.remove::<ByTime>(slab, id);
        }
    }
}
