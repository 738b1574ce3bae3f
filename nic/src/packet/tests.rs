//! Against the kernel: two namespaces, and a third with a packet port on each of two veths between them.

use super::*;
use crate::Duration;
use crate::join::Join;
use crate::sim::Impairment;
use xmit_netns::{Netns, VethOptions, require_root, veth};
use xmit_shared::clock::monotonic;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// `xa` of `a` -- `wa` of `wire` .. `wb` of `wire` -- `xb` of `b`.
struct Lab {
    a: Netns,
    b: Netns,
    wire: Netns,
}

impl Lab {
    fn new(options: VethOptions) -> Self {
        let [a, b, wire] = ["a", "b", "w"].map(|name| Netns::new(&format!("pkt{name}")).unwrap());
        veth(&a, "xa", &wire, "wa", options).unwrap();
        veth(&wire, "wb", &b, "xb", options).unwrap();
        a.command("ip addr add 10.77.0.1/24 dev xa").unwrap();
        b.command("ip addr add 10.77.0.2/24 dev xb").unwrap();
        Self { a, b, wire }
    }

    fn port(&self, name: &str) -> PacketPort {
        self.wire.run(|| PacketPort::open(name)).unwrap().unwrap()
    }

    fn join(&self) -> Join {
        let (a, b) = (self.port("wa"), self.port("wb"));
        let pool = PacketPort::pool_for(&[&a, &b], 1, 1024).unwrap();
        Join::new(Box::new(a), Box::new(b), pool)
    }
}

/// Turns and waits until `done`, within [`LIMIT`].
fn drive(join: &mut Join, mut done: impl FnMut(&Join) -> bool) {
    let end = monotonic() + LIMIT;
    while !done(join) {
        let now = monotonic();
        assert!(now < end, "not within {LIMIT:?}: {:?}", join.stats());
        if join.turn(now) == 0 {
            join.wait(now, Some(Duration::from_millis(10)), &[]).unwrap();
        }
    }
}

#[test]
fn two_hosts_ping_through_a_join() {
    require_root!("two_hosts_ping_through_a_join", "ping");
    let lab = Lab::new(VethOptions::default());
    let delay = Duration::from_millis(5);
    let slow = Impairment { delay, ..Impairment::NONE };
    let mut join = lab.join().impaired(7, slow, slow);
    let mut ping = lab.a.start("ping -n -q -c 3 -i 0.05 -w 20 10.77.0.2").unwrap();
    drive(&mut join, |_| ping.child().try_wait().unwrap().is_some());
    assert!(ping.child().wait().unwrap().success());
    let (there, back) = join.stats();
    assert!(there.received >= 3 && there.sent == there.received, "{there:?}");
    assert!(back.received >= 3 && back.line.delivered == back.sent, "{back:?}");
    let pool = join.shutdown();
    assert_eq!(pool.available(), pool.total(), "frames conserved");
}

#[test]
fn a_checksum_left_to_hardware_is_finished() {
    require_root!("a_checksum_left_to_hardware_is_finished");
    let lab = Lab::new(VethOptions { tx_offload: true, ..VethOptions::default() });
    // The kernel trusts what a veth of its own brings, so only frames that went through our memory are checked by `b`.
    let mut join = lab.join();
    let receiver = lab.b.run(|| std::net::UdpSocket::bind("10.77.0.2:7")).unwrap().unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = lab.a.run(|| std::net::UdpSocket::bind("10.77.0.1:0")).unwrap().unwrap();
    for len in [0, 1, 2, 333, 1472] {
        sender.send_to(&vec![0xa5; len], "10.77.0.2:7").unwrap();
    }
    let mut received = Vec::new();
    drive(&mut join, |_| {
        while let Ok(len) = receiver.recv(&mut [0; 2048]) {
            received.push(len);
        }
        received.len() == 5
    });
    assert_eq!(received, [0, 1, 2, 333, 1472]);
}

#[test]
fn several_segments_in_one_are_dropped_by_name() {
    require_root!("several_segments_in_one_are_dropped_by_name");
    let lab = Lab::new(VethOptions { tx_offload: true, ..VethOptions::default() });
    let mut join = lab.join();
    let listener = lab.b.run(|| std::net::TcpListener::bind("10.77.0.2:7")).unwrap().unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            lab.a.run(|| std::net::TcpStream::connect_timeout(&"10.77.0.2:7".parse().unwrap(), LIMIT)).unwrap().unwrap()
        });
        drive(&mut join, |_| client.is_finished());
        let mut client = client.join().unwrap();
        std::io::Write::write_all(&mut client, &[1; 20_000]).unwrap();
        drive(&mut join, |join| join.ports().0.stats().rx_length_errors > 0);
    });
    drop(listener);
}

#[test]
fn a_removed_interface_is_noticed() {
    require_root!("a_removed_interface_is_noticed");
    let lab = Lab::new(VethOptions::default());
    let mut join = lab.join();
    drive(&mut join, |join| join.ports().1.carrier());
    lab.wire.command("ip link del wb").unwrap();
    drive(&mut join, |join| !join.ports().1.carrier());
    assert!(join.ports().0.carrier());
}

#[test]
fn what_cannot_be_opened_says_why() {
    let error = PacketPort::open("no-such-if").unwrap_err();
    assert!(error.to_string().contains("no interface no-such-if"), "{error}");
}

#[test]
fn long_frames_pass_where_the_interfaces_take_them() {
    require_root!("long_frames_pass_where_the_interfaces_take_them", "ping");
    let lab = Lab::new(VethOptions { mtu: 9000, ..VethOptions::default() });
    let mut join = lab.join();
    let mut ping = lab.a.start("ping -n -q -c 1 -M do -s 8972 -w 20 10.77.0.2").unwrap();
    drive(&mut join, |_| ping.child().try_wait().unwrap().is_some());
    assert!(ping.child().wait().unwrap().success(), "{:?}", join.stats());
}
