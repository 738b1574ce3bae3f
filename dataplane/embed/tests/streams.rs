//! TCP over the embedded stack's wire and clock, with a peer that is driven by hand.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use xmit_embed::{
    xm_clock_sleep, xm_clock_usecs, xm_close, xm_epoll_create, xm_fcntl, xm_listen, xm_netdev_wait, xm_shutdown,
};

const OURS: &str = "192.168.0.2:8080";
const THEIRS: &str = "192.0.2.1:4000";
const MILLISECOND: i64 = 1000;

fn listening() -> i32 {
    let fd = tcp();
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1), 0);
    assert_eq!(bind(fd, "0.0.0.0:8080"), 0);
    assert_eq!(xm_listen(fd, 8), 0);
    fd
}

/// A connection that a peer opened: the socket, and the peer.
fn established() -> (i32, Peer) {
    established_at(listening())
}

/// The same with a send buffer of `bytes`, which a connection has from its listener.
fn established_with_send_buffer(bytes: i32) -> (i32, Peer) {
    let listener = listening();
    assert_eq!(set_int(listener, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes), 0);
    established_at(listener)
}

fn established_at(listener: i32) -> (i32, Peer) {
    let mut peer = Peer::new(THEIRS, OURS);
    peer.connects();
    let (fd, from) = accept(listener);
    assert!(fd > 0, "{}", errno());
    assert_eq!(from, THEIRS);
    (fd, peer)
}

fn nonblocking(fd: i32) {
    assert_eq!(xm_fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK.into()), 0);
}

#[test]
fn a_peer_connects_talks_and_goes() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    peer.sends("P.", 1, 1, b"question");
    peer.expects(".", 1, 9, 0);
    let mut buffer = [0; 100];
    assert_eq!(recv(fd, &mut buffer, 0), 8);
    assert_eq!(&buffer[..8], b"question");
    assert_eq!(send(fd, b"answer", 0), 6);
    peer.expects("P.", 1, 9, 6);
    peer.sends("F.", 9, 7, b"");
    assert_eq!(recv(fd, &mut buffer, 0), 0);
    assert_eq!(xm_close(fd), 0);
    let left: Vec<_> = std::iter::from_fn(|| peer.hears_short()).collect();
    assert_eq!(left.last(), Some(&("F.".to_owned(), 7, 10, 0)), "{left:?}");
    peer.sends(".", 10, 8, b"");
    assert_eq!(collect(), None);
}

#[test]
fn accept_and_read_wait_while_another_thread_drives_the_clock() {
    let _run = Run::begin();
    let listener = listening();
    let server = blocked(move || {
        let (fd, from) = accept(listener);
        (fd, from, xm_clock_usecs())
    });
    let mut peer = Peer::new(THEIRS, OURS);
    xm_clock_sleep(100 * MILLISECOND);
    peer.sends("S", 0, 0, b"");
    peer.expects("S.", 0, 1, 0);
    xm_clock_sleep(50 * MILLISECOND);
    let at = xm_clock_usecs();
    peer.sends(".", 1, 1, b"");
    xm_clock_sleep(300 * MILLISECOND);
    let (fd, from, time) = server.join().unwrap();
    assert_eq!((from.as_str(), time), (THEIRS, at + 1));
    let reader = blocked(move || {
        let mut buffer = [0; 2000];
        (recv(fd, &mut buffer, libc::MSG_WAITALL), xm_clock_usecs())
    });
    peer.sends(".", 1, 1, &[1; 1000]);
    xm_clock_sleep(10 * MILLISECOND);
    let at = xm_clock_usecs();
    peer.sends("P.", 1001, 1, &[2; 1000]);
    xm_clock_sleep(300 * MILLISECOND);
    assert_eq!(reader.join().unwrap(), (2000, at + 1));
}

