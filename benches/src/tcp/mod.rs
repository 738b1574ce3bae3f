//! TCP side by side: one server program on kernel sockets and on xmitd's, and one load for both.
//!
//! The server has the three old services, each on its port: echo (RFC 862), discard (RFC 863) and character generator (RFC 864). It is one
//! thread that waits for many connections: `epoll` on kernel sockets, `xmit::Poller` on the daemon's. What it does with a connection is
//! the same code. The load is one thread on kernel sockets with `epoll`.
//!
//! Beside that, [`rig`] is a lane without a kernel: far ends that are played for it ([`peer`]) and a server on a session's rings
//! ([`ring_server`]), for instructions and for numbers of connections that no kernel is asked for.

pub mod load;
pub mod peer;
pub mod rig;
pub mod ring_server;
mod scenario;
pub mod server;
mod template;

pub use scenario::{BadScenario, Scenario};

/// Sends back what comes.
pub const ECHO_PORT: u16 = crate::contender::ECHO_PORT;
/// Reads what comes.
pub const DISCARD_PORT: u16 = 9;
/// Sends as much as is taken.
pub const CHARGEN_PORT: u16 = 19;

/// Bytes of a request and of its answer.
pub const REQUEST_BYTES: usize = 64;

/// Lets this process have as many descriptors as root may: a thousand connections are more than the usual limit.
pub fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused, the connections that go beyond it say so.
    let _ = setrlimit(Resource::Nofile, limit);
}
