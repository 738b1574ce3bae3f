//! RACK (RFC 8985 section 6): a segment is lost if one sent later arrived, and a little time has passed for reordering.
//!
//! ```text
//!   sent: | a b c d e f |     e arrived: a, b, c, d were sent before it
//!   lost now: sent_at + rtt + reordering window <= now;   the others: a timer until they are
//! ```
//!
//! Invariants: the window for reordering is zero until reordering was seen and in recovery (or with three segments
//! out of order, as the duplicate threshold of RFC 6675 would have it); it grows by a quarter of the least round trip
//! with every round that brings a D-SACK, and shrinks again after sixteen recoveries without one; it never exceeds a
//! smoothed round trip. Called by the connection: [`Rack::on_ack`] for each ACK, then [`Rack::detect`]; `detect`
//! again at its timer.

use super::sent::{AckOutcome, Segment, SegmentSlab, Sent};
use super::seq::SeqNum;
use crate::{Duration, Instant};
use xmit_shared::time::nanos;

/// Segments out of order that mean loss without a timer (RFC 5681's three duplicate ACKs; `tcp_reordering`).
pub const DUP_THRESH: u16 = 3;
/// The most that this is raised to by reordering that was seen (`tcp_max_reordering`).
const REORDERING_MAX: u16 = 300;
/// Times are compared to the microsecond.
const TURN: Duration = Duration::from_micros(1);
/// Recoveries after which a wider window is forgotten (section 7.2).
const REO_WND_PERSIST: u8 = 16;

/// The state of one connection.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Rack {
    /// Of what arrived, the segment that left last: when, and its end.
    newest_at: Option<Instant>,
    rtt_nanos: u64,
    newest_end: SeqNum,
    /// The round that a D-SACK has widened the window in ends when this is acknowledged.
    dsack_round: Option<SeqNum>,
    /// How often a segment came late (`reord_seen`).
    late: u32,
    /// Segments by which one may be late and not be lost (`tp->reordering`), as set and as seen.
    reordering: u16,
    reordering_set: u16,
    reordering_max: u16,
    reo_wnd_mult: u8,
    reo_wnd_persist: u8,
}

impl Default for Rack {
    fn default() -> Self {
        Self {
            newest_at: None,
            newest_end: SeqNum::new(0),
            dsack_round: None,
            rtt_nanos: 0,
            reordering: DUP_THRESH,
            reordering_set: DUP_THRESH,
            reordering_max: REORDERING_MAX,
            late: 0,
            reo_wnd_mult: 1,
            reo_wnd_persist: 0,
        }
    }
}

/// What the reordering window depends on beside RACK's own state.
#[derive(Clone, Copy, Debug)]
pub struct RackPath {
    /// Fast recovery or recovery from a timeout is under way.
    pub in_recovery: bool,
    /// The least round trip, if known.
    pub min_rtt: Option<Duration>,
    /// The smoothed round trip, if known.
    pub srtt: Option<Duration>,
}

/// What a search for lost segments found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    /// Segments newly judged lost; they are marked.
    pub lost: u32,
    /// Search again after this time: for segments that may just be late.
    pub timeout: Option<Duration>,
}

impl Rack {
    /// Takes what an ACK said (section 6.2, steps 2 to 4). `una` and `nxt` are those after it.
    pub fn on_ack(&mut self, outcome: &AckOutcome, una: SeqNum, nxt: SeqNum) {
        if let Some(newest) = outcome.newest {
            self.rtt_nanos = nanos(newest.rtt);
            self.note_arrival((newest.sent_at, newest.end), una);
        } else {
            self.end_dsack_round(una);
        }
        if outcome.duplicate.is_some() && self.dsack_round.is_none() {
            self.dsack_round = Some(nxt);
            self.reo_wnd_mult = self.reo_wnd_mult.saturating_add(1);
            self.reo_wnd_persist = REO_WND_PERSIST;
        }
    }

    /// Takes an ACK that says only that everything up to the segment `last` arrived, after `rtt_nanos`. All that left before it is
    /// acknowledged, so nothing can be found lost.
    #[inline]
    pub fn on_plain_ack(&mut self, rtt_nanos: u64, last: (Instant, SeqNum), una: SeqNum) {
        self.rtt_nanos = rtt_nanos;
        self.note_arrival(last, una);
    }

