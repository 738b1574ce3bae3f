//! Tests of the forwarding table against a linear scan.

use super::*;
use crate::route::InterfaceId;
use proptest::collection::vec;
use proptest::prelude::*;

fn route(prefix: Prefix, metric: u32, tos: u8, interface: u16) -> Route {
    Route { metric, tos, ..Route::new(prefix, RouteKind::Unicast, InterfaceId(interface)) }
}

fn to(text: &str, interface: u16) -> Route {
    route(text.parse().unwrap(), 0, 0, interface)
}

/// What RFC 1812 says: of the routes that contain the destination and serve the type of service the longest prefix,
/// there the exact type of service, then the lowest metric.
fn scan(routes: &[Route], destination: Ipv4Addr, tos: u8) -> Vec<Route> {
    let serves = |r: &&Route| r.prefix.contains(destination) && (r.tos == tos || r.tos == 0);
    let order = |r: &Route| (32 - r.prefix.len(), r.tos != tos, r.metric);
    let best = routes.iter().filter(serves).map(order).min();
    routes.iter().filter(serves).filter(|r| Some(order(r)) == best).copied().collect()
}

/// Prefixes that are often nested: few distinct high bits, any length.
fn nested_prefix() -> impl Strategy<Value = Prefix> {
    (
        prop_oneof![Just(0x0a00_0000u32), Just(0x0a01_0200), Just(0xc0a8_0000), any::<u32>()],
        any::<u32>(),
        0..=32u8,
        0..=32u8,
    )
        .prop_map(|(base, noise, keep, len)| {
            let mask = u32::MAX.checked_shr(keep.into()).unwrap_or(0);
            Prefix::new((base ^ (noise & mask)).into(), len).unwrap()
        })
}

fn check(routes: &[Route], destinations: impl Iterator<Item = u32>) {
    let fib = Fib::build(routes.iter().copied());
    for destination in destinations.map(Ipv4Addr::from) {
        for tos in [0, 8] {
            let best = scan(routes, destination, tos);
            for hash in [0, 0x5555_5555, u32::MAX] {
                let found = fib.select_tos(destination, tos, hash).copied();
                assert_eq!(found.is_some(), !best.is_empty(), "{destination} tos {tos}: {found:?} not in {best:?}");
                let canonical = |r: &Route| Route { prefix: r.prefix.canonical(), ..*r };
                assert!(
                    found.is_none_or(|f| best.iter().any(|b| canonical(b) == f)),
                    "{destination} tos {tos}: {found:?} not in {best:?}"
                );
            }
        }
        assert_eq!(fib.lookup(destination), fib.select(destination, 0), "{destination}");
    }
}

/// Addresses at and next to the borders of every prefix.
fn borders(routes: &[Route]) -> Vec<u32> {
    let ends = |p: Prefix| [p.canonical().addr().to_bits(), p.addr().to_bits() | !p.mask().to_bits()];
    routes.iter().flat_map(|r| ends(r.prefix)).flat_map(|a| [a, a.wrapping_sub(1), a.wrapping_add(1)]).collect()
}

proptest! {
    #[test]
    fn equals_a_linear_scan(
        list in vec((nested_prefix(), 0..3u32, prop_oneof![3 => Just(0u8), 1 => Just(8)], 0..4u16), 0..100), random in vec(any::<u32>(), 20)
    ) {
        let routes: Vec<_> = list.into_iter().map(|(p, metric, tos, interface)| route(p, metric, tos, interface)).collect();
        check(&routes, borders(&routes).into_iter().chain(random));
    }
}

/// A small generator with a fixed seed, for tables that are too large for proptest.
fn numbers(mut state: u64) -> impl Iterator<Item = u32> {
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    })
}

#[test]
fn large_tables_use_every_direct_size() {
    for (count, bits) in [(60, 6), (3000, 12), (20_000, 18)] {
        let mut random = numbers(7);
        let mut routes: Vec<_> = (0..count)
            .map(|i| {
                let (addr, len) = (random.next().unwrap(), 8 + random.next().unwrap() % 25);
                route(Prefix::new((addr & 0x0fff_ffff).into(), len as u8).unwrap(), 0, 0, i as u16)
            })
            .collect();
        routes.push(route(Prefix::DEFAULT, 0, 0, 1));
        let fib = Fib::build(routes.iter().copied());
        assert_eq!(fib.direct_bits, bits);
        let some = borders(&routes).into_iter().step_by(1 + count / 60).chain(random.take(100));
        check(&routes, some);
    }
}

#[test]
fn a_host_with_five_routes_is_small() {
    let routes = [
        to("0.0.0.0/0", 1),
        to("192.0.2.0/24", 1),
        to("127.0.0.0/8", 0),
        Route { kind: RouteKind::Local, ..to("192.0.2.7/32", 1) },
        Route { kind: RouteKind::Broadcast, ..to("192.0.2.255/32", 1) },
    ];
    let fib = Fib::build(routes);
    let kind = |text: &str| fib.lookup(text.parse().unwrap()).map(|r| (r.kind, r.prefix.len()));
    assert_eq!(kind("192.0.2.7"), Some((RouteKind::Local, 32)));
    assert_eq!(kind("192.0.2.255"), Some((RouteKind::Broadcast, 32)));
    assert_eq!(kind("192.0.2.8"), Some((RouteKind::Unicast, 24)));
    assert_eq!(kind("198.51.100.1"), Some((RouteKind::Unicast, 0)));
    assert!(fib.memory_bytes() < 1024, "{} bytes", fib.memory_bytes());
    assert_eq!(Fib::default().lookup(Ipv4Addr::LOCALHOST), None);
}

#[test]
fn own_addresses_go_before_routes_through_others() {
    let through = Route { gateway: Some(Ipv4Addr::new(10, 0, 0, 1)), ..to("10.0.0.9/32", 2) };
    let own = Route { kind: RouteKind::Local, metric: 100, ..to("10.0.0.9/32", 1) };
    assert_eq!(Fib::build([through, own]).lookup(Ipv4Addr::new(10, 0, 0, 9)), Some(&own));
}

#[test]
fn equal_routes_share_the_flows_evenly() {
    let hops = [1, 2, 3].map(|i| to("10.0.0.0/8", i));
    let fib = Fib::build(hops.into_iter().chain([to("0.0.0.0/0", 9)]));
    let mut counts = [0; 4];
    for hash in numbers(11).take(30_000) {
        counts[usize::from(fib.select(Ipv4Addr::new(10, 1, 2, 3), hash).unwrap().interface.0)] += 1;
    }
    assert_eq!(counts[0], 0);
    assert!(counts[1..].iter().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
}
