//! What all subjects share.

mod client;
mod daemon;
mod host;
mod lab;
mod traffic;
mod until;
mod wire;

pub(crate) use client::{NOBODY, Program, run_as_child};
pub(crate) use daemon::Daemon;
pub(crate) use host::{HOST, Tcp, again, ping};
pub(crate) use lab::{CARD_MAC, Card, KERNEL, Lab, OURS, Timing};
pub(crate) use traffic::{Stream, Traffic};
pub(crate) use until::{LIMIT, SOON, until, within};
pub(crate) use wire::Wire;
