//! The server under test: echo, discard and character generator in one thread.

mod connection;
mod connections;
mod kernel;
mod xmit;

pub use self::kernel::serve as on_kernel;
pub use self::xmit::serve as on_xmit;

use super::{CHARGEN_PORT, DISCARD_PORT, ECHO_PORT};

/// Bytes that one call reads or writes at most.
const BUFFER_BYTES: usize = 64 << 10;
/// Events of one wait at most.
const EVENTS_MAX: usize = 256;
/// Connections that wait to be accepted, as Linux's `net.core.somaxconn` allows.
const BACKLOG: u16 = 4096;

/// What a connection is for, by the port it was made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Sends back what comes (RFC 862).
    Echo,
    /// Reads what comes (RFC 863).
    Discard,
    /// Sends as much as is taken (RFC 864).
    Chargen,
}

impl Service {
    /// All, with their usual ports.
    pub const ALL: [(Self, u16); 3] =
        [(Self::Echo, ECHO_PORT), (Self::Discard, DISCARD_PORT), (Self::Chargen, CHARGEN_PORT)];
}