#[test]
fn a_write_without_room_waits_for_acknowledgements() {
    let _run = Run::begin();
    let (fd, mut peer) = established_with_send_buffer(16_384);
    let writer = blocked(move || send(fd, &[7; 60_000], 0));
    // Ten segments left; the buffers behind them are of half the window, begun while less than 32,768 bytes are queued.
    assert_eq!(ioctl(fd, libc::TIOCOUTQ, 0), (0, 40_000));
    let (mut received, mut rounds) = (0, 0);
    while received < 60_000 && rounds < 200 {
        rounds += 1;
        xm_netdev_wait(1000 * MILLISECOND);
        while let Some((_, segment)) = peer.hears() {
            if segment.seq as usize == received + 1 {
                received += segment.data.len();
            }
        }
        peer.sends(".", 1, received as u32 + 1, b"");
    }
    assert_eq!(received, 60_000);
    assert_eq!(writer.join().unwrap(), 60_000);
}

/// Buffers of a write are of half the largest window, 15,000 bytes, also while the peer offers less: as many of them are begun as before.
#[test]
fn a_window_that_shrinks_does_not_make_the_buffers_of_a_write_smaller() {
    let _run = Run::begin();
    let (fd, mut peer) = established_with_send_buffer(16_384);
    nonblocking(fd);
    assert_eq!(send(fd, &[7; 1000], 0), 1000);
    peer.expects("P.", 1, 1, 1000);
    peer.window = 4000;
    peer.sends(".", 1, 1001, b"");
    // The first one's part that does not leave is filled up, and the second one is begun below 32,768 bytes.
    assert_eq!(send(fd, &[7; 60_000], 0), 34_000);
}

#[test]
fn connecting_succeeds_fails_and_gives_up() {
    let _run = Run::begin();
    let fd = tcp();
    nonblocking(fd);
    let mut peer = Peer::new(THEIRS, "0.0.0.0:0");
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EINPROGRESS));
    let (time, syn) = peer.hears().unwrap();
    assert_eq!((syn.flags.as_str(), syn.seq), ("S", 0));
    assert!(time <= xm_clock_usecs());
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EALREADY));
    assert_eq!(poll(&[(fd, libc::POLLOUT)], 0).0, 0);
    peer.sends("S.", 0, 1, b"");
    peer.expects(".", 1, 1, 0);
    assert_eq!(poll(&[(fd, libc::POLLOUT)], 0), (1, vec![libc::POLLOUT]));
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR), 0);
    assert_eq!(connect(fd, THEIRS), 0);
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EISCONN));
    let refused = tcp();
    let caller = blocked(move || (connect(refused, THEIRS), errno()));
    assert_eq!(peer.hears_short().unwrap().0, "S");
    peer.sends("R.", 0, 1, b"");
    assert_eq!(caller.join().unwrap(), (-1, libc::ECONNREFUSED));
    let lost = tcp();
    let caller = blocked(move || (connect(lost, THEIRS), errno()));
    let start = xm_clock_usecs();
    xm_clock_sleep(1_000_000 * MILLISECOND);
    assert_eq!(caller.join().unwrap(), (-1, libc::ETIMEDOUT));
    let times: Vec<_> =
        std::iter::from_fn(|| peer.hears()).filter(|(_, s)| s.flags == "S").map(|(time, _)| time - start).collect();
    assert!(times.len() >= 5, "{times:?}");
    assert!((900..1100).contains(&(times[1] / MILLISECOND)), "the first timeout is a second: {times:?}");
}

#[test]
fn ten_idle_minutes_of_a_connection_pass_at_once() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    let reader = blocked(move || recv(fd, &mut [0; 9], 0));
    let (start, wall) = (xm_clock_usecs(), xmit_shared::clock::monotonic());
    xm_clock_sleep(600_000_000);
    let took = xmit_shared::clock::monotonic().saturating_since(wall);
    assert!(took.as_millis() < 500, "600 idle seconds took {took:?}");
    assert_eq!(xm_clock_usecs(), start + 600_000_001);
    peer.sends("P.", 1, 1, b"awake");
    assert_eq!(reader.join().unwrap(), 5);
    while peer.hears().is_some() {}
    assert_eq!(send(fd, b"x", 0), 1);
    let (time, _) = peer.hears().unwrap();
    xm_clock_sleep(2_000_000);
    let (again, segment) = peer.hears().unwrap();
    assert_eq!(segment.data, b"x", "nobody acknowledged it");
    assert!((190..1300).contains(&((again - time) / MILLISECOND)), "{} ms", (again - time) / MILLISECOND);
}