    /// Of what arrived, the segment that left last, if any did.
    #[inline]
    fn newest(&self) -> Option<(Instant, SeqNum)> {
        Some((self.newest_at?, self.newest_end))
    }

    #[inline]
    fn note_arrival(&mut self, arrived: (Instant, SeqNum), una: SeqNum) {
        if self.newest().is_none_or(|known| left_later(arrived, known)) {
            (self.newest_at, self.newest_end) = (Some(arrived.0), arrived.1);
        }
        self.end_dsack_round(una);
    }

    #[inline]
    fn end_dsack_round(&mut self, una: SeqNum) {
        if self.dsack_round.is_some_and(|round| una.at_or_after(round)) {
            self.dsack_round = None;
        }
    }

    /// A recovery ended without having been spurious.
    pub fn on_recovery_end(&mut self) {
        self.reo_wnd_persist = self.reo_wnd_persist.saturating_sub(1);
        if self.reo_wnd_persist == 0 {
            self.reo_wnd_mult = 1;
        }
    }

    /// With other limits than three segments and 300 (`tcp_reordering`, `tcp_max_reordering`).
    pub fn with_reordering(set: u32, max: u32) -> Self {
        let (set, max) = (narrow(set), narrow(max));
        Self { reordering: set, reordering_set: set, reordering_max: max, ..Self::default() }
    }

    /// A segment came late: one above it ended `bytes` beyond its beginning (`tcp_check_sack_reordering`).
    pub fn on_late(&mut self, bytes: u32, mss: u32) {
        if bytes == 0 {
            return;
        }
        self.reordering = self.reordering.max(narrow(bytes.div_ceil(mss.max(1))).min(self.reordering_max));
        self.late = self.late.saturating_add(1);
    }

    /// Without SACK: more duplicate ACKs came than can be losses; all in flight may have been overtaken
    /// (`tcp_check_reno_reordering`).
    pub fn on_too_many_duplicates(&mut self, segments: u32) {
        self.reordering = narrow(segments).min(self.reordering_max);
        self.late = self.late.saturating_add(1);
    }

    /// A timeout though so many arrived out of order: the allowance was too large (`tcp_enter_loss`).
    pub fn on_needless_patience(&mut self, sacked: u32) {
        if sacked >= u32::from(self.reordering_set) {
            self.reordering = self.reordering.min(self.reordering_set);
        }
    }

    /// Segments by which one may be late and not be lost (`tcpi_reordering`).
    pub fn reordering(&self) -> u32 {
        self.reordering.into()
    }

    /// True if more than that was seen.
    pub fn expects_reordering(&self) -> bool {
        self.reordering > self.reordering_set
    }

    /// How often a segment arrived after one sent later (`tcpi_reord_seen`).
    pub fn late(&self) -> u32 {
        self.late
    }

    /// True once a segment arrived after one sent later.
    pub fn reordering_seen(&self) -> bool {
        self.late > 0
    }

    /// How late a segment may be (section 6.2 step 4).
    pub fn reordering_window(&self, path: &RackPath, sacked: u32) -> Duration {
        if self.late == 0 && (path.in_recovery || sacked >= self.reordering()) {
            return Duration::ZERO;
        }
        let window = path.min_rtt.unwrap_or_default() / 4 * u32::from(self.reo_wnd_mult);
        window.min(path.srtt.unwrap_or_default())
    }

    /// Marks lost what was sent before the newest arrival and is overdue (section 6.2 step 5). Bounded by the
    /// segments sent before it that are still out.
    pub fn detect(&self, sent: &mut Sent, slab: &mut SegmentSlab, now: Instant, path: &RackPath) -> Detected {
        let Some(newest) = self.newest() else { return Detected::default() };
        let allowed = Duration::from_nanos(self.rtt_nanos) + self.reordering_window(path, sent.sacked());
        let mut found = Detected::default();
        let mut next = sent.oldest();
        while let Some(id) = next {
            let segment = &slab[id];
            if !left_later(newest, departure(segment)) {
                break;
            }
            next = sent.sent_after(slab, id);
            let left = (segment.sent_at() + allowed).saturating_since(now);
            // Segments of one turn left at one time; the nanoseconds between them only tell their order.
            if left < TURN {
                found.lost += u32::from(sent.mark_lost(slab, id));
            } else {
                found.timeout = found.timeout.max(Some(left));
            }
        }
        found
    }

