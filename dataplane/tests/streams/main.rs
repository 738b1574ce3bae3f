//! Transfers between two stacks on an unkind wire against a model, over many seeds: every byte arrives once and in order,
//! or an error is reported; nothing stalls; nothing is kept. A failure names its seed; `XMIT_PCAP=directory` makes
//! every run a pcapng as well.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::net::SocketAddrV4;
use xmit_nic::Duration;
use xmit_nic::rng::Rng;
use xmit_nic::sim::Impairment;
use xmit_script::{End, Pair, PairConfig};
use xmit_shared::session::{CongestionName, How, Op, SocketOption, StreamEvents};

/// Seeds of each simulation, 0 and up, unless `XMIT_SEEDS` says how many and `XMIT_SEED` from which on.
const SEEDS: u64 = 60;
const PORT: u16 = 7;
/// Longer than any run: a stall.
const LIMIT: Duration = Duration::from_secs(3600);

/// What a program needs for a look at its socket.
const PAUSE: Duration = Duration::from_micros(10);

/// One end's program: what it has to write, and what it read.
struct Program {
    slot: u32,
    outgoing: Vec<u8>,
    written: usize,
    incoming: Vec<u8>,
    /// It writes and reads at most so much at once.
    gulp: usize,
    /// It does not read before this much of its own was written (a slow reader).
    reads_after: usize,
    shut: bool,
    ended: bool,
}

impl Program {
    fn new(slot: u32, len: usize, rng: &mut Rng) -> Self {
        let outgoing: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let gulp = 1 + rng.below(40_000) as usize;
        let reads_after = if rng.below(3) == 0 { len / 2 } else { 0 };
        Self { slot, outgoing, written: 0, incoming: Vec::new(), gulp, reads_after, shut: false, ended: false }
    }

    /// Writes and reads what it can. True if it may go on at once.
    fn act(&mut self, end: &mut End, now: xmit_nic::Instant) -> bool {
        let events = end.client.events(self.slot);
        if !events.contains(StreamEvents::CONNECTED) {
            return false;
        }
        let before = (self.written, self.incoming.len());
        let upto = (self.written + self.gulp).min(self.outgoing.len());
        if self.written < upto {
            self.written += end.client.write(self.slot, &self.outgoing[self.written..upto], false).unwrap();
        } else if !self.shut {
            self.shut = true;
            end.call(now, self.slot, Op::Shutdown(How::Write)).unwrap();
        }
        if self.written >= self.reads_after {
            let mut room = vec![0; self.gulp];
            let len = end.client.read(self.slot, &mut room).unwrap();
            self.incoming.extend(&room[..len]);
            self.ended = len == 0 && events.contains(StreamEvents::RECEIVE_END);
        }
        before != (self.written, self.incoming.len())
    }

    fn done(&self) -> bool {
        self.shut && self.ended
    }
}

/// A wire whose faults follow from the seed.
fn wire_of(rng: &mut Rng, seed: u64) -> Impairment {
    Impairment {
        loss_ppm: [0, 1_000, 20_000, 150_000][rng.below(4) as usize],
        duplicate_ppm: if seed.is_multiple_of(3) { 0 } else { rng.below(50_000) as u32 },
        reorder_ppm: if seed.is_multiple_of(2) { 0 } else { rng.below(100_000) as u32 },
        corrupt_ppm: if seed.is_multiple_of(5) { rng.below(50_000) as u32 } else { 0 },
        delay: Duration::from_micros(rng.below(50_000)),
        jitter: Duration::from_micros(rng.below(10_000)),
        rate_bps: [0, 1_000_000, 10_000_000, 1_000_000_000][rng.below(4) as usize],
        ..Impairment::NONE
    }
}

/// Options that both ends' sockets get by the seed.
fn options(end: &mut End, now: xmit_nic::Instant, slot: u32, rng: &mut Rng) {
    let control = [CongestionName::Cubic, CongestionName::Reno][rng.below(2) as usize];
    end.call(now, slot, Op::SetOption(SocketOption::Congestion, control.number())).unwrap();
    if rng.below(2) == 0 {
        let size = 4096 << rng.below(6);
        end.call(now, slot, Op::SetOption(SocketOption::ReceiveBuffer, size)).unwrap();
    }
    if rng.below(2) == 0 {
        let size = 4096 << rng.below(6);
        end.call(now, slot, Op::SetOption(SocketOption::SendBuffer, size)).unwrap();
    }
}

/// A connection from `a` to `b`; answers the slots.
fn connect(pair: &mut Pair, rng: &mut Rng) -> (u32, u32) {
    let now = pair.now;
    let listener = pair.b.listen(now, PORT, 16, 4).unwrap();
    let slot = pair.a.stream(now).unwrap();
    options(&mut pair.a, now, slot, rng);
    options(&mut pair.b, now, listener, rng);
    let (to, mut accepted) = (SocketAddrV4::new(pair.b.address, PORT), None);
    pair.a.call(now, slot, Op::Connect(to)).unwrap();
    let connected = pair.drive_until(LIMIT, |pair| {
        accepted = accepted.or_else(|| pair.b.client.accept(listener).unwrap());
        let error = pair.a.client.take_error(slot);
        assert_eq!(error, None, "seed {}: no connection", pair.seed);
        accepted.is_some() && pair.a.client.events(slot).contains(StreamEvents::CONNECTED)
    });
    assert!(connected, "seed {}: no connection: {}", pair.seed, standing(&mut pair.a, slot));
    (slot, accepted.unwrap().slot)
}

