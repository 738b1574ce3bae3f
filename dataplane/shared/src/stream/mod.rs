//! Byte rings of streams: what a TCP connection has to send, and what it received.
//!
//! Each direction has a ring of every size 2^k. A stream starts with a small ring and moves to a larger or smaller one while it
//! flows: bytes before the position of change are in the old ring, bytes from there on in the new one. The two never overlap, so
//! nothing is copied and nobody waits.
//! Whenever all was read, the writer begins anew where the ring begins: a stream that is light stays in a line or two of it.
//!
//! Invariants:
//! * positions start at 0 when the slot is opened, run freely and wrap at 2^32; each end keeps its own privately, and a peer's is
//!   believed only if it lies between the last one seen and our own;
//! * the lane alone decides sizes, and changes one only when the stream has left the ring before it;
//! * a copy never leaves its ring, whatever stands in the words.
//!
//! `send` is the direction client to lane, `receive` lane to client. `docs/shared-memory.md` has the words.

mod area;
mod info;
#[cfg(test)]
#[cfg(loom)]
mod loom_model;
mod receive;
mod send;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use area::{STREAM_RING_MAX, STREAM_RING_MIN};
pub use info::{TCP_INFO_BYTES, TcpInfo};
pub use receive::{ReceiveReader, ReceiveWriter};
pub use send::{Outgoing, SendReader, SendWriter};

use crate::memory::{Bytes, Entry, Line, LineWords};
use core::fmt::Debug;
use core::net::{Ipv4Addr, SocketAddrV4};

/// The most bytes of writes that are gathered into one of Linux's buffers, which lane and client both reckon with: 64 KiB less what
/// headers may take (`sk_gso_max_size`, `MAX_TCP_HEADER`).
pub const SIZE_GOAL_MAX: u32 = 65_536 - 1 - 320;

/// Where one direction of a stream lies.
#[derive(Debug)]
pub struct StreamRing {
    /// The slot's line that the client writes.
    pub client: Line,
    /// The slot's line that the lane writes.
    pub lane: Line,
    /// The area, twice as large as the largest ring: a ring of 2^k bytes lies at 2^k, `TCP_INFO` at its beginning.
    pub bytes: Bytes,
    /// Bytes of the largest ring, a power of two.
    pub size_max: u32,
    /// See [`StreamView::skew`].
    pub skew: u32,
}

/// Where one direction of a stream lies, for whoever holds the ring itself ([`StreamRing`]) or finds it by a number
/// (a session's slot, which then costs little while it is idle).
pub trait StreamView: Debug {
    /// The slot's line that the client writes.
    fn client(&self) -> &LineWords;
    /// The slot's line that the lane writes.
    fn lane(&self) -> &LineWords;
    /// Bytes of the largest ring, a power of two.
    fn size_max(&self) -> u32;
    /// Where the origin lies in a ring, a multiple of a cache line. Slots differ in it: rings begin at whole pages, and streams that
    /// carry the same amounts would otherwise all use the same few sets of the processor's caches.
    fn skew(&self) -> u32;
    /// Asks for the cache line at `offset` in the ring of `ring` bytes, to be written soon.
    fn prefetch(&self, ring: u32, offset: usize);
    /// Copies bytes of the ring of `ring` bytes into `out`. False (and `out` unchanged) if they reach beyond its end.
    fn read(&self, ring: u32, offset: usize, out: &mut [u8]) -> bool;
    /// Copies `data` into the ring of `ring` bytes. False (and nothing written) if it reaches beyond its end.
    fn write(&self, ring: u32, offset: usize, data: &[u8]) -> bool;
    /// Gives the pages of the ring of `ring` bytes back to the kernel ([`Bytes::give_back`]).
    fn give_back(&self, ring: u32) -> bool;
    /// Copies `TCP_INFO` out.
    fn read_info(&self, out: &mut [u8; TCP_INFO_BYTES]);
    /// Puts `TCP_INFO` down.
    fn write_info(&self, info: &[u8; TCP_INFO_BYTES]);
}

impl StreamView for StreamRing {
    #[inline]
    fn client(&self) -> &LineWords {
        &self.client
    }
    #[inline]
    fn lane(&self) -> &LineWords {
        &self.lane
    }
    #[inline]
    fn size_max(&self) -> u32 {
        self.size_max
    }
    #[inline]
    fn skew(&self) -> u32 {
        self.skew
    }
    #[inline]
    fn prefetch(&self, ring: u32, offset: usize) {
        self.bytes.prefetch(ring as usize + offset);
    }
    #[inline]
    fn read(&self, ring: u32, offset: usize, out: &mut [u8]) -> bool {
        self.bytes.read(ring as usize + offset, out)
    }
    #[inline]
    fn write(&self, ring: u32, offset: usize, data: &[u8]) -> bool {
        self.bytes.write(ring as usize + offset, data)
    }
    fn give_back(&self, ring: u32) -> bool {
        self.bytes.give_back(ring as usize, ring as usize)
    }
    fn read_info(&self, out: &mut [u8; TCP_INFO_BYTES]) {
        self.bytes.read(0, out);
    }
    fn write_info(&self, info: &[u8; TCP_INFO_BYTES]) {
        self.bytes.write(0, info);
    }
}

