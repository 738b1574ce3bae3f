//! Micro-benchmarks of single steps of a packet: `cargo bench -p xmit-benches --bench micro [filter]`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::Ipv4Addr;
use xmit_dataplane::qdisc::{PfifoFast, Priority};
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteCache, RouteKey, RouteKind};
use xmit_dataplane::timers::Wheel;
use xmit_dataplane::wire::checksum::{self, Sum};
use xmit_dataplane::wire::ethernet::{self, EtherType, Ethernet};
use xmit_dataplane::wire::ipv4::{self, Ipv4, Ipv4Mut, Protocol};
use xmit_dataplane::wire::udp::{self, Udp};
use xmit_dataplane::{Duration, Instant};
use xmit_nic::{MacAddr, Pool};

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// SplitMix64, so that every run measures the same addresses.
fn numbers(mut state: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Writes an Ethernet frame with a UDP datagram of `payload_len` bytes; answers the frame's length.
fn emit_udp(payload_len: usize, out: &mut [u8]) -> usize {
    let (source, destination) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    let at = ethernet::Header { destination, source, vlan: None, ethertype: EtherType::IPV4 }.emit(out);
    let header = ipv4::Header {
        tos: 0,
        ident: 1,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol: Protocol::UDP,
        source: A,
        destination: B,
        options: &[],
    };
    let at = at + header.emit(udp::LEN + payload_len, &mut out[at..]);
    let end = at + udp::LEN + payload_len;
    udp::Header { source_port: 4000, destination_port: 7 }.emit(payload_len, &mut out[at..]);
    udp::fill_checksum(A, B, &mut out[at..end]);
    end
}

fn wire(c: &mut Criterion) {
    let mut frame = [0; 1514];
    let len = emit_udp(64, &mut frame);
    c.bench_function("wire/parse ethernet ipv4 udp", |b| {
        b.iter(|| {
            let ip = Ipv4::parse(Ethernet::parse(black_box(&frame[..len])).ok()?.payload()).ok()?;
            let udp = Udp::parse(ip.payload()).ok()?;
            Some((ip.checksum_ok(), udp.verify(ip.source(), ip.destination()), udp.destination_port()))
        });
    });
    c.bench_function("wire/emit ethernet ipv4 udp, 64 bytes", |b| b.iter(|| emit_udp(64, black_box(&mut frame))));
    c.bench_function("wire/decrement ttl", |b| {
        b.iter(|| Ipv4Mut::parse(black_box(&mut frame[14..])).map(|mut header| header.decrement_ttl()));
    });
}

fn sums(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    let bytes = vec![0x5a; 65_536];
    for len in [20, 64, 576, 1460, 65_535] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len} bytes"), |b| b.iter(|| Sum::new().append(black_box(&bytes[..len])).fold()));
    }
    group.finish();
    c.bench_function("checksum/update", |b| b.iter(|| checksum::update(black_box(1), black_box(2), black_box(3))));
}

fn route(prefix: Prefix, interface: u16) -> Route {
    Route {
        prefix,
        kind: RouteKind::Unicast,
        gateway: Some(A),
        interface: InterfaceId(interface),
        preferred_source: None,
        mtu: None,
        metric: 0,
        tos: 0,
    }
}

/// About as a full table of the Internet: six in ten are /24, the others mostly /16 to /23, few are longer.
fn full_table(count: usize) -> Vec<Route> {
    let mut random = numbers(1);
    let mut next = move || random.next().unwrap_or(0);
    let len = |dice: u64| match dice % 100 {
        0..60 => 24,
        60..72 => 22,
        72..80 => 23,
        80..88 => 20 + (dice / 100 % 2) as u8,
        88..97 => 16 + (dice / 100 % 4) as u8,
        97..99 => 8 + (dice / 100 % 8) as u8,
        _ => 25 + (dice / 100 % 8) as u8,
    };
    let prefix =
        |addr: u64, dice: u64| Prefix::new((addr as u32).into(), len(dice)).unwrap_or(Prefix::DEFAULT).canonical();
    let mut routes: Vec<_> = (0..count).map(|i| route(prefix(next(), next()), i as u16 % 16)).collect();
    routes.push(route(Prefix::DEFAULT, 0));
    routes
}

