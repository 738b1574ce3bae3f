//! The kernel and the daemon talk: ARP, ping, datagrams of every size, and what is said when nobody listens. The same over
//! AF_XDP and over every kind of emulated card.
//!
//! A 3C501 is deaf while it sends, and whoever is joined to it does not know: over a card every question is repeated
//! until it is answered, as programs over UDP do. Over AF_XDP each is asked once.

use std::io;
use std::net::UdpSocket;
use std::process::ExitStatus;
use std::time::Duration;

use xmit_netns::{Netns, NetnsError, require_root};
use xmit_shared::clock::monotonic;

use crate::harness::{Card, Daemon, HOST, LIMIT, Lab, OURS, Timing, again, ping, until};

/// The largest payload of a datagram that fits an Ethernet frame.
const PAYLOAD_MAX: usize = 1472;

/// After so long a datagram over a card is taken as lost: a hundred times what it needs.
const LOST: Duration = Duration::from_millis(250);

/// One kind of wire, with a daemon at the end.
struct Talk {
    lab: Lab,
    card: Option<Card>,
    daemon: Daemon,
}

impl Talk {
    /// Everything, over a card or over AF_XDP, attached as `mode` says.
    fn run(card: Option<Card>, mode: &str) {
        println!("over {card:?}, {mode}");
        let lab = Lab::new("talk");
        let own = || lab.daemon(&format!("{}mode = \"{mode}\"\n", Lab::OWN));
        let mut daemon = card.map_or_else(own, |card| lab.card_daemon(card));
        let obtained = &daemon.operator().interfaces().unwrap()[0].ports[0].mode;
        assert!(card.is_some() || obtained.contains(mode), "{obtained}");
        let mut talk = Self { lab, card, daemon };
        talk.ping();
        talk.knows_the_neighbour();
        let ours = xmit::UdpSocket::bind_in(&talk.lab.session(), (OURS, 7)).unwrap();
        ours.set_read_timeout(Some(talk.patience())).unwrap();
        let kernel = talk.kernel_socket(7);
        talk.datagrams(&ours, &kernel);
        talk.too_large(&ours, &kernel);
        talk.refusals();
        talk.broadcast();
        talk.ping();
        drop(ours);
        talk.daemon.stop();
    }

    fn host(&self) -> &Netns {
        self.lab.host(self.card).0
    }

    fn patience(&self) -> Duration {
        if self.card.is_some() { LOST } else { LIMIT }
    }