#[test]
fn reading_has_its_flags() {
    let _run = Run::begin();
    let (fd, peer) = established();
    let mut buffer = [0; 16];
    assert_eq!((recv(fd, &mut buffer, libc::MSG_DONTWAIT), errno()), (-1, libc::EAGAIN));
    assert_eq!((recv(fd, &mut buffer, libc::MSG_ERRQUEUE), errno()), (-1, libc::EAGAIN));
    assert_eq!((recv(fd, &mut buffer, libc::MSG_OOB), errno()), (-1, libc::EINVAL));
    peer.sends("P.", 1, 1, b"0123456789");
    assert_eq!(ioctl(fd, libc::FIONREAD, 0), (0, 10));
    assert_eq!(recv(fd, &mut buffer[..4], libc::MSG_PEEK), 4);
    assert_eq!(recv(fd, &mut buffer[..4], libc::MSG_TRUNC), 4);
    const TCP_INQ: i32 = 36;
    assert_eq!((set_int(fd, libc::IPPROTO_TCP, TCP_INQ, 7), errno()), (-1, libc::EINVAL));
    assert_eq!(set_int(fd, libc::IPPROTO_TCP, TCP_INQ, 1), 0);
    let (len, flags, control) = recv_msg(fd, &mut buffer[..2], 0, 64);
    assert_eq!((len, flags, &buffer[..2]), (2, 0, &b"45"[..]));
    assert_eq!(control[16..20], 4i32.to_ne_bytes(), "four bytes are behind");
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, 6), 0);
    assert_eq!(poll(&[(fd, libc::POLLIN)], 0).0, 0, "fewer than it waits for");
    peer.sends("P.", 11, 1, b"ab");
    assert_eq!(poll(&[(fd, libc::POLLIN)], 0).0, 1);
    assert_eq!(recv(fd, &mut buffer, 0), 6);
    assert_eq!(&buffer[..6], b"6789ab");
}

#[test]
fn the_urgent_byte_goes_beside_the_stream() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    let mut buffer = [0; 16];
    peer.sends("PU.", 1, 1, b"abc");
    assert_eq!(poll(&[(fd, libc::POLLIN | libc::POLLPRI)], 0), (1, vec![libc::POLLIN | libc::POLLPRI]));
    let (len, flags, _) = recv_msg(fd, &mut buffer, libc::MSG_OOB, 0);
    assert_eq!((len, flags, buffer[0]), (1, libc::MSG_OOB, b'c'));
    assert_eq!(ioctl(fd, 0x8905, 0), (0, 0), "SIOCATMARK");
    assert_eq!(recv(fd, &mut buffer, 0), 2);
    assert_eq!(ioctl(fd, 0x8905, 0), (0, 1));
    while peer.hears().is_some() {}
    assert_eq!(send(fd, b"xyz", libc::MSG_OOB), 3);
    assert_eq!(peer.hears_short().unwrap().0, "PU.");
}

#[test]
fn what_waits_to_be_sent_is_counted_and_held() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    assert_eq!(send(fd, b"part", libc::MSG_MORE), 4);
    assert_eq!(peer.hears_short(), None, "more follows");
    assert_eq!(ioctl(fd, libc::TIOCOUTQ, 0), (0, 4));
    assert_eq!(ioctl(fd, 0x894b, 0), (0, 4), "SIOCOUTQNSD");
    assert_eq!(writev(fd, &[b"and ", b"rest"]), 8);
    peer.expects("P.", 1, 1, 12);
    assert_eq!(ioctl(fd, libc::TIOCOUTQ, 0), (0, 12));
    assert_eq!(ioctl(fd, 0x894b, 0), (0, 0));
    peer.sends(".", 1, 13, b"");
    assert_eq!(ioctl(fd, libc::TIOCOUTQ, 0), (0, 0));
    assert_eq!(set_int(fd, libc::IPPROTO_TCP, libc::TCP_CORK, 1), 0);
    assert_eq!(send(fd, b"corked", 0), 6);
    assert_eq!(peer.hears_short(), None);
    assert_eq!(set_int(fd, libc::IPPROTO_TCP, libc::TCP_CORK, 0), 0);
    peer.expects("P.", 13, 1, 6);
    assert_eq!(xm_shutdown(fd, libc::SHUT_WR), 0);
    peer.sends(".", 1, 19, b"");
    peer.expects("F.", 19, 1, 0);
    assert_eq!((send(fd, b"x", libc::MSG_NOSIGNAL), errno()), (-1, libc::EPIPE));
}

