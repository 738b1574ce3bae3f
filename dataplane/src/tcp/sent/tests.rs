//! Tests of the scoreboard: examples of the RFCs, and random operations against a model that knows only bytes and
//! marks.

use super::*;
use crate::wire::tcp_options::{SackBlock, SackBlocks};
use xmit_nic::rng::Rng;

const MSS: u32 = 100;
const BASE: u32 = u32::MAX - 350;

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn blocks(list: &[(u32, u32)]) -> SackBlocks {
    let mut blocks = SackBlocks::NONE;
    for (left, right) in list {
        let at = |offset: &u32| BASE.wrapping_add(*offset);
        assert!(blocks.push(SackBlock { left: at(left), right: at(right) }));
    }
    blocks
}

/// A scoreboard with its slab; offsets count from `BASE`.
struct Board {
    sent: Sent,
    slab: SegmentSlab,
    una: u32,
    nxt: u32,
    now: u64,
}

impl Board {
    /// `count` segments, one a millisecond.
    fn with(count: u32) -> Self {
        let mut board = Self { sent: Sent::new(), slab: SegmentSlab::new(64), una: 0, nxt: 0, now: 0 };
        (0..count).for_each(|_| board.send(MSS));
        board
    }

    fn send(&mut self, len: u32) {
        let start = SeqNum::new(BASE) + self.nxt;
        assert!(self.sent.push(&mut self.slab, ms(self.now), start, len, false).is_some());
        self.nxt += len;
        self.now += 1;
    }

    fn ack(&mut self, ack: u32, list: &[(u32, u32)]) -> AckOutcome {
        self.now += 1;
        let at = |offset| SeqNum::new(BASE) + offset;
        let outcome = self.sent.on_ack(
            &mut self.slab,
            &Ack {
                now: ms(self.now),
                una: at(self.una),
                ack: at(ack),
                nxt: at(self.nxt),
                sack_permitted: true,
                sack: blocks(list),
                echoed: None,
                high_seq: at(self.nxt),
                min_rtt: None,
                mss: MSS,
            },
        );
        self.una = ack;
        outcome
    }

    fn nth(&self, n: usize) -> SegmentId {
        let mut id = self.sent.first().unwrap();
        (0..n).for_each(|_| id = self.slab[id].by_seq.next);
        id
    }

    fn lose(&mut self, n: usize) -> bool {
        let id = self.nth(n);
        self.sent.mark_lost(&mut self.slab, id)
    }

    fn resend(&mut self) -> Option<u32> {
        let id = self.sent.next_to_retransmit(&self.slab)?;
        self.now += 1;
        self.sent.retransmit(&mut self.slab, ms(self.now), id);
        Some(self.slab[id].start.since(SeqNum::new(BASE)))
    }

    /// The lists are whole, and counters and marks say the same.
    fn check(&self) {
        let mut list = Vec::new();
        let mut next = self.sent.by_seq.head;
        while let Some(id) = next.some() {
            list.push(self.slab[id]);
            next = self.slab[id].by_seq.next;
        }
        let count = |f: fn(&Segment) -> bool| list.iter().filter(|s| f(s)).count() as u32;
        assert_eq!(self.sent.segments(), list.len() as u32);
        assert_eq!(self.slab.in_use(), list.len());
        assert_eq!(self.sent.sacked(), count(|s| s.marks.sacked));
        assert_eq!(self.sent.lost(), count(|s| s.marks.lost));
        assert_eq!(self.sent.retransmitted(), count(|s| s.marks.in_flight_again));
        assert!(list.iter().all(|s| !(s.marks.sacked && s.marks.lost)));
        assert!(list.windows(2).all(|w| w[0].end == w[1].start), "no gaps");
        assert_eq!(list.first().map(|s| s.start), (self.una < self.nxt).then(|| SeqNum::new(BASE) + self.una));
        let (mut timed, mut next, mut before) = (0, self.sent.by_time.head, Instant::ZERO);
        while let Some(id) = next.some() {
            let segment = &self.slab[id];
            assert!(segment.marks.timed && !segment.marks.sacked && segment.sent_at >= before);
            assert!(!segment.marks.lost || segment.marks.in_flight_again);
            (timed, before, next) = (timed + 1, segment.sent_at, segment.by_time.next);
        }
        assert_eq!(timed, count(|s| s.marks.timed));
        let waiting = list.iter().find(|s| s.marks.lost && !s.marks.in_flight_again).map(|s| s.start);
        let mut sent = Sent { ..Sent { by_seq: self.sent.by_seq, by_time: self.sent.by_time, ..Sent::new() } };
        (sent.lost, sent.lost_hint) = (self.sent.lost, self.sent.lost_hint);
        assert_eq!(sent.next_to_retransmit(&self.slab).map(|id| self.slab[id].start), waiting);
    }
}

