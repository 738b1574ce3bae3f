//! Streams and listeners against the loop of `fake_tcp`.

use super::fake::Fake;
use super::{LIMIT, errno};
use crate::{Event, Interest, MsgFlags, Poller, Session, SocketOption, TcpListener, TcpSocket, TcpStream};
use core::time::Duration;
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4};
use std::process::{Command, Stdio};
use std::sync::Arc;

fn listen(session: &Session) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind_in(session, "127.0.0.1:0").unwrap();
    listener.set_accept_timeout(LIMIT).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair(fake: &Fake) -> (TcpStream, TcpStream) {
    let (listener, addr) = listen(&fake.session);
    connected(&fake.session, &listener, addr)
}

fn connected(session: &Session, listener: &TcpListener, addr: SocketAddr) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect_in(session, addr).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    for stream in [&client, &server] {
        stream.set_read_timeout(LIMIT).unwrap();
        stream.set_write_timeout(LIMIT).unwrap();
    }
    (client, server)
}

fn v4(addr: SocketAddr) -> SocketAddrV4 {
    match addr {
        SocketAddr::V4(addr) => addr,
        SocketAddr::V6(_) => panic!("{addr}"),
    }
}

/// FNV-1a, so that a byte out of place is noticed.
fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn bulk_arrives_whole_while_rings_grow() {
    let fake = Fake::start(16);
    let (client, server) = pair(&fake);
    const TOTAL: usize = 20 << 20;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (mut sent, mut sum, mut step) = (0usize, 0, 1);
            while sent < TOTAL {
                step = step * 7 % 99_991;
                let chunk: Vec<u8> = (sent..sent + step.min(TOTAL - sent)).map(|i| ((i * i) >> 3) as u8).collect();
                (&client).write_all(&chunk).unwrap();
                (sum, sent) = (checksum(sum, &chunk), sent + chunk.len());
            }
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!((&client).read(&mut [0; 9]).unwrap(), 0, "the other side closes");
            sum
        });
        let (mut buffer, mut received, mut sum) = (vec![0; 70_000], 0, 0);
        loop {
            let len = (&server).read(&mut buffer).unwrap();
            if len == 0 {
                break;
            }
            (sum, received) = (checksum(sum, &buffer[..len]), received + len);
        }
        server.shutdown(Shutdown::Both).unwrap();
        assert_eq!((received, sum), (TOTAL, sender.join().unwrap()));
    });
}

#[test]
fn both_directions_at_once_with_vectors_and_peeks() {
    let fake = Fake::start(8);
    let (mut client, mut server) = pair(&fake);
    assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
    assert_eq!(client.write_vectored(&[IoSlice::new(b"hea"), IoSlice::new(b""), IoSlice::new(b"der")]).unwrap(), 6);
    server.write_all(b"answer").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(server.peek(&mut buffer).unwrap(), 6);
    let (mut a, mut b) = ([0; 2], [0; 9]);
    assert_eq!(server.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap(), 6);
    assert_eq!((&a, &b[..4]), (b"he", &b"ader"[..]));
    let mut whole = [0; 6];
    client.read_exact(&mut whole).unwrap();
    assert_eq!(&whole, b"answer");
    let clone = client.try_clone().unwrap();
    drop(client);
    server.write_all(b"x").unwrap();
    assert_eq!((&clone).read(&mut buffer).unwrap(), 1, "a clone keeps the connection");
    assert_eq!((&clone).read(&mut []).unwrap(), 0);
}