#[test]
fn a_reset_is_told_after_the_data() {
    let _run = Run::begin();
    let (fd, peer) = established();
    peer.sends("P.", 1, 1, b"last");
    peer.sends("R.", 5, 1, b"");
    let hangup = libc::POLLIN | libc::POLLOUT | libc::POLLERR | libc::POLLHUP | libc::POLLRDHUP;
    assert_eq!(poll(&[(fd, libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP)], 0), (1, vec![hangup]));
    let mut buffer = [0; 9];
    let first = (recv(fd, &mut buffer, 0), errno());
    // Linux tells the error first if it is asked for; either way it comes once.
    if first.0 == 4 {
        assert_eq!((recv(fd, &mut buffer, 0), errno()), (-1, libc::ECONNRESET));
    } else {
        assert_eq!(first, (-1, libc::ECONNRESET));
    }
    assert_eq!((send(fd, b"x", 0), errno()), (-1, libc::EPIPE));
}

#[test]
fn epoll_tells_an_edge_for_new_data_and_for_room_that_was_missed() {
    let _run = Run::begin();
    let (fd, mut peer) = established_with_send_buffer(16_384);
    nonblocking(fd);
    let epfd = xm_epoll_create(1);
    let (read, write) = (libc::EPOLLIN, libc::EPOLLOUT);
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_ADD, fd, read | write | libc::EPOLLET), 0);
    assert_eq!(epoll_wait(epfd, 1, 0), [(fd, write)]);
    assert!(epoll_wait(epfd, 1, 0).is_empty());
    peer.sends("P.", 1, 1, b"a");
    assert_eq!(epoll_wait(epfd, 1, 0), [(fd, read | write)]);
    assert!(epoll_wait(epfd, 1, 0).is_empty());
    peer.sends("P.", 2, 1, b"b");
    assert_eq!(epoll_wait(epfd, 1, 0), [(fd, read | write)], "more data is another edge");
    assert_eq!(recv(fd, &mut [0; 9], 0), 2);
    let written = send(fd, &[1; 100_000], 0);
    assert!((1..100_000).contains(&written), "{written}");
    assert!(epoll_wait(epfd, 1, 0).is_empty());
    while peer.hears().is_some() {}
    peer.sends(".", 3, 10_001, b"");
    assert!(epoll_wait(epfd, 1, 0).is_empty(), "less than a third is free");
    while peer.hears().is_some() {}
    peer.sends(".", 3, 30_001, b"");
    assert_eq!(epoll_wait(epfd, 1, 0), [(fd, write)]);
    while peer.hears().is_some() {}
    peer.sends(".", 3, 32_001, b"");
    assert!(epoll_wait(epfd, 1, 0).is_empty(), "nobody missed this room");
}