    /// Repeats `attempt` while it runs into its time-out, where datagrams may get lost.
    fn repeat<R>(&self, mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        let end = monotonic() + LIMIT;
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.card.is_some() && monotonic() < end => {
                }
                outcome => return outcome,
            }
        }
    }

    fn ping(&self) {
        ping(self.host(), OURS).unwrap();
    }

    fn knows_the_neighbour(&self) {
        let (host, device) = self.lab.host(self.card);
        let neighbour = host.command(&format!("ip neigh show dev {device}")).unwrap();
        assert!(neighbour.contains(&format!("{OURS} lladdr")), "{neighbour}");
    }

    /// A kernel socket connected to `port` of the daemon.
    fn kernel_socket(&self, port: u16) -> UdpSocket {
        let socket = self.host().run(|| UdpSocket::bind((HOST, 0))).unwrap().unwrap();
        socket.set_read_timeout(Some(self.patience())).unwrap();
        self.host().run(|| socket.connect((OURS, port))).unwrap().unwrap();
        socket
    }

    /// Datagrams of several sizes go there and back.
    fn datagrams(&self, ours: &xmit::UdpSocket, kernel: &UdpSocket) {
        let peer = kernel.local_addr().unwrap();
        for size in [0, 1, 18, 64, 1000, PAYLOAD_MAX] {
            let sent: Vec<u8> = (0..size).map(|i| (i * 7 + size) as u8).collect();
            let there_and_back = || {
                kernel.send(&sent)?;
                self.take(&sent, |buffer| {
                    let (len, from) = ours.recv_from(buffer)?;
                    assert_eq!(from, peer);
                    Ok(len)
                })?;
                assert_eq!(ours.send_to(&sent, peer)?, size);
                self.take(&sent, |buffer| again(|| kernel.recv(buffer)))
            };
            self.repeat(there_and_back).unwrap();
        }
    }

    /// Receives `expected`. Over a card, what was taken as lost may still come, and is passed over.
    fn take(&self, expected: &[u8], mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let len = receive(&mut buffer)?;
            if buffer[..len] == *expected {
                return Ok(());
            }
            assert!(self.card.is_some(), "{len} bytes instead of {}", expected.len());
        }
    }

    /// Without fragmentation a datagram above the MTU is an error of the socket that sent it; fragments are dropped by name.
    fn too_large(&mut self, ours: &xmit::UdpSocket, kernel: &UdpSocket) {
        ours.send_to(&[0; PAYLOAD_MAX + 1], kernel.local_addr().unwrap()).unwrap();
        let too_large = |error: io::Error| error.raw_os_error() == Some(libc::EMSGSIZE);
        until("EMSGSIZE", || ours.take_error().unwrap().is_some_and(too_large));
        kernel.send(&[0; 2 * PAYLOAD_MAX]).unwrap();
        let fragments = if self.card.is_some() { 1 } else { 2 };
        until("the fragments are counted", || self.daemon.drops("IpFragment") >= fragments);
        self.datagrams(ours, kernel);
    }

    /// Each side hears that no socket is on the other's port.
    fn refusals(&self) {
        let refused = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        let kernel = self.kernel_socket(9);
        refused(
            self.repeat(|| kernel.send(b"anybody?").and_then(|_| again(|| kernel.recv(&mut [0; 64])))).unwrap_err(),
        );
        let ours = xmit::UdpSocket::bind_in(&self.lab.session(), "0.0.0.0:0").unwrap();
        ours.set_read_timeout(Some(self.patience())).unwrap();
        ours.connect((HOST, 9)).unwrap();
        refused(self.repeat(|| ours.send(b"anybody?").and_then(|_| ours.recv(&mut [0; 64]))).unwrap_err());
    }

    /// A ping to everybody is not answered. XDP programs leave it to the kernel; over a tap it reaches the stack and is counted.
    fn broadcast(&mut self) {
        until("an unanswered broadcast is counted", || {
            let nobody = self.lab.host(self.card).0.command("ping -n -b -c 1 -W 1 10.77.0.255");
            let unanswered = |status: &ExitStatus| status.code() == Some(1);
            assert!(matches!(&nobody, Err(NetnsError::Refused { status, .. }) if unanswered(status)), "{nobody:?}");
            !self.card.is_some_and(|card| card.tap) || self.daemon.drops("IcmpEchoBroadcast") > 0
        });
    }
}

#[test]
fn over_af_xdp() {
    require_root!("over_af_xdp", "ping");
    Talk::run(None, "native");
}

#[test]
fn over_af_xdp_generic() {
    require_root!("over_af_xdp_generic", "ping");
    Talk::run(None, "generic");
}

#[test]
fn over_a_card_on_a_veth() {
    require_root!("over_a_card_on_a_veth", "ping");
    for (timing, peer_is_card) in EVERY {
        Talk::run(Some(Card { timing, tap: false, peer_is_card }), "");
    }
}

#[test]
fn over_a_card_on_a_tap() {
    require_root!("over_a_card_on_a_tap", "ping");
    for (timing, peer_is_card) in EVERY {
        Talk::run(Some(Card { timing, tap: true, peer_is_card }), "");
    }
}

/// Timing of the wire, and whether its other end is a card.
const EVERY: [(Timing, bool); 4] =
    [(Timing::Wire, false), (Timing::Wire, true), (Timing::FreeRun, false), (Timing::FreeRun, true)];
