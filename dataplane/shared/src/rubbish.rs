//! What the other side wrote cannot be true.
//!
//! An end that meets rubbish stops using the session: the daemon closes it, the client reports its sockets as down.
//! Nothing else happens, because private positions and bounds keep rubbish from reaching any other memory.

use thiserror::Error;

/// A value in shared memory that no honest peer writes. The cure is always the same: close the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rubbish {
    /// A published position is further from ours than the ring is large.
    #[error(
        "a ring position claims {claimed} of {capacity}: the other side wrote over its ring; the session is closed"
    )]
    Position {
        /// How much the position claims to be filled.
        claimed: u32,
        /// The ring's capacity, in the same unit.
        capacity: u32,
    },
    /// A record's length reaches beyond what was published.
    #[error("a record of {len} bytes stands in {available} published ones: the session is closed")]
    Record {
        /// The length in the record's header.
        len: u32,
        /// Published bytes from the record's start.
        available: u32,
    },
    /// A stream's position went back.
    #[error(
        "a stream's position went from {seen} bytes to {claimed}: the other side wrote over its words; the session is closed"
    )]
    Backwards {
        /// What it claimed before.
        seen: u32,
        /// What it claims now.
        claimed: u32,
    },
    /// A stream's ring has a size that cannot be.
    #[error("the word {0:#x} names no size of a stream's ring: the session is closed")]
    Size(u32),
    /// A submission's operation is none that this version knows.
    #[error("operation {0} is unknown to this version: the session is closed")]
    Operation(u32),
    /// A slot outside the table.
    #[error("slot {0} is outside the session's table: the session is closed")]
    Slot(u32),
}