#[test]
fn options_and_information_have_the_layout_of_linux() {
    let _run = Run::begin();
    let (fd, _peer) = established();
    let tcp_level = libc::IPPROTO_TCP;
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_TYPE), libc::SOCK_STREAM);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL), libc::IPPROTO_TCP);
    for (name, value) in [
        (libc::TCP_NODELAY, 1),
        (libc::TCP_KEEPIDLE, 30),
        (libc::TCP_KEEPINTVL, 5),
        (libc::TCP_KEEPCNT, 3),
        (libc::TCP_USER_TIMEOUT, 9000),
        (libc::TCP_NOTSENT_LOWAT, 1000),
        (libc::TCP_SYNCNT, 4),
    ] {
        assert_eq!(set_int(fd, tcp_level, name, value), 0, "{name}");
        assert_eq!(get_int(fd, tcp_level, name), value, "{name}");
    }
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 21_000), 0);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_SNDBUF), 42_000);
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 5), 0);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE), 1);
    let linger = [1i32.to_ne_bytes(), 7i32.to_ne_bytes()].concat();
    assert_eq!(set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger), 0);
    assert_eq!(get_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, 8), Ok(linger));
    assert_eq!(set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &[0; 8]), 0);
    assert_eq!(set_option(fd, tcp_level, libc::TCP_CONGESTION, b"reno"), 0);
    assert_eq!(get_option(fd, tcp_level, libc::TCP_CONGESTION, 16).unwrap(), *b"reno\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!((set_option(fd, tcp_level, libc::TCP_CONGESTION, b"none"), errno()), (-1, libc::ENOENT));
    let info = get_option(fd, tcp_level, libc::TCP_INFO, 1000).unwrap();
    assert_eq!((info.len(), info[0]), (248, 1), "established");
    assert_eq!(get_option(fd, tcp_level, libc::TCP_INFO, 100).unwrap().len(), 100, "cut to the room");
    assert_eq!(get_option(fd, tcp_level, 999, 4), Err(libc::ENOPROTOOPT));
    let listener = tcp();
    assert_eq!(bind(listener, "0.0.0.0:81"), 0);
    assert_eq!(xm_listen(listener, 1), 0);
    assert_eq!(get_int(listener, libc::SOL_SOCKET, libc::SO_ACCEPTCONN), 1);
    assert_eq!((ioctl(listener, libc::FIONREAD, 0).0, errno()), (-1, libc::EINVAL));
    assert_eq!((connect(listener, THEIRS), errno()), (-1, libc::EISCONN));
    let idle = tcp();
    assert_eq!((recv(idle, &mut [0; 1], 0), errno()), (-1, libc::ENOTCONN));
    assert_eq!((xm_shutdown(idle, libc::SHUT_WR), errno()), (-1, libc::ENOTCONN));
    assert_eq!((accept(idle).0, errno()), (-1, libc::EINVAL));
    assert_eq!(poll(&[(idle, libc::POLLIN | libc::POLLOUT)], 0), (1, vec![libc::POLLOUT | libc::POLLHUP]));
}

#[test]
fn splice_and_sendfile_reach_streams() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    let [read, write] = pipe();
    peer.sends("P.", 1, 1, b"through a pipe");
    assert_eq!(splice(fd, write, 100, 0), 14);
    assert_eq!(splice(read, fd, 100, 0), 14);
    let echoed = std::iter::from_fn(|| peer.hears()).find(|(_, segment)| !segment.data.is_empty()).unwrap().1;
    assert_eq!(echoed.data, b"through a pipe");
    peer.sends(".", 15, 15, b"");
    let path = std::env::temp_dir().join(format!("xmit-embed-stream-{}", std::process::id()));
    std::fs::File::create(&path).unwrap().write_all(&[9; 2500]).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(send_file(fd, file.as_raw_fd(), None, 5000), 2500);
    let sent: usize = std::iter::from_fn(|| peer.hears()).map(|(_, segment)| segment.data.len()).sum();
    assert_eq!(sent, 2500);
}

#[test]
fn a_close_that_lingers_waits_by_the_virtual_clock() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    let linger = [1i32.to_ne_bytes(), 3i32.to_ne_bytes()].concat();
    assert_eq!(set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger), 0);
    assert_eq!(send(fd, b"unacknowledged", 0), 14);
    let start = xm_clock_usecs();
    let closer = blocked(move || (xm_close(fd), xm_clock_usecs()));
    xm_clock_sleep(10_000 * MILLISECOND);
    let (result, time) = closer.join().unwrap();
    assert_eq!((result, (time - start) / MILLISECOND), (0, 3000));
    let fin = std::iter::from_fn(|| peer.hears()).find(|(_, segment)| segment.flags.contains('F')).unwrap();
    assert!((fin.0 - start) / MILLISECOND <= 1, "the end was sent before the wait");
}