/// Runs both programs to their end. False if they do not come to it.
fn run(pair: &mut Pair, [a, b]: &mut [Program; 2]) -> bool {
    let limit = pair.now + LIMIT;
    while !(a.done() && b.done()) {
        let now = pair.now;
        let busy = a.act(&mut pair.a, now) | b.act(&mut pair.b, now);
        if !pair.step(if busy { now + PAUSE } else { limit }) && !busy {
            return a.done() && b.done();
        }
    }
    true
}

/// How an end's socket and connections stand, for messages.
fn standing(end: &mut End, slot: u32) -> String {
    let events = end.client.events(slot);
    let connections = end.host.lane().stack.tcp.table.connections.iter();
    let one = |c: &xmit_dataplane::tcp::Connection| {
        let (send, receive) = (&c.send, &c.receive);
        let sent = (c.sent.segments(), c.sent.sacked(), c.sent.lost(), c.sent.retransmitted(), c.congestion.cwnd());
        format!(
            "{:?}: una {:?} nxt {:?} end {:?} wnd {:?} sent {sent:?}; rcv nxt {:?} wup {:?} wnd {:?}; {:?} {:?}",
            c.state,
            send.una,
            send.nxt,
            send.end,
            send.wnd,
            receive.nxt,
            receive.wup,
            receive.wnd,
            c.deadlines,
            c.pending
        )
    };
    format!("{events:?} {}", connections.map(|(_, c)| one(c)).collect::<Vec<_>>().join("\n    "))
}

fn transfer(seed: u64) {
    let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9));
    let wire = wire_of(&mut rng, seed);
    // A wire that loses six SYN-ACKs, or their answers, in a row would leave a half-open connection, and rightly so.
    let calm = Impairment { loss_ppm: wire.loss_ppm.min(20_000), ..wire };
    let mut pair = Pair::with(PairConfig { wire: calm, resolved: true, ..PairConfig::new(seed) }).unwrap();
    let (a, b) = connect(&mut pair, &mut rng);
    pair.impair(wire);
    let mut sizes = || [0, 1, rng.below(3_000), rng.below(300_000)][rng.below(4) as usize] as usize;
    let (to_b, to_a) = (sizes(), sizes());
    let mut programs = [Program::new(a, to_b, &mut rng), Program::new(b, to_a, &mut rng)];
    // Two that both wait for the other to read would wait for ever.
    programs[1].reads_after = 0;
    let began = pair.now;
    let done = run(&mut pair, &mut programs);
    let progress: Vec<_> = programs.iter().map(|p| (p.written, p.outgoing.len(), p.incoming.len(), p.ended)).collect();
    let errors = [pair.a.client.take_error(a), pair.b.client.take_error(b)];
    let now = pair.now.saturating_since(began);
    let (at_a, at_b) = (standing(&mut pair.a, a), standing(&mut pair.b, b));
    assert!(done, "seed {seed}: stalled after {now:?}: {progress:?} {errors:?}\n  {at_a}\n  {at_b}");
    assert_eq!(errors, [None, None], "seed {seed}");
    assert!(programs[0].incoming == programs[1].outgoing, "seed {seed}: bytes to a differ, {progress:?}");
    assert!(programs[1].incoming == programs[0].outgoing, "seed {seed}: bytes to b differ, {progress:?}");
    // A close completes when what was sent is acknowledged.
    pair.a.close(a).unwrap();
    pair.b.close(b).unwrap();
    let mut closed = 0;
    let done = pair.drive_until(LIMIT, |pair| {
        closed += [&mut pair.a, &mut pair.b].into_iter().filter_map(|e| e.client.completion().unwrap()).count();
        closed == 2
    });
    assert!(done, "seed {seed}: {closed} of 2 sockets were closed");
    // TIME_WAIT passes, and nothing is left.
    pair.drive_for(Duration::from_secs(300));
    for end in [&mut pair.a, &mut pair.b] {
        let tcp = &end.host.lane().stack.tcp;
        let left = (tcp.table.connections.len(), tcp.table.requests.len(), tcp.table.time_waits.len());
        assert_eq!(left, (0, 0, 0), "seed {seed}");
        assert_eq!((tcp.commons.slab.in_use(), tcp.commons.ranges.in_use()), (0, 0), "seed {seed}");
    }
    assert_eq!(pair.finish().unwrap(), [0, 0], "seed {seed}: frames are lost");
}

#[test]
fn every_byte_arrives_once_and_in_order() {
    let seeds = std::env::var("XMIT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let first = std::env::var("XMIT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        transfer(seed);
    }
}
