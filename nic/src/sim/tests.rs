use super::*;
use crate::{Burst, Duration, Pool, Port};

/// What one direction delivered: when, and the number that each frame carries.
type Trace = Vec<(Instant, u64)>;

const SEED: u64 = 0x3c501;

/// Two ends with a pool each, on virtual time.
struct Pair {
    wire: Wire,
    a: SimPort,
    b: SimPort,
    pool_a: Pool,
    pool_b: Pool,
    now: Instant,
}

impl Pair {
    fn new(seed: u64, impairment: Impairment) -> Self {
        let wire = Wire::new(seed).impair(impairment);
        let (a, b) = wire.ports().unwrap();
        let pool = |id| Pool::anonymous(id, 128).unwrap();
        Self { wire, a, b, pool_a: pool(1), pool_b: pool(2), now: Instant::from_millis(5) }
    }

    /// Sends a frame of `len` bytes that starts with `number`.
    fn send(&mut self, number: u64, len: usize) {
        let mut frame = self.pool_a.acquire().unwrap();
        assert!(frame.set_len(len));
        frame.bytes_mut().fill(0);
        frame.bytes_mut()[..8].copy_from_slice(&number.to_be_bytes());
        let mut burst = Burst::new();
        burst.push(frame);
        self.a.tx_burst(self.now, &mut self.pool_a, &mut burst);
        assert!(burst.is_empty());
    }

    /// Receives what has arrived.
    fn receive(&mut self, trace: &mut Trace) {
        let mut burst = Burst::new();
        self.b.rx_burst(self.now, &mut self.pool_b, &mut burst);
        for frame in burst.drain(..) {
            trace.push((self.now, u64::from_be_bytes(frame.bytes()[..8].try_into().unwrap())));
            self.pool_b.release(frame);
        }
    }

    /// Steps from event to event until the wire is empty.
    fn drain(&mut self, trace: &mut Trace) {
        for _ in 0..100_000 {
            self.receive(trace);
            let Some(at) = self.wire.next_event() else { return };
            assert_eq!(self.b.sleep(self.now).at, Some(at));
            self.now = self.now.max(at);
        }
        panic!("seed {SEED}: the wire never runs empty");
    }

    /// One frame every `gap`, `count` in all, and what became of them.
    fn run(&mut self, count: u64, len: usize, gap: Duration) -> Trace {
        let mut trace = Trace::new();
        for number in 0..count {
            let due = self.now + gap;
            self.send(number, len);
            self.receive(&mut trace);
            self.now = due;
        }
        self.drain(&mut trace);
        let stats = self.wire.stats(Direction::AToB);
        let dropped = stats.lost + stats.too_long + stats.queue_full + stats.flight_full;
        assert_eq!(stats.offered + stats.duplicated, stats.delivered + dropped, "{stats:?}");
        assert_eq!((self.pool_a.census().free, self.pool_b.census().free), (128, 128), "frames conserved");
        trace
    }
}

fn numbers(trace: &Trace) -> Vec<u64> {
    trace.iter().map(|(_, n)| *n).collect()
}

fn sorted(trace: &Trace) -> bool {
    numbers(trace).is_sorted()
}

#[test]
fn a_perfect_wire_delivers_everything_at_once_and_in_order() {
    let mut pair = Pair::new(SEED, Impairment::NONE);
    let start = pair.now;
    let trace = pair.run(10, 60, Duration::ZERO);
    assert_eq!(numbers(&trace), (0..10).collect::<Vec<_>>());
    assert!(trace.iter().all(|(at, _)| *at == start));
    assert_eq!((pair.a.stats().tx_packets, pair.b.stats().rx_bytes), (10, 600));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let impairment = Impairment {
        loss_ppm: 100_000,
        duplicate_ppm: 50_000,
        reorder_ppm: 100_000,
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(2),
        ..Impairment::NONE
    };
    let run = |seed| Pair::new(seed, impairment).run(500, 100, Duration::from_micros(100));
    assert_eq!(run(SEED), run(SEED));
    assert_ne!(run(SEED), run(SEED + 1));
}

#[test]
fn loss_and_duplication_keep_their_rates() {
    let impairment = Impairment { loss_ppm: 100_000, duplicate_ppm: 200_000, ..Impairment::NONE };
    let mut pair = Pair::new(SEED, impairment);
    pair.run(20_000, 60, Duration::from_micros(1));
    let stats = pair.wire.stats(Direction::AToB);
    // Four standard deviations of 20,000 trials are 170 and of the 18,000 remaining ones 215.
    assert!(stats.lost.abs_diff(2_000) < 170, "seed {SEED}: {stats:?}");
    assert!(stats.duplicated.abs_diff(3_600) < 215, "seed {SEED}: {stats:?}");
    assert_eq!(pair.wire.stats(Direction::BToA), LineStats::default(), "the other direction is its own");
}

