//! The operator API: what `xmit stat`, `xmit capture` and every other tool ask a running daemon.
//!
//! Owns the messages ([`Request`], [`Response`]), the daemon's end ([`Server`]) and the tools' end ([`Client`]).
//! The protocol is one JSON object per line over a Unix stream socket: one request, one response, in order, any
//! number of times. It can be spoken by hand: `echo '{"request":"stat"}' | nc -U /run/xmit/operator.sock`.
//!
//! Invariants:
//! * a client that is slow, silent, or sends rubbish costs a bounded buffer and nobody else's time;
//! * counters travel as name and number, so a new one needs no change here.

pub mod client;
pub mod request;
pub mod response;
pub mod server;
pub mod stat;
pub mod table;

pub use client::{Client, ClientError};
pub use request::Request;
pub use response::{CaptureStarted, CaptureStopped, Health, LaneHealth, Reloaded, Response, Version};
pub use server::Server;
pub use stat::{Counters, LaneStages, LaneStat, PortStat, Stage, Stages, Stat};
pub use table::{Address, Interface, InterfacePort, Neighbor, Qdisc, Route, Socket};

/// Where the operator's socket is unless the configuration says otherwise.
pub const OPERATOR_SOCKET: &str = "/run/xmit/operator.sock";

/// The version of the messages; it changes when a tool of the other version would misunderstand one.
pub const API_VERSION: u32 = 1;