    /// When the retransmission timer expires with a reordering timer pending, what is overdue by now is lost, and the
    /// first segment in any case (section 6.3). Answers how many were marked.
    pub fn on_timeout(&self, sent: &mut Sent, slab: &mut SegmentSlab, now: Instant, path: &RackPath) -> u32 {
        let mut lost = 0;
        let mut next = sent.oldest();
        let allowed = Duration::from_nanos(self.rtt_nanos) + self.reordering_window(path, sent.sacked());
        while let Some(id) = next {
            next = sent.sent_after(slab, id);
            if (slab[id].sent_at() + allowed).saturating_since(now) < TURN {
                lost += u32::from(sent.mark_lost(slab, id));
            }
        }
        lost + sent.first().map_or(0, |id| u32::from(sent.mark_lost(slab, id)))
    }
}

fn narrow(segments: u32) -> u16 {
    segments.min(u16::MAX.into()) as u16
}

fn departure(segment: &Segment) -> (Instant, SeqNum) {
    (segment.sent_at(), segment.end())
}

/// True if `a` left after `b` (`RACK_sent_after`): times differ, but for the halves of one segment.
fn left_later(a: (Instant, SeqNum), b: (Instant, SeqNum)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1.after(b.1))
}

#[cfg(test)]
mod tests {
    use super::super::sent::{Ack, DuplicateSack};
    use super::*;
    use crate::wire::tcp_options::{SackBlock, SackBlocks};

    const MS: Duration = Duration::from_millis(1);
    const PATH: RackPath = RackPath {
        in_recovery: false,
        min_rtt: Some(Duration::from_millis(40)),
        srtt: Some(Duration::from_millis(50)),
    };

    /// Ten segments of 100 bytes, one a millisecond from time 0.
    struct Flight {
        sent: Sent,
        slab: SegmentSlab,
        rack: Rack,
        una: u32,
    }

    impl Flight {
        fn new() -> Self {
            let mut flight = Self { sent: Sent::new(), slab: SegmentSlab::new(16), rack: Rack::default(), una: 0 };
            for at in 0..10 {
                let sent = &mut flight.sent;
                sent.push(&mut flight.slab, Instant::from_millis(at), SeqNum::new(at as u32 * 100), 100, false);
            }
            flight
        }

        fn ack(&mut self, millis: u64, ack: u32, list: &[(u32, u32)]) -> AckOutcome {
            let mut sack = SackBlocks::NONE;
            assert!(list.iter().all(|&(left, right)| sack.push(SackBlock { left, right })));
            let nxt = SeqNum::new(1000);
            let outcome = self.sent.on_ack(
                &mut self.slab,
                &Ack {
                    now: Instant::from_millis(millis),
                    una: SeqNum::new(self.una),
                    ack: SeqNum::new(ack),
                    nxt,
                    sack_permitted: true,
                    sack,
                    echoed: None,
                    high_seq: SeqNum::new(self.una),
                    min_rtt: None,
                    mss: 100,
                },
            );
            self.una = ack;
            self.rack.on_ack(&outcome, SeqNum::new(ack), nxt);
            self.rack.on_late(outcome.overtaken.by_sack, 100);
            outcome
        }

        fn detect(&mut self, millis: u64) -> (u32, Option<u64>) {
            let found = self.rack.detect(&mut self.sent, &mut self.slab, Instant::from_millis(millis), &PATH);
            (found.lost, found.timeout.map(|left| left.as_millis() as u64))
        }
    }

    #[test]
    fn three_segments_out_of_order_mean_loss_at_once() {
        let mut flight = Flight::new();
        flight.ack(50, 0, &[(100, 200)]);
        // One arrival: the first segment has a quarter of 40 ms to show up; it left 1 ms before.
        assert_eq!(flight.detect(50), (0, Some(9)));
        flight.ack(51, 0, &[(100, 400)]);
        assert_eq!(flight.detect(51), (1, None));
        assert_eq!(flight.sent.lost(), 1);
    }

