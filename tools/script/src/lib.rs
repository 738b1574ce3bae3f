//! The tests' language: packet scripts, and pairs of stacks on a seeded wire.
//!
//! A packet script is a dozen lines that a person who knows networks but not Rust can sign off: what arrives, what must
//! leave, what a program at a socket sees, at which time. The README beside this crate lists the statements. A script
//! runs over any [`Medium`]; what leaves must be the same on all of them.
//!
//! [`Pair`] is two stacks with sockets on one simulated wire, for seeded simulations against a model.
//!
//! Invariants: time is virtual, so a script gives the same result on every machine; the checksums of everything that
//! leaves are verified; a script that ends with frames that nobody asked for, or without all frames in their pool, fails.

mod client;
mod connection;
mod errno;
mod flows;
mod gate;
mod host;
mod info;
mod medium;
mod memory;
pub mod packet;
mod pair;
mod run;
mod script;
mod setup;
mod sockets;
mod stand;
mod statement;
mod stream_act;
mod streams;
mod tcp_look;
mod words;

pub use client::Client;
pub use host::Host;
pub use medium::Medium;
pub use packet::Pattern;
pub use pair::{End, Pair, PairConfig};
pub use run::{Failure, Left, Trace, run};
pub use script::{Script, ScriptError};
pub use setup::{HOST_MAC, PEER, PEER_MAC, Setup};