#[test]
fn half_close_and_the_end_of_a_stream() {
    let fake = Fake::start(8);
    let (mut client, mut server) = pair(&fake);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(errno(client.write(b"x")), libc::EPIPE);
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");
    server.write_all(b"answer after the end").unwrap();
    drop(server);
    text.clear();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer after the end");
    let (client, _server) = pair(&fake);
    client.shutdown(Shutdown::Read).unwrap();
    assert_eq!((&client).read(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn a_blocked_reader_ends_by_shutdown() {
    let fake = Fake::start(8);
    let (client, _server) = pair(&fake);
    client.set_read_timeout(None).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| (&client).read(&mut [0; 9]).unwrap());
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn a_reset_comes_after_the_data_and_once() {
    let fake = Fake::start(8);
    let (mut client, mut server) = pair(&fake);
    server.write_all(b"last words").unwrap();
    assert_eq!(client.peek(&mut [0; 99]).unwrap(), 10);
    server.set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    let mut buffer = [0; 99];
    assert_eq!(client.read(&mut buffer).unwrap(), 10);
    assert_eq!(errno(client.read(&mut buffer)), libc::ECONNRESET);
    assert_eq!(client.read(&mut buffer).unwrap(), 0, "reported once");
    assert_eq!(errno(client.write(b"x")), libc::EPIPE);
    assert_eq!(errno(client.peer_addr()), libc::ENOTCONN);
    assert_eq!(errno(client.shutdown(Shutdown::Both)), libc::ENOTCONN);
    let (mut client, server) = pair(&fake);
    client.write_all(b"never read").unwrap();
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add_stream(&server, 1, Interest::READABLE).unwrap();
    poller.wait(&mut events, LIMIT).unwrap();
    drop(server);
    client.set_nonblocking(true).unwrap();
    poller.add_stream(&client, 2, Interest::READABLE).unwrap();
    poller.wait(&mut events, LIMIT).unwrap();
    assert_eq!(events, [Event { key: 2, readable: true, error: true, hup: true, read_hup: true, ..Event::default() }]);
    assert_eq!(client.take_error().unwrap().unwrap().raw_os_error(), Some(libc::ECONNRESET));
    assert_eq!(client.read(&mut buffer).unwrap(), 0);
}

#[test]
fn connecting_has_the_numbers_of_linux() {
    let fake = Fake::start(8);
    let refused = TcpStream::connect_in(&fake.session, "127.0.0.1:1").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
    let silent: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let late = TcpStream::connect_timeout_in(&fake.session, &silent, Duration::from_millis(5)).unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    let socket = TcpSocket::new(&fake.session).unwrap();
    assert_eq!(errno(socket.send_with(&[IoSlice::new(b"x")], MsgFlags::default())), libc::EPIPE);
    assert_eq!(errno(socket.receive_with(&mut [IoSliceMut::new(&mut [0; 9])], MsgFlags::default())), libc::ENOTCONN);
    assert_eq!(errno(socket.peer_addr()), libc::ENOTCONN);
    socket.set_nonblocking(true);
    assert_eq!(errno(socket.connect(v4(silent))), libc::EINPROGRESS);
    assert_eq!(errno(socket.connect(v4(silent))), libc::EALREADY);
    assert_eq!(errno(socket.send_with(&[IoSlice::new(b"x")], MsgFlags::default())), libc::EAGAIN);
    assert_eq!(errno(socket.receive_with(&mut [IoSliceMut::new(&mut [0; 9])], MsgFlags::default())), libc::EAGAIN);
    let (listener, addr) = listen(&fake.session);
    assert_eq!(errno(TcpListener::bind_in(&fake.session, addr)), libc::EADDRINUSE);
    let socket = Arc::new(TcpSocket::new(&fake.session).unwrap());
    socket.set_nonblocking(true);
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    if let Err(error) = socket.connect(v4(addr)) {
        assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS));
        poller.add_socket(&socket, 3, Interest::WRITABLE).unwrap();
        poller.wait(&mut events, LIMIT).unwrap();
        assert_eq!(events, [Event { key: 3, writable: true, ..Event::default() }]);
        assert!(socket.take_error().unwrap().is_none());
    }
    listener.accept().unwrap();
    let _ = socket.connect(v4(addr));
    assert_eq!(errno(socket.connect(v4(addr))), libc::EISCONN);
    assert_eq!(TcpStream::from(socket).peer_addr().unwrap(), addr);
}

#[test]
fn a_refused_connect_wakes_its_poller() {
    let fake = Fake::start(8);
    let socket = Arc::new(TcpSocket::new(&fake.session).unwrap());
    socket.set_nonblocking(true);
    let addr = "127.0.0.1:1".parse().unwrap();
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add_socket(&socket, 3, Interest::BOTH).unwrap();
    poller.wait(&mut events, LIMIT).unwrap();
    assert_eq!(events, [Event { key: 3, writable: true, hup: true, ..Event::default() }], "not connected");
    match errno(socket.connect(addr)) {
        libc::ECONNREFUSED => return, // the answer was there at once
        errno => assert_eq!(errno, libc::EINPROGRESS),
    }
    poller.wait(&mut events, LIMIT).unwrap();
    let [event] = events[..] else { panic!("{events:?}") };
    assert!(event.error && event.hup && event.readable && event.writable);
    assert_eq!(socket.take_error().unwrap().unwrap().raw_os_error(), Some(libc::ECONNREFUSED));
}

#[test]
fn without_waiting_and_in_time() {
    let fake = Fake::start(8);
    let (client, server) = pair(&fake);
    client.set_nonblocking(true).unwrap();
    assert_eq!(errno((&client).read(&mut [0; 9])), libc::EAGAIN);
    fake.pause(true);
    let mut sent = 0;
    while let Ok(len) = (&client).write(&[7; 5000]) {
        sent += len;
    }
    assert_eq!(sent, 16 << 10, "the first ring, to the last byte");
    assert_eq!(errno((&client).write(b"x")), libc::EAGAIN);
    assert_eq!(client.socket().queued().unwrap(), (0, 16 << 10, 16 << 10));
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add_stream(&client, 1, Interest::WRITABLE).unwrap();
    assert_eq!(poller.wait(&mut events, Some(Duration::from_millis(2))).unwrap(), 0);
    client.set_nonblocking(false).unwrap();
    client.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
    assert_eq!(errno((&client).write(b"x")), libc::EAGAIN, "timed out");
    server.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    assert_eq!(errno((&server).read(&mut [0; 9])), libc::EAGAIN, "timed out");
    fake.pause(false);
    assert_eq!(poller.wait(&mut events, LIMIT).unwrap(), 1);
    assert_eq!(events, [Event { key: 1, writable: true, ..Event::default() }]);
    server.set_read_timeout(LIMIT).unwrap();
    let all = MsgFlags { wait_all: true, ..MsgFlags::default() };
    let mut buffer = vec![0; 16 << 10];
    assert_eq!(server.socket().receive_with(&mut [IoSliceMut::new(&mut buffer)], all).unwrap(), 16 << 10);
    let dont_wait = MsgFlags { dont_wait: true, ..MsgFlags::default() };
    assert_eq!(errno(server.socket().receive_with(&mut [IoSliceMut::new(&mut buffer)], dont_wait)), libc::EAGAIN);
}

#[test]
fn a_burst_of_connections_is_accepted() {
    let fake = Fake::start(300);
    let (listener, addr) = listen(&fake.session);
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let socket = TcpSocket::new(&fake.session).unwrap();
            socket.set_nonblocking(true);
            assert!([0, libc::EINPROGRESS].contains(&errno(socket.connect(v4(addr)))));
            socket.set_nonblocking(false);
            Arc::new(socket)
        })
        .collect();
    let servers: Vec<_> = (0..100).map(|_| listener.accept().unwrap().0).collect();
    for (i, client) in clients.iter().enumerate() {
        assert_eq!(errno(client.connect(v4(addr))) % libc::EISCONN, 0);
        client.send_with(&[IoSlice::new(&[i as u8; 3])], MsgFlags::default()).unwrap();
    }
    let mut poller = Poller::new(&fake.session);
    let (mut events, mut answered) = (Vec::new(), std::collections::BTreeSet::new());
    for (i, server) in servers.iter().enumerate() {
        poller.add_stream(server, i, Interest::READABLE).unwrap();
    }
    while answered.len() < 100 {
        poller.wait(&mut events, LIMIT).unwrap();
        assert!(!events.is_empty());
        for event in &events {
            let mut buffer = [0; 9];
            assert_eq!((&servers[event.key]).read(&mut buffer).unwrap(), 3);
            answered.insert(buffer[0]);
        }
    }
}

