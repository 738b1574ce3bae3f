//! Many runs in one process. Alone in its binary: the threads of other tests come and go with mappings of their own.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use xmit_embed::{xm_clock_sleep, xm_listen};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
fn many_runs_in_one_process_leave_nothing_behind() {
    let once = || {
        let _run = Run::begin();
        let fd = udp();
        assert_eq!(bind(fd, "0.0.0.0:7"), 0);
        inject(&udp_datagram("192.0.2.1:1000", "192.168.0.2:7", b"unread"));
        assert_eq!(send_to(fd, b"x", 0, "192.0.2.1:1"), 1);
        assert!(collect().is_some());
        let listener = tcp();
        assert_eq!(bind(listener, "0.0.0.0:8080"), 0);
        assert_eq!(xm_listen(listener, 8), 0);
        let mut peer = Peer::new("192.0.2.1:4000", "192.168.0.2:8080");
        peer.connects();
        peer.sends("P.", 1, 1, &[1; 5000]);
        assert_eq!(send(accept(listener).0, &[2; 20_000], 0), 20_000);
        let _never_closed = (pipe(), tcp());
        xm_clock_sleep(5_000_000);
    };
    (0..5).for_each(|_| once());
    let before = (descriptors(), mappings());
    (0..100).for_each(|_| once());
    assert_eq!((descriptors(), mappings()), before);
}
