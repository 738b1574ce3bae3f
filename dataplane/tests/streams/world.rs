//! Two hosts with settings, a wire and sockets that follow from a seed; how they stand, and that nothing is left.

use crate::bounds;
use crate::program::Program;
use std::net::SocketAddrV4;
use xmit_dataplane::tcp::Connection;
use xmit_dataplane::tcp::settings::EcnMode;
use xmit_nic::rng::Rng;
use xmit_nic::sim::Impairment;
use xmit_nic::{Duration, Instant};
use xmit_script::{End, Pair, PairConfig};
use xmit_shared::session::{CongestionName, Op, SocketOption, StreamEvents};

/// The listener's port.
pub(crate) const PORT: u16 = 7;
/// So long without progress is a stall.
pub(crate) const LIMIT: Duration = Duration::from_secs(3600);
/// What a program needs for a look at its socket.
pub(crate) const PAUSE: Duration = Duration::from_micros(10);
/// A wire that loses six SYN-ACKs, or their answers, in a row would leave a half-open connection, and rightly so.
const LOSS_OF_HANDSHAKES: u32 = 20_000;

/// Calls `simulate` with each seed: `count` of them unless `XMIT_SEEDS` says how many and `XMIT_SEED` from which on.
pub(crate) fn for_seeds(count: u64, simulate: impl Fn(u64)) {
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first: u64 = variable("XMIT_SEED").unwrap_or(0);
    (first..first + variable("XMIT_SEEDS").unwrap_or(count)).for_each(simulate);
}

