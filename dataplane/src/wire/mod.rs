//! Wire formats: bytes to types and back, one file per protocol.
//!
//! Invariants:
//! * `parse` checks everything that a getter relies on, so getters cannot fail; any bytes at all are answered with a
//!   view or with a [`Malformed`], never with a panic;
//! * a view borrows the frame's bytes and copies nothing; multi-byte numbers are in the machine's order once read;
//! * `emit` writes a whole header or, if the room is too small, nothing, and answers how many bytes it wrote;
//! * parse of emit is the identity (property tests in each file).
//!
//! Knows bytes only: whether a good packet is wanted is decided by the layers above.

pub mod arp;
pub mod checksum;
pub mod compose;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod malformed;
pub mod option;
pub mod tcp;
pub mod tcp_options;
pub mod udp;

pub use malformed::Malformed;
pub use xmit_nic::MacAddr;

use std::net::Ipv4Addr;

/// The 16-bit number at `at`, in network order on the wire.
#[inline]
const fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The 32-bit number at `at`, in network order on the wire.
#[inline]
const fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The IPv4 address at `at`.
#[inline]
const fn address<const N: usize>(bytes: &[u8; N], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

/// The link-layer address at `at`.
#[inline]
const fn mac<const N: usize>(bytes: &[u8; N], at: usize) -> MacAddr {
    MacAddr([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4], bytes[at + 5]])
}
