//! ICMP (RFC 792, 1122 3.2.2, 1812 4.3; `net/ipv4/icmp.c`).
//!
//! Answers echo requests, sends errors when the RFCs say so, and turns received errors into news for the
//! protocol that sent the offending packet. Called by the stack.

mod input;
mod quote;
mod send;

pub use input::{IcmpNews, icmp_rcv, news_of};
pub use quote::Quote;
pub use send::icmp_send;
