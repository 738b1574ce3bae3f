//! Programs and daemons that end in the middle of connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;
use xmit_netns::require_root;
use xmit_shared::clock::monotonic;

use super::places::Place;
use crate::harness::{LIMIT, Lab, OURS, Program, SOON, within};

#[test]
fn tcp_of_a_killed_program_ends_and_its_port_is_free() {
    require_root!("tcp_of_a_killed_program_ends_and_its_port_is_free");
    let mut place = Place::new(Lab::new("tkill"));
    let address = SocketAddr::from((OURS, 7));
    for _ in 0..3 {
        let mut program = Program::start(&place.lab, &format!("serve {address}"));
        assert_eq!(program.line(), "bound");
        let connect = || place.lab.a.run(|| TcpStream::connect_timeout(&address, LIMIT)).unwrap().unwrap();
        let mut streams: Vec<TcpStream> = (0..10).map(|_| connect()).collect();
        for stream in &mut streams {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            stream.write_all(b"question").unwrap();
            stream.read_exact(&mut [0; 8]).unwrap();
        }
        program.signal(Signal::KILL);
        for stream in &mut streams {
            // As from a kernel: an end if everything was read, else a reset.
            let end = stream.read(&mut [0; 8]).map_err(|error| error.kind());
            assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        }
        let refused = place.lab.a.run(|| TcpStream::connect_timeout(&address, LIMIT)).unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        drop(streams);
        within(SOON, "its session is over", || place.daemon.stat().sessions == 1);
    }
    place.end();
}

#[test]
fn tcp_to_a_vanished_peer_holds_nobody_up() {
    require_root!("tcp_to_a_vanished_peer_holds_nobody_up");
    let place = Place::new(Lab::new("tgone"));
    // More than there is room for calls under way.
    const CONNECTIONS: usize = 100;
    let listener = xmit::TcpListener::bind_in(&place.session, (OURS, 7)).unwrap();
    let address = SocketAddr::from((OURS, 7));
    let connect = || {
        let client = place.lab.a.run(|| TcpStream::connect_timeout(&address, LIMIT)).unwrap().unwrap();
        (client, listener.accept().unwrap().0)
    };
    let pairs: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
    // Whatever is sent to the host from now on is lost.
    place.lab.a.command("ip link set dev xa address 02:00:00:00:00:42").unwrap();
    for (_, server) in &pairs {
        let mut server = server;
        server.write_all(b"anybody?").unwrap();
    }
    let start = monotonic();
    drop(pairs);
    drop(listener);
    drop(xmit::UdpSocket::bind_in(&place.session, (OURS, 8)).unwrap());
    let took = monotonic().saturating_since(start);
    assert!(took < SOON, "closing and a new socket took {took:?}");
    place.end();
}

#[test]
fn tcp_ends_with_the_daemon() {
    require_root!("tcp_ends_with_the_daemon");
    for signal in [Signal::TERM, Signal::KILL] {
        let lab = Lab::new("tdown");
        let mut daemon = lab.own_daemon();
        let session = lab.session();
        let listener = xmit::TcpListener::bind_in(&session, (OURS, 7)).unwrap();
        let client = lab.a.run(|| TcpStream::connect_timeout(&(OURS, 7).into(), LIMIT)).unwrap().unwrap();
        let (mut served, _) = listener.accept().unwrap();
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| served.read(&mut [0; 8]));
            daemon.signal(signal);
            let ended = reading.join().unwrap().unwrap_err();
            assert_eq!(ended.raw_os_error(), Some(libc::ENETDOWN), "{ended}");
        });
        assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::ENETDOWN));
        daemon.wait(LIMIT);
        drop(client);
    }
}
