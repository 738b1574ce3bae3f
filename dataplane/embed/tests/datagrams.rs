//! UDP over the embedded stack's wire and clock.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use xmit_embed::{xm_clock_sleep, xm_clock_usecs, xm_close, xm_epoll_create, xm_fcntl, xm_netdev_wait, xm_shutdown};

const ANY_7: &str = "0.0.0.0:7";
const IN: i16 = libc::POLLIN;
const OUT: i16 = libc::POLLOUT;

fn bound() -> i32 {
    let fd = udp();
    assert_eq!(bind(fd, ANY_7), 0);
    fd
}

fn arrives(data: &[u8]) {
    assert_eq!(inject(&udp_datagram("192.0.2.1:1000", "192.168.0.2:7", data)), 0);
}

#[test]
fn an_echo_goes_through_the_wire_and_is_stamped_with_the_virtual_time() {
    let _run = Run::begin();
    let fd = bound();
    assert_eq!(collect(), None);
    arrives(b"hello");
    let mut buffer = [0; 100];
    let (len, peer) = recv_from(fd, &mut buffer, 0);
    assert_eq!((len, peer.as_str()), (5, "192.0.2.1:1000"));
    let before = xm_clock_usecs();
    xm_clock_sleep(1_000_000);
    assert_eq!(send_to(fd, &buffer[..5], 0, &peer), 5);
    xm_clock_sleep(500);
    let (time, datagram) = collect().unwrap();
    assert_eq!(time, before + 1_000_000);
    assert_eq!(parse_udp(&datagram), ("192.168.0.2:7".into(), "192.0.2.1:1000".into(), b"hello".to_vec()));
    assert_eq!(collect(), None);
    assert_eq!(xm_close(fd), 0);
    assert_eq!((xm_close(fd), errno()), (-1, libc::EBADF));
}

#[test]
fn the_clock_only_moves_when_it_is_driven() {
    let _run = Run::begin();
    let start = xm_clock_usecs();
    assert_eq!(xm_clock_usecs(), start + 1);
    xm_clock_sleep(1000);
    assert_eq!(xm_clock_usecs(), start + 1002);
    xm_netdev_wait(5000);
    assert_eq!(xm_clock_usecs(), start + 6003, "nothing left meanwhile");
    xm_clock_sleep(-5);
    xm_clock_sleep(0);
    assert_eq!(xm_clock_usecs(), start + 6004);
    let wall = xmit_shared::clock::monotonic();
    let _fd = bound();
    xm_clock_sleep(600_000_000);
    let took = xmit_shared::clock::monotonic().saturating_since(wall);
    assert!(took.as_millis() < 500, "600 idle seconds took {took:?}");
}

#[test]
fn a_call_that_waits_sleeps_in_the_kernel_and_goes_on_at_the_time_of_its_event() {
    let _run = Run::begin();
    let fd = bound();
    for round in 0..50 {
        let reader = blocked(move || {
            let mut buffer = [0; 100];
            (recv(fd, &mut buffer, 0), xm_clock_usecs())
        });
        xm_clock_sleep(30_000);
        let at = xm_clock_usecs();
        arrives(b"wake up");
        xm_clock_sleep(100_000);
        let (len, time) = reader.join().unwrap();
        assert_eq!((len, time), (7, at + 1), "round {round}: the clock did not run on meanwhile");
    }
}

#[test]
fn timeouts_are_by_the_virtual_clock() {
    let _run = Run::begin();
    let fd = bound();
    let timeval = [2i64.to_ne_bytes(), 500_000i64.to_ne_bytes()].concat();
    assert_eq!(set_option(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeval), 0);
    assert_eq!(get_option(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, 16), Ok(timeval));
    let start = xm_clock_usecs();
    let reader = blocked(move || (recv(fd, &mut [0; 9], 0), errno(), xm_clock_usecs()));
    xm_clock_sleep(10_000_000);
    assert_eq!(reader.join().unwrap(), (-1, libc::EAGAIN, start + 2_500_001));
    assert_eq!(xm_clock_usecs(), start + 10_000_001);
    let start = xm_clock_usecs();
    let poller = blocked(move || (poll(&[(fd, IN)], 700).0, xm_clock_usecs()));
    xm_clock_sleep(1_000_000);
    assert_eq!(poller.join().unwrap(), (0, start + 700_001));
}

