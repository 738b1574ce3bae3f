//! AF_XDP over veth pairs against the Linux kernel: what is steered, what is not, and what is sent.
//!
//! Needs root, `ip`, `sysctl` and `ethtool`; without them each test prints `SKIPPED` and why.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are not tests to clippy

mod common;

use common::bench::{Bench, FRAMES, OPTIONS, OURS, is_udp_to, receive};
use common::{LIMIT, Lab, PacketSocket, Udp, arp_request};
use std::net::{Ipv4Addr, UdpSocket};
use xmit_nic::frame::FRAME_HOME;
use xmit_nic::xdp::{BusyPoll, LaneUmem, ModeWish, PortOptions, Protocol, Steering, XdpError, XdpMode, XdpPort};
use xmit_nic::{Burst, Pool, Port};
use xmit_shared::clock::monotonic;

#[test]
fn steered_frames_arrive_and_the_rest_reaches_the_kernel() {
    let Some(lab) = Lab::new("steered_frames_arrive_and_the_rest_reaches_the_kernel", 1, 1) else { return };
    let mut bench = lab.b(Bench::open);
    println!("{}", bench.port.caps().mode);
    let wire = lab.a(|| PacketSocket::open("va0"));
    let kernel = lab.b(|| UdpSocket::bind("10.77.0.2:5000").unwrap());
    kernel.set_read_timeout(Some(LIMIT)).unwrap();

    let ours = Udp::new(0, OURS, 7, b"for the daemon");
    let tagged = Udp { vlan: Some(5), ..ours.clone() };
    let later_fragment = Udp { fragment_offset: 1480, ..ours.clone() };
    let sent = [ours.frame(), later_fragment.frame(), arp_request(0, OURS), tagged.frame()];
    // Each frame of ours is preceded by some for the kernel, which must not arrive here.
    for frame in &sent {
        wire.send(&Udp::new(0, [10, 77, 0, 2], 5000, b"for the kernel").frame());
        wire.send(&arp_request(0, [10, 77, 0, 2]));
        wire.send(frame);
    }
    let got = bench.receive(sent.len());
    for (frame, sent) in got.iter().zip(&sent) {
        assert_eq!(frame.bytes(), sent);
        assert_eq!((frame.start(), frame.port), (FRAME_HOME, 0));
    }
    bench.release(got);
    for _ in &sent {
        let mut buf = [0; 64];
        let len = kernel.recv(&mut buf).expect("the kernel receives what is not steered");
        assert_eq!(&buf[..len], b"for the kernel");
    }
    wire.receive(sent.len(), |f| f.get(12..22) == Some(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2])); // the kernel's ARP replies
    // Truncated in the IPv4 header, in the UDP header, in the tag, in ARP; and an IPv4 header of version 6.
    let mut version = ours.frame();
    version[14] = 0x65;
    let closed = Udp::new(0, [10, 77, 0, 2], 7, b"").frame();
    for bad in [&sent[0][..20], &closed[..36], &sent[3][..17], &sent[2][..40], &version] {
        wire.send(bad);
    }
    wire.send(&sent[0]);
    let got = bench.receive(1);
    assert_eq!(got[0].bytes(), sent[0]);
    bench.release(got);
    let counters = bench.steering.counters().unwrap();
    assert_eq!((counters.redirected, counters.malformed), (5, 5), "{counters:?}");
    assert!(counters.passed >= 8, "{counters:?}");
    let stats = bench.port.stats();
    assert_eq!((stats.rx_packets, stats.rx_dropped, stats.rx_over_errors), (5, 0, 0), "{stats:?}");
}

/// A thousand connections may all speak, and be acknowledged, while the lane does something else. A lost request of one segment is
/// sent again only after 200 ms (RFC 8985 section 7.2).
#[test]
fn what_a_thousand_connections_say_at_once_waits_for_the_lane() {
    let Some(lab) = Lab::new("what_a_thousand_connections_say_at_once_waits_for_the_lane", 1, 1) else { return };
    let mut bench = lab.b(|| Bench::open_with(ModeWish::Auto, 2048, &PortOptions::default()));
    let wire = lab.a(|| PacketSocket::open("va0"));
    let frame = Udp::new(0, OURS, 7, b"a request").frame();
    (0..2_000).for_each(|_| wire.send(&frame));
    let got = bench.receive(2_000);
    bench.release(got);
    assert_eq!(bench.port.stats().rx_missed_errors, 0);
}

