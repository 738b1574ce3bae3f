//! Whole turns of a lane: time for each packet between two NICs in memory, echo program included.

use criterion::{Criterion, Throughput};
use xmit_benches::packets::{self, ECHO_PORT};
use xmit_benches::rig::Rig;
use xmit_shared::clock;

pub(crate) fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("lane");
    for (name, trace) in [
        ("udp echo, 64 bytes", vec![packets::udp(ECHO_PORT, 64, 1)]),
        ("udp echo, 1400 bytes", vec![packets::udp(ECHO_PORT, 1400, 1)]),
        ("ping, 56 bytes", vec![packets::ping(56, 1)]),
        ("arp request", vec![packets::arp_request()]),
        ("mixture", packets::mixture(1000, 1)),
    ] {
        for burst in [1, 64] {
            let Ok(mut rig) = Rig::new(trace.clone(), clock::cycles) else { continue };
            group.throughput(Throughput::Elements(burst as u64));
            group.bench_function(format!("{name}, bursts of {burst}"), |b| b.iter(|| rig.exchange(burst)));
            stages(name, burst, &rig);
        }
    }
    let Ok(mut rig) = Rig::new(Vec::new(), clock::cycles) else { return };
    group.throughput(Throughput::Elements(1));
    group.bench_function("a turn that finds nothing", |b| b.iter(|| rig.turn()));
    group.finish();
}

/// Where the cycles went, as `xmit stat --stages` shows it.
fn stages(name: &str, burst: usize, rig: &Rig) {
    let stages = rig.lane().stages().iter().filter(|(_, _, items)| *items > 0);
    let each: Vec<_> = stages.map(|(stage, cycles, items)| format!("{stage:?} {}", cycles / items)).collect();
    println!("lane/{name}, bursts of {burst}: cycles for each item: {}", each.join(", "));
}