    #[test]
    fn with_reordering_seen_a_late_segment_is_waited_for() {
        let mut flight = Flight::new();
        flight.ack(50, 0, &[(200, 300)]);
        flight.ack(51, 0, &[(100, 300)]);
        assert!(flight.rack.reordering_seen());
        flight.ack(55, 0, &[(100, 700)]);
        // Newest: number 6, left at 6 ms, took 49 ms; the first left at 0 and may take 59.
        assert_eq!(flight.detect(55), (0, Some(4)));
        assert_eq!(flight.detect(58), (0, Some(1)));
        assert_eq!(flight.detect(59), (1, None), "at its timer");
    }

    /// What the duplicate threshold cannot see: a lost retransmission, from what was sent after it.
    #[test]
    fn a_lost_retransmission_is_found() {
        let mut flight = Flight::new();
        flight.ack(50, 0, &[(100, 500)]);
        assert_eq!(flight.detect(50).0, 1);
        let first = flight.sent.next_to_retransmit(&flight.slab).unwrap();
        flight.sent.retransmit(&mut flight.slab, Instant::from_millis(50), first);
        let start = SeqNum::new(1000);
        flight.sent.push(&mut flight.slab, Instant::from_millis(51), start, 100, false);
        flight.ack(52, 0, &[(100, 1000)]);
        assert_eq!(flight.detect(52), (0, None), "nothing sent after it arrived yet");
        let mut sack = SackBlocks::NONE;
        sack.push(SackBlock { left: 100, right: 1100 });
        let (una, nxt) = (SeqNum::new(0), SeqNum::new(1100));
        let now = Instant::from_millis(101);
        let ack = Ack {
            now,
            una,
            ack: una,
            nxt,
            sack_permitted: true,
            sack,
            echoed: None,
            high_seq: una,
            min_rtt: None,
            mss: 100,
        };
        let outcome = flight.sent.on_ack(&mut flight.slab, &ack);
        flight.rack.on_ack(&outcome, una, nxt);
        assert_eq!(flight.detect(101).0, 1);
        assert_eq!(flight.sent.retransmitted(), 0);
    }

    #[test]
    fn each_round_with_a_dsack_widens_the_window() {
        let mut rack = Rack { late: 1, ..Rack::default() };
        let mut outcome = AckOutcome::default();
        outcome.duplicate = Some(DuplicateSack { start: SeqNum::new(0), end: SeqNum::new(1) });
        let window = |rack: &Rack| rack.reordering_window(&PATH, 0);
        assert_eq!(window(&rack), 10 * MS);
        rack.on_ack(&outcome, SeqNum::new(5), SeqNum::new(10));
        rack.on_ack(&outcome, SeqNum::new(9), SeqNum::new(20));
        assert_eq!(window(&rack), 20 * MS, "once per round");
        rack.on_ack(&outcome, SeqNum::new(10), SeqNum::new(20));
        assert_eq!(window(&rack), 30 * MS);
        (0..10).for_each(|round| rack.on_ack(&outcome, SeqNum::new(20 + round), SeqNum::new(21 + round)));
        assert_eq!(window(&rack), 50 * MS, "no wider than a round trip");
        (0..15).for_each(|_| rack.on_recovery_end());
        assert_eq!(window(&rack), 50 * MS);
        rack.on_recovery_end();
        assert_eq!(window(&rack), 10 * MS);
    }

    #[test]
    fn a_timeout_takes_the_first_and_what_is_overdue() {
        let mut flight = Flight::new();
        assert_eq!(flight.rack.on_timeout(&mut flight.sent, &mut flight.slab, Instant::from_millis(5), &PATH), 1);
        let mut flight = Flight::new();
        flight.ack(40, 100, &[]);
        // A round trip of 40 ms and a quarter: what left by 4 ms is overdue at 54.
        assert_eq!(flight.rack.on_timeout(&mut flight.sent, &mut flight.slab, Instant::from_millis(54), &PATH), 4);
    }
}