#[test]
fn a_cumulative_ack_lets_go_and_samples() {
    let mut board = Board::with(4);
    let outcome = board.ack(250, &[]);
    assert_eq!((outcome.acked, outcome.acked_bytes, outcome.delivered), (2, 250, 2));
    // Sent at 0 and 1 ms, acknowledged at 5 ms.
    let rtt = |millis| Some(Duration::from_millis(millis));
    assert_eq!((outcome.rtt, outcome.rtt_newest, outcome.sack_rtt), (rtt(5), rtt(4), None));
    assert_eq!(board.slab[board.nth(0)].len(), 50, "the rest of a segment acknowledged in part");
    assert_eq!((board.sent.in_flight(), outcome.retransmitted_acked), (2, false));
    board.check();
}

#[test]
fn the_pipe_is_that_of_rfc_6675() {
    let mut board = Board::with(10);
    let outcome = board.ack(0, &[(300, 500), (100, 200)]);
    assert_eq!((outcome.newly_sacked, outcome.delivered, board.sent.in_flight()), (3, 3, 7));
    assert!(board.lose(0) && !board.lose(0) && !board.lose(1));
    assert_eq!(board.sent.in_flight(), 6);
    assert_eq!((board.resend(), board.resend(), board.sent.in_flight()), (Some(0), None, 7));
    assert!(board.lose(0), "the retransmission is lost too");
    assert_eq!((board.sent.in_flight(), board.resend()), (6, Some(0)));
    board.check();
    let outcome = board.ack(200, &[(300, 500)]);
    assert!(outcome.retransmitted_acked && outcome.rtt.is_none(), "Karn: no sample of what was sent twice");
    assert_eq!((outcome.acked, outcome.delivered), (2, 1));
    board.check();
}

#[test]
fn what_arrives_late_and_was_sent_once_is_reordering() {
    let mut board = Board::with(5);
    assert_eq!(board.ack(0, &[(300, 400)]).reordered_from, None);
    let outcome = board.ack(0, &[(100, 200), (300, 400)]);
    assert_eq!(outcome.reordered_from, Some(SeqNum::new(BASE) + 100));
    assert!(outcome.original_arrived);
    assert_eq!(board.ack(200, &[(300, 400)]).reordered_from, Some(SeqNum::new(BASE)));
    assert_eq!(board.ack(500, &[]).reordered_from, Some(SeqNum::new(BASE) + 200));
    board.send(MSS);
    assert_eq!(board.ack(600, &[]).reordered_from, None, "nothing above it had arrived");
    board.check();
}

/// RFC 2883 section 4.1.1 (below the acknowledgment) and 4.2.1 (within a larger block).
#[test]
fn duplicates_are_told_apart() {
    let mut board = Board::with(10);
    let at = |offset| SeqNum::new(BASE) + offset;
    let outcome = board.ack(400, &[(300, 400)]);
    assert_eq!(outcome.duplicate, Some(DuplicateSack { start: at(300), end: at(400) }));
    assert_eq!(outcome.duplicate.unwrap().segments(MSS), 1);
    let outcome = board.ack(400, &[(600, 700), (500, 900)]);
    assert_eq!(outcome.duplicate, Some(DuplicateSack { start: at(600), end: at(700) }));
    assert_eq!((outcome.newly_sacked, outcome.bad_blocks), (4, 0));
    board.check();
}

#[test]
fn impossible_blocks_are_counted_and_mark_nothing() {
    let mut board = Board::with(5);
    let outcome = board.ack(100, &[(400, 300), (400, 600), (100, 200), (50, 300)]);
    assert_eq!((outcome.bad_blocks, outcome.newly_sacked), (4, 0));
    board.check();
}

#[test]
fn a_peer_cannot_make_the_scoreboard_grow() {
    let mut board = Board::with(5);
    board.ack(0, &[(101, 199), (210, 220), (301, 450)]);
    assert_eq!((board.sent.segments(), board.sent.sacked()), (5, 0));
    // A segment of three sizes is cut at multiples of the size.
    board.send(300);
    board.ack(0, &[(650, 790)]);
    assert_eq!((board.sent.segments(), board.sent.sacked()), (7, 0), "cut at 700, but neither part is covered");
    board.ack(0, &[(600, 700)]);
    assert_eq!((board.sent.segments(), board.sent.sacked()), (8, 1));
    board.check();
}

#[test]
fn a_reneging_peer_is_noticed_and_not_believed_again() {
    let mut board = Board::with(4);
    board.ack(0, &[(100, 300)]);
    let outcome = board.ack(100, &[]);
    assert!(outcome.reneging);
    assert_eq!(board.sent.mark_all_lost(&mut board.slab, true), 3);
    assert_eq!((board.sent.sacked(), board.sent.lost(), board.sent.in_flight()), (0, 3, 0));
    assert_eq!(
        (board.resend(), board.resend(), board.resend(), board.resend()),
        (Some(100), Some(200), Some(300), None)
    );
    board.check();
}

