//! Tests of the sender's reaction to loss: a sender of these parts and a receiver that acknowledges every segment,
//! over a path that loses, delays and reorders by a seed.

use super::super::congestion::{Congestion, Kind};
use super::super::rtt::RTO_MIN;
use super::super::sent::SegmentSlab;
use super::super::timestamp::TimestampClock;
use super::*;
use crate::Duration;
use crate::wire::tcp_options::{SackBlock, SackBlocks};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use xmit_nic::rng::Rng;

const MSS: u32 = 1000;
const MS: Duration = Duration::from_millis(1);
/// Sequence numbers wrap in every transfer.
const ISN: SeqNum = SeqNum::new(u32::MAX - 5500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Packet {
    /// The number of a segment, and its timestamp.
    Data(u32, u32),
    /// The acknowledged number of segments, the echo, blocks in segments.
    Ack(u32, u32, [(u32, u32); 3]),
}

/// The path from sender to receiver and back.
struct Wire {
    rng: Rng,
    delay: Duration,
    jitter: Duration,
    loss_ppm: u32,
    /// Transmissions lost by their number, the first being 0.
    lost: Vec<u32>,
    /// One that is late, and by how much.
    late: (u32, Duration),
    /// No packet arrives in this span: it waits until its end.
    silence: (Instant, Instant),
    on_way: BinaryHeap<Reverse<(Instant, u32, Packet)>>,
    transmissions: u32,
}

impl Wire {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            delay: 20 * MS,
            jitter: Duration::ZERO,
            loss_ppm: 0,
            lost: Vec::new(),
            late: (u32::MAX, Duration::ZERO),
            silence: (Instant::ZERO, Instant::ZERO),
            on_way: BinaryHeap::new(),
            transmissions: 0,
        }
    }

    fn carry(&mut self, now: Instant, packet: Packet) {
        let number = self.transmissions;
        self.transmissions += 1;
        let chance = self.rng.chance_ppm(self.loss_ppm);
        if chance || (matches!(packet, Packet::Data(..)) && self.lost.contains(&number)) {
            return;
        }
        let jitter = Duration::from_nanos(self.rng.below(self.jitter.as_nanos() as u64 + 1));
        let mut at = now + self.delay + jitter + if self.late.0 == number { self.late.1 } else { Duration::ZERO };
        if at >= self.silence.0 && at < self.silence.1 {
            at = self.silence.1;
        }
        self.on_way.push(Reverse((at, number, packet)));
    }
}

/// Acknowledges every segment at once, with the three latest blocks and D-SACKs.
#[derive(Default)]
struct Receiver {
    held: Vec<bool>,
    next: u32,
    recent: Vec<u32>,
    ts_recent: u32,
}

impl Receiver {
    fn take(&mut self, segment: u32, timestamp: u32, sack: bool) -> Packet {
        let duplicate = self.held[segment as usize];
        if segment <= self.next {
            self.ts_recent = self.ts_recent.max(timestamp);
        }
        self.held[segment as usize] = true;
        while self.held.get(self.next as usize) == Some(&true) {
            self.next += 1;
        }
        self.recent.retain(|known| *known != segment && *known > self.next);
        self.recent.insert(0, segment);
        let mut blocks = Vec::new();
        if duplicate {
            blocks.push((segment, segment + 1));
        }
        for segment in self.recent.iter().copied().filter(|segment| *segment > self.next) {
            let block = self.run_around(segment);
            if !blocks[usize::from(duplicate)..].contains(&block) {
                blocks.push(block);
            }
        }
        blocks.resize(3, (0, 0));
        let blocks = if sack { [blocks[0], blocks[1], blocks[2]] } else { [(0, 0); 3] };
        Packet::Ack(self.next, self.ts_recent, blocks)
    }

    fn run_around(&self, segment: u32) -> (u32, u32) {
        let held = |at: u32| self.held.get(at as usize) == Some(&true);
        let left = (0..=segment).rev().take_while(|at| held(*at)).last().unwrap();
        (left, (segment..).take_while(|at| held(*at)).last().unwrap() + 1)
    }
}

