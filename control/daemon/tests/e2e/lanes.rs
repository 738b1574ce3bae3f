//! Two lanes, each with a queue of its own: a socket lives on one of them and hears of what arrives at either.

use std::collections::BTreeSet;
use std::net::{SocketAddrV4, UdpSocket};

use xmit_netns::{VethOptions, report_skipped, require_root};

use crate::harness::{HOST, LIMIT, Lab, OURS, Program, Stream, again, until};

/// Two lanes on the two queues of `xb`.
pub(crate) const TWO: &str = "[[lane]]\ncore = 0\n[[lane]]\ncore = 1\n[[interface]]\nname = \"xb\"\n\
                   addresses = [\"10.77.0.2/24\"]\nlanes = [0, 1]\nqueues = [0, 1]\n";

/// A lab whose veths have a queue for each of two lanes. `None`, told by the name of the test, without a core for each.
pub(crate) fn two_queues(test: &str, name: &str) -> Option<Lab> {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        report_skipped(test, "needs two cores");
        return None;
    }
    Some(Lab::with(name, VethOptions { queues: 2, ..VethOptions::default() }))
}

/// Senders, each with a port of its own, so that the kernel spreads them over the queues.
const SENDERS: usize = 64;

#[test]
fn lanes_stop_in_order_under_load() {
    require_root!("lanes_stop_in_order_under_load");
    let Some(lab) = two_queues("lanes_stop_in_order_under_load", "stop") else { return };
    for _ in 0..3 {
        let mut daemon = lab.daemon(TWO);
        let mut echoes = [7, 8].map(|port| Program::start(&lab, &format!("echo {OURS}:{port}")));
        echoes.iter_mut().for_each(|echo| assert_eq!(echo.line(), "bound"));
        let streams: Vec<_> = (0..16).map(|i| Stream::start(&lab.a, SocketAddrV4::new(OURS, 7 + i % 2))).collect();
        until("packets are handed over", || daemon.snmp("HandoverIn") > 500);
        // Which finds every frame, also those that were on their way between the lanes.
        daemon.stop();
        echoes.iter_mut().for_each(|echo| assert_eq!(echo.line(), "down"));
        drop(streams);
    }
}

/// A sender's port, as what it sends.
fn name(sender: &UdpSocket) -> [u8; 2] {
    sender.local_addr().unwrap().port().to_ne_bytes()
}

#[test]
fn a_socket_hears_every_queue() {
    require_root!("a_socket_hears_every_queue");
    let Some(lab) = two_queues("a_socket_hears_every_queue", "queues") else { return };
    let mut daemon = lab.daemon(TWO);
    let session = lab.session();
    // Sockets go to the lanes in turn.
    let sockets = [7, 8].map(|port| xmit::UdpSocket::bind_in(&session, (OURS, port)).unwrap());
    let lanes: BTreeSet<u32> = daemon.sockets().iter().map(|socket| socket.lane).collect();
    assert_eq!(lanes, [0, 1].into());
    // Each lane asks for the neighbour, and the answers come by one queue.
    let kernel = |port| {
        let socket = lab.a.run(|| UdpSocket::bind((HOST, port))).unwrap().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    };
    let first = kernel(5000);
    for ours in &sockets {
        ours.send_to(b"first", (HOST, 5000)).unwrap();
        assert_eq!(again(|| first.recv(&mut [0; 64])).unwrap(), 5);
    }
    for (ours, port) in sockets.iter().zip([7, 8]) {
        ours.set_read_timeout(Some(LIMIT)).unwrap();
        let senders: Vec<UdpSocket> = (0..SENDERS).map(|_| kernel(0)).collect();
        for sender in &senders {
            sender.send_to(&name(sender), (OURS, port)).unwrap();
        }
        let mut buffer = [0; 64];
        for _ in &senders {
            let (len, peer) = ours.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..len], peer.port().to_ne_bytes());
            ours.send_to(&buffer[..len], peer).unwrap();
        }
        for sender in &senders {
            assert_eq!(again(|| sender.recv_from(&mut buffer)).unwrap(), (2, (OURS, port).into()));
            assert_eq!(buffer[..2], name(sender));
        }
    }
    until("both queues were used and every handed packet was taken", || {
        let stat = daemon.stat();
        let [a, b] = [0, 1].map(|lane: usize| &stat.lanes[lane].snmp);
        (a["HandoverOut"], b["HandoverOut"]) == (b["HandoverIn"], a["HandoverIn"])
            && a["HandoverOut"] > 0
            && b["HandoverOut"] > 0
    });
    drop(sockets);
    daemon.stop();
}
