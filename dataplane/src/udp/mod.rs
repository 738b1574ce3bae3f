//! UDP (RFC 768, 1122 4.1; `net/ipv4/udp.c`).
//!
//! Owns the sockets of a lane by their addresses, and finds the one a datagram is for. Knows nothing of the rings that
//! programs read from: it answers who gets a datagram, and the socket layer carries it there.

mod input;
mod output;
mod table;

pub use input::{UdpVerdict, udp_err, udp_rcv};
pub use output::{SendError, udp_sendmsg};
pub use table::{SocketCounts, UdpSocket, UdpSocketId, UdpTable};
