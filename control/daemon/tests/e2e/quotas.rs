//! What one client may have, and who may be one.

use std::net::UdpSocket;
use std::time::Duration;

use xmit_netns::require_root;
use xmit_shared::clock::monotonic;

use crate::harness::{HOST, LIMIT, Lab, NOBODY, OURS, Program, again, ping};

fn errno(result: std::io::Result<xmit::UdpSocket>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn sockets_are_counted() {
    require_root!("sockets_are_counted");
    let lab = Lab::new("sockets");
    let daemon = lab.daemon(&format!("{}[client]\nsockets_max = 3\n", Lab::OWN));
    let (one, two) = (lab.session(), lab.session());
    let bind = |session, port| xmit::UdpSocket::bind_in(session, (OURS, port));
    let mut held: Vec<_> = (1001..1004).map(|port| bind(&one, port).unwrap()).collect();
    assert_eq!(errno(bind(&one, 1004)), Some(libc::EMFILE));
    assert_eq!(errno(bind(&two, 1003)), Some(libc::EADDRINUSE));
    held.push(bind(&two, 1004).unwrap());
    held.remove(0);
    assert_eq!(errno(bind(&one, 1001)), None, "a closed one makes room");
    drop(held);
    daemon.stop();
}

/// Far more than the words of one level of dirty bits: each is found by what the kernel sends to it, and found by the lane when it answers.
#[test]
fn a_program_may_have_many_sockets() {
    require_root!("a_program_may_have_many_sockets", "ping");
    const PORTS: std::ops::Range<u16> = 2000..12_000;
    let lab = Lab::new("many");
    let client = "[client]\nsockets_max = 20000\nring = \"128KiB\"\nmemory = \"8GiB\"\n";
    let daemon = lab.daemon(&format!("{}{client}", Lab::OWN));
    let session = lab.session();
    let ours: Vec<_> = PORTS.map(|port| xmit::UdpSocket::bind_in(&session, (OURS, port)).unwrap()).collect();
    let kernel = lab.a.run(|| UdpSocket::bind((HOST, 5000))).unwrap().unwrap();
    kernel.set_read_timeout(Some(LIMIT)).unwrap();
    ping(&lab.a, OURS).unwrap();
    let mut buffer = [0; 64];
    for at in (0..ours.len()).step_by(97).chain([ours.len() - 1]) {
        let port = PORTS.start + at as u16;
        kernel.send_to(&port.to_ne_bytes(), (OURS, port)).unwrap();
        let socket = &ours[at];
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[..len], port.to_ne_bytes());
        socket.send_to(&buffer[..len], from).unwrap();
        let (len, from) = again(|| kernel.recv_from(&mut buffer)).unwrap();
        assert_eq!((&buffer[..len], from.port()), (&port.to_ne_bytes()[..], port));
    }
    drop(ours);
    daemon.stop();
}

#[test]
fn packets_are_counted() {
    require_root!("packets_are_counted", "ping");
    let lab = Lab::new("rate");
    let daemon = lab.daemon(&format!("{}[client]\npackets_per_second = 500\n", Lab::OWN));
    let session = lab.session();
    let ours = xmit::UdpSocket::bind_in(&session, (OURS, 7)).unwrap();
    let kernel = lab.a.run(|| UdpSocket::bind((HOST, 5000))).unwrap().unwrap();
    kernel.set_read_timeout(Some(LIMIT)).unwrap();
    // Or the first ones would wait for the neighbour's address, where few have room.
    ping(&lab.a, OURS).unwrap();
    let start = monotonic();
    for i in 0..264u32 {
        ours.send_to(&i.to_ne_bytes(), (HOST, 5000)).unwrap();
    }
    let mut buffer = [0; 64];
    for i in 0..264u32 {
        let len = again(|| kernel.recv(&mut buffer)).unwrap();
        assert_eq!(buffer[..len], i.to_ne_bytes(), "none is lost, they wait");
    }
    // 64 may go at once, 200 at 500 a second.
    let took = monotonic().saturating_since(start);
    assert!(took >= Duration::from_millis(395), "{took:?}");
    drop(ours);
    daemon.stop();
}

#[test]
fn strangers_may_not_connect() {
    require_root!("strangers_may_not_connect");
    let lab = Lab::new("uids");
    let mut daemon = lab.daemon(&format!("{}[client]\nallowed_uids = [4711]\n", Lab::OWN));
    for _ in 0..3 {
        let said = Program::start(&lab, "nobody 10.77.0.2:8000").line();
        assert!(said.contains(&format!("user {NOBODY} is not in [client] allowed_uids")), "{said}");
    }
    assert_eq!(Program::start(&lab, "bind 10.77.0.2:8000").line(), "bound", "the daemon's own user always may");
    assert!(daemon.operator().version().is_ok());
    daemon.stop();
}

#[test]
fn privileged_ports_are_for_root() {
    require_root!("privileged_ports_are_for_root");
    let lab = Lab::new("ports");
    let daemon = lab.own_daemon();
    let said = Program::start(&lab, "nobody 10.77.0.2:80").line();
    assert!(said.starts_with(&format!("Some({})", libc::EACCES)), "{said}");
    assert_eq!(Program::start(&lab, "nobody 10.77.0.2:8000").line(), "bound");
    assert_eq!(Program::start(&lab, "bind 10.77.0.2:80").line(), "bound");
    daemon.stop();
}
