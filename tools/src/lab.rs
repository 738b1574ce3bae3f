//! The lab: two network namespaces joined by a veth pair, to try xmit in without touching a real interface.
//!
//! ```text
//!   namespace xmit-a                          namespace xmit-b
//!   xa0  10.77.0.1/24  (the kernel's)  ----   xb0  10.77.0.3/24  (the kernel's)
//!                                                  10.77.0.2     (free, for xmitd)
//! ```
//!
//! Invariants:
//! * `up` and `down` may be repeated; what `up` could not finish it removes again;
//! * transmit checksum offload is off on both ends: over a veth it means "left unfinished for hardware that does not
//!   exist", and AF_XDP sees the frame as it is;
//! * IPv6 is off in both namespaces, so that only asked-for packets cross.

use std::fmt;

use serde::Serialize;

use crate::Failure;
use crate::system::{is_root, run, run_words};

/// The lab that `name` stands for: namespaces `NAME-a` and `NAME-b`.
#[derive(Debug, Clone)]
pub struct Lab {
    name: String,
    queues: u32,
}

/// One side of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The namespace.
    pub namespace: String,
    /// Its interface.
    pub interface: &'static str,
    /// The kernel's address there, with the bits of the network.
    pub address: &'static str,
    /// Whether the interface is there and up.
    pub up: bool,
}

/// What stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// Whether both sides are up.
    pub up: bool,
    /// The address left to the daemon on the `b` side.
    pub daemon_address: &'static str,
    /// Both sides.
    pub sides: [Side; 2],
}

const INTERFACES: [&str; 2] = ["xa0", "xb0"];
const ADDRESSES: [&str; 2] = ["10.77.0.1/24", "10.77.0.3/24"];
const DAEMON_ADDRESS: &str = "10.77.0.2";

impl Lab {
    /// The lab of that name; `queues` is the number of queue pairs of either interface.
    pub fn new(name: &str, queues: u32) -> Self {
        Self { name: name.to_owned(), queues }
    }

    /// Makes it, unless it stands already. A half-made one is replaced.
    pub fn up(&self) -> Result<State, Failure> {
        if !is_root() {
            return Err(Failure::NeedsRoot("xmit lab up"));
        }
        if !self.state().up {
            self.down()?;
            self.make().inspect_err(|_| {
                // The first failure is the one worth telling.
                let _ = self.down();
            })?;
        }
        Ok(self.state())
    }

    /// Removes it; what is not there counts as removed.
    pub fn down(&self) -> Result<State, Failure> {
        if !is_root() {
            return Err(Failure::NeedsRoot("xmit lab down"));
        }
        let existing = run("ip netns list")?;
        for (namespace, interface) in self.namespaces().iter().zip(INTERFACES) {
            if existing.lines().any(|line| line.split_whitespace().next() == Some(namespace)) {
                // A program that still runs there keeps the namespace alive, but not the interface.
                let _ = run(&format!("ip -n {namespace} link del {interface}"));
                run(&format!("ip netns del {namespace}"))?;
            }
        }
        Ok(self.state())
    }

    /// What stands now.
    pub fn state(&self) -> State {
        let [a, b] = self.namespaces();
        let sides = [(a, 0), (b, 1)].map(|(namespace, side)| {
            let link = run(&format!("ip -n {namespace} -o link show {}", INTERFACES[side]));
            let up = link.is_ok_and(|link| link.contains(",UP,LOWER_UP"));
            Side { namespace, interface: INTERFACES[side], address: ADDRESSES[side], up }
        });
        State { up: sides.iter().all(|side| side.up), daemon_address: DAEMON_ADDRESS, sides }
    }

    fn namespaces(&self) -> [String; 2] {
        [format!("{}-a", self.name), format!("{}-b", self.name)]
    }

    fn make(&self) -> Result<(), Failure> {
        let [a, b] = &self.namespaces();
        let [xa, xb] = INTERFACES;
        let queues = format!("numrxqueues {0} numtxqueues {0}", self.queues);
        for namespace in [a, b] {
            run(&format!("ip netns add {namespace}"))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
            // A kernel without IPv6 has no such file and needs nothing.
            let off = "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6";
            let _ = run_words(&["ip", "netns", "exec", namespace, "sh", "-c", off]);
        }
        run(&format!("ip link add name {xa} netns {a} {queues} type veth peer name {xb} netns {b} {queues}"))?;
        for (namespace, side) in [(a, 0), (b, 1)] {
            let interface = INTERFACES[side];
            run(&format!("ip netns exec {namespace} ethtool -K {interface} tx off"))?;
            run(&format!("ip -n {namespace} addr add {} dev {interface}", ADDRESSES[side]))?;
        }
        // Both ends last: a link is up when both are.
        run(&format!("ip -n {a} link set {xa} up"))?;
        run(&format!("ip -n {b} link set {xb} up"))?;
        Ok(())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.up {
            return writeln!(f, "The lab is not up. `xmit lab up` makes it.");
        }
        for side in &self.sides {
            writeln!(f, "namespace {}: {} with {}", side.namespace, side.interface, side.address)?;
        }
        let [a, b] = &self.sides;
        writeln!(f, "{} is left for xmitd in {}.", self.daemon_address, b.namespace)?;
        writeln!(f, "Try: ip netns exec {} ping -c 1 10.77.0.3", a.namespace)
    }
}
