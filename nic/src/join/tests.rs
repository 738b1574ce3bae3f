use super::*;
use crate::pool::Census;
use crate::sim::{SimPort, Wire};
use crate::{Caps, Duration, MacAddr, PortStats};

const SEED: u64 = 0x3c501;

/// `near` -- wire -- join -- wire -- `far`.
struct Chain {
    near: SimPort,
    far: SimPort,
    join: Join,
    pool: Pool,
    now: Instant,
}

impl Chain {
    fn new() -> Self {
        let (near, a) = Wire::new(SEED).ports().unwrap();
        let (b, far) = Wire::new(SEED).ports().unwrap();
        let join = Join::new(Box::new(a), Box::new(b), Pool::anonymous(1, 600).unwrap());
        Self { near, far, join, pool: Pool::anonymous(2, 128).unwrap(), now: Instant::from_millis(1) }
    }

    fn impaired(self, a_to_b: Impairment, b_to_a: Impairment) -> Self {
        Self { join: self.join.impaired(SEED, a_to_b, b_to_a), ..self }
    }

    fn finish(self) -> (JoinStats, JoinStats) {
        let stats = self.join.stats();
        assert_eq!(self.pool.census().free, 128);
        assert_eq!(self.join.shutdown().census(), Census { free: 600, ..Census::default() }, "frames conserved");
        stats
    }

    /// Lets the join work until it has nothing to do before some descriptor stirs.
    fn settle(&mut self, received: &mut Vec<u8>, from_far: bool) {
        for _ in 0..10_000 {
            self.join.turn(self.now);
            let port = if from_far { &mut self.far } else { &mut self.near };
            received.extend(numbers(port, &mut self.pool, self.now));
            let Some(at) = self.join.sleep(self.now).at else { return };
            self.now = self.now.max(at);
        }
        panic!("seed {SEED}: the join never rests");
    }
}

fn send(port: &mut SimPort, pool: &mut Pool, now: Instant, number: u8) {
    let mut frame = pool.acquire().unwrap();
    assert!(frame.fill(&[number; 60]));
    port.tx_burst(now, pool, &mut Burst::from_iter([frame]));
}

fn numbers(port: &mut dyn Port, pool: &mut Pool, now: Instant) -> Vec<u8> {
    let burst = receive_burst(now, port, pool);
    let number = |frame: crate::Frame| {
        let number = frame.bytes()[0];
        pool.release(frame);
        number
    };
    burst.into_iter().map(number).collect()
}

#[test]
fn frames_pass_in_both_directions_in_order() {
    let mut chain = Chain::new();
    for n in 0..100 {
        send(&mut chain.near, &mut chain.pool, chain.now, n);
    }
    send(&mut chain.far, &mut chain.pool, chain.now, 200);
    let (mut at_far, mut at_near) = (Vec::new(), Vec::new());
    chain.settle(&mut at_far, true);
    chain.settle(&mut at_far, true);
    chain.settle(&mut at_near, false);
    assert_eq!(at_far, (0..100).collect::<Vec<_>>());
    assert_eq!(at_near, [200]);
    assert_eq!(chain.join.sleep(chain.now).fds.len(), 2);
    let (ab, ba) = chain.finish();
    assert_eq!((ab.received, ab.sent, ba.sent), (100, 100, 1));
}

#[test]
fn an_impaired_join_loses_and_delays_as_its_seed_says() {
    let delay = Duration::from_millis(20);
    let lossy = Impairment { loss_ppm: 300_000, delay, ..Impairment::NONE };
    let run = || {
        let mut chain = Chain::new().impaired(lossy, Impairment::NONE);
        let mut received = Vec::new();
        for n in 0..200 {
            send(&mut chain.near, &mut chain.pool, chain.now, n);
            chain.join.turn(chain.now);
        }
        let sent_at = chain.now;
        assert_eq!(chain.join.sleep(chain.now).at, Some(sent_at + delay));
        assert!(numbers(&mut chain.far, &mut chain.pool, chain.now).is_empty(), "nothing arrives before the delay");
        chain.settle(&mut received, true);
        chain.settle(&mut received, true);
        chain.settle(&mut received, true);
        assert_eq!(chain.now, sent_at + delay);
        (received, chain.finish().0)
    };
    let (received, stats) = run();
    assert_eq!(run(), (received.clone(), stats));
    assert!(received.is_sorted());
    assert!((35..85).contains(&stats.line.lost), "seed {SEED}: {stats:?}");
    assert_eq!(received.len() as u64, 200 - stats.line.lost);
}

/// A port that takes nothing.
struct Busy(Caps);

impl Port for Busy {
    fn caps(&self) -> &Caps {
        &self.0
    }
    fn rx_burst(&mut self, _: Instant, _: &mut Pool, _: &mut Burst) {}
    fn tx_burst(&mut self, _: Instant, _: &mut Pool, _: &mut Burst) {}
    fn service(&mut self, _: Instant, _: &mut Pool) {}
    fn sleep(&mut self, _: Instant) -> Wakeup {
        Wakeup::default()
    }
    fn stats(&self) -> PortStats {
        PortStats::default()
    }
    fn shutdown(&mut self, _: &mut Pool) {}
}

#[test]
fn what_a_busy_port_cannot_take_is_bounded_and_counted() {
    let (mut near, a) = Wire::new(SEED).ports().unwrap();
    let busy = Busy(Caps::plain("busy", MacAddr::ZERO, "takes nothing"));
    let mut join = Join::new(Box::new(a), Box::new(busy), Pool::anonymous(1, 600).unwrap());
    let (mut pool, now) = (Pool::anonymous(2, 4).unwrap(), Instant::ZERO);
    for n in 0..500u16 {
        send(&mut near, &mut pool, now, n as u8);
    }
    while join.turn(now) > 0 {}
    let stats = join.stats().0;
    let held = (QUEUE_FRAMES + crate::BURST_FRAMES_MAX) as u64;
    assert_eq!((stats.received, stats.sent, stats.queue_full), (500, 0, 500 - held));
    assert!(join.sleep(now).at.is_some_and(|at| at > now), "tries again, but does not spin");
    assert_eq!(join.shutdown().census(), Census { free: 600, ..Census::default() });
}