#[test]
fn fast_open_asks_for_a_cookie_first() {
    let _run = Run::begin();
    let mut peer = Peer::new(THEIRS, "0.0.0.0:0");
    let fd = tcp();
    nonblocking(fd);
    assert_eq!((send_to(fd, b"early", libc::MSG_FASTOPEN, THEIRS), errno()), (-1, libc::EINPROGRESS));
    assert_eq!(peer.hears_short(), Some(("S".to_owned(), 0, 0, 0)), "without a cookie there is no data");
    assert_eq!((send_to(fd, b"early", libc::MSG_FASTOPEN, THEIRS), errno()), (-1, libc::EALREADY));
    peer.sends("S.", 0, 1, b"");
    peer.expects(".", 1, 1, 0);
    assert_eq!(send(fd, b"then", 0), 4);
    peer.expects("P.", 1, 1, 4);
    assert_eq!(send_to(fd, b"also", libc::MSG_FASTOPEN, THEIRS), 4, "the first that hears of it, as with `connect`");
    assert_eq!((send_to(fd, b"late", libc::MSG_FASTOPEN, THEIRS), errno()), (-1, libc::EISCONN));
    assert_eq!((send(tcp(), b"x", libc::MSG_FASTOPEN), errno()), (-1, libc::EINVAL), "no address");
    assert_eq!(sysctl("net.ipv4.tcp_fastopen", "0"), 0);
    assert_eq!((send_to(tcp(), b"x", libc::MSG_FASTOPEN, THEIRS), errno()), (-1, libc::EOPNOTSUPP));
}

#[test]
fn settings_reach_connections_to_come() {
    let _run = Run::begin();
    assert_eq!(sysctl("net.ipv4.tcp_syn_retries", "1"), 0);
    assert_eq!(sysctl("net.ipv4.tcp_syn_linear_timeouts", "0"), 0);
    assert_eq!(sysctl("net.ipv4.ip_local_port_range", "40000 40001"), 0);
    let mut peer = Peer::new(THEIRS, "0.0.0.0:0");
    let fd = tcp();
    let caller = blocked(move || (connect(fd, THEIRS), errno(), xm_clock_usecs()));
    let start = xm_clock_usecs();
    xm_clock_sleep(60_000 * MILLISECOND);
    let (result, number, time) = caller.join().unwrap();
    assert_eq!((result, number), (-1, libc::ETIMEDOUT));
    assert!(
        (2900..3200).contains(&((time - start) / MILLISECOND)),
        "{} ms: one, then two seconds",
        (time - start) / MILLISECOND
    );
    assert_eq!(std::iter::from_fn(|| peer.hears()).count(), 2);
}

#[test]
fn a_call_with_data_for_the_syn_takes_what_the_syn_takes() {
    let _run = Run::begin();
    let mut peer = Peer::new(THEIRS, "0.0.0.0:0");
    let fd = tcp();
    nonblocking(fd);
    // The mode without cookies; otherwise the first connection would ask for one.
    const TCP_FASTOPEN_NO_COOKIE: i32 = 34;
    assert_eq!(set_int(fd, libc::IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1), 0);
    assert_eq!(set_int(fd, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1), 0);
    assert_eq!(connect(fd, THEIRS), 0, "as if it were connected");
    assert_eq!(collect(), None);
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EISCONN));
    assert_eq!(poll(&[(fd, libc::POLLOUT)], 0), (1, vec![libc::POLLOUT]));
    assert_eq!((recv(fd, &mut [0; 9], 0), errno()), (-1, libc::EAGAIN));
    assert_eq!(send(fd, &[1; 5000], 0), 1420, "a segment less 40 bytes of options");
    peer.expects("S", 0, 0, 1420);
    assert_eq!((send(fd, &[1; 10], 0), errno()), (-1, libc::EAGAIN));
    peer.sends("S.", 0, 1421, b"");
    peer.expects(".", 1421, 1, 0);
    assert_eq!(send(fd, b"more", 0), 4);
    peer.expects("P.", 1421, 1, 4);
}