#[test]
fn jitter_alone_keeps_the_order_and_its_bounds() {
    let (delay, jitter) = (Duration::from_millis(10), Duration::from_millis(5));
    let mut pair = Pair::new(SEED, Impairment { delay, jitter, ..Impairment::NONE });
    let (start, gap) = (pair.now, Duration::from_micros(500));
    let trace = pair.run(1000, 60, gap);
    assert_eq!(trace.len(), 1000);
    assert!(sorted(&trace), "seed {SEED}");
    for (at, number) in &trace {
        let took = at.saturating_since(start + gap * *number as u32);
        // The receiver looks once every gap, hence one gap of tolerance.
        assert!(took >= delay && took <= delay + jitter + gap, "seed {SEED}: frame {number} took {took:?}");
    }
}

#[test]
fn reordering_lets_later_frames_pass() {
    let impairment = Impairment { reorder_ppm: 100_000, reorder_hold: Duration::from_millis(1), ..Impairment::NONE };
    let mut pair = Pair::new(SEED, impairment);
    let trace = pair.run(1000, 60, Duration::from_micros(200));
    let reordered = pair.wire.stats(Direction::AToB).reordered;
    assert!((60..140).contains(&reordered), "seed {SEED}: {reordered}");
    assert!(!sorted(&trace));
    let mut all = numbers(&trace);
    all.sort_unstable();
    assert_eq!(all, (0..1000).collect::<Vec<_>>());
}

#[test]
fn corruption_flips_exactly_one_bit() {
    let mut line = Line::new(Rng::new(SEED), Impairment { corrupt_ppm: crate::rng::PPM, ..Impairment::NONE });
    for _ in 0..100 {
        assert!(line.input(Instant::ZERO, &[0; 60]));
        let ones: u32 = line.peek(Instant::ZERO).unwrap().iter().map(|b| b.count_ones()).sum();
        assert_eq!(ones, 1, "seed {SEED}");
        line.pop();
    }
    assert!(line.input(Instant::ZERO, &[]), "nothing to flip in an empty frame");
    assert_eq!(line.stats().corrupted, 100);
}

#[test]
fn the_rate_is_honoured_in_virtual_time() {
    let mut pair = Pair::new(SEED, Impairment { rate_bps: 10_000_000, ..Impairment::NONE });
    let start = pair.now;
    let trace = pair.run(100, 1250, Duration::ZERO);
    // 1,250 bytes are 10,000 bits: one millisecond each at 10 Mbit/s.
    let expected: Vec<_> = (1..=100).map(|n| start + Duration::from_millis(n)).collect();
    assert_eq!(trace.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
}

#[test]
fn a_full_queue_drops_the_tail() {
    let impairment = Impairment { rate_bps: 10_000_000, queue_frames_max: 8, ..Impairment::NONE };
    let mut pair = Pair::new(SEED, impairment);
    let trace = pair.run(20, 1250, Duration::ZERO);
    assert_eq!(numbers(&trace), (0..8).collect::<Vec<_>>());
    assert_eq!(pair.wire.stats(Direction::AToB).queue_full, 12);
    assert_eq!(pair.a.stats().tx_dropped, 12);
    assert_eq!(pair.run(1, 1250, Duration::ZERO).len(), 1, "there is room again");
}

#[test]
fn the_mtu_and_the_frames_in_flight_are_bounded() {
    let mut line = Line::new(Rng::new(SEED), Impairment { mtu: 100, ..Impairment::NONE });
    assert!(line.input(Instant::ZERO, &[0; 118]) && !line.input(Instant::ZERO, &[0; 119]));
    assert_eq!(line.stats().too_long, 1);
    let taken = (0..5000).filter(|_| line.input(Instant::ZERO, &[0; 60])).count();
    assert_eq!((taken, line.frames_in_flight()), (2047, 2048));
    assert_eq!(line.stats().flight_full, 5000 - 2047);
}

#[test]
fn without_buffers_frames_wait_on_the_wire() {
    let mut pair = Pair::new(SEED, Impairment::NONE);
    let held: Vec<_> = std::iter::from_fn(|| pair.pool_b.acquire()).collect();
    pair.send(7, 60);
    let mut trace = Trace::new();
    pair.receive(&mut trace);
    assert!(trace.is_empty());
    held.into_iter().for_each(|f| pair.pool_b.release(f));
    pair.receive(&mut trace);
    assert_eq!(numbers(&trace), [7]);
}

#[test]
fn a_sleeping_end_is_woken_by_the_other() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut pair = Pair::new(SEED, Impairment::NONE);
    let fd = pair.b.sleep(pair.now).fds[0];
    // SAFETY: the descriptor belongs to `pair.b`, which outlives this borrow.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let rung = || {
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    };
    assert!(!rung());
    pair.send(1, 60);
    assert!(rung());
    pair.receive(&mut Trace::new());
    assert_eq!(pair.b.sleep(pair.now).at, None);
    assert!(!rung(), "sleeping again clears the old notice");
}