#[test]
fn a_poller_keeps_to_the_low_water_mark() {
    let fake = Fake::start(80);
    let (listener, addr) = listen(&fake.session);
    let (client, server) = connected(&fake.session, &listener, addr);
    let (mut poller, mut events) = (Poller::new(&fake.session), Vec::new());
    poller.add_stream(&server, 7, Interest::READABLE).unwrap();
    server.socket().set_receive_lowat(3);
    (&client).write_all(b"ab").unwrap();
    while server.socket().queued().unwrap().0 < 2 {
        std::thread::yield_now();
    }
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0, "{events:?}");
    (&client).write_all(b"c").unwrap();
    assert_eq!(poller.wait(&mut events, LIMIT).unwrap(), 1);
    server.socket().set_receive_lowat(4);
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0, "{events:?}");
    server.socket().set_receive_lowat(1);
    assert_eq!(poller.wait(&mut events, LIMIT).unwrap(), 1);
}

#[test]
fn a_poller_looks_at_what_has_news_and_at_what_is_still_ready() {
    let fake = Fake::start(80);
    let (listener, addr) = listen(&fake.session);
    let pairs: Vec<_> = (0..20).map(|_| connected(&fake.session, &listener, addr)).collect();
    let (mut one, mut other) = (Poller::new(&fake.session), Poller::new(&fake.session));
    let (mut events, mut buffer) = (Vec::new(), [0; 99]);
    for (key, (_, server)) in pairs.iter().enumerate() {
        one.add_stream(server, key, Interest::READABLE).unwrap();
        other.add_stream(server, key, Interest::READABLE).unwrap();
    }
    assert_eq!(one.wait(&mut events, Some(Duration::from_millis(1))).unwrap(), 0);
    for round in 0..200 {
        let (client, server) = &pairs[round * 7 % 20];
        (&*client).write_all(b"ab").unwrap();
        for again in [false, true, false] {
            let poller = if again { &mut other } else { &mut one };
            assert_eq!(
                poller.wait(&mut events, LIMIT).unwrap(),
                1,
                "round {round}: news for each, and level-triggered"
            );
            assert_eq!(events[0].key, round * 7 % 20);
        }
        assert_eq!((&*server).read(&mut buffer).unwrap(), 2);
    }
    assert_eq!(one.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    pairs[3].1.shutdown(Shutdown::Read).unwrap();
    one.wait(&mut events, LIMIT).unwrap();
    assert_eq!(
        events,
        [Event { key: 3, readable: true, read_hup: true, ..Event::default() }],
        "by this process itself"
    );
    one.remove(3);
    pairs[3].0.shutdown(Shutdown::Write).unwrap();
    let fifth = pairs.into_iter().nth(5).unwrap();
    // All others are closed: their pollers forget them, and hear of the one that is left.
    (&fifth.0).write_all(b"c").unwrap();
    while other.wait(&mut events, LIMIT).unwrap() != 1 {}
    assert_eq!(events, [Event { key: 5, readable: true, ..Event::default() }]);
}

#[test]
fn slots_of_streams_come_back() {
    let fake = Fake::start(16);
    let (listener, addr) = listen(&fake.session);
    for round in 0..100u8 {
        let (mut client, mut server) = connected(&fake.session, &listener, addr);
        client.write_all(&[round; 10]).unwrap();
        let mut buffer = [0; 10];
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(buffer, [round; 10]);
        drop(client);
        assert_eq!(server.read(&mut buffer).unwrap(), 0);
    }
    drop(listener);
    let sockets: Vec<_> = (0..16).map(|_| TcpSocket::new(&fake.session).unwrap()).collect();
    assert_eq!(errno(TcpSocket::new(&fake.session)), libc::EMFILE, "all 16 were free");
    drop(sockets);
    // The slots serve datagrams as well as before.
    let socket = crate::UdpSocket::bind_in(&fake.session, "127.0.0.1:0").unwrap();
    socket.set_read_timeout(LIMIT).unwrap();
    socket.send_to(b"self", socket.local_addr().unwrap()).unwrap();
    assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 4);
}

