//! Sockets of a running `xmitd`, through shared memory, with the habits of `std::net`.
//!
//! ```no_run
//! let socket = xmit::UdpSocket::bind("0.0.0.0:7")?;
//! let mut buffer = [0; 2048];
//! let (len, peer) = socket.recv_from(&mut buffer)?;
//! socket.send_to(&buffer[..len], peer)?;
//! # std::io::Result::Ok(())
//! ```
//!
//! Owns a process's sessions and the sleeping of its threads. Knows `xmit-shared`, never the stack.
//!
//! Invariants:
//! * errors carry the numbers that Linux gives; the daemon's death is `ENETDOWN` on every socket, at once and for good;
//! * no call hangs: whoever sleeps watches the connection to the daemon as well;
//! * sending and receiving make no system call unless a side sleeps.

mod poller;
mod session;
mod slot;
mod spin;
mod udp;
mod wait;

#[cfg(test)]
mod tests;

pub use poller::{Event, Interest, Poller};
pub use session::{ConnectError, Session};
pub use udp::UdpSocket;
