//! Paths that swallow large packets without a word, and take them again later (RFC 4821).

use crate::ends::transfer;
use crate::programs;
use crate::world::{World, for_seeds, mild_wire_of, nothing_is_left, standing, step};
use xmit_dataplane::tcp::settings::MtuProbing;
use xmit_nic::Duration;
use xmit_nic::rng::Rng;
use xmit_nic::sim::Impairment;
use xmit_script::Pair;

/// What the wire lets pass beyond its MTU: it knows of no tags.
const TAG: u16 = 4;

/// A wire whose faults are few enough to be told from a path that swallows segments.
fn calm_wire(rng: &mut Rng, seed: u64) -> Impairment {
    Impairment { corrupt_ppm: 0, ..mild_wire_of(rng, seed) }
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
        let mut world = World::new(seed, Rng::new(seed ^ 0xb1ac), calm_wire);
        probe(&mut world.pair, MtuProbing::BlackHole, Duration::from_secs(600));
        let slots = world.connect();
        let mut programs = programs(&mut world.rng, slots, 200_000);
        let at = world.pair.now + Duration::from_micros(world.rng.below(300_000));
        world.run_until(&mut programs, at);
        let mtu = [1400, 1100, 600][world.rng.below(3) as usize];
        world.pair.impair(Impairment { mtu, ..world.wire });
        transfer(&mut world.pair, &mut programs);
        nothing_is_left(world.pair);
    });
}

/// It takes larger ones again later, and the search goes on all the while.
#[test]
fn the_path_narrows_and_widens_under_a_transfer() {
    for_seeds(500, |seed| {
        let mut world = World::new(seed, Rng::new(seed ^ 0x4821), calm_wire);
        let probing = [MtuProbing::BlackHole, MtuProbing::Always][world.rng.below(2) as usize];
        probe(&mut world.pair, probing, Duration::from_millis(500 + world.rng.below(5_000)));
        let slots = world.connect();
        let mut programs = programs(&mut world.rng, slots, 400_000);
        for mtu in [[1400, 1100, 600][world.rng.below(3) as usize], 1500, 1250, 1500] {
            let at = world.pair.now + Duration::from_micros(world.rng.below(2_000_000));
            world.run_until(&mut programs, at);
            world.pair.impair(Impairment { mtu, ..world.wire });
        }
        transfer(&mut world.pair, &mut programs);
        nothing_is_left(world.pair);
    });
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
            step(pair, now + Duration::from_secs(1));
        } else {
            step(pair, now + Duration::from_micros(10));
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
        let slow_wire = |rng: &mut Rng, _| {
            let delay = Duration::from_micros(1_000 + rng.below(20_000));
            Impairment { delay, rate_bps: 20_000_000, ..Impairment::NONE }
        };
        let mut world = World::new(seed, Rng::new(seed ^ 0x4822), slow_wire);
        let probing = [MtuProbing::BlackHole, MtuProbing::Always][world.rng.below(2) as usize];
        probe(&mut world.pair, probing, Duration::from_secs(5));
        for end in [&mut world.pair.a, &mut world.pair.b] {
            // Without SACK what was sent again in pieces looks like reordering, and a probe wants more behind it than a small window takes.
            let settings = &mut end.host.lane().stack.tcp.commons.settings;
            (settings.sack, settings.window_scaling) = (true, true);
        }
        // The buffers leave room for probes.
        let slots = world.connect_plainly();
        let World { mut rng, wire, mut pair } = world;
        for mtu in [1500, 1100 + rng.below(300) as u16, 1500, 600 + rng.below(400) as u16, 1500] {
            pair.impair(Impairment { mtu, ..wire });
            let found = pump(&mut pair, slots, |mss| (mtu - 7..=mtu + TAG).contains(&(mss + 40)));
            assert!(found, "seed {seed}: path of {mtu}, {probing:?}: {}", standing(&mut pair.a, slots.0));
        }
    });
}