/// A transfer of `total` segments.
struct Transfer {
    wire: Wire,
    receiver: Receiver,
    sent: Sent,
    slab: SegmentSlab,
    episodes: EpisodeSlab,
    congestion: Congestion,
    rtt: RttEstimator,
    recovery: Recovery,
    clock: TimestampClock,
    now: Instant,
    total: u32,
    una: u32,
    nxt: u32,
    sack: bool,
    rto: Option<Instant>,
    reorder: Option<Instant>,
    probe: Option<Instant>,
    /// Timeouts in a row, and in all.
    timeouts: (u32, u32),
    undone: u32,
    probes: u32,
    cwnd_before_undo: u32,
    /// Acknowledgments go the short way where they can.
    short_way: bool,
    /// How many did.
    plain: u32,
    /// How the sender stood after each event.
    history: Vec<[u64; 10]>,
}

macro_rules! lend {
    ($transfer:expr) => {
        &mut Sender {
            sent: &mut $transfer.sent,
            slab: &mut $transfer.slab,
            episodes: &mut $transfer.episodes,
            congestion: &mut $transfer.congestion,
            rtt: &mut $transfer.rtt,
        }
    };
}

fn seq(segment: u32) -> SeqNum {
    ISN + segment * MSS
}

impl Transfer {
    fn new(total: u32, kind: Kind, wire: Wire) -> Self {
        Self {
            wire,
            receiver: Receiver { held: vec![false; total as usize], ..Receiver::default() },
            sent: Sent::new(),
            slab: SegmentSlab::new(4096),
            episodes: EpisodeSlab::new(1),
            congestion: Congestion::new(kind, Instant::ZERO),
            rtt: RttEstimator::new(RTO_MIN),
            recovery: Recovery::default(),
            clock: TimestampClock::new(0xffff_ff00),
            now: Instant::from_millis(1000),
            total,
            una: 0,
            nxt: 0,
            sack: true,
            rto: None,
            reorder: None,
            probe: None,
            timeouts: (0, 0),
            undone: 0,
            probes: 0,
            cwnd_before_undo: 0,
            short_way: false,
            plain: 0,
            history: Vec::new(),
        }
    }

    /// Runs until all is acknowledged. Bounded by a million events; virtual time is the result.
    fn run(&mut self) -> Duration {
        let began = self.now;
        self.send(Permit::LostThenNew);
        for _ in 0..1_000_000 {
            if self.una == self.total {
                assert_eq!((self.sent.segments(), self.sent.in_flight(), self.slab.in_use()), (0, 0, 0));
                return self.now.saturating_since(began);
            }
            self.step();
            self.history.push(self.stand());
        }
        panic!("stalled at {} of {}: {:?}", self.una, self.total, self.recovery);
    }

    fn stand(&self) -> [u64; 10] {
        let (cc, rtt) = (&self.congestion, &self.rtt);
        let ahead = |seq: SeqNum| seq.since(ISN).into();
        [
            self.now.as_nanos(),
            cc.cwnd().into(),
            cc.ssthresh().into(),
            rtt.rto_nanos(),
            rtt.srtt_micros().unwrap_or(0).into(),
            rtt.min_rtt_micros().unwrap_or(0).into(),
            self.sent.in_flight().into(),
            self.sent.delivered().into(),
            self.nxt.into(),
            self.sent.first().map_or(0, |id| ahead(self.slab[id].start())),
        ]
    }

    fn step(&mut self) {
        let packet = self.wire.on_way.peek().map(|Reverse((at, ..))| *at);
        let timer = [self.rto, self.reorder, self.probe].into_iter().flatten().min();
        let at = packet.into_iter().chain(timer).min().unwrap_or_else(|| panic!("nothing will ever happen"));
        assert!(at >= self.now);
        self.now = at;
        if packet == Some(at) {
            let Reverse((_, _, packet)) = self.wire.on_way.pop().unwrap();
            match packet {
                Packet::Data(segment, timestamp) => {
                    let ack = self.receiver.take(segment, timestamp, self.sack);
                    self.wire.carry(self.now, ack);
                }
                Packet::Ack(ack, echo, blocks) => self.on_ack(ack, echo, &blocks),
            }
        } else if self.reorder == Some(at) {
            let directive = self.recovery.on_reorder_timer(lend!(self), self.now, seq(self.nxt), None);
            self.follow(directive);
        } else if self.probe == Some(at) {
            self.send_probe();
        } else {
            self.on_rto();
        }
    }

