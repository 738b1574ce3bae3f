//! Transfers between two stacks on an unkind wire against a model, over many seeds: every byte arrives once and in order,
//! or an error is reported; nothing stalls; windows and memory keep their bounds after every step; nothing is kept. A failure names its
//! seed; `XMIT_PCAP=directory` makes every run a pcapng as well. The fuzz target `tcp_pair` has the same operations.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

mod bounds;
mod ends;
mod path_mtu;
mod program;
mod world;

use ends::{Abrupt, close, end_abruptly, survive, transfer};
use program::Program;
use std::net::{SocketAddr, SocketAddrV4};
use world::{LIMIT, PORT, World, drive_until, for_seeds, mild_wire_of, nothing_is_left, options, standing, wire_of};
use xmit_dataplane::tcp::isn::{Secret, initial_sequence};
use xmit_nic::Duration;
use xmit_nic::rng::Rng;
use xmit_nic::sim::Impairment;
use xmit_shared::session::Op;

pub(crate) fn programs(rng: &mut Rng, slots: (u32, u32), len_max: u64) -> [Program; 2] {
    let mut sizes = || [0, 1, rng.below(3_000), rng.below(len_max)][rng.below(4) as usize] as usize;
    let (to_b, to_a) = (sizes(), sizes());
    let mut programs = [Program::new(slots.0, to_b, rng), Program::new(slots.1, to_a, rng)];
    // Two that both wait for the other to read would wait for ever.
    programs[1].reads_after = 0;
    programs
}

#[test]
fn every_byte_arrives_once_and_in_order() {
    for_seeds(3000, |seed| {
        let mut world = World::new(seed, Rng::new(seed.wrapping_mul(0x9e37_79b9)), wire_of);
        let slots = world.connect();
        transfer(&mut world.pair, &mut programs(&mut world.rng, slots, 300_000));
        nothing_is_left(world.pair);
    });
}

/// A program that does not read for an hour, on a wire that loses probes and their answers, loses nothing else.
#[test]
fn a_reader_that_stops_for_long() {
    for_seeds(500, |seed| {
        let mut world = World::new(seed, Rng::new(seed ^ 0x5709), mild_wire_of);
        let slots = world.connect();
        let World { rng, pair, .. } = &mut world;
        let mut programs = [Program::new(slots.0, 200_000, rng), Program::new(slots.1, 1000, rng)];
        programs[0].reads_after = 0;
        programs[1].reads_after = 0;
        programs[1].reads_from = pair.now + Duration::from_secs(60 + rng.below(3_000));
        transfer(pair, &mut programs);
        nothing_is_left(world.pair);
    });
}

/// Our sequence numbers go from 4294967295 to 0 in the middle of a transfer.
#[test]
fn our_numbers_wrap() {
    for_seeds(100, |seed| {
        let mut world = World::new(seed, Rng::new(seed ^ 0x3a9), wire_of);
        let pair = &mut world.pair;
        let slot = pair.a.stream(pair.now).unwrap();
        let local = pair.a.call(pair.now, slot, Op::Bind(SocketAddrV4::new(pair.a.address, 1000))).unwrap();
        let remote = SocketAddr::V4(SocketAddrV4::new(pair.b.address, PORT));
        let first = |secret: &Secret| initial_sequence(secret, pair.now, SocketAddr::V4(local), remote).number();
        let secret = (0..).map(|n| Secret::new([seed, n])).find(|secret| first(secret) > u32::MAX - 50_000).unwrap();
        pair.a.host.lane().stack.tcp.commons.secret = secret;
        let slots = world.connect_from(slot);
        let rng = &mut world.rng;
        let mut programs = [Program::new(slots.0, 100_000, rng), Program::new(slots.1, 20_000, rng)];
        programs[1].reads_after = 0;
        transfer(&mut world.pair, &mut programs);
        nothing_is_left(world.pair);
    });
}

/// What was read is a beginning of what was written; the other side hears of it; nothing is left.
#[test]
fn abrupt_ends() {
    use Abrupt::{Close, CutWire, Kill, Reset, ShutdownBoth};
    for_seeds(900, |seed| {
        let mut world = World::new(seed, Rng::new(seed ^ 0xab79), wire_of);
        let slots = world.connect();
        let rng = &mut world.rng;
        let mut programs = [Program::new(slots.0, 150_000, rng), Program::new(slots.1, 150_000, rng)];
        programs[1].reads_after = 0;
        let at = world.pair.now + Duration::from_micros(rng.below(300_000));
        world.run_until(&mut programs, at);
        let World { mut rng, wire, mut pair } = world;
        let how = [Close, Reset, ShutdownBoth, Kill, CutWire][rng.below(5) as usize];
        end_abruptly(&mut pair, slots.0, how, wire);
        let heard = survive(&mut pair, &mut programs, how);
        assert!(heard, "seed {seed}: {how:?} is not heard of: {}", standing(&mut pair.b, slots.1));
        programs[0].check(&programs[1], false, &format!("seed {seed}, to a"));
        programs[1].check(&programs[0], false, &format!("seed {seed}, to b"));
        pair.b.close(slots.1).unwrap();
        if matches!(how, ShutdownBoth | CutWire) {
            pair.a.close(slots.0).unwrap();
        }
        nothing_is_left(pair);
    });
}

/// A hundred connections at once: SYN cookies for most of them, or, without cookies, through a queue for sixteen.
#[test]
fn many_at_once() {
    const COUNT: usize = 100;
    for_seeds(10, |seed| {
        let wire = Impairment { loss_ppm: 5_000, delay: Duration::from_millis(5), ..Impairment::NONE };
        let World { mut rng, mut pair, .. } = World::new(seed, Rng::new(seed ^ 0x100), |_, _| wire);
        let cookies = seed.is_multiple_of(2);
        pair.b.host.lane().stack.tcp.commons.settings.syncookies = if cookies { 2 } else { 0 };
        let listener = pair.b.listen(pair.now, PORT, if cookies { 128 } else { 16 }, 8).unwrap();
        let to = SocketAddrV4::new(pair.b.address, PORT);
        let mut clients = Vec::new();
        for _ in 0..COUNT {
            let slot = pair.a.stream(pair.now).unwrap();
            options(&mut pair.a, pair.now, slot, &mut rng);
            pair.a.call(pair.now, slot, Op::Connect(to)).unwrap();
            let len = 1 + rng.below(5_000) as usize;
            clients.push(Program::new(slot, len, &mut rng));
        }
        let (mut servers, mut read) = (Vec::new(), 0);
        let done = drive_until(&mut pair, LIMIT, |pair| {
            let now = pair.now;
            while let Some(accepted) = pair.b.client.accept(listener).unwrap() {
                servers.push(Program::new(accepted.slot, 0, &mut Rng::new(0)));
                pair.b.grant(now, listener).unwrap();
            }
            clients.iter_mut().for_each(|client| _ = client.act(&mut pair.a, now));
            servers.iter_mut().for_each(|server| while server.act(&mut pair.b, now) {});
            read = servers.iter().map(|server| server.incoming.len()).sum();
            clients.iter().all(Program::done) && servers.len() == COUNT && servers.iter().all(Program::done)
        });
        let written: usize = clients.iter().map(|client| client.outgoing.len()).sum();
        let ended = clients.iter().filter(|client| client.done()).count();
        assert!(done, "seed {seed}: {} were accepted, {ended} ended, {read} of {written} bytes", servers.len());
        assert_eq!(read, written, "seed {seed}");
        for (client, server) in clients.iter().zip(&servers) {
            close(&mut pair, [client.slot, server.slot]);
        }
        nothing_is_left(pair);
    });
}
