//! The client against a daemon of the tests' own: real handshake, real sleeping, a loopback in place of the stack.

mod fake;

use crate::{Event, Interest, Poller, UdpSocket};
use core::time::Duration;
use fake::Fake;
use std::io::{self, Write};
use std::net::SocketAddr;

/// Long enough for any machine; a test that waits this long has failed.
const LIMIT: Option<Duration> = Some(Duration::from_secs(3));

fn errno<T>(result: io::Result<T>) -> i32 {
    result.err().and_then(|error| error.raw_os_error()).unwrap_or(0)
}

fn bind(fake: &Fake) -> UdpSocket {
    let socket = UdpSocket::bind_in(&fake.session, "127.0.0.1:0").unwrap();
    socket.set_read_timeout(LIMIT).unwrap();
    socket
}

#[test]
fn datagrams_keep_their_bounds_and_senders() {
    let fake = Fake::start(16);
    let (a, b) = (bind(&fake), bind(&fake));
    let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
    assert_ne!(from.port(), 0);
    for len in [0, 1, 1472, 9000, 65_507] {
        let payload = vec![len as u8; len];
        assert_eq!(a.send_to(&payload, to).unwrap(), len);
        let mut buffer = vec![0; 65_536];
        assert_eq!(b.peek_from(&mut buffer).unwrap(), (len, from));
        assert_eq!(b.recv_from(&mut buffer).unwrap(), (len, from));
        assert!(buffer[..len] == payload);
    }
    a.send_to(b"truncated", to).unwrap();
    a.send_to(b"next", to).unwrap();
    let mut short = [0; 5];
    assert_eq!((b.recv(&mut short).unwrap(), &short), (5, b"trunc"));
    assert_eq!((b.recv(&mut short).unwrap(), &short[..4]), (4, &b"next"[..]), "the rest is lost");
    a.connect(to).unwrap();
    assert_eq!(a.peer_addr().unwrap(), to);
    a.send(b"connected").unwrap();
    assert_eq!(b.recv(&mut [0; 99]).unwrap(), 9);
    a.set_ttl(7).unwrap();
    assert_eq!(a.ttl().unwrap(), 7);
}

