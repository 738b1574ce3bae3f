//! What an operator can ask.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One question to the daemon, as it stands on the line: `{"request":"capture_stop","id":3}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Which daemon answers: [`super::Version`].
    Version,
    /// Whether every lane turns: [`super::Health`].
    Health,
    /// All counters, per lane and summed: [`super::Stat`].
    Stat,
    /// Cycles per stage of the turn: [`super::Stages`].
    Stages,
    /// Interfaces with their addresses and ports: a list of [`super::Interface`].
    Interfaces,
    /// Open sockets of all clients: a list of [`super::Socket`].
    Sockets,
    /// The forwarding table: a list of [`super::Route`].
    Routes,
    /// The neighbour tables of all lanes: a list of [`super::Neighbor`].
    Neighbors,
    /// Queueing disciplines: a list of [`super::Qdisc`].
    Qdisc,
    /// Starts writing the packets of an interface to a pcapng file: [`super::CaptureStarted`].
    CaptureStart {
        /// The interface by name; absent: all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interface: Option<String>,
        /// The file, written by the daemon; absent: the daemon chooses one under its run directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
        /// Bytes kept of each packet; 0 keeps all.
        #[serde(default)]
        snaplen: u32,
    },
    /// Ends a capture and closes its file: [`super::CaptureStopped`].
    CaptureStop {
        /// What [`super::CaptureStarted`] said.
        id: u64,
    },
    /// Reads the configuration file again, as SIGHUP does: [`super::Reloaded`].
    Reload,
}