    fn on_ack(&mut self, number: u32, echo: u32, blocks: &[(u32, u32)]) {
        if number < self.una {
            return;
        }
        let mut sack = SackBlocks::NONE;
        for (left, right) in blocks.iter().filter(|(left, right)| left < right) {
            sack.push(SackBlock { left: seq(*left).number(), right: seq(*right).number() });
        }
        let ack = Ack {
            now: self.now,
            una: seq(self.una),
            ack: seq(number),
            nxt: seq(self.nxt),
            sack_permitted: self.sack,
            sack,
            echoed: self.clock.sent_at(self.now, echo),
            high_seq: self.recovery.high_seq(),
            min_rtt: self.rtt.min_rtt(),
            mss: MSS,
        };
        let advanced = number > self.una;
        let duplicate = !advanced && self.sent.segments() > 0;
        let facts = AckFacts { duplicate, can_send_new: self.nxt < self.total, ..AckFacts::default() };
        self.una = number;
        let before = self.congestion.cwnd();
        let (bytes, nxt) = (ack.ack.since(ack.una), ack.nxt);
        let (mss, paced) = (MSS, false);
        let plain = PlainAck { now: ack.now, bytes, ack: ack.ack, nxt, sack_permitted: self.sack, mss, paced };
        let short = self.short_way && advanced && sack.is_empty();
        let directive = match short.then(|| self.recovery.on_plain_ack(lend!(self), &plain)).flatten() {
            Some(_) => {
                self.plain += 1;
                Directive::of(AckOutcome::default())
            }
            None => self.recovery.on_ack(lend!(self), &ack, &facts),
        };
        assert_eq!(directive.outcome.bad_blocks, 0);
        if directive.undone {
            self.undone += 1;
            self.cwnd_before_undo = before;
        }
        if advanced {
            self.timeouts.0 = 0;
            self.rtt.reset_backoff();
            self.rto = None;
        }
        self.follow(directive);
    }

    fn on_rto(&mut self) {
        if !self.sack {
            self.sent.forget_duplicate_acks();
        }
        let directive = self.recovery.on_rto(lend!(self), self.now, seq(self.nxt), self.timeouts.0);
        self.timeouts = (self.timeouts.0 + 1, self.timeouts.1 + 1);
        self.rtt.back_off();
        self.rto = None;
        self.follow(directive);
    }

    fn follow(&mut self, directive: Directive) {
        self.reorder = directive.reorder_timeout.map(|left| self.now + left + MS);
        self.send(directive.permit);
    }

    fn send(&mut self, what: Permit) {
        let mut new = 0;
        while self.sent.in_flight() < self.congestion.cwnd() {
            let lost = if what == Permit::LostThenNew { self.sent.next_to_retransmit(&self.slab) } else { None };
            if let Some(id) = lost {
                self.recovery.on_retransmit(lend!(self), self.now, id);
                self.transmit(self.slab[id].start().since(ISN) / MSS);
            } else if self.nxt < self.total && (what == Permit::LostThenNew || new < 2) && self.slab.room() > 0 {
                self.send_new();
                new += 1;
            } else {
                break;
            }
        }
        let in_flight = self.sent.in_flight();
        let limited = in_flight >= self.congestion.cwnd();
        self.congestion.on_sent(self.now, seq(self.una), seq(self.nxt), in_flight, limited);
        self.arm();
    }

    fn send_new(&mut self) {
        assert!(self.sent.push(&mut self.slab, self.now, seq(self.nxt), MSS, false).is_some());
        self.recovery.on_sent_new(&mut self.episodes);
        self.transmit(self.nxt);
        self.nxt += 1;
    }

    fn transmit(&mut self, segment: u32) {
        self.wire.carry(self.now, Packet::Data(segment, self.clock.value(self.now)));
    }

    fn arm(&mut self) {
        self.probe = None;
        if self.sent.segments() == 0 {
            self.rto = None;
            return;
        }
        let rto = *self.rto.get_or_insert(self.now + self.rtt.rto());
        if self.recovery.may_probe(&self.sent, self.sack) {
            let left = rto.nanos_since(self.now);
            let timeout = Tlp::timeout_nanos(self.rtt.srtt_micros(), self.sent.in_flight(), left);
            self.probe = Some(self.now.after_nanos(timeout));
        }
    }

