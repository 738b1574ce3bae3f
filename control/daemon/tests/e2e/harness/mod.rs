//! What all subjects share.

mod client;
mod daemon;
mod host;
mod lab;
mod until;

pub(crate) use client::{Program, run_as_child};
pub(crate) use daemon::Daemon;
pub(crate) use host::{HOST, Lines, Tcp, ping, ping_lossy};
pub(crate) use lab::{Card, Lab, OURS, Timing};
pub(crate) use until::{LIMIT, SOON, until, within};
