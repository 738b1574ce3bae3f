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
//! Streams are the same: [`TcpListener`] and [`TcpStream`] as in `std`, and [`TcpSocket`] below them with the calls of POSIX, for
//! connecting without waiting, urgent data, corking and options.
//!
//! A program that runs the stack itself gives its session an [`Embedding`]: the same sockets, on the stack's own clock.
//!
//! Owns a process's sessions and the sleeping of its threads. Knows `xmit-shared`, never the stack.
//!
//! Invariants:
//! * errors carry the numbers that Linux gives; the daemon's death is `ENETDOWN` on every socket, at once and for good;
//! * no call hangs: whoever sleeps watches the connection to the daemon as well;
//! * sending and receiving make no system call unless a side sleeps.

mod drive;
mod news;
mod owners;
mod poller;
mod pulse;
mod session;
mod slot;
mod spin;
mod tcp;
mod timeout;
mod udp;
mod wait;
mod watched;

#[cfg(test)]
mod tests;

pub use drive::Embedding;
pub use poller::{Event, Interest, Poller};
pub use pulse::Pulse;
pub use session::{ConnectError, Session};
pub use tcp::{Incoming, Marks, MsgFlags, Progress, Readiness, Sent, TcpListener, TcpSocket, TcpStream};
pub use udp::{Datagram, UdpSocket};
pub use xmit_shared::session::{CongestionName, SocketOption, TcpInfo};
