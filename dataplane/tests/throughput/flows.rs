//! Transfers from one host to another through a bottleneck with a queue of about one bandwidth-delay product.

use std::net::SocketAddrV4;
use xmit_nic::rng::Rng;
use xmit_nic::sim::{Direction, Impairment};
use xmit_nic::{Duration, Instant};
use xmit_script::{Pair, PairConfig};
use xmit_shared::session::{CongestionName, Op, SocketOption, StreamEvents};

/// The receiver's port.
const PORT: u16 = 7;
/// Bytes of a transfer whose speed is measured.
const TRANSFER_BYTES: u64 = 16 << 20;
/// Each figure is the median over transfers with these seeds.
const SEEDS: [u64; 3] = [1, 2, 3];
/// No transfer may take longer.
const LIMIT: Duration = Duration::from_secs(36_000);
/// A full frame.
const FRAME_BYTES: u64 = 1514;
/// Frames that wait: what flies beside them must fit a line's 2,048.
const QUEUE_FRAMES_MAX: u64 = 1100;
/// Each host's frames.
const POOL_FRAMES: usize = 4096;
/// What a program reads or writes at once.
const GULP: usize = 64 << 10;
/// What a program writes; what arrives is compared elsewhere (`tests/streams`).
static BYTES: [u8; GULP] = [0; GULP];

/// The wire that flows share.
const SHARED: Bottleneck = Bottleneck { rate_bps: 20_000_000, rtt: Duration::from_millis(40), loss_ppm: 0 };
/// How long they share it.
const SHARED_FOR: Duration = Duration::from_secs(20);
/// The program of each flow begins at a time of its own, up to this long after the first.
const BEGINS_WITHIN_MS: u64 = 200;

/// The way to the receiver; the way back is as long, and neither loses nor limits.
#[derive(Clone, Copy)]
pub(crate) struct Bottleneck {
    pub(crate) rate_bps: u64,
    pub(crate) rtt: Duration,
    pub(crate) loss_ppm: u32,
}

impl Bottleneck {
    fn forth(self) -> Impairment {
        let in_flight = self.rate_bps * self.rtt.as_micros() as u64 / 8_000_000 / FRAME_BYTES;
        let queue_frames_max = in_flight.clamp(16, QUEUE_FRAMES_MAX) as usize;
        Impairment { rate_bps: self.rate_bps, queue_frames_max, loss_ppm: self.loss_ppm, ..self.back() }
    }

    fn back(self) -> Impairment {
        Impairment { delay: self.rtt / 2, ..Impairment::NONE }
    }
}

/// How flows shared a wire.
#[derive(Clone, Copy)]
pub(crate) struct Shares {
    /// Jain's index: 1 if all got the same, 1/n if one got all.
    pub(crate) jain: f64,
    /// What all got of the wire.
    pub(crate) utilization: f64,
    /// What of that the flows with the first congestion control got.
    pub(crate) first: f64,
}

/// Bits per second of a transfer.
#[derive(Clone, Copy)]
pub(crate) struct Speed {
    /// From its first byte written to its last byte read.
    pub(crate) whole: f64,
    /// Of its second half, when it has found the path's rate.
    pub(crate) second_half: f64,
}

/// How fast a transfer is: the median of the seeds.
pub(crate) fn throughput(control: CongestionName, wire: Bottleneck) -> Speed {
    // Without loss nothing is left to chance.
    let seeds = if wire.loss_ppm == 0 { &SEEDS[..1] } else { &SEEDS };
    let mut all: Vec<_> = seeds.iter().map(|seed| transfer(*seed, control, wire)).collect();
    all.sort_by(|a, b| a.whole.total_cmp(&b.whole));
    all[all.len() / 2]
}

