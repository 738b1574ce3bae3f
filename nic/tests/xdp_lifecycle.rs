//! AF_XDP coming and going: shutdown, death, a link that is down, refusals, and the doctor.
//!
//! Needs root, `ip`, `sysctl` and `ethtool`; without them each test prints `SKIPPED` and why.
#![allow(clippy::unwrap_used)] // helpers of tests are not tests to clippy

mod common;

use common::bench::{Bench, FRAMES, OPTIONS, OURS};
use common::{LIMIT, Lab, PacketSocket, Udp, poll};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use xmit_nic::xdp::{CopyWish, Interface, LaneUmem, ModeWish, PortOptions, Steering, XdpError, XdpPort, probe};
use xmit_nic::{Burst, Port};
use xmit_shared::clock::monotonic;

#[test]
fn shutdown_conserves_frames_and_leaves_nothing_behind() {
    let Some(lab) = Lab::new("shutdown_conserves_frames_and_leaves_nothing_behind", 1, 1) else { return };
    let wire = lab.a(|| PacketSocket::open("va0"));
    // The second round shows that the queue and the interface are free again.
    for _ in 0..2 {
        let mut bench = lab.b(Bench::open);
        assert!(lab.has_xdp_b("vb0"));
        assert_eq!(bench.pool.census().receive, 64, "the fill ring is full from the start");
        for n in 0..200u8 {
            wire.send(&Udp::new(0, OURS, 7, &[n]).frame());
        }
        let got = bench.receive(20);
        bench.release(got);
        let mut burst = Burst::new();
        for _ in 0..10 {
            burst.push(bench.frame(&Udp::new(0, [10, 77, 0, 1], 7, b"under way").frame()));
        }
        bench.port.tx_burst(monotonic(), &mut bench.pool, &mut burst);
        bench.port.shutdown(&mut bench.pool);
        assert_eq!(bench.pool.census().free, FRAMES, "{:?}", bench.pool.census());
        let stats = bench.port.stats();
        assert_eq!((stats.tx_packets, stats.tx_dropped), (10, 0), "{stats:?}");
        bench.port.rx_burst(monotonic(), &mut bench.pool, &mut burst); // after the end: nothing happens
        assert!(burst.is_empty());
        drop(bench);
        assert!(!lab.has_xdp_b("vb0"));
    }
}

#[test]
fn carrier_follows_the_link() {
    let Some(lab) = Lab::new("carrier_follows_the_link", 1, 1) else { return };
    let mut bench = lab.b(Bench::open);
    let turn_until = |bench: &mut Bench, carrier: bool| {
        let limit = monotonic() + LIMIT;
        while bench.port.carrier() != carrier {
            let now = monotonic();
            assert!(now < limit, "carrier is not {carrier} within {LIMIT:?}");
            let mut burst = Burst::new();
            if bench.port.carrier() && bench.pool.census().transmit == 0 {
                burst.push(bench.frame(&Udp::new(0, OURS, 7, b"anyone?").frame()));
            }
            bench.port.tx_burst(now, &mut bench.pool, &mut burst);
            bench.port.service(now, &mut bench.pool);
            bench.release(burst.into_iter().collect());
            let wake = bench.port.sleep(now).at.unwrap_or(limit);
            poll(&[], wake.saturating_since(monotonic()).min(xmit_nic::Duration::from_millis(50)));
        }
    };
    lab.ip_b("link set vb0 down");
    turn_until(&mut bench, false);
    lab.ip_b("link set vb0 up");
    turn_until(&mut bench, true);
    bench.port.shutdown(&mut bench.pool);
    assert_eq!(bench.pool.census().free, FRAMES);
}

