//! Longest prefix match at the size of a home and of the Internet, and the lane's cache before it.

use crate::is_test;
use criterion::{BatchSize, Criterion};
use std::hint::black_box;
use std::net::Ipv4Addr;
use xmit_benches::host;
use xmit_benches::numbers::numbers;
use xmit_benches::packets::HOST;
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteCache, RouteKey, RouteKind};

pub(crate) fn bench(c: &mut Criterion) {
    fib(c);
    cache(c);
}

fn fib(c: &mut Criterion) {
    let full = if is_test() { 1000 } else { 1_000_000 };
    let destinations: Vec<_> = numbers(2).map(|n| Ipv4Addr::from_bits(n as u32)).take(1 << 16).collect();
    for (name, count) in [("5 routes".to_owned(), 5), (format!("{full} routes"), full)] {
        let table = Fib::build(routes(count));
        println!("fib lookup/{name}: {} prefixes, {} KiB", table.routes().len(), table.memory_bytes() / 1024);
        let mut at = 0;
        c.bench_function(&format!("fib lookup/{name}"), |b| {
            b.iter(|| {
                at = (at + 1) % destinations.len();
                table.select(destinations[at], 7).map(|route| route.interface)
            });
        });
    }
    let routes = routes(full);
    let mut group = c.benchmark_group("fib build");
    group.sample_size(10);
    group.bench_function(format!("{full} routes"), |b| {
        b.iter_batched(|| routes.clone(), Fib::build, BatchSize::PerIteration);
    });
    group.finish();
}

/// About as a full table of the Internet: six in ten are /24, the others mostly /16 to /23, few are longer.
fn routes(count: usize) -> Vec<Route> {
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
    let default = host::route(Prefix::DEFAULT, RouteKind::Unicast);
    let more = (1..count as u16).cycle().map(|interface| Route {
        interface: InterfaceId(interface % 16),
        gateway: Some(HOST),
        ..host::route(prefix(next(), next()), RouteKind::Unicast)
    });
    std::iter::once(default).chain(more).take(count).collect()
}

fn cache(c: &mut Criterion) {
    let mut cache = RouteCache::new(4096, [1, 2]);
    let key = |n: u32| RouteKey { destination: n.into(), source: HOST, tos: 0, interface: InterfaceId(0) };
    (0..1024).for_each(|n| _ = cache.insert(key(n), 1, [n; 16]));
    let mut at = 0;
    let mut group = c.benchmark_group("route cache");
    group.bench_function("hit", |b| {
        b.iter(|| {
            at = (at + 1) % 1024;
            cache.get(&key(at), 1).map(|entry| entry[0])
        });
    });
    group.bench_function("miss", |b| b.iter(|| cache.get(&key(black_box(5000)), 1).is_some()));
    group.bench_function("insert", |b| {
        b.iter(|| {
            at = at.wrapping_add(1);
            cache.insert(key(at), 1, [at; 16]);
        });
    });
    group.finish();
}