#[test]
fn datagrams_are_peeked_cut_and_described() {
    let _run = Run::begin();
    let fd = bound();
    let mut buffer = [0; 4];
    assert_eq!((recv(fd, &mut buffer, libc::MSG_DONTWAIT), errno()), (-1, libc::EAGAIN));
    arrives(b"longer than four");
    arrives(b"next");
    assert_eq!(ioctl(fd, libc::FIONREAD, 0), (0, 16));
    assert_eq!(recv(fd, &mut buffer, libc::MSG_PEEK), 4);
    assert_eq!(recv(fd, &mut buffer, libc::MSG_PEEK | libc::MSG_TRUNC), 16);
    for name in [libc::IP_PKTINFO, libc::IP_RECVTTL, libc::IP_RECVTOS] {
        assert_eq!(set_int(fd, libc::IPPROTO_IP, name, 1), 0);
        assert_eq!(get_int(fd, libc::IPPROTO_IP, name), 1);
    }
    let (len, flags, control) = recv_msg(fd, &mut buffer, 0, 256);
    assert_eq!((len, flags, &buffer), (4, libc::MSG_TRUNC, b"long"));
    assert_eq!(control.len(), 32 + 24 + 24, "in_pktinfo, a TTL, a byte of TOS");
    assert_eq!(control[24..28], [192, 168, 0, 2]);
    assert_eq!(control[48], 60);
    let (len, flags, control) = recv_msg(fd, &mut buffer, 0, 40);
    assert_eq!((len, flags, control.len()), (4, libc::MSG_CTRUNC, 32));
    assert_eq!((recv(fd, &mut buffer, libc::MSG_ERRQUEUE), errno()), (-1, libc::EAGAIN));
    assert_eq!((recv(fd, &mut buffer, libc::MSG_OOB), errno()), (-1, libc::EOPNOTSUPP));
    arrives(b"in parts");
    let (mut a, mut b) = ([0; 3], [0; 10]);
    assert_eq!(readv(fd, &mut [&mut a, &mut b]), 8);
    assert_eq!((&a, &b[..5]), (b"in ", &b"parts"[..]));
}

#[test]
fn several_calls_make_one_datagram_under_the_cork() {
    let _run = Run::begin();
    let fd = bound();
    assert_eq!(connect(fd, "192.0.2.1:9"), 0);
    assert_eq!(send(fd, b"one ", libc::MSG_MORE), 4);
    assert_eq!(collect(), None);
    assert_eq!(writev(fd, &[b"data", b"gram"]), 8);
    assert_eq!(parse_udp(&collect().unwrap().1).2, b"one datagram");
    const UDP_CORK: i32 = 1;
    assert_eq!(set_int(fd, libc::IPPROTO_UDP, UDP_CORK, 1), 0);
    assert_eq!(send(fd, b"held", 0), 4);
    assert_eq!(collect(), None);
    assert_eq!(set_int(fd, libc::IPPROTO_UDP, UDP_CORK, 0), 0);
    assert_eq!(parse_udp(&collect().unwrap().1).2, b"held");
}

#[test]
fn errors_come_with_the_call_that_causes_them() {
    let _run = Run::begin();
    let fd = udp();
    assert_eq!((send(fd, b"x", 0), errno()), (-1, libc::EDESTADDRREQ));
    assert_eq!((send_to(fd, &[0; 65_508], 0, "192.0.2.1:9"), errno()), (-1, libc::EMSGSIZE));
    assert_eq!((send_to(fd, b"x", 0, "255.255.255.255:9"), errno()), (-1, libc::EACCES));
    assert_eq!((xm_shutdown(fd, libc::SHUT_RD), errno()), (-1, libc::ENOTCONN));
    assert_eq!(connect(fd, "192.0.2.1:9"), 0);
    assert_eq!(send(fd, b"anybody there?", 0), 14);
    let (_, sent) = collect().unwrap();
    assert_eq!(inject(&port_unreachable(&sent)), 0);
    assert_eq!(poll(&[(fd, 0)], 0), (1, vec![libc::POLLERR]));
    assert_eq!((send(fd, b"x", 0), errno()), (-1, libc::ECONNREFUSED));
    assert_eq!(inject(&port_unreachable(&sent)), 0);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR), libc::ECONNREFUSED);
    assert_eq!(get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR), 0);
    assert_eq!(connect_raw(fd, &[0; 16]), 0, "AF_UNSPEC forgets the peer");
    assert_eq!((send(fd, b"x", 0), errno()), (-1, libc::EDESTADDRREQ));
    assert_eq!((connect_raw(fd, &[2]), errno()), (-1, libc::EINVAL));
    assert_eq!((connect_raw(fd, &[2, 0, 1]), errno()), (-1, libc::EINVAL));
    assert_eq!((connect_raw(fd, &[10; 28]), errno()), (-1, libc::EAFNOSUPPORT));
    let _seven = bound();
    let other = udp();
    assert_eq!((bind(other, ANY_7), errno()), (-1, libc::EADDRINUSE));
    assert_eq!((bind(other, "192.0.2.77:1"), errno()), (-1, libc::EADDRNOTAVAIL));
    assert_eq!((write_from(fd, 8, 100), errno()), (-1, libc::EFAULT));
    assert_eq!((write_from(fd, 1 << 60, 100), errno()), (-1, libc::EFAULT));
}