#[test]
fn what_cannot_be_is_refused_with_a_cure() {
    let Some(lab) = Lab::new("what_cannot_be_is_refused_with_a_cure", 1, 1) else { return };
    let mut bench = lab.b(Bench::open);
    let error = lab.b(|| Steering::attach("vb0", ModeWish::Auto)).unwrap_err();
    assert!(matches!(error, XdpError::OtherProgram { .. }), "{error}");
    assert!(error.to_string().contains("xdp off"), "{error}");
    assert!(lab.has_xdp_b("vb0"), "the program that was there stays");

    // The same queue again: by another UMEM, and by its own.
    let (umem, mut pool) = lab.b(|| LaneUmem::new(2, 64, 2048, false)).unwrap();
    let Bench { steering, umem: own_umem, pool: own_pool, .. } = &mut bench;
    let error = lab.b(|| XdpPort::open(steering, &umem, &mut pool, 0, &OPTIONS)).err().unwrap();
    assert!(matches!(error, XdpError::QueueTaken { queue: 0, .. }), "{error}");
    let own = PortOptions { lane_port: 1, ..OPTIONS };
    let error = lab.b(|| XdpPort::open(steering, own_umem, own_pool, 0, &own)).err().unwrap();
    assert!(matches!(error, XdpError::QueueTaken { queue: 0, .. }), "{error}");
    let other_rings = PortOptions { tx_ring: 128, ..OPTIONS };
    let error = lab.b(|| XdpPort::open(steering, &umem, &mut pool, 0, &other_rings)).err().unwrap();
    assert!(matches!(error, XdpError::BadSize { what: "tx_ring", .. }), "{error}");

    // A UMEM of the namespace that this thread is in, an interface of another.
    let (abroad, mut abroad_pool) = LaneUmem::new(3, 64, 2048, false).unwrap();
    let error = lab.b(|| XdpPort::open(steering, &abroad, &mut abroad_pool, 0, &OPTIONS)).err().unwrap();
    assert!(matches!(error, XdpError::OtherNamespace { .. }), "{error}");
    let error = lab.b(|| XdpPort::open(steering, &umem, &mut abroad_pool, 0, &OPTIONS)).err().unwrap();
    assert!(matches!(error, XdpError::ForeignPool), "{error}");
    assert_eq!((pool.census().free, abroad_pool.census().free), (64, 64));

    // The queue becomes free, and the same UMEM that was refused gets it; veth has no zero-copy to force.
    bench.port.shutdown(&mut bench.pool);
    let mut port = lab.b(|| XdpPort::open(&mut bench.steering, &umem, &mut pool, 0, &OPTIONS)).unwrap();
    port.shutdown(&mut pool);
    let (umem, mut pool) = lab.b(|| LaneUmem::new(4, 64, 2048, false)).unwrap();
    let forced = PortOptions { zero_copy: CopyWish::Force, ..OPTIONS };
    let error = lab.b(|| XdpPort::open(&mut bench.steering, &umem, &mut pool, 0, &forced)).err().unwrap();
    assert!(matches!(error, XdpError::NoZeroCopy { queue: 0, .. }), "{error}");
}

#[test]
fn the_doctor_finds_out_and_undoes() {
    let Some(lab) = Lab::new("the_doctor_finds_out_and_undoes", 1, 2) else { return };
    let report = lab.b(|| probe("vb0")).unwrap();
    println!("{report:#?}");
    assert_eq!((report.interface.queues, report.interface.driver.as_str()), (2, "veth"));
    for (what, support) in
        [("native", &report.native), ("generic", &report.generic), ("link", &report.bpf_link), ("copy", &report.copy)]
    {
        assert!(support.is_yes(), "{what}: {support:?}");
    }
    assert_eq!(report.unfinished_checksums, None, "the other end is in another namespace");
    assert!(!lab.has_xdp_b("vb0"));
    let mut bench = lab.b(Bench::open);
    let taken = lab.b(|| probe("vb0")).unwrap();
    assert!(!taken.native.is_yes() && !taken.copy.is_yes(), "{taken:?}");
    bench.port.shutdown(&mut bench.pool);

    // Both ends in one namespace: the sender can be asked.
    let near = || Interface::find("near").unwrap().unfinished_checksums();
    lab.ip_b("link add near type veth peer far");
    assert_eq!(lab.b(near), Some(true));
    lab.ethtool_b("-K far tx off");
    assert_eq!(lab.b(near), Some(false));
}