#[test]
fn completions_and_stamps_are_read_from_the_error_queue() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    const TX_SOFTWARE_ACK_ID: i32 = 1 << 1 | 1 << 4 | 1 << 7 | 1 << 9;
    assert_eq!(send(fd, b"x", libc::MSG_ZEROCOPY), 1, "without SO_ZEROCOPY nothing follows");
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1), 0);
    peer.sends(".", 1, 2, b"");
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, TX_SOFTWARE_ACK_ID), 0);
    assert_eq!(send(fd, b"data", libc::MSG_ZEROCOPY), 4);
    xm_clock_sleep(10 * MILLISECOND);
    peer.sends(".", 1, 6, b"");
    while peer.hears().is_some() {}
    assert_eq!(poll(&[(fd, 0)], 0), (1, vec![libc::POLLERR]));
    let read = || {
        let (len, _, control) = recv_msg(fd, &mut [], libc::MSG_ERRQUEUE, 256);
        // The extended error stands in front of the offender's address, at the end.
        (len == 0).then(|| control[control.len() - 32..control.len() - 16].to_vec())
    };
    let error = |errno: u8, origin: u8, code: u8, info: u8, data: u8| {
        Some(vec![errno, 0, 0, 0, origin, 0, code, 0, info, 0, 0, 0, data, 0, 0, 0])
    };
    assert_eq!(read(), error(42, 4, 0, 0, 3), "the fourth byte was sent");
    assert_eq!(read(), error(42, 4, 0, 2, 3), "and acknowledged");
    assert_eq!(read(), error(0, 5, 1, 0, 0), "a copy was made, and is needed no longer");
    assert_eq!(read(), None);
    assert_eq!(poll(&[(fd, 0)], 0).0, 0);
}

/// `SO_MAX_PACING_RATE` in 4 bytes as in 8, with all ones for no limit.
#[test]
fn a_rate_is_set_and_read_in_either_length() {
    const RATE: i32 = libc::SO_MAX_PACING_RATE;
    let _run = Run::begin();
    for fd in [tcp(), udp()] {
        let long = |fd| u64::from_ne_bytes(get_option(fd, libc::SOL_SOCKET, RATE, 8).unwrap().try_into().unwrap());
        let short = |fd| u32::from_ne_bytes(get_option(fd, libc::SOL_SOCKET, RATE, 4).unwrap().try_into().unwrap());
        assert_eq!((long(fd), short(fd)), (u64::MAX, u32::MAX));
        assert_eq!(set_int(fd, libc::SOL_SOCKET, RATE, 20_000), 0);
        assert_eq!((long(fd), short(fd)), (20_000, 20_000));
        assert_eq!(set_option(fd, libc::SOL_SOCKET, RATE, &5_000_000_000_u64.to_ne_bytes()), 0);
        assert_eq!((long(fd), short(fd)), (5_000_000_000, u32::MAX));
        assert_eq!(set_int(fd, libc::SOL_SOCKET, RATE, -1), 0);
        assert_eq!(long(fd), u64::MAX);
        assert_eq!((set_option(fd, libc::SOL_SOCKET, RATE, &[1, 2]), errno()), (-1, libc::EINVAL));
        xm_close(fd);
    }
}

/// A connected socket is disconnected, with data in both directions, and connects again: nothing of before is left.
#[test]
fn a_socket_is_disconnected_and_used_again() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    nonblocking(fd);
    peer.window = 4;
    peer.sends("P.", 1, 1, b"unread");
    peer.expects(".", 1, 7, 0);
    assert_eq!(send(fd, b"unsent", 0), 6);
    let left: Vec<_> = std::iter::from_fn(|| peer.hears_short()).collect();
    assert_eq!(connect_raw(fd, &[0; 16]), 0, "AF_UNSPEC");
    assert_eq!(peer.hears_short().map(|(flags, ..)| flags), Some("R.".to_owned()), "{left:?}");
    assert_eq!(ioctl(fd, libc::FIONREAD, 0), (0, 0));
    assert_eq!(recv(fd, &mut [0; 10], 0), -1);
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EINPROGRESS));
    let mut peer = Peer::new(THEIRS, OURS);
    peer.expects("S", 0, 0, 0);
    peer.sends("S.", 0, 1, b"");
    peer.expects(".", 1, 1, 0);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR), 0);
    assert_eq!(send(fd, b"again", 0), 5);
    assert_eq!(peer.hears().map(|(_, segment)| segment.data), Some(b"again".to_vec()));
    peer.sends("P.", 1, 6, b"yes");
    let mut buffer = [0; 10];
    assert_eq!(recv(fd, &mut buffer, 0), 3);
    assert_eq!(&buffer[..3], b"yes");
}

