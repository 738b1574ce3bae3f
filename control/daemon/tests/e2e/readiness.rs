//! Several clients, several sockets of each, and descriptors of the kernel beside them, in one wait.

use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

use xmit::{Event, Interest, Poller};
use xmit_netns::require_root;

use crate::harness::{HOST, LIMIT, Lab, OURS, Program, Traffic, again};

/// The key of the kernel's socket.
const KERNEL: usize = 100;

#[test]
fn one_wait_for_many() {
    require_root!("one_wait_for_many");
    let lab = Lab::new("ready");
    let daemon = lab.own_daemon();
    // Another client, busy all the time.
    let mut echo = Program::start(&lab, "echo 10.77.0.2:7");
    assert_eq!(echo.line(), "bound");
    let traffic = Traffic::start(&lab.a, SocketAddrV4::new(OURS, 7));

    let session = lab.session();
    let ours: Vec<_> = (1000..1008).map(|port| xmit::UdpSocket::bind_in(&session, (OURS, port)).unwrap()).collect();
    let kernel = lab.a.run(|| UdpSocket::bind((HOST, 5000))).unwrap().unwrap();
    let mut poller = Poller::new(&session);
    for (key, socket) in ours.iter().enumerate() {
        poller.add(socket, key, Interest::READABLE).unwrap();
    }
    poller.add_kernel(&kernel, KERNEL, Interest::READABLE);

    let (mut events, mut buffer) = (Vec::new(), [0; 64]);
    let ready = |key| Event { key, readable: true, ..Event::default() };
    for round in 0..200 {
        let key = round * 7 % (ours.len() + 1);
        if let Some(socket) = ours.get(key) {
            kernel.send_to(b"wake", socket.local_addr().unwrap()).unwrap();
            assert_eq!(poller.wait(&mut events, Some(LIMIT)).unwrap(), 1);
            assert_eq!(events, [ready(key)]);
            assert_eq!(socket.recv(&mut buffer).unwrap(), 4);
        } else {
            ours[0].send_to(b"wake", (HOST, 5000)).unwrap();
            assert_eq!(poller.wait(&mut events, Some(LIMIT)).unwrap(), 1);
            assert_eq!(events, [ready(KERNEL)]);
            assert_eq!(again(|| kernel.recv(&mut buffer)).unwrap(), 4);
        }
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0, "{events:?}");
    }

    // Room to write is there at once; an error is told whether it was asked for or not.
    poller.add(&ours[3], 3, Interest::BOTH).unwrap();
    poller.wait(&mut events, Some(LIMIT)).unwrap();
    assert_eq!(events, [Event { key: 3, writable: true, ..Event::default() }]);
    poller.remove(3);
    ours[4].connect((HOST, 9)).unwrap();
    ours[4].send(b"anybody?").unwrap();
    poller.wait(&mut events, Some(LIMIT)).unwrap();
    assert_eq!(events, [Event { key: 4, readable: true, error: true, ..Event::default() }]);
    assert_eq!(ours[4].recv(&mut buffer).unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0, "{events:?}");
    traffic.go_on(100);
    drop((traffic, poller));
    drop(ours);
    daemon.stop();
}
