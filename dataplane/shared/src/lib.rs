//! What two parties touch at once: clients and lanes, lanes and lanes, lanes and the control thread.
//!
//! Owns every layout in shared memory, every lock-free ring, the snapshots that the control thread publishes,
//! the doorbells, and the one reading of the clock. Everything else in the project is plain fields and `&mut`.
//!
//! Invariants:
//! * nothing that a client can write is believed: every index is masked and every count bounded here;
//! * each `Acquire` names its `Release` and what becomes visible;
//! * every lock-free piece has a loom model (`RUSTFLAGS="--cfg loom" cargo test -p xmit-shared`).

pub mod clock;
pub mod time;

pub use time::Instant;