#[test]
fn a_listener_leaves_slots_to_connections_of_the_program() {
    let fake = Fake::start(6); // two for the listener's shares, one granted to each lane, two are free
    let (listener, addr) = listen(&fake.session);
    for _ in 0..30 {
        let (client, server) = connected(&fake.session, &listener, addr);
        let more: Vec<_> = std::iter::from_fn(|| TcpSocket::new(&fake.session).ok()).collect();
        assert!(more.len() < 2);
        drop((server, client, more));
    }
}

#[test]
fn connections_that_nobody_accepted_are_reset() {
    let fake = Fake::start(16);
    let (listener, addr) = listen(&fake.session);
    let mut client = TcpStream::connect_in(&fake.session, addr).unwrap();
    client.set_read_timeout(LIMIT).unwrap();
    listener.set_nonblocking(true).unwrap();
    drop(listener);
    assert_eq!(errno(client.read(&mut [0; 9])), libc::ECONNRESET);
    assert_eq!(errno(TcpStream::connect_in(&fake.session, addr)), libc::ECONNREFUSED);
}

#[test]
fn corked_and_more_to_come_wait_for_the_rest() {
    let fake = Fake::start(8);
    let (client, mut server) = pair(&fake);
    let quiet = |server: &TcpStream| {
        server.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        assert_eq!(errno(server.peek(&mut [0; 9])), libc::EAGAIN);
        server.set_read_timeout(LIMIT).unwrap();
    };
    let more = MsgFlags { more: true, ..MsgFlags::default() };
    client.socket().send_with(&[IoSlice::new(b"header ")], more).unwrap();
    quiet(&server);
    (&client).write_all(b"body").unwrap();
    let mut buffer = [0; 99];
    assert_eq!(server.read(&mut buffer).unwrap(), 11);
    client.socket().set_cork(true).unwrap();
    (&client).write_all(b"corked").unwrap();
    quiet(&server);
    client.socket().set_cork(false).unwrap();
    assert_eq!(server.read(&mut buffer).unwrap(), 6);
    client.set_nodelay(true).unwrap();
    assert!(client.nodelay().unwrap());
}

