//! The daemon's parts that may block, allocate, parse and log; none of them is on the path of a packet.
//!
//! Owns the configuration ([`config`]), what is known of the kernel ([`netlink`]) and what follows from both for the
//! lanes ([`network`]), the order of starting and stopping ([`boot`]), the right to be the one daemon of its sockets
//! ([`lock`]), and the operator's questions ([`api`]). One control thread ([`control`]) drives all of them from one mio
//! event loop; each part takes events and time as arguments.

pub mod api;
pub mod boot;
pub mod config;
pub mod control;
pub mod lock;
pub mod log;
pub mod netlink;
pub mod network;
pub mod run;
pub mod signals;
#[cfg(test)]
mod testing;
pub mod unix_socket;
