//! IPv4: one way in, one way out (RFC 791, 1122 3.2, 1812; `net/ipv4/ip_input.c`, `ip_output.c`, `route.c`).
//!
//! Called by the stack for input and by `icmp` and `udp` for output. Frames here start with the IP header.

mod ident;
mod input;
mod output;
mod packet;
mod path;

pub use ident::Idents;
pub use input::{handed_over, ip_rcv};
pub use output::{Outgoing, has_room, ip_queue_xmit, reserve};
pub use packet::{Cast, Packet};
pub use path::{Path, PathKey, PathKind, ip_route_output};