#[test]
fn an_urgent_byte_goes_beside_the_stream() {
    let fake = Fake::start(8);
    let (client, mut server) = pair(&fake);
    let oob = MsgFlags { oob: true, ..MsgFlags::default() };
    let mut byte = [0];
    assert_eq!(errno(server.socket().receive_with(&mut [IoSliceMut::new(&mut byte)], oob)), libc::EINVAL);
    (&client).write_all(b"before").unwrap();
    client.socket().send_with(&[IoSlice::new(b"!")], oob).unwrap();
    (&client).write_all(b"after").unwrap();
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add_stream(&server, 1, Interest { priority: true, ..Interest::default() }).unwrap();
    poller.wait(&mut events, LIMIT).unwrap();
    assert_eq!(events, [Event { key: 1, priority: true, ..Event::default() }]);
    let mut buffer = [0; 99];
    assert_eq!(server.read(&mut buffer).unwrap(), 6, "up to the mark");
    assert!(server.socket().at_mark());
    assert_eq!(server.socket().receive_with(&mut [IoSliceMut::new(&mut byte)], oob).unwrap(), 1);
    assert_eq!(&byte, b"!");
    assert_eq!(errno(server.socket().receive_with(&mut [IoSliceMut::new(&mut byte)], oob)), libc::EINVAL, "once");
    let mut after = [0; 5];
    server.read_exact(&mut after).unwrap();
    assert_eq!(&after, b"after");
    server.socket().set_oob_inline(true);
    client.socket().send_with(&[IoSlice::new(b"ab?")], oob).unwrap();
    let mut inline = [0; 3];
    server.read_exact(&mut inline).unwrap();
    assert_eq!(&inline, b"ab?");
}

