//! The daemon's end, by force or in order: clients that wait get an error at once, never a hang.

use std::sync::mpsc::channel;
use std::thread;

use rustix::process::{Pid, Signal};
use rustix::thread::gettid;
use xmit::{Interest, Poller, UdpSocket};
use xmit_netns::require_root;
use xmit_shared::clock::monotonic;

use crate::harness::{LIMIT, Lab, OURS, SOON, until};

/// Clients wait in every way there is; the daemon gets `signal`; each hears of it within a second.
fn everybody_hears(signal: Signal) {
    let lab = Lab::new("death");
    let mut daemon = lab.own_daemon();
    let session = lab.session();
    let bind = |port| UdpSocket::bind_in(&session, (OURS, port)).unwrap();
    let (blocked, polled, idle) = (bind(1001), bind(1002), bind(1003));
    let (news, heard) = channel();
    let (names, threads) = channel();
    thread::scope(|scope| {
        let (sender, name, socket) = (news.clone(), names.clone(), &blocked);
        scope.spawn(move || {
            name.send(gettid()).unwrap();
            let error = socket.recv(&mut [0; 64]).unwrap_err();
            sender.send(("recv", error.raw_os_error(), monotonic())).unwrap();
        });
        let (sender, name, session, socket) = (news.clone(), names.clone(), &session, &polled);
        scope.spawn(move || {
            name.send(gettid()).unwrap();
            let (mut poller, mut events) = (Poller::new(session), Vec::new());
            poller.add(socket, 5, Interest::READABLE).unwrap();
            poller.wait(&mut events, None).unwrap();
            assert!(events[0].key == 5 && events[0].readable && events[0].error, "{events:?}");
            let error = socket.recv(&mut [0; 64]).unwrap_err();
            sender.send(("Poller", error.raw_os_error(), monotonic())).unwrap();
        });
        for thread in threads.iter().take(2) {
            until("a client sleeps", || is_asleep(thread));
        }
        let at = monotonic();
        daemon.signal(signal);
        for _ in 0..2 {
            let (who, errno, when) = heard.recv_timeout(LIMIT).unwrap();
            let after = when.saturating_since(at);
            println!("{who} heard of {signal:?} after {after:?}");
            assert_eq!(errno, Some(libc::ENETDOWN), "{who}");
            assert!(after < SOON, "{who} waited {after:?}");
        }
    });
    // A socket that was not in use says the same, and so does every new call.
    let errno = |result: std::io::Result<usize>| result.unwrap_err().raw_os_error();
    assert_eq!(errno(idle.send_to(b"x", "10.77.0.1:9")), Some(libc::ENETDOWN));
    assert_eq!(errno(idle.recv(&mut [0; 8])), Some(libc::ENETDOWN));
    assert!(session.is_down() && UdpSocket::bind_in(&session, (OURS, 1004)).is_err());
    if signal == Signal::TERM {
        daemon.stop();
    } else {
        daemon.wait(LIMIT);
    }
    assert!(xmit::Session::connect(lab.session_socket()).unwrap_err().to_string().contains("start xmitd"));
    // What a dead session's sockets leave behind is nothing: a new daemon serves a new session.
    let daemon = lab.own_daemon();
    let again = lab.session();
    UdpSocket::bind_in(&again, (OURS, 1001)).unwrap();
    daemon.stop();
}

/// True if a thread of this process waits in the kernel.
fn is_asleep(thread: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.as_raw_nonzero())).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

#[test]
fn by_force() {
    require_root!("by_force");
    everybody_hears(Signal::KILL);
}

#[test]
fn in_order() {
    require_root!("in_order");
    everybody_hears(Signal::TERM);
}