#[test]
fn an_open_port_is_taken_from_the_kernel_and_given_back() {
    let Some(lab) = Lab::new("an_open_port_is_taken_from_the_kernel_and_given_back", 1, 1) else { return };
    let mut bench = lab.b(Bench::open);
    let theirs = Ipv4Addr::new(10, 77, 0, 2);
    bench.steering.open_port(Some(theirs), Protocol::Udp, 6000).unwrap();
    let kernel = lab.b(|| UdpSocket::bind("10.77.0.2:6000").unwrap());
    let other = lab.b(|| UdpSocket::bind("10.77.0.2:6001").unwrap());
    kernel.set_read_timeout(Some(LIMIT)).unwrap();
    other.set_read_timeout(Some(LIMIT)).unwrap();
    let sender = lab.a(|| UdpSocket::bind("10.77.0.1:4000").unwrap());

    sender.send_to(b"open", "10.77.0.2:6000").unwrap();
    let got = bench.receive(1);
    assert!(is_udp_to(got[0].bytes(), 6000));
    bench.release(got);
    let mut buf = [0; 64];
    sender.send_to(b"closed", "10.77.0.2:6001").unwrap();
    assert_eq!(other.recv(&mut buf).map(|len| buf[..len].to_vec()).unwrap(), b"closed");

    assert!(bench.steering.close_port(Some(theirs), Protocol::Udp, 6000).unwrap());
    assert!(!bench.steering.close_port(Some(theirs), Protocol::Udp, 6000).unwrap(), "only once");
    sender.send_to(b"given back", "10.77.0.2:6000").unwrap();
    assert_eq!(kernel.recv(&mut buf).map(|len| buf[..len].to_vec()).unwrap(), b"given back");

    // Any address, but not what was broadcast; and an address that is taken back.
    bench.steering.open_port(None, Protocol::Udp, 6000).unwrap();
    assert!(bench.steering.remove_address(OURS.into()).unwrap());
    let wire = lab.a(|| PacketSocket::open("va0"));
    let broadcast = Udp { to_mac: xmit_nic::MacAddr::BROADCAST, ..Udp::new(0, [10, 77, 0, 255], 6000, b"all") };
    wire.send(&broadcast.frame());
    wire.send(&Udp::new(0, OURS, 7, b"no longer ours").frame());
    wire.send(&Udp::new(0, OURS, 6000, b"any address").frame());
    let got = bench.receive(1);
    assert!(got[0].bytes().ends_with(b"any address"));
    bench.release(got);
}

#[test]
fn sent_frames_reach_the_peer_from_wherever_they_start() {
    let Some(lab) = Lab::new("sent_frames_reach_the_peer_from_wherever_they_start", 1, 1) else { return };
    let mut bench = lab.b(Bench::open);
    let wire = lab.a(|| PacketSocket::open("va0"));
    let mut foreign_pool = Pool::anonymous(2, 4).unwrap();
    let packet = |n: u16| Udp::new(0, [10, 77, 0, 1], 7000 + n, &[n as u8; 100]).frame();

    let mut burst = Burst::new();
    burst.push(bench.frame(&packet(0)));
    let mut shifted = bench.pool.acquire().unwrap();
    assert!(shifted.reset(FRAME_HOME + 30) && shifted.fill(&packet(1)));
    burst.push(shifted);
    let mut foreign = foreign_pool.acquire().unwrap();
    assert!(foreign.fill(&packet(2)));
    burst.push(foreign);
    burst.push(bench.frame(&[0; 1519])); // MTU + 14 + 4 + 1
    burst.push(bench.frame(&[0; 13]));
    for n in 3..62 {
        burst.push(bench.frame(&packet(n)));
    }
    bench.send(burst);

    let got = wire.receive(62, |f| (7000..7062).any(|port| is_udp_to(f, port)));
    for (n, frame) in got.iter().enumerate() {
        assert_eq!(*frame, packet(n as u16), "in order");
    }
    let (stats, counters) = (bench.port.stats(), bench.port.counters());
    assert_eq!((stats.tx_packets, stats.tx_dropped, stats.tx_errors), (62, 2, 0), "{stats:?}");
    assert_eq!((counters.tx_moved, counters.tx_copied, counters.stray), (1, 1, 0), "{counters:?}");
    foreign_pool.release(bench.pool.take_foreign().expect("the foreign frame waits to go home"));
    assert_eq!(foreign_pool.census().free, 4);
}

#[test]
fn two_queues_are_two_ports() {
    let Some(lab) = Lab::new("two_queues_are_two_ports", 1, 2) else { return };
    let (mut steering, umem, mut pool) = lab.b(|| {
        let (umem, pool) = LaneUmem::new(1, FRAMES, 2048, false).unwrap();
        (Steering::attach("vb0", ModeWish::Auto).unwrap(), umem, pool)
    });
    assert_eq!(steering.interface().queues, 2);
    steering.add_address(OURS.into()).unwrap();
    let open = |queue: u32, steering: &mut Steering, pool: &mut Pool| {
        let options = PortOptions { lane_port: queue as u16, ..OPTIONS };
        lab.b(|| XdpPort::open(steering, &umem, pool, queue, &options))
    };
    let mut zero = open(0, &mut steering, &mut pool).unwrap();
    let mut one = open(1, &mut steering, &mut pool).unwrap();
    let error = open(2, &mut steering, &mut pool).err().unwrap();
    assert!(matches!(error, XdpError::NoSuchQueue { queues: 2, .. }), "{error}");

    // The sender's kernel spreads flows over its queues; enough of them reach both of ours.
    let wire = lab.a(|| PacketSocket::open("va0"));
    for n in 0..48u16 {
        wire.send(&Udp { from: ([10, 77, 0, 1].into(), 4000 + n), ..Udp::new(0, OURS, 7, b"spread") }.frame());
    }
    let got = receive(&mut [&mut zero, &mut one], &mut pool, 48);
    println!("queue 0: {}, queue 1: {}", zero.stats().rx_packets, one.stats().rx_packets);
    assert_eq!(got.iter().filter(|f| f.port == 1).count() as u64, one.stats().rx_packets);
    assert_eq!(zero.stats().rx_packets + one.stats().rx_packets, 48);
    assert!(zero.stats().rx_packets > 0 && one.stats().rx_packets > 0, "48 flows over two queues");
    got.into_iter().for_each(|frame| pool.release(frame));
    // The first one first: the UMEM is shared through its socket.
    zero.shutdown(&mut pool);
    one.shutdown(&mut pool);
    assert_eq!(pool.census().free, FRAMES);
    let error = open(0, &mut steering, &mut pool).err().unwrap();
    assert!(matches!(error, XdpError::UmemClosed), "{error}");
}

