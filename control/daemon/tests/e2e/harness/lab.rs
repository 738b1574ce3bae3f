//! Two namespaces, a wire between them, and a directory: `a` is the kernel's host, `b` the daemon's.
//!
//! ```text
//!   namespace a, 10.77.0.1 on xa  ---- veth ----  xb, namespace b, 10.77.0.2 is the daemon's, 10.77.0.3 the kernel's
//! ```
//!
//! With a card, the daemon's address is on an emulated 3C501 whose coax ends at `xb`, or at a tap `xm0` of `b`; then
//! the kernel of `b` itself is the host at the other end. With a bad wire a third namespace stands in the middle:
//!
//! ```text
//!   xa  ---- veth ----  wa, packet socket, impaired, packet socket, wb  ---- veth ----  xb
//! ```

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use xmit_netns::{Netns, VethOptions, veth};
use xmit_nic::sim::Impairment;

use super::{Daemon, HOST, Wire};

/// The daemon's own address.
pub(crate) const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The address of the kernel in the daemon's namespace.
pub(crate) const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);

/// The station address of an emulated card.
pub(crate) const CARD_MAC: &str = "02:60:8c:00:00:02";

/// How fast a card's wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    Wire,
    FreeRun,
}

/// An emulated card and how it reaches the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) timing: Timing,
    /// Joined to a tap; else to a veth.
    pub(crate) tap: bool,
    /// The joined side is a second card; else it listens to the whole wire.
    pub(crate) peer_is_card: bool,
}

/// The namespaces and the directory; all go when it is dropped.
pub(crate) struct Lab {
    pub(crate) a: Netns,
    pub(crate) b: Netns,
    directory: PathBuf,
    _wire: Option<Wire>,
}

impl Lab {
    /// A pair with one queue, the host's end addressed.
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, VethOptions::default())
    }

    pub(crate) fn with(name: &str, options: VethOptions) -> Self {
        let (a, b) = (Netns::new(name).unwrap(), Netns::new(name).unwrap());
        veth(&a, "xa", &b, "xb", options).unwrap();
        Self::on(a, b, None)
    }

    /// A pair with a bad wire between them, the same both ways.
    pub(crate) fn impaired(name: &str, seed: u64, impairment: Impairment) -> Self {
        let [a, b, middle] = [(); 3].map(|()| Netns::new(name).unwrap());
        veth(&a, "xa", &middle, "wa", VethOptions::default()).unwrap();
        veth(&middle, "wb", &b, "xb", VethOptions::default()).unwrap();
        let wire = Wire::start(middle, seed, impairment);
        Self::on(a, b, Some(wire))
    }

    fn on(a: Netns, b: Netns, wire: Option<Wire>) -> Self {
        a.command(&format!("ip addr add {HOST}/24 dev xa")).unwrap();
        let directory = std::env::temp_dir().join(a.name());
        std::fs::create_dir_all(&directory).unwrap();
        Self { a, b, directory, _wire: wire }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn session_socket(&self) -> PathBuf {
        self.path("session.sock")
    }

    /// Writes the configuration, with `rest` behind its `[daemon]`.
    pub(crate) fn configure(&self, rest: &str) -> PathBuf {
        let (session, operator) = (self.session_socket(), self.path("operator.sock"));
        self.configure_as("xmit.toml", &session, &operator, rest)
    }

    /// The same under another name, for a second daemon.
    pub(crate) fn configure_as(&self, name: &str, session: &Path, operator: &Path, rest: &str) -> PathBuf {
        let path = self.path(name);
        let sockets = format!("[daemon]\nsession_socket = {session:?}\noperator_socket = {operator:?}\n");
        std::fs::write(&path, sockets + rest).unwrap();
        path
    }

    /// A session with the daemon, in this process.
    pub(crate) fn session(&self) -> xmit::Session {
        xmit::Session::connect(self.session_socket()).unwrap()
    }

    /// A daemon with `rest` as its configuration.
    pub(crate) fn daemon(&self, rest: &str) -> Daemon {
        Daemon::start(self, &self.configure(rest))
    }

    /// A daemon whose own address is on `xb`.
    pub(crate) fn own_daemon(&self) -> Daemon {
        self.daemon(Self::OWN)
    }

    /// One lane with the own address on `xb`.
    pub(crate) const OWN: &str =
        "[[lane]]\ncore = 0\n[[interface]]\nname = \"xb\"\naddresses = [\"10.77.0.2/24\"]\ngateway = \"10.77.0.1\"\n";

    /// One lane that shares the kernel's addresses of `xb`.
    pub(crate) const ADOPTED: &str = "[[lane]]\ncore = 0\n[[interface]]\nname = \"xb\"\n";

    /// A daemon on an emulated card, its host reachable.
    pub(crate) fn card_daemon(&self, card: Card) -> Daemon {
        self.card_daemon_with(card, "")
    }

    /// The same, with `rest` behind the configuration of its lane and interface.
    pub(crate) fn card_daemon_with(&self, card: Card, rest: &str) -> Daemon {
        let daemon = self.daemon(&(card.configuration() + rest));
        if card.tap {
            self.b.command(&format!("ip addr add {HOST}/24 dev xm0")).unwrap();
            self.b.command("ip link set xm0 up").unwrap();
        }
        daemon
    }

    /// The namespace of the kernel's host, and its device.
    pub(crate) fn host(&self, card: Option<Card>) -> (&Netns, &'static str) {
        if card.is_some_and(|card| card.tap) { (&self.b, "xm0") } else { (&self.a, "xa") }
    }

    /// True if an XDP program is attached to `xb`.
    pub(crate) fn has_xdp(&self) -> bool {
        self.b.command("ip -d link show dev xb").unwrap().contains("xdp")
    }
}

impl Card {
    /// One lane with the own address on the card.
    pub(crate) fn configuration(self) -> String {
        let join = if self.tap { "tap:xm0" } else { "af_xdp:xb" };
        let timing = if self.timing == Timing::Wire { "wire" } else { "free-run" };
        let peer = if self.peer_is_card { "card" } else { "wire" };
        format!(
            "[[lane]]\ncore = 0\n[[interface]]\nname = \"el0\"\nkind = \"el3c501\"\nmac = \"{CARD_MAC}\"\n\
             addresses = [\"10.77.0.2/24\"]\ngateway = \"10.77.0.1\"\n[interface.el3c501]\nsegment = \"coax0\"\njoin = \"{join}\"\ntiming = \"{timing}\"\n\
             peer = \"{peer}\"\n"
        )
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What is left there is in the system's directory for such things; the namespaces go by their own guards.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