/// A process that says a word for each signal: it can be an owner, and this one need not handle signals.
#[test]
fn an_owner_hears_of_urgent_data_by_a_signal() {
    let fake = Fake::start(8);
    let (client, server) = pair(&fake);
    let script = "trap 'echo urgent' URG; echo ready; while :; do sleep 0.02; done";
    let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    server.socket().set_owner(child.id().cast_signed()).unwrap();
    assert_eq!((server.socket().owner(), client.socket().owner()), (child.id().cast_signed(), 0));
    // Nobody waits in a call: the session looks by itself.
    let oob = MsgFlags { oob: true, ..MsgFlags::default() };
    client.socket().send_with(&[IoSlice::new(b"!")], oob).unwrap();
    assert_eq!(said.next().unwrap().unwrap(), "urgent");
    server.socket().set_owner(0).unwrap();
    assert_eq!(server.socket().owner(), 0);
    // And again, for the next owner of a socket.
    server.socket().set_owner(child.id().cast_signed()).unwrap();
    client.socket().send_with(&[IoSlice::new(b"!")], oob).unwrap();
    assert_eq!(said.next().unwrap().unwrap(), "urgent");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn options_and_information_reach_the_lane() {
    let fake = Fake::start(8);
    let (client, _server) = pair(&fake);
    client.set_ttl(9).unwrap();
    assert_eq!(client.ttl().unwrap(), 9);
    client.set_quickack(true).unwrap();
    assert!(client.quickack().unwrap());
    client.set_quickack(false).unwrap();
    assert!(!client.quickack().unwrap());
    client.socket().set_option(SocketOption::KeepIdle, 77).unwrap();
    assert_eq!(client.socket().option(SocketOption::KeepIdle).unwrap(), 77);
    client.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(client.linger().unwrap(), Some(Duration::from_secs(3)));
    client.set_max_pacing_rate(5_000_000_000).unwrap();
    assert_eq!(client.max_pacing_rate().unwrap(), 5_000_000_000);
    let info = client.info().unwrap();
    assert_eq!((info.state, info.rtt), (1, 4242));
}

#[test]
fn a_listener_has_on_every_lane_what_was_set_on_its_socket() {
    let fake = Fake::start(32);
    let socket = TcpSocket::new(&fake.session).unwrap();
    for (option, value) in [(SocketOption::KeepIdle, 5), (SocketOption::ReusePort, 1), (SocketOption::KeepIdle, 77)] {
        socket.set_option(option, value).unwrap();
    }
    socket.set_max_pacing_rate(5_000_000_000).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_linger(Some(Duration::from_secs(3))).unwrap();
    socket.set_receive_lowat(9);
    socket.set_oob_inline(true);
    socket.bind("127.0.0.1:4321".parse().unwrap()).unwrap();
    let listener = TcpListener::listen(socket, 8).unwrap();
    assert_eq!(listener.sockets().count(), 2, "one for each lane");
    listener.set_ttl(9).unwrap();
    assert_eq!(listener.ttl().unwrap(), 9);
    for share in listener.sockets() {
        assert_eq!(share.option(SocketOption::Ttl).unwrap(), 9);
        assert_eq!(share.option(SocketOption::KeepIdle).unwrap(), 77);
        assert_eq!(share.option(SocketOption::ReusePort).unwrap(), 1);
        assert_eq!(share.max_pacing_rate().unwrap(), 5_000_000_000);
        assert!(share.nodelay());
    }
    let (_client, server) = connected(&fake.session, &listener, listener.local_addr().unwrap());
    assert!(server.nodelay().unwrap() && server.socket().oob_inline());
    assert_eq!(server.linger().unwrap(), Some(Duration::from_secs(3)));
    assert_eq!(server.socket().receive_lowat(), 9);
}

#[test]
fn a_dead_daemon_ends_streams_at_once() {
    let mut fake = Fake::start(16);
    let (listener, addr) = listen(&fake.session);
    listener.set_accept_timeout(None).unwrap();
    let (client, server) = connected(&fake.session, &listener, addr);
    for stream in [&client, &server] {
        stream.set_read_timeout(None).unwrap();
        stream.set_write_timeout(None).unwrap();
    }
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| errno((&server).read(&mut [0; 9])));
        let acceptor = scope.spawn(|| errno(listener.accept()));
        fake.die();
        assert_eq!(reader.join().unwrap(), libc::ENETDOWN);
        assert_eq!(acceptor.join().unwrap(), libc::ENETDOWN);
    });
    assert_eq!(errno((&client).write(b"x")), libc::ENETDOWN);
    let mut poller = Poller::new(&fake.session);
    let mut events = Vec::new();
    poller.add_stream(&client, 1, Interest::BOTH).unwrap();
    poller.add_listener(&listener, 2, Interest::READABLE).unwrap();
    assert_eq!(poller.wait(&mut events, None).unwrap(), 2);
    assert!(events.iter().all(|event| event.error && event.readable));
}