#[test]
fn a_frame_is_forwarded_between_two_nics_of_one_umem() {
    let Some(lab) = Lab::new("a_frame_is_forwarded_between_two_nics_of_one_umem", 2, 1) else { return };
    let (umem, mut pool) = lab.b(|| LaneUmem::new(1, FRAMES, 2048, false)).unwrap();
    let mut attached = lab.b(|| ["vb0", "vb1"].map(|dev| Steering::attach(dev, ModeWish::Auto).unwrap()));
    let [mut first, mut second] = {
        let [s0, s1] = &mut attached;
        s0.add_address(OURS.into()).unwrap();
        lab.b(|| [s0, s1].map(|s| XdpPort::open(s, &umem, &mut pool, 0, &OPTIONS).unwrap()))
    };
    let (left, right) = lab.a(|| (PacketSocket::open("va0"), PacketSocket::open("va1")));
    let sent = Udp::new(0, OURS, 7, b"through").frame();
    left.send(&sent);
    let mut burst: Burst = receive(&mut [&mut first], &mut pool, 1).into_iter().collect();
    let slot = burst[0].slot();
    second.tx_burst(monotonic(), &mut pool, &mut burst);
    assert!(burst.is_empty());
    second.service(monotonic(), &mut pool);
    assert_eq!(right.receive(1, |f| is_udp_to(f, 7)), [sent]);
    assert_eq!(second.counters().tx_copied, 0, "slot {slot:?} went out without being copied");

    // The port that opened first closes first; the other goes on.
    first.shutdown(&mut pool);
    let mut frame = pool.acquire().unwrap();
    assert!(frame.fill(&Udp::new(1, OURS, 8, b"still here").frame()));
    burst.push(frame);
    second.tx_burst(monotonic(), &mut pool, &mut burst);
    second.service(monotonic(), &mut pool);
    right.receive(1, |f| is_udp_to(f, 8));
    second.shutdown(&mut pool);
    assert_eq!(pool.census().free, FRAMES);
}

#[test]
fn every_mode_carries_frames_both_ways() {
    let Some(lab) = Lab::new("every_mode_carries_frames_both_ways", 1, 1) else { return };
    let wire = lab.a(|| PacketSocket::open("va0"));
    let spinning = PortOptions { need_wakeup: false, ..OPTIONS };
    let busy = PortOptions { busy_poll: Some(BusyPoll { micros: 20, budget: 64 }), ..OPTIONS };
    for (wish, frame_size, options, mode) in [
        (ModeWish::Native, 4096, OPTIONS, "AF_XDP native, copy, need-wakeup, busy-poll off"),
        (ModeWish::Generic, 2048, OPTIONS, "AF_XDP generic, copy, need-wakeup, busy-poll off"),
        (ModeWish::Native, 2048, spinning, "AF_XDP native, copy, no need-wakeup, busy-poll off"),
        (ModeWish::Native, 2048, busy, "AF_XDP native, copy, need-wakeup, busy-poll 20 us"),
    ] {
        let mut bench = lab.b(|| Bench::open_with(wish, frame_size, &options));
        assert_eq!(bench.port.caps().mode, mode);
        assert_eq!(bench.steering.mode() == XdpMode::Native, wish == ModeWish::Native);
        for round in 0..3u8 {
            for n in 0..50 {
                wire.send(&Udp::new(0, OURS, 7, &[round, n]).frame());
            }
            let got = bench.receive(50);
            assert!(got.iter().enumerate().all(|(n, f)| f.bytes().ends_with(&[round, n as u8])), "{mode}: in order");
            bench.send(got.into_iter().collect());
            wire.receive(50, |f| is_udp_to(f, 7));
        }
        println!("{mode}: {} kicks for 150 frames", bench.port.counters().kicks);
        bench.port.shutdown(&mut bench.pool);
        assert_eq!(bench.pool.census().free, FRAMES);
    }
}
