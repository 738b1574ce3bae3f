//! What lies between two hosts, and who plays which part.

use std::net::{Ipv4Addr, SocketAddr};

use xmit_netns::Netns;

use super::ends::{Host, Listener, Listening, Stream};
use crate::harness::{CARD_MAC, Card, Daemon, HOST, KERNEL, Lab, OURS};

/// A lab with a daemon that serves one client, and a session of that client.
pub(super) struct Place {
    pub(super) session: xmit::Session,
    pub(super) daemon: Daemon,
    pub(super) lab: Lab,
    card: Option<Card>,
}

/// Who connects to whom.
pub(super) struct Players<'a> {
    pub(super) client: Host<'a>,
    pub(super) server: Host<'a>,
}

/// Both neighbours know it, and nobody has it: what is sent there is lost without a word.
pub(super) const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);
const NOBODY_MAC: &str = "02:00:00:00:00:99";

/// The daemon's part of fast open.
const FAST_OPEN: &str = "[tcp]\nfastopen = 3\n";

fn mac(netns: &Netns, device: &str) -> String {
    netns.command(&format!("cat /sys/class/net/{device}/address")).unwrap().trim().to_owned()
}

/// A neighbour of the daemon that never changes.
fn neighbor(interface: &str, address: Ipv4Addr, mac: &str) -> String {
    format!("[[neighbor]]\ninterface = \"{interface}\"\naddress = \"{address}\"\nmac = \"{mac}\"\n")
}

/// A neighbour of a kernel that never changes.
fn knows(netns: &Netns, device: &str, address: Ipv4Addr, mac: &str) {
    netns.command(&format!("ip neigh replace {address} lladdr {mac} dev {device} nud permanent")).unwrap();
}

impl Place {
    /// Over AF_XDP in native mode. The kernel of the daemon's namespace has an address beside it.
    pub(super) fn new(lab: Lab) -> Self {
        Self::with(lab, &format!("{}mode = \"native\"\n", Lab::OWN))
    }

    /// The same, with lanes and an interface as `rest` configures them.
    pub(super) fn with(lab: Lab, rest: &str) -> Self {
        let (xa, xb) = (mac(&lab.a, "xa"), mac(&lab.b, "xb"));
        let neighbors = neighbor("xb", HOST, &xa) + &neighbor("xb", NOBODY, NOBODY_MAC);
        let daemon = lab.daemon(&format!("{rest}{neighbors}{FAST_OPEN}"));
        lab.b.command(&format!("ip addr add {KERNEL}/24 dev xb")).unwrap();
        // ARP has no checksum: what a bad wire would do to it is not the matter here.
        knows(&lab.a, "xa", OURS, &xb);
        knows(&lab.a, "xa", KERNEL, &xb);
        knows(&lab.a, "xa", NOBODY, NOBODY_MAC);
        knows(&lab.b, "xb", HOST, &xa);
        Self { session: lab.session(), daemon, lab, card: None }
    }

    /// Over a 3C501.
    pub(super) fn on_card(lab: Lab, card: Card) -> Self {
        let daemon = lab.card_daemon_with(card, FAST_OPEN);
        Self { session: lab.session(), daemon, lab, card: Some(card) }
    }

    /// Over a 3C501 behind a wire that may be bad: the neighbours know each other already, as without a card.
    pub(super) fn on_card_resolved(lab: Lab, card: Card) -> Self {
        let neighbors = neighbor("el0", HOST, &mac(&lab.a, "xa"));
        let daemon = lab.card_daemon_with(card, &format!("{neighbors}{FAST_OPEN}"));
        knows(&lab.a, "xa", OURS, CARD_MAC);
        Self { session: lab.session(), daemon, lab, card: Some(card) }
    }

    /// Two kernels, where there are two; then the kernel to xmit, and xmit to the kernel.
    pub(super) fn players(&self) -> Vec<Players<'_>> {
        let host = || Host::Kernel(self.lab.host(self.card).0, HOST);
        let kernel = || Host::Kernel(&self.lab.b, KERNEL);
        let xmit = || Host::Xmit(&self.session, OURS);
        let kernels = self.card.is_none().then(|| Players { client: host(), server: kernel() });
        let both = [Players { client: host(), server: xmit() }, Players { client: xmit(), server: host() }];
        kernels.into_iter().chain(both).collect()
    }

    /// Nothing of the connections is left, and no frame is missing.
    pub(super) fn end(self) {
        drop(self.session);
        self.daemon.stop();
    }
}

impl Players<'_> {
    /// A listener of the server, and its address.
    pub(super) fn listen(&self) -> (Listener, SocketAddr) {
        let listener = self.server.listen(Listening::default());
        let address = listener.address();
        (listener, address)
    }

    /// The two ends of one connection, the client's first.
    pub(super) fn connected(&self) -> (Stream, Stream) {
        self.connected_to(&self.listen().0)
    }

    /// The same with a listener that exists.
    pub(super) fn connected_to(&self, listener: &Listener) -> (Stream, Stream) {
        let address = listener.address();
        std::thread::scope(|scope| {
            let client = scope.spawn(|| self.client.connect(address).unwrap());
            let server = listener.accept();
            (client.join().unwrap(), server)
        })
    }

    /// `scenario` with the client's end and the server's, and then the other way round, on a new connection each.
    pub(super) fn either_way(&self, scenario: impl Fn(Stream, Stream)) {
        let (client, server) = self.connected();
        scenario(client, server);
        let (client, server) = self.connected();
        scenario(server, client);
    }
}
