//! Frames: getting them, owning them, giving them back.
//!
//! Owns the packet buffers of a lane ([`Pool`] over a [`Region`]) and everything that moves them in and out
//! ([`Port`] and what implements it). Knows nothing of protocols above the Ethernet frame.
//!
//! Invariants:
//! * a [`Frame`] is owned by exactly one place; the signature says who owns it after the call;
//! * the number of frames is conserved: [`Pool::census`] says who holds each one;
//! * bursts of at most [`BURST_FRAMES_MAX`] frames, never single packets, cross the boundary.
//!
//! A frame's life is a circle: pool, fill ring, receive ring, lane, transmit ring, completion ring, pool.

pub mod around;
pub mod burst;
pub mod caps;
pub mod capture;
pub mod el3c501;
pub mod frame;
pub mod join;
pub mod mac;
pub mod packet;
pub mod pool;
pub mod port;
pub mod region;
pub mod rng;
pub mod sim;
pub mod tap;
pub mod xdp;

pub use around::Around;
pub use burst::{BURST_FRAMES_MAX, Burst};
pub use caps::Caps;
pub use frame::{Frame, FrameNotes, SlotId};
pub use mac::MacAddr;
pub use pool::{Holder, Pool};
pub use port::{Port, PortStats, Wakeup};
pub use region::Region;
pub use xmit_shared::time::{Duration, Instant};