#[test]
fn a_record_is_a_segment_of_its_own() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    assert_eq!(send(fd, b"first", 0), 5);
    peer.expects("P.", 1, 1, 5);
    for _ in 0..2 {
        assert_eq!(send(fd, b"record", libc::MSG_EOR), 6);
    }
    assert_eq!(send(fd, b"rest", 0), 4);
    peer.sends(".", 1, 6, b"");
    peer.expects("P.", 6, 1, 6);
    peer.expects("P.", 12, 1, 6);
    assert_eq!(collect(), None, "Nagle holds the last one");
    peer.sends(".", 1, 18, b"");
    peer.expects("P.", 18, 1, 4);
}

#[test]
fn parts_of_a_write_without_copies_fill_buffers() {
    let _run = Run::begin();
    let (fd, mut peer) = established();
    let parts = vec![&b"x"[..]; 36];
    assert_eq!(send_msg(fd, &parts, libc::MSG_ZEROCOPY), 36);
    peer.expects("P.", 1, 1, 36);
    peer.sends(".", 1, 37, b"");
    assert_eq!(set_int(fd, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1), 0);
    assert_eq!(send_msg(fd, &parts, libc::MSG_ZEROCOPY), 36);
    peer.expects("P.", 37, 1, 17);
    peer.expects("P.", 54, 1, 17);
    peer.sends(".", 1, 71, b"");
    peer.expects("P.", 71, 1, 2);
}

/// A listener's own key makes its cookies, those that Linux makes of it; others use the system's.
#[test]
fn a_listener_may_have_its_own_key_of_cookies() {
    let _run = Run::begin();
    let fd = listening();
    let key = TCP_FASTOPEN_KEY;
    assert_eq!(get_option(fd, libc::SOL_TCP, key, 32), Ok(vec![]), "the system's is not told");
    for bad in [0, 3, 15, 17, 31, 48] {
        assert_eq!((set_option(fd, libc::SOL_TCP, key, &vec![1; bad]), errno()), (-1, libc::EINVAL), "{bad}");
    }
    let mine: Vec<u8> = (0..32).collect();
    assert_eq!(set_option(fd, libc::SOL_TCP, key, &mine[..16]), 0);
    assert_eq!(get_option(fd, libc::SOL_TCP, key, 32), Ok(mine[..16].to_vec()));
    assert_eq!(set_option(fd, libc::SOL_TCP, key, &mine), 0);
    assert_eq!(get_option(fd, libc::SOL_TCP, key, 32), Ok(mine));
}

/// Not in every C library's headers.
const TCP_FASTOPEN_KEY: i32 = 33;

#[test]
fn the_owner_of_a_stream_gets_a_signal_for_urgent_data() {
    let _run = Run::begin();
    let (fd, peer) = established();
    // Another process can be the owner, and says when it hears.
    let script = "trap 'echo urgent' URG; echo ready; while :; do sleep 0.02; done";
    let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    assert_eq!(xm_fcntl(fd, libc::F_SETOWN, child.id().into()), 0);
    assert_eq!(xm_fcntl(fd, libc::F_GETOWN, 0), child.id().cast_signed());
    peer.sends("PU.", 1, 1, b"!");
    assert_eq!(said.next().unwrap().unwrap(), "urgent");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn shutdown_ends_a_handshake_and_the_socket_connects_again() {
    let _run = Run::begin();
    let fd = tcp();
    nonblocking(fd);
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EINPROGRESS));
    assert!(collect().is_some(), "a SYN");
    assert_eq!(xm_shutdown(fd, libc::SHUT_WR), 0);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR), libc::ECONNRESET);
    assert_eq!((xm_shutdown(fd, libc::SHUT_WR), errno()), (-1, libc::ENOTCONN));
    assert_eq!((connect(fd, THEIRS), errno()), (-1, libc::EINPROGRESS));
    assert!(collect().is_some(), "a SYN");
}