fn transfer(seed: u64, control: CongestionName, wire: Bottleneck) -> Speed {
    let mut pair = pair(seed, wire);
    let mut flow = connect(&mut pair, &[control], wire).remove(0);
    let began = pair.now;
    let mut upto = |bytes| {
        let done = pair.drive_until(LIMIT, |pair| {
            flow.act(pair);
            flow.read >= bytes
        });
        assert!(done, "seed {seed}: {} bytes in {LIMIT:?}", flow.read);
        (flow.read, pair.now)
    };
    let (half, all) = (upto(TRANSFER_BYTES / 2), upto(TRANSFER_BYTES));
    let bps = |bytes: u64, from: Instant| (bytes * 8) as f64 / all.1.saturating_since(from).as_secs_f64();
    Speed { whole: bps(all.0, began), second_half: bps(all.0 - half.0, half.1) }
}

/// How `count` flows share a wire, half of them with each of `controls`.
pub(crate) fn fairness(controls: [CongestionName; 2], count: usize) -> Shares {
    let seed = count as u64;
    let (mut rng, mut pair) = (Rng::new(seed), pair(seed, SHARED));
    let controls: Vec<_> = (0..count).map(|n| controls[n * 2 / count]).collect();
    let mut flows = connect(&mut pair, &controls, SHARED);
    let now = pair.now;
    flows.iter_mut().for_each(|flow| flow.begins = now + Duration::from_millis(rng.below(BEGINS_WITHIN_MS)));
    let until = now + SHARED_FOR;
    while pair.now < until {
        flows.iter_mut().for_each(|flow| flow.act(&mut pair));
        let begins = flows.iter().map(|flow| flow.begins).filter(|at| *at > pair.now).min();
        pair.step(begins.unwrap_or(until));
    }
    let read: Vec<f64> = flows.iter().map(|flow| flow.read as f64).collect();
    let sum: f64 = read.iter().sum();
    Shares {
        jain: sum * sum / (count as f64 * read.iter().map(|bytes| bytes * bytes).sum::<f64>()),
        utilization: sum * 8.0 / (SHARED.rate_bps as f64 * SHARED_FOR.as_secs_f64()),
        first: read[..count / 2].iter().sum::<f64>() / sum,
    }
}

/// One connection with a program at each end: one writes what it can, the other reads what it can.
struct Flow {
    sender: u32,
    receiver: u32,
    begins: Instant,
    read: u64,
    room: Vec<u8>,
}

impl Flow {
    fn act(&mut self, pair: &mut Pair) {
        while pair.now >= self.begins && pair.a.client.write(self.sender, &BYTES, false).unwrap() > 0 {}
        loop {
            let len = pair.b.client.read(self.receiver, &mut self.room).unwrap();
            self.read += len as u64;
            if len == 0 {
                return;
            }
        }
    }
}

/// Two hosts on a wire that does not lose yet, which know each other's station address.
fn pair(seed: u64, wire: Bottleneck) -> Pair {
    let calm = Bottleneck { loss_ppm: 0, ..wire };
    Pair::with(PairConfig { wire: calm.forth(), frames: POOL_FRAMES, resolved: true, ..PairConfig::new(seed) }).unwrap()
}

/// A connection for each of `controls`; then the wire is as `wire` says.
fn connect(pair: &mut Pair, controls: &[CongestionName], wire: Bottleneck) -> Vec<Flow> {
    let listener = pair.b.listen(pair.now, PORT, 64, controls.len() as u32).unwrap();
    let to = SocketAddrV4::new(pair.b.address, PORT);
    pair.wire.set(Direction::BToA, wire.back());
    let flows = controls.iter().map(|control| {
        let sender = pair.a.stream(pair.now).unwrap();
        pair.a.call(pair.now, sender, Op::SetOption(SocketOption::Congestion, control.number())).unwrap();
        pair.a.call(pair.now, sender, Op::Connect(to)).unwrap();
        let mut accepted = None;
        let connected = pair.drive_until(LIMIT, |pair| {
            accepted = accepted.or_else(|| pair.b.client.accept(listener).unwrap());
            accepted.is_some() && pair.a.client.events(sender).contains(StreamEvents::CONNECTED)
        });
        assert!(connected, "seed {}: no connection", pair.seed);
        Flow { sender, receiver: accepted.unwrap().slot, begins: pair.now, read: 0, room: vec![0; GULP] }
    });
    let flows = flows.collect();
    pair.wire.set(Direction::AToB, wire.forth());
    flows
}
