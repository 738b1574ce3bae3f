//! The running daemon: the control thread, the lanes' threads, and what passes between them.
//!
//! ```text
//!  operator, signals, netlink, sessions --> control --commands, snapshots--> lanes
//!                                           control <------- reports -------- lanes
//! ```
//!
//! Invariants:
//! * the control thread never waits for a client, and for a lane only with a limit;
//! * the control thread is the only one that changes steering, binds and snapshots;
//! * what a lane reports is acted on even if the lane's own mailbox is full: commands wait in an outbox, in order.

pub mod captures;
pub mod joins;
pub mod lane_thread;
pub mod lanes;
pub mod ports;
pub mod published;
pub mod sessions;
pub mod snapshot;
pub mod steer;