/// The words of a slot's two lines that belong to streams, by their index.
pub(crate) mod word {
    // The client's line; the words before are those of datagrams.
    pub(crate) const SEND_TAIL: usize = 4;
    pub(crate) const RECEIVE_HEAD: usize = 5;
    pub(crate) const FLAGS: usize = 6;
    pub(crate) const SEND_PUSHED: usize = 7;
    pub(crate) const SEND_URGENT: usize = 8;
    pub(crate) const SEND_URGENT_COUNT: usize = 9;
    pub(crate) const SEND_RECORD_COUNT: usize = 10;
    /// The first of [`super::RECORDS`].
    pub(crate) const SEND_RECORDS: usize = 11;
    pub(crate) const SEND_ORIGIN: usize = 15;
    // The lane's line.
    /// In datagram sockets, the head of what they send.
    pub(crate) const RECEIVE_ORIGIN: usize = 0;
    pub(crate) const SEND_HEAD: usize = 4;
    pub(crate) const RECEIVE_TAIL: usize = 5;
    pub(crate) const SEND_NEXT: usize = 6;
    pub(crate) const RECEIVE_WATCH: usize = 7;
    pub(crate) const RECEIVE_URGENT: usize = 8;
    pub(crate) const RECEIVE_URGENT_COUNT: usize = 9;
    pub(crate) const SEND_RING: usize = 10;
    pub(crate) const SEND_RING_AT: usize = 11;
    pub(crate) const RECEIVE_RING: usize = 12;
    pub(crate) const RECEIVE_RING_AT: usize = 13;
    pub(crate) const INFO_SEQUENCE: usize = 14;
    pub(crate) const SEND_RECORDS_TAKEN: usize = 15;
}

/// Ends of records (`MSG_EOR`) that a client may have published and the lane not taken: a power of two.
pub(crate) const RECORDS: u32 = 4;

/// What a client wants of its stream at this moment, without a call: it may change between two writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamFlags(pub u32);

impl StreamFlags {
    /// `TCP_NODELAY`.
    pub const NODELAY: Self = Self(1);
    /// `TCP_CORK`.
    pub const CORK: Self = Self(2);

    /// Counts, modulo 256, how often `TCP_NODELAY` was set: each time releases what waits.
    const RELEASES_SHIFT: u32 = 24;

    /// True if all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// How often `TCP_NODELAY` was set, modulo 256.
    pub const fn releases(self) -> u32 {
        self.0 >> Self::RELEASES_SHIFT
    }

    /// `TCP_NODELAY` is set once more.
    #[must_use]
    pub const fn released_again(self) -> Self {
        Self(self.0.wrapping_add(1 << Self::RELEASES_SHIFT))
    }

    /// These and `other`, or these without it.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
    }
}

/// How a stream stands, as its lane says; what waits to be read or has room is computed from the rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamEvents(pub u32);

impl StreamEvents {
    /// The handshake is over; stays set.
    pub const CONNECTED: Self = Self(1);
    /// Nothing follows what stands in the receive ring: `FIN` or reset (`POLLRDHUP`).
    pub const RECEIVE_END: Self = Self(2);
    /// Nothing more can be sent: the connection is gone (`EPIPE`).
    pub const SEND_END: Self = Self(4);
    /// The connection is gone altogether, or was never made (`POLLHUP`).
    pub const CLOSED: Self = Self(8);
    /// A listener.
    pub const LISTENING: Self = Self(16);

    /// True if all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A connection that a lane put into a slot granted to it, as it stands in the listener's receive ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The slot.
    pub slot: u32,
    /// `getpeername`.
    pub peer: SocketAddrV4,
    /// `getsockname`.
    pub local: SocketAddrV4,
}

/// Bytes of an [`Accepted`] in its ring.
pub const ACCEPTED_BYTES: usize = 32;

impl Accepted {
    /// As it stands in the ring: slot, zero, peer's address, peer's port, local address, local port, two zeroes.
    pub fn encode(&self) -> [u8; ACCEPTED_BYTES] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let addr = |addr: SocketAddrV4| pair((*addr.ip()).into(), addr.port().into());
        let entry: Entry = [self.slot.into(), addr(self.peer), addr(self.local), 0];
        let mut bytes = [0; ACCEPTED_BYTES];
        for (chunk, value) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(entry) {
            *chunk = value.to_ne_bytes();
        }
        bytes
    }

    /// The inverse; any bytes give something.
    pub fn decode(bytes: &[u8; ACCEPTED_BYTES]) -> Self {
        let mut entry: Entry = [0; 4];
        for (value, chunk) in entry.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *value = u64::from_ne_bytes(*chunk);
        }
        let [slot, peer, local, _] = entry;
        let addr = |word: u64| SocketAddrV4::new(Ipv4Addr::from(word as u32), (word >> 32) as u16);
        Self { slot: slot as u32, peer: addr(peer), local: addr(local) }
    }
}

/// Signed distance from `from` to `to`: positive if `to` is ahead.
const fn ahead(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}