/// The namespace in which this program, started again by the test below, opens a port and waits to be killed.
const VICTIM: &str = "XDP_VETH_VICTIM_NAMESPACE";

#[test]
fn a_killed_process_leaves_nothing_attached_and_the_kernels_tcp_goes_on() {
    const NAME: &str = "a_killed_process_leaves_nothing_attached_and_the_kernels_tcp_goes_on";
    if let Ok(namespace) = std::env::var(VICTIM) {
        return be_the_victim(&namespace);
    }
    let Some(lab) = Lab::new(NAME, 1, 1) else { return };
    let listener = lab.b(|| TcpListener::bind("10.77.0.2:22").unwrap());
    let mut there = lab.a(|| TcpStream::connect("10.77.0.2:22").unwrap());
    let (mut here, _) = listener.accept().unwrap();
    for stream in [&there, &here] {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
    }
    let mut talk = |line: &[u8; 4]| {
        let mut buf = [0; 4];
        there.write_all(line).unwrap();
        here.read_exact(&mut buf).unwrap();
        here.write_all(&buf).unwrap();
        there.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, line);
    };
    talk(b"pre.");
    for _ in 0..2 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(VICTIM, lab.b_name())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        assert!(
            lines.any(|line| line.unwrap().contains("victim is ready")),
            "the port opens, and again after the kill"
        );
        assert!(lab.has_xdp_b("vb0"));
        talk(b"with");
        victim.kill().unwrap(); // SIGKILL
        victim.wait().unwrap();
        assert!(!lab.has_xdp_b("vb0"), "the kernel detached the program");
        talk(b"post");
    }
}

fn be_the_victim(namespace: &str) {
    common::enter(namespace);
    let mut bench = Bench::open();
    println!("victim is ready");
    // Somebody kills this process; if not, it must not stay for ever.
    let limit = monotonic() + LIMIT;
    while monotonic() < limit {
        let mut burst = Burst::new();
        bench.port.rx_burst(monotonic(), &mut bench.pool, &mut burst);
        bench.port.service(monotonic(), &mut bench.pool);
        bench.release(burst.into_iter().collect());
        poll(&[], xmit_nic::Duration::from_millis(10));
    }
}

#[test]
fn a_port_that_ran_dry_counts_what_it_missed_and_goes_on() {
    let Some(lab) = Lab::new("a_port_that_ran_dry_counts_what_it_missed_and_goes_on", 1, 1) else { return };
    let mut bench = lab.b(Bench::open);
    let wire = lab.a(|| PacketSocket::open("va0"));
    // All other frames are held elsewhere, so nothing refills the fill ring.
    let held: Vec<_> = std::iter::from_fn(|| bench.pool.acquire()).collect();
    assert_eq!(bench.pool.census().receive, 64);
    for n in 0..200u8 {
        wire.send(&Udp::new(0, OURS, 7, &[n]).frame());
    }
    let got = bench.receive(64);
    assert!(got.iter().enumerate().all(|(n, f)| f.bytes().ends_with(&[n as u8])), "the oldest, in order");
    let limit = monotonic() + LIMIT;
    while bench.port.stats().rx_missed_errors < 136 {
        assert!(monotonic() < limit, "{:?}", bench.port.stats());
        poll(&[], xmit_nic::Duration::from_millis(1));
    }
    bench.release(held);
    bench.release(got);
    bench.port.service(monotonic(), &mut bench.pool);
    wire.send(&Udp::new(0, OURS, 7, b"and on").frame());
    let got = bench.receive(1);
    assert!(got[0].bytes().ends_with(b"and on"));
    bench.release(got);
    let stats = bench.port.stats();
    assert_eq!((stats.rx_packets, stats.rx_missed_errors, stats.rx_dropped), (65, 136, 0), "{stats:?}");
}
