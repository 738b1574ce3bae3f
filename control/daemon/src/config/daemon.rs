//! `[daemon]`: what belongs to no lane and no interface.

use crate::api::OPERATOR_SOCKET;
use serde::Deserialize;
use std::path::PathBuf;

/// Where clients' sessions begin unless the configuration says otherwise.
pub const SESSION_SOCKET: &str = "/run/xmit/session.sock";

/// `[daemon]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Daemon {
    /// The socket that clients connect to. Default `/run/xmit/session.sock`. Every user may open it; `[client]`
    /// says who is served.
    pub session_socket: PathBuf,
    /// The socket of the operator's tools, for the daemon's user only. Default `/run/xmit/operator.sock`.
    pub operator_socket: PathBuf,
    /// What is logged to standard error: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,xmitd::netlink=debug`. Default `info`: starts, stops, changes and everything that needs a person.
    pub log: String,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { session_socket: SESSION_SOCKET.into(), operator_socket: OPERATOR_SOCKET.into(), log: "info".into() }
    }
}
