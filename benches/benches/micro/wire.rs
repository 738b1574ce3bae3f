//! Bytes to types and back, and checksums.

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use xmit_benches::packets::{self, ECHO_PORT, HOST, PEER};
use xmit_dataplane::wire::arp::Arp;
use xmit_dataplane::wire::checksum::{self, Sum};
use xmit_dataplane::wire::ethernet::Ethernet;
use xmit_dataplane::wire::icmp::Icmp;
use xmit_dataplane::wire::ipv4::{Ipv4, Ipv4Mut};
use xmit_dataplane::wire::udp::Udp;

pub(crate) fn bench(c: &mut Criterion) {
    parse(c);
    sums(c);
}

fn parse(c: &mut Criterion) {
    let mut udp = packets::udp(ECHO_PORT, 64, 1);
    let (ping, arp) = (packets::ping(56, 1), packets::arp_request());
    let mut group = c.benchmark_group("parse");
    group.bench_function("ethernet", |b| b.iter(|| Ethernet::parse(black_box(&udp)).map(|e| e.ethertype())));
    group.bench_function("ipv4", |b| {
        b.iter(|| Ipv4::parse(black_box(&udp[14..])).map(|ip| (ip.checksum_ok(), ip.destination())));
    });
    group.bench_function("udp", |b| {
        b.iter(|| Udp::parse(black_box(&udp[34..])).map(|u| (u.verify(PEER, HOST), u.destination_port())));
    });
    group.bench_function("ethernet, ipv4, udp", |b| {
        b.iter(|| {
            let ip = Ipv4::parse(Ethernet::parse(black_box(&udp)).ok()?.payload()).ok()?;
            let udp = Udp::parse(ip.payload()).ok()?;
            Some((ip.checksum_ok(), udp.verify(ip.source(), ip.destination()), udp.destination_port()))
        });
    });
    group.bench_function("arp", |b| {
        b.iter(|| Arp::parse(black_box(&arp[14..])).map(|a| (a.operation(), a.sender_ip())))
    });
    group.bench_function("icmp", |b| {
        b.iter(|| Icmp::parse(black_box(&ping[34..])).map(|i| (i.checksum_ok(), i.message().header())));
    });
    group.bench_function("decrement ttl", |b| {
        b.iter(|| Ipv4Mut::parse(black_box(&mut udp[14..])).map(|mut header| header.decrement_ttl()));
    });
    group.finish();
    c.bench_function("emit/ethernet, ipv4, udp, 64 bytes", |b| b.iter(|| packets::udp(ECHO_PORT, 64, black_box(1))));
}

fn sums(c: &mut Criterion) {
    let bytes = vec![0x5a; 65_536];
    let mut group = c.benchmark_group("checksum");
    for len in [20, 64, 576, 1460, 65_535] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len} bytes"), |b| b.iter(|| Sum::new().append(black_box(&bytes[..len])).fold()));
    }
    group.finish();
    c.bench_function("checksum/incremental", |b| {
        b.iter(|| checksum::update(black_box(1), black_box(2), black_box(3)));
    });
}