#[test]
fn poll_tells_how_sockets_stand() {
    let _run = Run::begin();
    let fd = bound();
    assert_eq!(poll(&[(fd, IN | OUT), (-1, IN), (77, IN)], -1), (2, vec![OUT, 0, libc::POLLNVAL]));
    assert_eq!(poll(&[(fd, IN)], 0), (0, vec![0]));
    let poller = blocked(move || poll(&[(fd, IN)], -1));
    arrives(b"x");
    assert_eq!(poller.join().unwrap(), (1, vec![IN]));
}

#[test]
fn epoll_by_level_by_edge_and_once() {
    let _run = Run::begin();
    let (fd, epfd) = (bound(), xm_epoll_create(1));
    let read = libc::EPOLLIN;
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_ADD, fd, read), 0);
    assert_eq!((epoll_ctl(epfd, libc::EPOLL_CTL_ADD, fd, read), errno()), (-1, libc::EEXIST));
    assert_eq!((epoll_ctl(epfd, libc::EPOLL_CTL_ADD, epfd, read), errno()), (-1, libc::EINVAL));
    assert_eq!((epoll_ctl(fd, libc::EPOLL_CTL_ADD, fd, read), errno()), (-1, libc::EINVAL));
    assert_eq!((epoll_ctl(epfd, libc::EPOLL_CTL_MOD, 77, read), errno()), (-1, libc::EBADF));
    assert!(epoll_wait(epfd, 4, 0).is_empty());
    arrives(b"1");
    assert_eq!(epoll_wait(epfd, 4, -1), [(fd, read)]);
    assert_eq!(epoll_wait(epfd, 4, -1), [(fd, read)], "as long as it is");
    let edge = read | libc::EPOLLET;
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_MOD, fd, edge), 0);
    assert_eq!(epoll_wait(epfd, 4, 0), [(fd, read)]);
    assert!(epoll_wait(epfd, 4, 0).is_empty(), "once for each arrival");
    arrives(b"2");
    assert_eq!(epoll_wait(epfd, 4, 0), [(fd, read)], "also while another one waits");
    assert_eq!(recv(fd, &mut [0; 9], 0), 1);
    assert!(epoll_wait(epfd, 4, 0).is_empty(), "reading is no event");
    let once = read | libc::EPOLLONESHOT;
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_MOD, fd, once), 0);
    assert_eq!(epoll_wait(epfd, 4, 0), [(fd, read)]);
    arrives(b"3");
    assert!(epoll_wait(epfd, 4, 0).is_empty());
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_MOD, fd, once), 0);
    let outer = xm_epoll_create(1);
    assert_eq!(epoll_ctl(outer, libc::EPOLL_CTL_ADD, epfd, read), 0);
    assert_eq!((epoll_ctl(epfd, libc::EPOLL_CTL_ADD, outer, read), errno()), (-1, libc::ELOOP));
    assert_eq!(epoll_wait(outer, 4, 0), [(epfd, read)]);
    assert_eq!(epoll_wait(epfd, 4, 0), [(fd, read)]);
    assert!(epoll_wait(outer, 4, 0).is_empty());
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_DEL, fd, 0), 0);
    assert_eq!((epoll_ctl(epfd, libc::EPOLL_CTL_DEL, fd, 0), errno()), (-1, libc::ENOENT));
    assert_eq!(epoll_ctl(epfd, libc::EPOLL_CTL_ADD, fd, read), 0);
    xm_close(fd);
    assert!(epoll_wait(epfd, 4, 0).is_empty(), "a closed file is watched no longer");
    let start = xm_clock_usecs();
    let waiter = blocked(move || (epoll_wait(epfd, 4, 30), xm_clock_usecs()));
    xm_clock_sleep(1_000_000);
    assert_eq!(waiter.join().unwrap(), (vec![], start + 30_001));
}

