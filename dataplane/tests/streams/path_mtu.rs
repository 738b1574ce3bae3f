//! Paths that swallow large packets without a word, and take them again later (RFC 4821).

use crate::world::{LIMIT, PORT, connect, for_seeds, nothing_is_left, pair, run, standing, wire_of};
use crate::{programs, transfer};
use std::net::SocketAddrV4;
use xmit_dataplane::tcp::settings::MtuProbing;
use xmit_nic::Duration;
use xmit_nic::rng::Rng;
use xmit_nic::sim::Impairment;
use xmit_script::Pair;
use xmit_shared::session::Op;

/// What the wire lets pass beyond its MTU: it knows of no tags.
const TAG: u16 = 4;

/// A wire whose faults are few enough to be told from a path that swallows segments.
fn calm_wire(rng: &mut Rng, seed: u64) -> Impairment {
    let wire = wire_of(rng, seed);
    Impairment { corrupt_ppm: 0, loss_ppm: wire.loss_ppm.min(20_000), ..wire }
}

fn probe(pair: &mut Pair, probing: MtuProbing, interval: Duration) {
    for end in [&mut pair.a, &mut pair.b] {
        let settings = &mut end.host.lane().stack.tcp.commons.settings;
        (settings.mtu_probing, settings.probe_interval) = (probing, interval);
    }
}

/// The path takes smaller packets from one moment on, and nobody says so.
#[test]
fn a_black_hole_is_found() {
    for_seeds(500, |seed| {
        let mut rng = Rng::new(seed ^ 0xb1ac);
        let wire = calm_wire(&mut rng, seed);
        let mut pair = pair(&mut rng, seed, wire);
        probe(&mut pair, MtuProbing::BlackHole, Duration::from_secs(600));
        let slots = connect(&mut pair, &mut rng, wire);
        let mut programs = programs(&mut rng, slots, 200_000);
        let at = pair.now + Duration::from_micros(rng.below(300_000));
        run(&mut pair, &mut programs, |pair, programs| pair.now >= at || programs.iter().all(|p| p.done()));
        let mtu = [1400, 1100, 600][rng.below(3) as usize];
        pair.impair(Impairment { mtu, ..wire });
        transfer(&mut pair, &mut programs);
        nothing_is_left(pair);
    });
}

/// It takes larger ones again later, and the search goes on all the while.
#[test]
fn the_path_narrows_and_widens_under_a_transfer() {
    for_seeds(500, |seed| {
        let mut rng = Rng::new(seed ^ 0x4821);
        let wire = calm_wire(&mut rng, seed);
        let mut pair = pair(&mut rng, seed, wire);
        let probing = [MtuProbing::BlackHole, MtuProbing::Always][rng.below(2) as usize];
        probe(&mut pair, probing, Duration::from_millis(500 + rng.below(5_000)));
        let slots = connect(&mut pair, &mut rng, wire);
        let mut programs = programs(&mut rng, slots, 400_000);
        for mtu in [[1400, 1100, 600][rng.below(3) as usize], 1500, 1250, 1500] {
            let at = pair.now + Duration::from_micros(rng.below(2_000_000));
            run(&mut pair, &mut programs, |pair, programs| pair.now >= at || programs.iter().all(|p| p.done()));
            pair.impair(Impairment { mtu, ..wire });
        }
        transfer(&mut pair, &mut programs);
        nothing_is_left(pair);
    });
}

/// A connection with buffers that leave room for probes.
fn connect_plainly(pair: &mut Pair, wire: Impairment) -> (u32, u32) {
    let now = pair.now;
    let listener = pair.b.listen(now, PORT, 16, 4).unwrap();
    let slot = pair.a.stream(now).unwrap();
    pair.a.call(now, slot, Op::Connect(SocketAddrV4::new(pair.b.address, PORT))).unwrap();
    let mut accepted = None;
    assert!(pair.drive_until(LIMIT, |pair| {
        accepted = accepted.or_else(|| pair.b.client.accept(listener).unwrap());
        accepted.is_some()
    }));
    pair.impair(wire);
    (slot, accepted.unwrap().slot)
}

/// Writes at one end and reads at the other, until `done` of the writer's segment size, without options. False if that takes more than
/// ten minutes.
fn pump(pair: &mut Pair, (a, b): (u32, u32), done: impl Fn(u16) -> bool) -> bool {
    let (begin, data) = (pair.now, [0x5a; 20_000]);
    let mut room = vec![0; 20_000];
    while pair.now < begin + Duration::from_secs(600) {
        let now = pair.now;
        let written = pair.a.client.write(a, &data, false).unwrap();
        let read = pair.b.client.read(b, &mut room).unwrap();
        assert!(room[..read].iter().all(|byte| *byte == 0x5a));
        if written == 0 && read == 0 {
            pair.step(now + Duration::from_secs(1));
        } else {
            pair.step(now + Duration::from_micros(10));
        }
        let (_, connection) = pair.a.host.lane().stack.tcp.table.connections.iter().next().unwrap();
        let options = if connection.agreed.timestamps { 12 } else { 0 };
        if done(connection.send.mss + options) {
            return true;
        }
    }
    false
}

/// Without other faults the segment size is found to within the threshold, each time.
#[test]
fn the_segment_size_follows_the_path() {
    for_seeds(20, |seed| {
        let mut rng = Rng::new(seed ^ 0x4822);
        let delay = Duration::from_micros(1_000 + rng.below(20_000));
        let wire = Impairment { delay, rate_bps: 20_000_000, ..Impairment::NONE };
        let mut pair = pair(&mut rng, seed, wire);
        let probing = [MtuProbing::BlackHole, MtuProbing::Always][rng.below(2) as usize];
        probe(&mut pair, probing, Duration::from_secs(5));
        for end in [&mut pair.a, &mut pair.b] {
            // Without SACK what was sent again in pieces looks like reordering, and a probe wants more behind it than a small window takes.
            let settings = &mut end.host.lane().stack.tcp.commons.settings;
            (settings.sack, settings.window_scaling) = (true, true);
        }
        let slots = connect_plainly(&mut pair, wire);
        for mtu in [1500, 1100 + rng.below(300) as u16, 1500, 600 + rng.below(400) as u16, 1500] {
            pair.impair(Impairment { mtu, ..wire });
            let found = pump(&mut pair, slots, |mss| (mtu - 7..=mtu + TAG).contains(&(mss + 40)));
            assert!(found, "seed {seed}: path of {mtu}, {probing:?}: {}", standing(&mut pair.a, slots.0));
        }
    });
}
