//! What two parties touch at once: clients and lanes, lanes and lanes, lanes and the control thread.
//!
//! Owns every layout in shared memory, every lock-free ring, the snapshots that the control thread publishes,
//! the doorbells, and the one reading of the clock. Everything else in the project is plain fields and `&mut`.
//!
//! Invariants:
//! * nothing that a client can write is believed: every index is masked and every count bounded here;
//! * each `Acquire` names its `Release` and what becomes visible;
//! * every lock-free piece has a loom model (`RUSTFLAGS="--cfg loom" cargo test -p xmit-shared --release loom`);
//! * `unsafe` stands in `memory` (shared memory itself), `clock` (the time-stamp counter) and `prefetch`, nowhere else.

// A model replaces shared memory by loom's own; what only works on real memory and descriptors is left out of it.
#[cfg(not(loom))]
pub mod clock;
pub mod dirty;
#[cfg(not(loom))]
pub mod doorbell;
#[cfg(not(loom))]
pub mod handshake;
#[cfg(not(loom))]
pub mod mailbox;
#[cfg_attr(loom, path = "model.rs")]
pub mod memory;
#[cfg(test)]
#[cfg(loom)]
mod models;
pub mod prefetch;
pub mod record;
pub mod ring;
pub mod rubbish;
#[cfg(not(loom))]
pub mod session;
pub mod sleep;
pub mod slot_set;
pub mod snapshot;
pub mod stats;
pub mod stream;
mod sync;
pub mod time;

pub use rubbish::Rubbish;
pub use time::Instant;
