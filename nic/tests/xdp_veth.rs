//! AF_XDP over veth pairs against the Linux kernel: what is steered, what is not, and what is left behind.
//!
//! Needs root, `ip`, `sysctl` and `ethtool`; without them each test prints `SKIPPED` and why.

mod common;

use common::{LIMIT, Lab, PacketSocket, Udp, arp_request, poll};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::BorrowedFd;
use std::process::{Command, Stdio};
use xmit_nic::frame::FRAME_HOME;
use xmit_nic::xdp::{
    CopyWish, Interface, LaneUmem, ModeWish, PortOptions, Protocol, Steering, XdpError, XdpPort, probe,
};
use xmit_nic::{Burst, Frame, Pool, Port};
use xmit_shared::clock::monotonic;

const OURS: [u8; 4] = [10, 77, 0, 9];
const FRAMES: usize = 512;
const OPTIONS: PortOptions = PortOptions {
    lane_port: 0,
    rx_ring: 64,
    tx_ring: 64,
    zero_copy: CopyWish::Auto,
    need_wakeup: true,
    busy_poll: None,
};

/// A lane's port on `vb0`, steering [`OURS`].
struct Bench {
    port: XdpPort,
    pool: Pool,
    steering: Steering,
}

impl Bench {
    fn open() -> Self {
        let mut steering = Steering::attach("vb0", ModeWish::Auto).unwrap();
        steering.add_address(OURS.into()).unwrap();
        let (umem, mut pool) = LaneUmem::new(1, FRAMES, 2048, false).unwrap();
        let port = XdpPort::open(&mut steering, &umem, &mut pool, 0, &OPTIONS).unwrap();
        Self { port, pool, steering }
    }

    fn receive(&mut self, count: usize) -> Vec<Frame> {
        receive(&mut [&mut self.port], &mut self.pool, count)
    }

    /// Sends `burst` and waits until every frame has come back from the kernel.
    fn send(&mut self, mut burst: Burst) {
        let limit = monotonic() + LIMIT;
        while !burst.is_empty() || self.pool.census().transmit > 0 {
            let now = monotonic();
            assert!(now < limit, "{} not sent, {:?}", burst.len(), self.pool.census());
            self.port.tx_burst(now, &mut self.pool, &mut burst);
            self.port.service(now, &mut self.pool);
        }
    }

    fn frame(&mut self, bytes: &[u8]) -> Frame {
        let mut frame = self.pool.acquire().unwrap();
        assert!(frame.fill(bytes));
        frame
    }

    fn release(&mut self, frames: Vec<Frame>) {
        frames.into_iter().for_each(|frame| self.pool.release(frame));
    }
}

/// Turns of a lane over `ports` until `count` frames have arrived.
fn receive(ports: &mut [&mut XdpPort], pool: &mut Pool, count: usize) -> Vec<Frame> {
    let limit = monotonic() + LIMIT;
    let mut frames = Vec::new();
    while frames.len() < count {
        let now = monotonic();
        assert!(now < limit, "{} of {count} frames within {LIMIT:?}", frames.len());
        let mut burst = Burst::new();
        let mut wake = limit;
        let mut fds = Vec::new();
        for port in ports.iter_mut() {
            port.rx_burst(now, pool, &mut burst);
            port.service(now, pool);
            let wakeup = port.sleep(now);
            wake = wakeup.at.map_or(wake, |at| at.min(wake));
            fds.extend(wakeup.fds);
        }
        if burst.is_empty() {
            // SAFETY: the descriptors belong to the ports, which are alive.
            let fds: Vec<_> = fds.iter().map(|fd| unsafe { BorrowedFd::borrow_raw(*fd) }).collect();
            poll(&fds, wake.saturating_since(monotonic()));
        }
        frames.extend(burst);
    }
    frames
}

fn is_udp_to(frame: &[u8], port: u16) -> bool {
    frame.get(12..14) == Some(&[8, 0]) && frame.get(36..38) == Some(&port.to_be_bytes())
}

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
    let counters = bench.steering.counters().unwrap();
    assert_eq!((counters.redirected, counters.malformed), (4, 0), "{counters:?}");
    assert!(counters.passed >= 8, "{counters:?}");
    let stats = bench.port.stats();
    assert_eq!((stats.rx_packets, stats.rx_dropped, stats.rx_over_errors), (4, 0, 0), "{stats:?}");
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
    let Bench { steering, .. } = &mut bench;
    let error = lab.b(|| XdpPort::open(steering, &umem, &mut pool, 0, &OPTIONS)).err().unwrap();
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
