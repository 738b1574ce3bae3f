//! TCP: `std`'s streams and listeners on top, a socket with the calls of POSIX below.
//!
//! * `socket`: the socket itself and its calls; `options` and `readiness` of it; `transfer`: sending and receiving; `urgent`: the byte out of band;
//! * `stream` and `listener`: the habits of `std::net`.

mod fast_open;
mod inherit;
mod listener;
mod options;
mod progress;
mod readiness;
mod send_limit;
mod socket;
mod stream;
mod transfer;
mod urgent;

pub(crate) use listener::Listener;
pub use listener::{Incoming, TcpListener};
pub use progress::{Progress, Sent};
pub use readiness::{Marks, Readiness};
pub use socket::TcpSocket;
pub use stream::TcpStream;
pub use transfer::MsgFlags;
