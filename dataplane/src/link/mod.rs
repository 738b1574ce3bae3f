//! Ethernet and neighbours: from a next hop's IP address to a frame on the device's queue.
//!
//! Owns the neighbour table and ARP (RFC 826, 1122 2.3.2, 5227; `net/core/neighbour.c`, `net/ipv4/arp.c`).
//! Called by `ip` for output and by the stack for ARP input and timers.
//!
//! Invariants: packets that wait for a neighbour are bounded per neighbour and in all; each of them is sent,
//! dropped with a name, or told to its sender when the last try failed.

mod arp;
mod neighbour;
mod output;
mod table;

pub use arp::{arp_input, heard};
pub use neighbour::{Neighbour, NeighbourState};
/// Bytes of an Ethernet header without a tag.
pub const LINK_HEADER_ROOM: usize = 14;
pub use output::{adopt_static, broadcast_output, multicast_output, neigh_resolve_output, on_timer, release_pending};
pub use table::{NeighbourId, Neighbours};