    fn send_probe(&mut self) {
        self.probes += 1;
        let retransmission = self.nxt == self.total;
        if retransmission {
            let last = self.sent.last().unwrap();
            self.recovery.on_retransmit(lend!(self), self.now, last);
            self.transmit(self.slab[last].start().since(ISN) / MSS);
        } else {
            self.send_new();
        }
        self.recovery.on_probe(seq(self.nxt), retransmission);
        self.rto = Some(self.now + self.rtt.rto());
        self.arm();
    }
}

#[test]
fn a_clean_path_needs_no_retransmission() {
    for kind in Kind::ALL {
        let mut transfer = Transfer::new(2000, kind, Wire::new(1));
        let time = transfer.run();
        assert_eq!((transfer.sent.total_retransmits(), transfer.timeouts.1, transfer.probes), (0, 0, 0));
        // Ten, twenty, forty .. segments in round trips of 40 ms.
        assert!(time <= 40 * 9 * MS, "{time:?}");
    }
}

#[test]
fn every_loss_is_repaired() {
    for seed in 0..500u64 {
        let kind = Kind::ALL[seed as usize % 3];
        let loss_ppm = [1_000, 10_000, 50_000, 200_000][seed as usize / 3 % 4];
        let jitter = [Duration::ZERO, 5 * MS, 30 * MS][seed as usize / 12 % 3];
        let mut transfer = Transfer::new(600, kind, Wire { loss_ppm, jitter, ..Wire::new(seed) });
        transfer.sack = seed % 7 != 0;
        let time = transfer.run();
        assert!(time < Duration::from_secs(3600), "seed {seed}: {time:?}");
    }
}

/// The short way of an acknowledgment leads to the same place as the long one, at every step of every transfer.
#[test]
fn the_short_way_is_the_long_one() {
    let mut plain = 0;
    for seed in 0..400u64 {
        let kind = Kind::ALL[seed as usize % 3];
        let loss_ppm = [0, 500, 10_000, 100_000][seed as usize / 3 % 4];
        let jitter = [Duration::ZERO, 5 * MS, 30 * MS][seed as usize / 12 % 3];
        let [long, short] = [false, true].map(|short_way| {
            let mut transfer = Transfer::new(400, kind, Wire { loss_ppm, jitter, ..Wire::new(seed) });
            (transfer.sack, transfer.short_way) = (seed % 7 != 0, short_way);
            transfer.run();
            transfer
        });
        let differs = long.history.iter().zip(&short.history).position(|(long, short)| long != short);
        assert_eq!(differs.map(|at| (seed, at, long.history[at], short.history[at])), None);
        assert_eq!(
            (long.history.len(), long.undone, long.timeouts),
            (short.history.len(), short.undone, short.timeouts)
        );
        plain += short.plain;
    }
    assert!(plain > 20_000, "only {plain} took it");
}

#[test]
fn one_loss_costs_one_retransmission_and_one_reduction() {
    for kind in [Kind::Cubic, Kind::Reno] {
        let mut transfer = Transfer::new(2000, kind, Wire { lost: vec![400], ..Wire::new(1) });
        transfer.run();
        assert_eq!((transfer.sent.total_retransmits(), transfer.timeouts.1), (1, 0));
        assert!(transfer.congestion.ssthresh() < 1000 && transfer.undone == 0);
    }
}

/// RFC 8985 section 7: the last segments of a flight are repaired without a timeout.
#[test]
fn a_lost_tail_is_repaired_by_a_probe() {
    for lost in [vec![9], vec![8, 9], vec![5, 6, 7, 8, 9]] {
        let mut transfer = Transfer::new(30, Kind::Cubic, Wire::new(1));
        transfer.total = 10;
        // A first flight gives a round trip; then ten more of which the tail is lost.
        transfer.run();
        let first = transfer.wire.transmissions;
        transfer.wire.lost = lost.iter().map(|number| first + number).collect();
        transfer.total = 20;
        let time = transfer.run();
        assert_eq!((transfer.timeouts.1, transfer.probes), (0, 1), "{lost:?}");
        assert!(time < 350 * MS, "{lost:?}: {time:?}");
        transfer.total = 30;
        transfer.run();
        assert!(transfer.congestion.ssthresh() <= 20, "{lost:?}: the loss is not hidden");
    }
}

