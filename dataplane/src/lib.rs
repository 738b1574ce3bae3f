//! The stack: Ethernet to UDP and TCP. No clock, no I/O, no locks, no unsafe.
//!
//! Arrows point down only: `lane -> socket -> {tcp, udp, raw} -> ip -> {route, link, hooks} -> device -> qdisc -> wire`.
//! Time, randomness and memory are arguments; where a lane runs is not the stack's business.
#![forbid(unsafe_code)]

pub mod counters;
pub mod drop;
pub mod limits;
pub mod qdisc;
pub mod route;
pub mod timers;
pub mod wire;

pub use xmit_nic::{Duration, Instant};