/// A lane gone mad writes anything into the words that are its own: errors, ends or wrong bytes, but no panic and no hang.
#[test]
fn rubbish_from_the_lane_never_harms_the_client() {
    // Where the lane's line of slot 0 stands with two lanes, 8 control entries and few slots: `docs/shared-memory.md`.
    const LANE_LINES: usize = 4096 + 2 * 8192 + 64;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64; // xorshift: the same rubbish in every run
    for _round in 0..40 {
        let mut fake = Fake::start(8);
        let (listener, addr) = listen(&fake.session);
        let (client, server) = connected(&fake.session, &listener, addr);
        (&client).write_all(&[1; 1000]).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut poller = Poller::new(&fake.session);
        let mut events = Vec::new();
        for (key, stream) in [&client, &server].into_iter().enumerate() {
            stream.set_nonblocking(true).unwrap();
            poller.add_stream(stream, key, Interest { priority: true, ..Interest::BOTH }).unwrap();
        }
        poller.add_listener(&listener, 9, Interest::READABLE).unwrap();
        let (region, mut buffer) = (fake.region.clone().unwrap(), vec![0; 100_000]);
        fake.pause(true);
        for _ in 0..200 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (slot, word) = (state as usize % 8, (state >> 8) as usize % 16);
            let value = (state >> 32) as u32 & (u32::MAX >> (state >> 16 & 31));
            let line = region.line(LANE_LINES + 128 * slot).unwrap();
            line[word].store(value, std::sync::atomic::Ordering::Relaxed);
            let _ = (&server).read(&mut buffer);
            let _ = (&client).write(&buffer);
            let oob = MsgFlags { oob: true, ..MsgFlags::default() };
            let _ = server.socket().receive_with(&mut [IoSliceMut::new(&mut [0])], oob);
            let _ = (server.socket().at_mark(), server.socket().queued(), client.take_error());
            let _ = (client.peer_addr(), listener.accept());
            poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        }
        fake.die(); // nobody answers any more: dropping must not wait
    }
}
