//! `SO_REUSEPORT`: listeners of several programs at one address over two lanes; the kernel connects.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};

use xmit::{Session, SocketOption, TcpListener, TcpSocket};
use xmit_netns::require_root;

use super::places::Place;
use crate::harness::{LIMIT, OURS, until};
use crate::lanes::{TWO, two_queues};

/// More than enough for every member of a group, and every lane, to get some.
const CONNECTIONS: usize = 120;
const ADDRESS: SocketAddrV4 = SocketAddrV4::new(OURS, 7);

/// The two ends of a connection: the kernel's, ours.
type Ends = (TcpStream, xmit::TcpStream);

fn member(session: &Session) -> TcpListener {
    let socket = TcpSocket::new(session).unwrap();
    socket.set_option(SocketOption::ReusePort, 1).unwrap();
    socket.bind(ADDRESS).unwrap();
    let listener = TcpListener::listen(socket, 256).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// Connects many times, and accepts all of it; answers the connections by the place of the listener that had them.
fn connect(place: &Place, members: &[&TcpListener]) -> BTreeMap<usize, Vec<Ends>> {
    let connect = |_| {
        let client = TcpStream::connect_timeout(&ADDRESS.into(), LIMIT).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        (client.local_addr().unwrap(), client)
    };
    let mut clients: BTreeMap<SocketAddr, TcpStream> =
        place.lab.a.run(|| (0..CONNECTIONS).map(connect).collect()).unwrap();
    let mut accepted: BTreeMap<usize, Vec<Ends>> = BTreeMap::new();
    until("every connection is accepted", || {
        for (number, listener) in members.iter().enumerate() {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_read_timeout(Some(LIMIT)).unwrap();
                    accepted.entry(number).or_default().push((clients.remove(&peer).unwrap(), stream));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
        }
        clients.is_empty()
    });
    accepted
}

/// Each connection carries something both ways.
fn talk(connections: &mut [Ends]) {
    for (client, server) in connections {
        let mut buffer = [0; 8];
        client.write_all(b"question").unwrap();
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"question");
        server.write_all(b"answered").unwrap();
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"answered");
    }
}

#[test]
fn tcp_listeners_in_a_group_on_two_lanes() {
    require_root!("tcp_listeners_in_a_group_on_two_lanes");
    let Some(lab) = two_queues("tcp_listeners_in_a_group_on_two_lanes", "group") else { return };
    let mut place = Place::with(lab, TWO);
    let other_program = place.lab.session();
    let (first, second, third) = (member(&place.session), member(&place.session), member(&other_program));
    let mut early = connect(&place, &[&first, &second, &third]);
    assert_eq!(early.keys().copied().collect::<Vec<_>>(), [0, 1, 2], "each got some");
    let lanes: BTreeSet<u32> = place.daemon.sockets().iter().map(|socket| socket.lane).collect();
    assert_eq!(lanes, [0, 1].into(), "on each lane");
    early.values_mut().for_each(|connections| talk(connections));
    // One listener closes: what it accepted goes on, and the others get all that comes.
    drop(second);
    early.values_mut().for_each(|connections| talk(connections));
    let mut late = connect(&place, &[&first, &third]);
    assert_eq!(late.len(), 2, "each of the others got some");
    late.values_mut().for_each(|connections| talk(connections));
    drop(late);
    // A whole program ends.
    drop(early.remove(&2));
    drop(third);
    drop(other_program);
    until("its session is over", || place.daemon.stat().sessions == 1);
    let mut alone = connect(&place, &[&first]);
    alone.values_mut().for_each(|connections| talk(connections));
    // And one joins.
    let joined = member(&place.session);
    let together = connect(&place, &[&first, &joined]);
    assert_eq!(together.len(), 2, "the new one got some");
    drop((first, joined, early, alone, together));
    place.end();
}
