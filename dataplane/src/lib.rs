//! The stack: Ethernet to UDP. No clock, no I/O, no locks, no unsafe.
//!
//! Arrows point down only: `lane -> stack -> socket -> udp -> icmp -> ip -> {route, link, hooks} -> device -> qdisc ->
//! wire`; `net` is the state that the layers below the sockets share. Time, randomness and memory are arguments; where
//! a lane runs is not the stack's business.
#![forbid(unsafe_code)]

mod named;

pub mod counters;
pub mod device;
pub mod drop;
pub mod errno;
pub mod hooks;
pub mod icmp;
pub mod ip;
pub mod lane;
pub mod limits;
pub mod link;
pub mod net;
pub mod owner;
pub mod qdisc;
pub mod rate;
pub mod route;
pub mod snapshot;
pub mod socket;
pub mod stack;
pub mod tcp;
pub mod timers;
pub mod udp;
pub mod wire;

pub use drop::DropReason;
pub use stack::Stack;
pub use xmit_nic::{Duration, Instant};
