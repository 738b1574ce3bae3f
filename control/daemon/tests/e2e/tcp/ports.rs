//! Ports that connections have chosen on one lane are taken for sockets of the other lane as well.

use std::net::{SocketAddrV4, TcpListener};

use xmit_netns::require_root;

use super::places::Place;
use crate::harness::{HOST, OURS};
use crate::lanes::{TWO, two_queues};

#[test]
fn tcp_a_chosen_port_is_taken_on_every_lane() {
    require_root!("tcp_a_chosen_port_is_taken_on_every_lane");
    let Some(lab) = two_queues("tcp_a_chosen_port_is_taken_on_every_lane", "ports") else { return };
    let place = Place::with(lab, TWO);
    let kernel = place.lab.a.run(|| TcpListener::bind((HOST, 9))).unwrap().unwrap();
    // Sockets go to the lanes in turn: two of each kind are on both.
    let streams = [(); 2].map(|()| xmit::TcpStream::connect_in(&place.session, (HOST, 9)).unwrap());
    let ports = streams.each_ref().map(|stream| stream.local_addr().unwrap().port());
    assert_ne!(ports[0] % 2, ports[1] % 2, "one of each lane");
    for port in ports {
        for _ in 0..2 {
            let socket = xmit::TcpSocket::new(&place.session).unwrap();
            let error = socket.bind(SocketAddrV4::new(OURS, port)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE), "{port}");
        }
    }
    // Another port of either lane can be had, by either, and a refused one is not kept.
    let free = (40_000..).filter(|port| !ports.contains(port)).take(4);
    for port in free {
        xmit::TcpSocket::new(&place.session).unwrap().bind(SocketAddrV4::new(OURS, port)).unwrap();
    }
    drop((streams, kernel));
    place.end();
}
