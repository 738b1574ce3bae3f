//! Receiving: from a datagram to the connection that it is for, and through RFC 9293 section 3.10.7 there.
//!
//! * `demux`: checks and lookup; `established`: header prediction, fast path; `validate`: steps 1 to 4 (sequence, RST,
//!   SYN); `ack`: step 5; `urgent`: step 6; `data`: step 7; `states`: what an ACK or FIN does to the state, step 8;
//!   `acknowledge`: whether the answer waits.
//!
//! Nothing here builds a segment, but for the ACKs and resets that cannot wait: it notes what is to be done in
//! [`Pending`](super::connection::Pending), and the lane's ready queue does it once per burst.

mod ack;
mod acknowledge;
mod data;
mod demux;
mod established;
mod states;
mod urgent;
mod validate;

pub(super) use acknowledge::{DELAY_MAX_MS, DELAY_MIN_MS, QUICK_ACKS_MAX};
pub use demux::{Target, refuse, tcp_v4_rcv};
pub(super) use established::UNPREDICTED;
