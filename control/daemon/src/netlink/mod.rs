//! What the kernel knows of this network namespace: links, addresses, routes, neighbours; read once and followed.
//!
//! Owns the reading ([`Dump`]), the following of changes ([`Follower`]) and the plain result ([`KernelView`]), which
//! has no netlink in it. Called by the control thread; the sockets belong to the namespace they were opened in.
//!
//! Invariants:
//! * notices are subscribed before the first reading, so that no change falls between;
//! * a lost notice (`ENOBUFS`) or an interrupted dump (`NLM_F_DUMP_INTR`) leads to reading anew, never to a guess;
//! * a view is replaced whole, and its generation grows exactly when its content differs.
//!
//! RFC 3549 describes netlink; `man 7 rtnetlink` the messages.

mod dump;
mod follower;
mod message;
mod view;

pub use dump::{Dump, NetlinkError, Table};
pub use follower::{Follower, FollowerStats};
pub use view::{KernelAddress, KernelInterface, KernelNeighbour, KernelRoute, KernelView, NeighbourState, NextHop};
pub use view::{RouteKind, RouteOrigin};

#[cfg(test)]
mod tests;