/// RFC 3522, 5682: all of a flight is late, nothing is lost.
#[test]
fn a_spurious_timeout_is_undone() {
    let silence = (Instant::from_millis(1130), Instant::from_millis(2200));
    let mut transfer = Transfer::new(3000, Kind::Cubic, Wire { silence, ..Wire::new(1) });
    transfer.run();
    assert!(transfer.timeouts.1 >= 1 && transfer.undone >= 1, "{:?} {}", transfer.timeouts, transfer.undone);
    assert!(transfer.sent.total_retransmits() < 8, "{}", transfer.sent.total_retransmits());
    assert!(transfer.congestion.cwnd() > 80, "{}", transfer.congestion.cwnd());
}

/// The original comes before its retransmission (known by its timestamp), or after it (by a D-SACK, when the recovery
/// is over).
#[test]
fn a_recovery_for_a_late_segment_is_undone() {
    for late in [30 * MS, 60 * MS] {
        let mut transfer = Transfer::new(2000, Kind::Reno, Wire { late: (5, late), ..Wire::new(1) });
        transfer.run();
        assert_eq!((transfer.sent.total_retransmits(), transfer.undone, transfer.timeouts.1), (1, 1, 0), "{late:?}");
        assert!(transfer.congestion.cwnd() > 500, "{late:?}: {}", transfer.congestion.cwnd());
    }
}

#[test]
fn reordering_is_learned() {
    let wire = |seed| Wire { jitter: 8 * MS, ..Wire::new(seed) };
    let mut transfer = Transfer::new(4000, Kind::Cubic, wire(3));
    transfer.run();
    assert!(transfer.recovery.rack().reordering_seen());
    assert_eq!(transfer.timeouts.1, 0);
    let again = transfer.sent.total_retransmits();
    assert!(again < 100, "{again} of 4,000 were sent again in vain");
}

/// RFC 6582: several losses in one window, one per round trip.
#[test]
fn without_sack_partial_acknowledgments_lead_from_hole_to_hole() {
    let mut transfer = Transfer::new(500, Kind::Reno, Wire { lost: vec![40, 44, 48], ..Wire::new(1) });
    transfer.sack = false;
    transfer.run();
    assert!(transfer.sent.total_retransmits() <= 6 && transfer.timeouts.1 == 0, "{:?}", transfer.timeouts);
}

/// RFC 3042: each of the first two arrivals out of order lets one new segment out, before anything is judged lost.
#[test]
fn limited_transmit_follows_from_the_pipe() {
    for sack in [true, false] {
        let mut transfer = Transfer::new(100, Kind::Reno, Wire::new(1));
        transfer.sack = sack;
        transfer.send(Permit::LostThenNew);
        assert_eq!(transfer.nxt, 10);
        let block = |right| if sack { [(1, right)] } else { [(0, 0)] };
        let echo = transfer.clock.value(transfer.now);
        transfer.now += 40 * MS;
        transfer.on_ack(0, echo, &block(2));
        transfer.on_ack(0, echo, &block(3));
        assert_eq!((transfer.nxt, transfer.sent.lost(), transfer.recovery.phase()), (12, 0, Phase::Disorder));
        transfer.on_ack(0, echo, &block(4));
        assert_eq!((transfer.sent.lost(), transfer.sent.retransmitted()), (1, 1));
        assert_eq!((transfer.recovery.phase(), transfer.congestion.ssthresh()), (Phase::Recovery, 5));
    }
}

/// RFC 3168 section 6.1.2: once per window of data.
#[test]
fn an_ecn_echo_reduces_once_per_window() {
    let mut transfer = Transfer::new(100, Kind::Reno, Wire::new(1));
    transfer.send(Permit::LostThenNew);
    let mut reduced = Vec::new();
    for number in 1..=9 {
        transfer.now += 40 * MS;
        let ack = Ack {
            now: transfer.now,
            una: seq(number - 1),
            ack: seq(number),
            nxt: seq(transfer.nxt),
            sack_permitted: true,
            sack: SackBlocks::NONE,
            echoed: None,
            high_seq: transfer.recovery.high_seq(),
            min_rtt: None,
            mss: MSS,
        };
        let facts = AckFacts { ece: true, ..AckFacts::default() };
        reduced.push(transfer.recovery.on_ack(lend!(transfer), &ack, &facts).reduced);
    }
    assert_eq!(reduced.iter().filter(|reduced| **reduced).count(), 1);
    assert_eq!((transfer.recovery.phase(), transfer.congestion.ssthresh()), (Phase::Cwr, 5));
    assert!(transfer.congestion.cwnd() <= 5);
}
