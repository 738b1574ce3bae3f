//! AF_XDP: rings by xsk-rs, the steering XDP program and its loader.
//!
//! ```text
//! NIC queue -> steer.bpf.c -+- for the daemon --> XSKMAP -> XdpPort (one per queue) -> lane
//!                           +- everything else -> the kernel
//! ```
//!
//! * [`Steering`]: the program on one interface, and which addresses and ports go to the daemon.
//! * [`LaneUmem`]: a lane's frames; the pool's region and the kernel's UMEM are the same memory, for all its ports.
//! * [`XdpPort`]: one queue as a [`crate::Port`].
//! * [`Interface`]: what the kernel says of an interface. [`probe`]: what works on it, tried for real.
//!
//! Invariants: what is not steered reaches the kernel; nothing stays attached when the process dies; the mode
//! obtained is told, never assumed. Opening a lane, in this order: `Steering::attach`, `LaneUmem::new`,
//! `XdpPort::open` for each queue, `Steering::add_address`; closing: `Port::shutdown` for each port, then drop all.
//!
//! To have open: `Documentation/networking/af_xdp.rst`, `linux/if_xdp.h`.

mod counters;
mod error;
mod interface;
mod ledger;
mod link;
mod options;
mod port;
mod probe;
mod rings;
mod sockopt;
mod steering;
mod umem;

pub use counters::XdpCounters;
pub use error::XdpError;
pub use interface::Interface;
pub use options::{BusyPoll, CopyWish, PortOptions};
pub use port::XdpPort;
pub use probe::{Report, Support, probe};
pub use steering::{ModeWish, Protocol, Steering, SteeringCounters, XdpMode};
pub use umem::LaneUmem;