#[test]
fn descriptors_have_flags_and_options() {
    let _run = Run::begin();
    let fd = udp();
    assert_eq!(xm_fcntl(fd, libc::F_GETFL, 0), libc::O_RDWR);
    assert_eq!(xm_fcntl(fd, libc::F_SETFL, (libc::O_RDWR | libc::O_NONBLOCK).into()), 0);
    assert_eq!(xm_fcntl(fd, libc::F_GETFL, 0), libc::O_RDWR | libc::O_NONBLOCK);
    assert_eq!((recv(fd, &mut [0; 1], 0), errno()), (-1, libc::EAGAIN));
    assert_eq!(ioctl(fd, libc::FIONBIO, 0).0, 0);
    assert_eq!(xm_fcntl(fd, libc::F_GETFL, 0), libc::O_RDWR);
    assert_eq!(xm_fcntl(fd, libc::F_SETOWN, 42), 0);
    assert_eq!(xm_fcntl(fd, libc::F_GETOWN, 0), 42);
    assert_eq!((xm_fcntl(fd, 12_345, 0), errno()), (-1, libc::EINVAL));
    assert_eq!((ioctl(fd, 12_345, 0).0, errno()), (-1, libc::ENOTTY));
    let copy = xm_fcntl(fd, libc::F_DUPFD, 40);
    assert_eq!(copy, 40);
    assert_eq!(xm_close(fd), 0);
    assert_eq!(bind(copy, ANY_7), 0, "the socket lives on");
    for (name, value) in [
        (libc::SO_TYPE, libc::SOCK_DGRAM),
        (libc::SO_DOMAIN, libc::AF_INET),
        (libc::SO_PROTOCOL, libc::IPPROTO_UDP),
        (libc::SO_ACCEPTCONN, 0),
        (libc::SO_BROADCAST, 0),
    ] {
        assert_eq!(get_int(copy, libc::SOL_SOCKET, name), value, "{name}");
    }
    assert_eq!(get_option(copy, libc::SOL_SOCKET, libc::SO_TYPE, 2).unwrap().len(), 2, "cut to the room");
    assert_eq!(get_option(copy, libc::SOL_SOCKET, 9999, 4), Err(libc::ENOPROTOOPT));
    assert_eq!(get_option(copy, libc::IPPROTO_TCP, libc::TCP_NODELAY, 4), Err(libc::ENOPROTOOPT));
    assert_eq!((set_option(copy, libc::SOL_SOCKET, libc::SO_BROADCAST, &[1]), errno()), (-1, libc::EINVAL));
    assert_eq!(set_int(copy, libc::SOL_SOCKET, libc::SO_BROADCAST, 1), 0);
    assert_eq!(get_int(copy, libc::SOL_SOCKET, libc::SO_BROADCAST), 1);
    assert_eq!(set_int(copy, libc::IPPROTO_IP, libc::IP_TTL, 9), 0);
    assert_eq!(get_option(copy, libc::IPPROTO_IP, libc::IP_TTL, 1), Ok(vec![9]));
    assert_eq!((set_int(copy, libc::IPPROTO_IP, libc::IP_TTL, 256), errno()), (-1, libc::EINVAL));
    let bad_time = [0i64.to_ne_bytes(), 1_000_000i64.to_ne_bytes()].concat();
    assert_eq!((set_option(copy, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &bad_time), errno()), (-1, libc::EDOM));
}

#[test]
fn many_threads_wait_while_one_drives() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 500;
    let _run = Run::begin();
    let fd = bound();
    let servers: Vec<_> = (0..THREADS)
        .map(|_| {
            blocked(move || {
                let mut buffer = [0; 64];
                loop {
                    let (len, peer) = recv_from(fd, &mut buffer, 0);
                    if len <= 0 {
                        return;
                    }
                    assert_eq!(send_to(fd, &buffer[..len as usize], 0, &peer), len);
                }
            })
        })
        .collect();
    let mut late = 0;
    for round in 0..ROUNDS {
        let at = xm_clock_usecs();
        for thread in 0..THREADS {
            arrives(format!("{round} {thread}").as_bytes());
        }
        let mut echoes = std::collections::BTreeSet::new();
        // The clock waits for woken threads, but not for ever: on a machine without a free core one may come later.
        for _ in 0..1000 {
            xm_clock_sleep(1000);
            echoes.extend(std::iter::from_fn(collect).map(|(time, d)| (time, parse_udp(&d).2)));
            if echoes.len() == THREADS {
                break;
            }
        }
        assert_eq!(echoes.len(), THREADS, "round {round}: each request was answered once");
        late += usize::from(echoes.iter().any(|(time, _)| *time != at));
    }
    assert!(late < ROUNDS / 10, "in {late} rounds of {ROUNDS} something happened later than it arrived");
    for _ in 0..THREADS {
        arrives(b"");
        xm_clock_sleep(10);
    }
    servers.into_iter().for_each(|server| server.join().unwrap());
}