#[test]
fn errors_carry_the_numbers_of_linux() {
    let fake = Fake::start(4);
    let socket = bind(&fake);
    let addr = socket.local_addr().unwrap();
    assert_eq!(errno(UdpSocket::bind_in(&fake.session, addr)), libc::EADDRINUSE);
    assert_eq!(errno(UdpSocket::bind_in(&fake.session, "[::1]:1")), libc::EAFNOSUPPORT);
    assert_eq!(errno(socket.send(b"x")), libc::EDESTADDRREQ);
    assert_eq!(errno(socket.peer_addr()), libc::ENOTCONN);
    assert_eq!(errno(socket.send_to(&[0; 65_508], addr)), libc::EMSGSIZE);
    assert_eq!(errno(socket.send_to(b"x", "127.0.0.1:0")), libc::EINVAL);
    assert_eq!(errno(socket.send_to(b"x", "255.255.255.255:9")), libc::EACCES);
    assert_eq!(socket.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    assert_eq!(errno(socket.recv(&mut [0; 9])), libc::EAGAIN, "timed out");
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(LIMIT).unwrap();
    socket.connect("127.0.0.1:1").unwrap();
    socket.send(b"nobody there").unwrap();
    assert_eq!(errno(socket.recv(&mut [0; 9])), libc::ECONNREFUSED);
    assert!(socket.take_error().unwrap().is_none(), "reported once");
    socket.disconnect().unwrap();
    assert_eq!(errno(socket.send(b"x")), libc::EDESTADDRREQ);
}

#[test]
fn slots_are_a_quota_and_come_back() {
    let fake = Fake::start(3);
    for round in 0..10 {
        let sockets: Vec<_> = (0..3).map(|_| bind(&fake)).collect();
        assert_eq!(errno(UdpSocket::bind_in(&fake.session, "127.0.0.1:0")), libc::EMFILE, "round {round}");
        let to = sockets[2].local_addr().unwrap();
        sockets[0].send_to(&[round; 4], to).unwrap();
        let mut buffer = [0; 9];
        assert_eq!((sockets[2].recv(&mut buffer).unwrap(), buffer[0]), (4, round));
        sockets[0].send_to(b"never read", to).unwrap(); // must not reach the slot's next socket
    }
}

#[test]
fn a_full_buffer_waits_times_out_or_says_so() {
    let fake = Fake::start(4);
    let (a, b) = (bind(&fake), bind(&fake));
    let to = b.local_addr().unwrap();
    fake.pause(true);
    a.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while a.send_to(&[sent; 9000], to).is_ok() {
        sent += 1;
    }
    assert!(sent > 10);
    assert_eq!(errno(a.send_to(&[0; 9000], to)), libc::EAGAIN);
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add(&a, 1, Interest::WRITABLE).unwrap();
    assert_eq!(poller.wait(&mut events, Some(Duration::from_millis(2))).unwrap(), 0);
    a.set_nonblocking(false).unwrap();
    a.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
    assert_eq!(errno(a.send_to(&[0; 9000], to)), libc::EAGAIN);
    a.set_write_timeout(LIMIT).unwrap();
    fake.pause(false);
    assert_eq!(poller.wait(&mut events, LIMIT).unwrap(), 1);
    assert_eq!(events, [Event { key: 1, writable: true, ..Event::default() }]);
    let mut buffer = vec![0; 9000];
    for expected in 0..sent {
        assert_eq!((b.recv(&mut buffer).unwrap(), buffer[0]), (9000, expected));
    }
}

#[test]
fn many_threads_sleep_on_one_session() {
    let fake = Fake::start(16);
    std::thread::scope(|scope| {
        for thread in 0..5u8 {
            let (asks, answers) = (bind(&fake), bind(&fake));
            let to = answers.local_addr().unwrap();
            scope.spawn(move || {
                let mut buffer = [0; 64];
                for round in 0..300 {
                    let (len, from) = answers.recv_from(&mut buffer).unwrap();
                    assert_eq!(buffer[..len], [thread, round as u8]);
                    answers.send_to(&buffer[..len], from).unwrap();
                }
            });
            scope.spawn(move || {
                let mut buffer = [0; 64];
                for round in 0..300 {
                    asks.send_to(&[thread, round as u8], to).unwrap();
                    let len = asks.recv(&mut buffer).unwrap();
                    assert_eq!(buffer[..len], [thread, round as u8]);
                }
            });
        }
    });
}

#[test]
fn readiness_mixes_sockets_and_kernel_descriptors() {
    let fake = Fake::start(8);
    let (a, b) = (bind(&fake), bind(&fake));
    let (reader, mut writer) = io::pipe().unwrap();
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add(&a, 1, Interest::READABLE).unwrap();
    poller.add(&b, 2, Interest::READABLE).unwrap();
    poller.add_kernel(&reader, 3, Interest::READABLE);
    assert_eq!(poller.wait(&mut events, Some(Duration::from_millis(1))).unwrap(), 0);
    writer.write_all(b"x").unwrap();
    assert_eq!(poller.wait(&mut events, LIMIT).unwrap(), 1);
    assert_eq!(events, [Event { key: 3, readable: true, ..Event::default() }]);
    a.send_to(b"hello", b.local_addr().unwrap()).unwrap();
    while events.len() < 2 {
        poller.wait(&mut events, LIMIT).unwrap();
    }
    assert_eq!(events.iter().map(|event| event.key).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 2, "level: still there");
    b.recv(&mut [0; 9]).unwrap();
    poller.remove(3);
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    poller.add(&b, 2, Interest::BOTH).unwrap();
    poller.wait(&mut events, LIMIT).unwrap();
    assert_eq!(events, [Event { key: 2, writable: true, ..Event::default() }]);
    let other = Fake::start(2);
    assert!(Poller::new(&other.session).add(&a, 1, Interest::READABLE).is_err());
}

#[test]
fn pollers_and_blocked_threads_share_the_bell() {
    let fake = Fake::start(8);
    let (a, b, c) = (bind(&fake), bind(&fake), bind(&fake));
    let to: Vec<SocketAddr> = [&a, &b].map(|socket| socket.local_addr().unwrap()).into();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                a.recv(&mut [0; 9]).unwrap();
                c.send_to(b"b", to[1]).unwrap();
            }
        });
        let mut poller = Poller::new(&fake.session);
        let mut events = Vec::new();
        poller.add(&b, 7, Interest::READABLE).unwrap();
        for round in 0..200 {
            c.send_to(b"a", to[0]).unwrap();
            assert_eq!(poller.wait(&mut events, LIMIT).unwrap(), 1, "round {round}");
            b.recv(&mut [0; 9]).unwrap();
        }
    });
}

#[test]
fn a_dead_daemon_is_an_error_at_once() {
    let mut fake = Fake::start(8);
    let (blocked, polled, later) = (bind(&fake), bind(&fake), bind(&fake));
    blocked.set_read_timeout(None).unwrap();
    let session = fake.session.clone();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| errno(blocked.recv(&mut [0; 9])));
        let poller = scope.spawn(|| {
            let (mut poller, mut events) = (Poller::new(&session), Vec::new());
            poller.add(&polled, 1, Interest::READABLE).unwrap();
            poller.wait(&mut events, None).unwrap();
            events
        });
        fake.die();
        assert_eq!(sleeper.join().unwrap(), libc::ENETDOWN);
        assert_eq!(poller.join().unwrap(), [Event { key: 1, readable: true, writable: false, error: true }]);
    });
    assert!(session.is_down());
    assert_eq!(errno(later.send_to(b"x", "127.0.0.1:9")), libc::ENETDOWN);
    assert_eq!(errno(later.set_ttl(3)), libc::ENETDOWN);
    later.set_nonblocking(true).unwrap();
    assert_eq!(errno(later.recv(&mut [0; 9])), libc::ENETDOWN);
    assert_eq!(errno(UdpSocket::bind_in(&session, "127.0.0.1:0")), libc::ENETDOWN);
}

#[test]
fn a_session_is_found_by_its_path() {
    let path = std::env::temp_dir().join(format!("xmit-test-{}.sock", std::process::id()));
    let fake = Fake::listen(&path, 4);
    let (a, b) = (bind(&fake), bind(&fake));
    a.send_to(b"by path", b.local_addr().unwrap()).unwrap();
    assert_eq!(b.recv(&mut [0; 9]).unwrap(), 7);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn no_daemon_is_told_with_the_cure() {
    let error = crate::Session::connect("/nonexistent/session.sock").unwrap_err();
    assert!(error.to_string().contains("start xmitd"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
}