/// A wire whose faults follow from the seed.
pub(crate) fn wire_of(rng: &mut Rng, seed: u64) -> Impairment {
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

/// The same, of which few frames are lost.
pub(crate) fn mild_wire_of(rng: &mut Rng, seed: u64) -> Impairment {
    let wire = wire_of(rng, seed);
    Impairment { loss_ppm: wire.loss_ppm.min(20_000), ..wire }
}

/// What one seed makes: two hosts, the wire between them, and who decides what follows.
pub(crate) struct World {
    /// Decides what follows.
    pub(crate) rng: Rng,
    /// How bad the wire is once there is a connection.
    pub(crate) wire: Impairment,
    /// The hosts.
    pub(crate) pair: Pair,
}

impl World {
    /// Of `seed`, from which `rng` was made; the wire's faults are those of `wire`.
    pub(crate) fn new(seed: u64, mut rng: Rng, wire: impl FnOnce(&mut Rng, u64) -> Impairment) -> Self {
        let wire = wire(&mut rng, seed);
        let pair = pair(&mut rng, seed, wire);
        Self { rng, wire, pair }
    }

    /// A connection from `a` to `b`; answers the slots. Then the wire is as bad as it will be.
    pub(crate) fn connect(&mut self) -> (u32, u32) {
        let slot = self.pair.a.stream(self.pair.now).unwrap();
        self.connect_from(slot)
    }

    /// The same, from the socket in `slot`.
    pub(crate) fn connect_from(&mut self, slot: u32) -> (u32, u32) {
        let (now, pair) = (self.pair.now, &mut self.pair);
        let listener = pair.b.listen(now, PORT, 16, 4).unwrap();
        options(&mut pair.a, now, slot, &mut self.rng);
        options(&mut pair.b, now, listener, &mut self.rng);
        self.establish(slot, listener)
    }

    /// The same, between two sockets whose options nobody sets.
    pub(crate) fn connect_plainly(&mut self) -> (u32, u32) {
        let (now, pair) = (self.pair.now, &mut self.pair);
        let listener = pair.b.listen(now, PORT, 16, 4).unwrap();
        let slot = pair.a.stream(now).unwrap();
        self.establish(slot, listener)
    }

    fn establish(&mut self, slot: u32, listener: u32) -> (u32, u32) {
        let (now, pair) = (self.pair.now, &mut self.pair);
        let (to, mut accepted) = (SocketAddrV4::new(pair.b.address, PORT), None);
        pair.a.call(now, slot, Op::Connect(to)).unwrap();
        let connected = drive_until(pair, LIMIT, |pair| {
            accepted = accepted.or_else(|| pair.b.client.accept(listener).unwrap());
            let error = pair.a.client.take_error(slot);
            assert_eq!(error, None, "seed {}: no connection", pair.seed);
            accepted.is_some() && pair.a.client.events(slot).contains(StreamEvents::CONNECTED)
        });
        assert!(connected, "seed {}: no connection: {}", pair.seed, standing(&mut pair.a, slot));
        pair.impair(self.wire);
        (slot, accepted.unwrap().slot)
    }

    /// Runs both programs until `at`, or until they are done.
    pub(crate) fn run_until(&mut self, programs: &mut [Program; 2], at: Instant) {
        run(&mut self.pair, programs, |pair, programs| pair.now >= at || programs.iter().all(|p| p.done()));
    }
}

/// Two hosts on `wire`, each with or without TCP's extensions, which know each other's station address.
fn pair(rng: &mut Rng, seed: u64, wire: Impairment) -> Pair {
    let calm = Impairment { loss_ppm: wire.loss_ppm.min(LOSS_OF_HANDSHAKES), ..wire };
    let mut pair = Pair::with(PairConfig { wire: calm, resolved: true, ..PairConfig::new(seed) }).unwrap();
    for end in [&mut pair.a, &mut pair.b] {
        let settings = &mut end.host.lane().stack.tcp.commons.settings;
        settings.timestamps = rng.below(4) > 0;
        settings.sack = rng.below(4) > 0;
        settings.window_scaling = rng.below(4) > 0;
        settings.dsack = rng.below(4) > 0;
        settings.pacing = rng.below(4) == 0;
        settings.ecn = [EcnMode::Off, EcnMode::On, EcnMode::Passive][rng.below(3) as usize];
        settings.early_retrans = [0, 3][rng.below(2) as usize];
        settings.frto = rng.below(2) == 0;
    }
    pair
}

/// Options that a socket gets by the seed; the smallest buffers hold two segments.
pub(crate) fn options(end: &mut End, now: Instant, slot: u32, rng: &mut Rng) {
    let control = [CongestionName::Cubic, CongestionName::Reno, CongestionName::Dctcp][rng.below(3) as usize];
    end.call(now, slot, Op::SetOption(SocketOption::Congestion, control.number())).unwrap();
    for option in [SocketOption::ReceiveBuffer, SocketOption::SendBuffer] {
        if rng.below(2) == 0 {
            end.call(now, slot, Op::SetOption(option, 2304 << rng.below(7))).unwrap();
        }
    }
}

/// A step of `pair`, after which all bounds hold.
pub(crate) fn step(pair: &mut Pair, until: Instant) -> bool {
    let goes_on = pair.step(until);
    bounds::hold(pair);
    goes_on
}

/// [`Pair::drive_until`], with all bounds kept all the time.
pub(crate) fn drive_until(pair: &mut Pair, limit: Duration, mut done: impl FnMut(&mut Pair) -> bool) -> bool {
    pair.drive_until(limit, |pair| {
        bounds::hold(pair);
        done(pair)
    })
}

/// Runs both programs until `done`. False if neither reads nor writes anything for [`LIMIT`].
pub(crate) fn run(
    pair: &mut Pair,
    [a, b]: &mut [Program; 2],
    mut done: impl FnMut(&mut Pair, [&Program; 2]) -> bool,
) -> bool {
    let mut limit = pair.now + LIMIT;
    while !done(pair, [a, b]) {
        let now = pair.now;
        let busy = a.act(&mut pair.a, now) | b.act(&mut pair.b, now);
        if busy {
            limit = now + LIMIT;
        }
        // A program that waits for a time is woken by it.
        let wakes = [a.reads_from, b.reads_from].into_iter().filter(|at| *at > now).min().unwrap_or(limit);
        let until = if busy { now + PAUSE } else { wakes.min(limit) };
        if !step(pair, until) && !busy && until == limit {
            return done(pair, [a, b]);
        }
    }
    true
}

/// How an end's socket and connections stand, for messages.
pub(crate) fn standing(end: &mut End, slot: u32) -> String {
    let events = end.client.events(slot);
    let connections = end.host.lane().stack.tcp.table.connections.iter();
    format!("{events:?} {}", connections.map(|(_, c)| one(c)).collect::<Vec<_>>().join("\n    "))
}

fn one(c: &Connection) -> String {
    let (send, receive) = (&c.send, &c.receive);
    let sent = (c.sent.segments(), c.sent.sacked(), c.sent.lost(), c.sent.retransmitted(), c.congestion.cwnd());
    format!(
        "{:?}: una {:?} nxt {:?} end {:?} wnd {:?} sent {sent:?}; rcv nxt {:?} wup {:?} wnd {:?}; {:?} {:?}",
        c.state, send.una, send.nxt, send.end, send.wnd, receive.nxt, receive.wup, receive.wnd, c.deadlines, c.pending
    )
}

/// After what lingers has passed neither host holds anything of TCP, and all frames are in their pools.
pub(crate) fn nothing_is_left(mut pair: Pair) {
    let seed = pair.seed;
    drive_until(&mut pair, Duration::from_secs(1200), |_| false);
    for end in [&mut pair.a, &mut pair.b] {
        let tcp = &end.host.lane().stack.tcp;
        let left = (tcp.table.connections.len(), tcp.table.requests.len(), tcp.table.time_waits.len());
        let commons = &tcp.commons;
        let memory =
            [commons.slab.in_use(), commons.ranges.in_use(), commons.marks.in_use(), commons.episodes.in_use()];
        assert_eq!(left, (0, 0, 0), "seed {seed}: {}", standing(end, 0));
        assert_eq!(memory, [0; 4], "seed {seed}: segments, ranges, marks, episodes");
        assert_eq!(commons.orphans, 0, "seed {seed}: orphans");
    }
    assert_eq!(pair.finish().unwrap(), [0, 0], "seed {seed}: frames are lost");
}