fn fib(c: &mut Criterion) {
    let destinations: Vec<_> = numbers(2).map(|n| Ipv4Addr::from_bits(n as u32)).take(1 << 16).collect();
    for (name, count) in [("5 routes", 4), ("1,000 routes", 999), ("1,000,000 routes", 999_999)] {
        let table = Fib::build(full_table(count));
        println!("fib/{name}: {} prefixes, {} KiB", table.routes().len(), table.memory_bytes() / 1024);
        let mut at = 0;
        c.bench_function(&format!("fib/{name}"), |b| {
            b.iter(|| {
                at = (at + 1) % destinations.len();
                table.select(destinations[at], 7).map(|route| route.interface)
            });
        });
    }
    let routes = full_table(999_999);
    let mut group = c.benchmark_group("fib");
    group.sample_size(10);
    group.bench_function("build 1,000,000 routes", |b| {
        b.iter_batched(|| routes.clone(), Fib::build, BatchSize::PerIteration);
    });
    group.finish();
}

fn cache(c: &mut Criterion) {
    let mut cache = RouteCache::new(4096, [1, 2]);
    let key = |n: u32| RouteKey { destination: n.into(), source: A, tos: 0, interface: InterfaceId(0) };
    (0..1024).for_each(|n| cache.insert(key(n), 1, [n; 16]));
    let mut at = 0;
    c.bench_function("route cache/hit", |b| {
        b.iter(|| {
            at = (at + 1) % 1024;
            cache.get(&key(at), 1).map(|entry| entry[0])
        });
    });
    c.bench_function("route cache/miss", |b| b.iter(|| cache.get(&key(black_box(5000)), 1).is_some()));
    c.bench_function("route cache/insert", |b| {
        b.iter(|| {
            at = at.wrapping_add(1);
            cache.insert(key(at), 1, [at; 16]);
        });
    });
}

fn qdisc(c: &mut Criterion) {
    let Ok(mut pool) = Pool::anonymous(0, 64) else { return };
    let mut queue = PfifoFast::new(1000);
    c.bench_function("qdisc/enqueue, dequeue", |b| {
        b.iter(|| {
            if let Some(frame) = pool.acquire() {
                let _ = queue.enqueue(frame, Priority::BEST_EFFORT);
            }
            if let Some(frame) = queue.dequeue() {
                pool.release(frame);
            }
        });
    });
}

fn wheel(c: &mut Criterion) {
    let mut wheel = Wheel::new(Instant::ZERO, 100_000, Duration::from_millis(1));
    let mut random = numbers(3);
    let mut now = Instant::ZERO;
    for token in 0..50_000 {
        wheel.schedule(Instant::from_millis(random.next().unwrap_or(0) % 60_000), token);
    }
    c.bench_function("wheel/schedule, cancel", |b| {
        b.iter(|| wheel.schedule(now + Duration::from_millis(200), 0).map(|id| wheel.cancel(id)));
    });
    c.bench_function("wheel/a tick with what expires, scheduled anew", |b| {
        let mut due = Vec::with_capacity(64);
        b.iter(|| {
            now += Duration::from_millis(1);
            wheel.expire(now, 64, |token| due.push(token));
            for token in due.drain(..) {
                wheel.schedule(now + Duration::from_millis(random.next().unwrap_or(0) % 60_000), token);
            }
        });
    });
    c.bench_function("wheel/next deadline", |b| b.iter(|| black_box(&wheel).next_deadline()));
}

criterion_group!(micro, wire, sums, fib, cache, qdisc, wheel);
criterion_main!(micro);
