//! What the daemon answers.

use super::{Interface, Neighbor, Qdisc, Route, Socket, Stages, Stat};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One answer, as it stands on the line: `{"response":"version","value":{...}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", content = "value", rename_all = "snake_case")]
pub enum Response {
    /// To [`super::Request::Version`].
    Version(Version),
    /// To [`super::Request::Health`].
    Health(Health),
    /// To [`super::Request::Stat`].
    Stat(Stat),
    /// To [`super::Request::Stages`].
    Stages(Stages),
    /// To [`super::Request::Interfaces`].
    Interfaces(Vec<Interface>),
    /// To [`super::Request::Sockets`].
    Sockets(Vec<Socket>),
    /// To [`super::Request::Routes`].
    Routes(Vec<Route>),
    /// To [`super::Request::Neighbors`].
    Neighbors(Vec<Neighbor>),
    /// To [`super::Request::Qdisc`].
    Qdisc(Vec<Qdisc>),
    /// To [`super::Request::CaptureStart`].
    CaptureStarted(CaptureStarted),
    /// To [`super::Request::CaptureStop`].
    CaptureStopped(CaptureStopped),
    /// To [`super::Request::Reload`].
    Reloaded(Reloaded),
    /// The request was not understood or could not be met: what happened, where, and the cure.
    Error(String),
}

impl Response {
    /// The name that stands on the line, for messages about an answer that was not expected.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::Health(_) => "health",
            Self::Stat(_) => "stat",
            Self::Stages(_) => "stages",
            Self::Interfaces(_) => "interfaces",
            Self::Sockets(_) => "sockets",
            Self::Routes(_) => "routes",
            Self::Neighbors(_) => "neighbors",
            Self::Qdisc(_) => "qdisc",
            Self::CaptureStarted(_) => "capture_started",
            Self::CaptureStopped(_) => "capture_stopped",
            Self::Reloaded(_) => "reloaded",
            Self::Error(_) => "error",
        }
    }
}

/// Which daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The version of the daemon's package.
    pub daemon: String,
    /// [`super::API_VERSION`] of the daemon.
    pub api: u32,
    /// The daemon's process.
    pub pid: u32,
    /// The configuration file in force.
    pub config: PathBuf,
    /// Nanoseconds since the daemon was started.
    pub uptime_ns: u64,
}

/// Whether the daemon does its work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// One entry per lane.
    pub lanes: Vec<LaneHealth>,
    /// What is wrong, one sentence each with the cure; empty when all is well.
    pub problems: Vec<String>,
}

/// Whether one lane turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneHealth {
    /// The lane's number.
    pub lane: u32,
    /// The core it is pinned to.
    pub core: u32,
    /// False after its thread ended.
    pub alive: bool,
    /// It waits for a port, a doorbell or a timer, and owes no turn.
    pub sleeping: bool,
    /// Nanoseconds since its last turn began.
    pub last_turn_ns: u64,
}

/// A capture runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStarted {
    /// The name of this capture in [`super::Request::CaptureStop`].
    pub id: u64,
    /// The file it is written to.
    pub path: PathBuf,
}

/// A capture ended and its file is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStopped {
    /// The capture.
    pub id: u64,
    /// Its file.
    pub path: PathBuf,
    /// Packets written.
    pub packets: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Packets that came faster than they could be written and are missing from the file.
    pub missed: u64,
}

/// The configuration file was read again and is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What changed, one sentence each; empty when nothing did.
    pub applied: Vec<String>,
}
