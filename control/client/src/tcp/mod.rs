//! TCP: `std`'s streams and listeners on top, a socket with the calls of POSIX below.
//!
//! * `socket`: the socket itself, its calls and its options; `transfer`: sending and receiving; `urgent`: the byte out of band;
//! * `stream` and `listener`: the habits of `std::net`.

mod listener;
mod socket;
mod stream;
mod transfer;
mod urgent;

pub(crate) use listener::Listener;
pub use listener::{Incoming, TcpListener};
pub use socket::TcpSocket;
pub use stream::TcpStream;
pub use transfer::MsgFlags;

/// What a poller tells about a socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) error: bool,
    pub(crate) hup: bool,
    pub(crate) read_hup: bool,
    pub(crate) priority: bool,
}
