//! Runs of the embedded stack, one after the other, and what stands beside the sockets.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use std::io::Write;
use std::os::fd::AsRawFd;
use xmit_embed::{xm_clock_usecs, xm_close, xm_fcntl, xm_fini};

#[test]
fn the_end_of_a_run_ends_calls_that_wait_and_the_clock_goes_on() {
    let run = Run::begin();
    let fd = udp();
    assert_eq!(bind(fd, "0.0.0.0:7"), 0);
    let reader = blocked(move || (recv(fd, &mut [0; 9], 0), errno()));
    let time = xm_clock_usecs();
    xm_fini();
    assert_eq!(reader.join().unwrap(), (-1, libc::ENETDOWN));
    drop(run);
    let _run = Run::begin();
    assert!(xm_clock_usecs() > time);
    assert_eq!((recv(fd, &mut [0; 9], 0), errno()), (-1, libc::EBADF));
}

#[test]
fn a_run_has_one_beginning_and_a_configuration_that_can_be() {
    let _run = Run::with("local_ip=10.9.0.1,prefix_len=24,gateway_ip=10.9.0.254,remote_ip=10.9.0.7,mtu=600");
    assert_eq!((init(c""), errno()), (-1, libc::EBUSY));
    let fd = udp();
    assert_eq!(send_to(fd, &[0; 572], 0, "10.9.0.7:9"), 572, "a neighbour needs no resolution");
    assert_eq!(collect().unwrap().1.len(), 600);
    assert_eq!((send_to(fd, &[0; 573], 0, "10.9.0.7:9"), errno()), (-1, libc::EMSGSIZE), "told by the call itself");
    assert_eq!(collect(), None);
    xm_fini();
    assert_eq!((init(c"mtu=3"), errno()), (-1, libc::EINVAL));
}

#[test]
fn settings_have_their_linux_names() {
    let _run = Run::begin();
    assert_eq!(sysctl("net.ipv4.tcp_timestamps", "0"), 0);
    assert_eq!(sysctl("net.ipv4.tcp_rmem", "4096 65536 4194304"), 0);
    assert_eq!((sysctl("net.ipv4.tcp_rmem", "4096"), errno()), (-1, libc::EINVAL));
    assert_eq!((sysctl("net.ipv4.tcp_no_such_thing", "1"), errno()), (-1, libc::ENOENT));
}

#[test]
fn a_datagram_without_room_for_it_can_still_be_taken() {
    let _run = Run::begin();
    let fd = udp();
    assert_eq!(send_to(fd, &[1; 100], 0, "192.0.2.1:9"), 100);
    assert_eq!((collect_into(&mut [0; 20]), errno()), (-1, libc::EMSGSIZE));
    assert_eq!(collect().unwrap().1.len(), 128);
    assert_eq!((inject(&[0x45; 65_500]), errno()), (-1, libc::EMSGSIZE));
    for rubbish in [&[][..], &[0x45], &[0x60; 40], &[0xff; 60]] {
        assert_eq!(inject(rubbish), 0, "the stack drops it, and says so in its counters");
    }
    assert_eq!(collect(), None);
}

#[test]
fn pipes_wait_and_end() {
    let _run = Run::begin();
    let [read, write] = pipe();
    assert_eq!(poll(&[(read, libc::POLLIN), (write, libc::POLLOUT)], 0), (1, vec![0, libc::POLLOUT]));
    let reader = blocked(move || {
        let mut buffer = [0; 9];
        (recv(read, &mut buffer, 0), buffer)
    });
    assert_eq!(send(write, b"through", 0), 7);
    assert_eq!(reader.join().unwrap(), (7, *b"through\0\0"));
    assert_eq!(xm_fcntl(write, libc::F_SETFL, libc::O_NONBLOCK.into()), 0);
    assert_eq!(send(write, &[0; 70_000], 0), 65_536);
    assert_eq!((send(write, b"x", 0), errno()), (-1, libc::EAGAIN));
    assert_eq!(ioctl(read, libc::FIONREAD, 0), (0, 65_536));
    assert_eq!(recv(read, &mut vec![0; 70_000], 0), 65_536);
    let reader = blocked(move || recv(read, &mut [0; 9], 0));
    xm_close(write);
    assert_eq!(reader.join().unwrap(), 0, "the end");
    let [read, write] = pipe();
    xm_close(read);
    assert_eq!((send(write, b"x", 0), errno()), (-1, libc::EPIPE));
}

#[test]
fn splice_and_sendfile_move_data_past_the_program() {
    let _run = Run::begin();
    let fd = udp();
    assert_eq!(connect(fd, "192.0.2.1:9"), 0);
    let [read, write] = pipe();
    assert_eq!(send(write, b"spliced", 0), 7);
    assert_eq!(splice(read, fd, 100, 0), 7);
    assert_eq!(parse_udp(&collect().unwrap().1).2, b"spliced");
    assert_eq!((splice(fd, fd, 100, 0), errno()), (-1, libc::EINVAL));
    assert_eq!((splice(read, fd, 100, libc::SPLICE_F_NONBLOCK), errno()), (-1, libc::EAGAIN));
    let path = std::env::temp_dir().join(format!("xmit-embed-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(b"from a file").unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut offset = 5;
    assert_eq!(send_file(fd, file.as_raw_fd(), Some(&mut offset), 2), 2);
    assert_eq!((offset, parse_udp(&collect().unwrap().1).2), (7, b"a ".to_vec()));
    assert_eq!(send_file(fd, file.as_raw_fd(), None, 100), 11);
    assert_eq!(parse_udp(&collect().unwrap().1).2, b"from a file");
    assert_eq!(send_file(fd, file.as_raw_fd(), None, 100), 0, "the file's own position moved");
    assert_eq!((send_file(fd, -1, None, 1), errno()), (-1, libc::EBADF));
}