#[test]
fn an_undone_timeout_leaves_everything_in_flight() {
    let mut board = Board::with(4);
    board.sent.mark_all_lost(&mut board.slab, false);
    assert_eq!((board.resend(), board.sent.in_flight()), (Some(0), 1));
    board.sent.unmark_lost(&mut board.slab);
    assert_eq!((board.sent.in_flight(), board.resend()), (5, None));
    board.check();
    assert_eq!(board.slab[board.sent.oldest().unwrap()].start.since(SeqNum::new(BASE)), 100);
}

#[test]
fn without_sack_duplicate_acks_are_counted() {
    let mut board = Board::with(5);
    assert_eq!((0..6).filter(|_| board.sent.add_duplicate_ack(ms(9))).count(), 4);
    assert_eq!((board.sent.sacked(), board.sent.in_flight(), board.sent.delivered()), (4, 1, 4));
    let mut ack = Ack {
        now: ms(10),
        una: SeqNum::new(BASE),
        ack: SeqNum::new(BASE) + 200,
        nxt: SeqNum::new(BASE) + 500,
        sack_permitted: false,
        sack: SackBlocks::NONE,
        echoed: None,
        high_seq: SeqNum::new(BASE),
        min_rtt: None,
        mss: MSS,
    };
    let outcome = board.sent.on_ack(&mut board.slab, &ack);
    assert_eq!((outcome.acked, outcome.delivered, board.sent.sacked()), (2, 1, 2));
    (ack.una, ack.ack) = (ack.ack, ack.nxt);
    board.sent.on_ack(&mut board.slab, &ack);
    assert_eq!((board.sent.segments(), board.sent.sacked()), (0, 0));
}

#[test]
fn a_rate_is_what_was_delivered_over_a_round_trip() {
    let mut board = Board::with(10);
    let rate = board.ack(1000, &[]).rate.unwrap();
    assert_eq!((rate.segments, rate.interval_nanos, rate.prior_delivered), (10, 11_000_000, 0));
    board.sent.set_app_limited();
    board.send(MSS);
    assert!(board.ack(1100, &[]).rate.unwrap().app_limited);
    board.send(MSS);
    board.ack(1200, &[]);
    board.send(MSS);
    assert!(!board.ack(1300, &[]).rate.unwrap().app_limited);
}

#[test]
fn a_full_slab_refuses_and_a_cleared_connection_gives_back() {
    let mut board = Board::with(64);
    let start = SeqNum::new(BASE) + board.nxt;
    assert_eq!(board.sent.push(&mut board.slab, ms(70), start, MSS, false), None);
    let id = board.nth(0);
    assert_eq!(board.sent.split(&mut board.slab, id, SeqNum::new(BASE) + 50), None);
    board.sent.clear(&mut board.slab);
    assert_eq!((board.slab.room(), board.sent.segments(), board.sent.in_flight()), (64, 0, 0));
}

/// Random operations; after each the structure is whole and what a model of bytes says is marked.
#[test]
fn random_operations_keep_the_scoreboard_whole() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut board = Board::with(0);
        let mut held = vec![false; 40_000];
        for _ in 0..200 {
            match rng.below(8) {
                0..=2 if board.slab.room() > 8 => board.send(if rng.below(8) == 0 { 3 * MSS } else { MSS }),
                3 if board.una < board.nxt => {
                    let ack = board.una + rng.below(u64::from(board.nxt - board.una) + 1) as u32;
                    let outcome = board.ack(ack, &[]);
                    assert!(outcome.delivered <= outcome.acked, "seed {seed}");
                }
                4 | 5 if board.una + MSS < board.nxt => random_blocks(&mut board, &mut rng, &mut held),
                6 if board.sent.segments() > 0 => {
                    let n = rng.below(board.sent.segments().into()) as usize;
                    board.lose(n);
                }
                7 if rng.below(10) == 0 => drop(board.sent.mark_all_lost(&mut board.slab, rng.below(2) == 0)),
                7 if rng.below(10) == 0 => board.sent.unmark_lost(&mut board.slab),
                _ => drop(board.resend()),
            }
            board.check();
        }
    }
}

fn random_blocks(board: &mut Board, rng: &mut Rng, held: &mut [bool]) {
    let span = u64::from(board.nxt - board.una);
    let list: Vec<_> = (0..1 + rng.below(4))
        .map(|_| {
            let left = board.una + 1 + rng.below(span) as u32;
            (left, (left + 1 + rng.below(500) as u32).min(board.nxt))
        })
        .filter(|(left, right)| left < right)
        .collect();
    for (left, right) in &list {
        held[*left as usize..*right as usize].fill(true);
    }
    board.ack(board.una, &list);
    // Nothing is marked that the peer never told of.
    let mut next = board.sent.by_seq.head;
    while let Some(id) = next.some() {
        let segment = &board.slab[id];
        let offset = |seq: SeqNum| seq.since(SeqNum::new(BASE)) as usize;
        if segment.marks.sacked {
            assert!(held[offset(segment.start)..offset(segment.end)].iter().all(|byte| *byte));
        }
        next = segment.by_seq.next;
    }
}
