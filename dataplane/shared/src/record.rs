//! A byte ring of datagram records from one writer to one reader.
//!
//! ```text
//!  |<------------ a record, a multiple of 32 bytes ------------>|
//!  | header (32 bytes) | payload, perhaps wrapping | padding     | next record
//!  ^ head (reader's), always a multiple of 32                     ^ tail (writer's)
//!
//!  header   0      4      6      8       12      16       20   21   22       24
//!           | len  | flags| port | address | local | ifindex|ttl |tos |(zero) | time (nanoseconds) |
//! ```
//!
//! The payload is copied once, in two pieces where it wraps; a header never wraps because records are aligned to its size.
//!
//! Invariants:
//! * each end keeps its own position privately; what the peer published is bounded before use;
//! * a header is copied out once, then checked, and only the copy is used: the writer cannot change it afterwards;
//! * the ring's size is a power of two of at least [`RECORD_RING_MIN`] bytes.

use crate::memory::{Bytes, Entry, Word32};
use crate::rubbish::Rubbish;
use crate::sync::{AtomicU32, Ordering};
use core::fmt::Debug;
use core::net::{Ipv4Addr, SocketAddrV4};
use thiserror::Error;

/// Bytes of a record's header, and the unit that records are rounded up to.
pub const RECORD_UNIT: u32 = 32;
/// The smallest ring: a header and one unit of payload twice, so that a full ring and an empty one differ.
pub const RECORD_RING_MIN: u32 = 4 * RECORD_UNIT;
/// The largest ring, so that distances between positions stay far from wrapping.
pub const RECORD_RING_MAX: u32 = 1 << 30;

/// What stands in a record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Payload bytes. Set by the writer of the record.
    pub len: u32,
    /// The other end of the datagram: its destination when sent, its source when received. A sent one with port 0 goes
    /// to the address that the socket is connected to.
    pub peer: SocketAddrV4,
    /// This end's address: the destination of a received datagram; unspecified when sent, unless `IP_PKTINFO` asks.
    pub local: Ipv4Addr,
    /// The interface it arrived on, or shall leave by; 0 if it does not matter.
    pub ifindex: u32,
    /// Time to live of a received datagram; 0 when sent: the socket's.
    pub ttl: u8,
    /// Type of service of a received datagram; 0 when sent: the socket's.
    pub tos: u8,
    /// Bits of later versions; zero.
    pub flags: u16,
    /// When it arrived, in nanoseconds on the lane's clock; 0 when sent.
    pub time: u64,
}

/// Why a record was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// Not now: the reader is behind.
    #[error("the ring is full until its reader catches up")]
    Full,
    /// Never: the record is larger than the ring.
    #[error("the record is larger than the ring: send less at once or configure larger buffers")]
    TooLarge,
    /// The reader's position cannot be.
    #[error(transparent)]
    Rubbish(#[from] Rubbish),
}

/// Where a record ring lies.
#[derive(Debug)]
pub struct RecordRing {
    /// Published by the reader.
    pub head: Word32,
    /// Published by the writer.
    pub tail: Word32,
    /// As many as `size`.
    pub bytes: Bytes,
    /// A power of two.
    pub size: u32,
}

/// The end that appends records.
#[derive(Debug)]
pub struct RecordWriter<V: RecordView = RecordRing> {
    ring: V,
    tail: u32,
    head_seen: u32,
}

/// The end that takes records out.
#[derive(Debug)]
pub struct RecordReader<V: RecordView = RecordRing> {
    ring: V,
    head: u32,
    tail_seen: u32,
    current: Option<Meta>,
}

impl Meta {
    /// A datagram to or from `peer` with nothing else said about it.
    pub const fn of(peer: SocketAddrV4) -> Self {
        Self { len: 0, peer, local: Ipv4Addr::UNSPECIFIED, ifindex: 0, ttl: 0, tos: 0, flags: 0, time: 0 }
    }

    fn encode(&self) -> Entry {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            pair(self.len, u32::from(self.flags) | u32::from(self.peer.port()) << 16),
            pair((*self.peer.ip()).into(), self.local.into()),
            pair(self.ifindex, u32::from(self.ttl) | u32::from(self.tos) << 8),
            self.time,
        ]
    }

    fn decode([first, second, third, time]: Entry) -> Self {
        let peer = SocketAddrV4::new(Ipv4Addr::from(second as u32), (first >> 48) as u16);
        Self {
            len: first as u32,
            peer,
            local: Ipv4Addr::from((second >> 32) as u32),
            ifindex: third as u32,
            ttl: (third >> 32) as u8,
            tos: (third >> 40) as u8,
            flags: (first >> 32) as u16,
            time,
        }
    }
}

/// Bytes that a payload of `len` bytes takes in a ring.
pub const fn record_bytes(len: u32) -> u64 {
    (len as u64 + RECORD_UNIT as u64).next_multiple_of(RECORD_UNIT as u64)
}

impl<V: RecordView> RecordWriter<V> {
    /// The writing end of a ring that nothing was ever written to.
    pub fn new(ring: V) -> Self {
        let size = ring.size();
        debug_assert!(size.is_power_of_two() && (RECORD_RING_MIN..=RECORD_RING_MAX).contains(&size));
        Self { ring, tail: 0, head_seen: 0 }
    }

    /// Appends one record whose payload is `parts` one after the other, and publishes it.
    ///
    /// # Errors
    /// [`PushError`]; nothing is written then.
    #[inline]
    pub fn push(&mut self, meta: &Meta, parts: &[&[u8]]) -> Result<(), PushError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).map_err(|_| PushError::TooLarge)?;
        let need = record_bytes(len);
        if need > u64::from(self.ring.size()) {
            return Err(PushError::TooLarge);
        }
        if u64::from(self.ring.size() - self.tail.wrapping_sub(self.head_seen)) < need && u64::from(self.room()?) < need
        {
            return Err(PushError::Full);
        }
        write_entry(&self.ring, self.ring.offset(self.tail), Meta { len, ..*meta }.encode());
        let mut position = self.tail.wrapping_add(RECORD_UNIT);
        for part in parts {
            self.ring.copy_in(position, part);
            position = position.wrapping_add(part.len() as u32);
        }
        self.tail = self.tail.wrapping_add(need as u32);
        // Release pairs with the Acquire in `RecordReader::available`: header and payload become visible.
        self.ring.tail().store(self.tail, Ordering::Release);
        Ok(())
    }

    /// True if the reader has taken every record.
    ///
    /// # Errors
    /// [`Rubbish`] if the reader's position cannot be.
    pub fn is_drained(&mut self) -> Result<bool, Rubbish> {
        Ok(self.room()? == self.ring.size())
    }

    /// Starts anew where the ring's last writer stopped, which may have been another lane.
    pub fn restart(&mut self) {
        // Whatever the word holds will do as a start: only distances from it are ever used, and they are bounded.
        self.tail = self.ring.tail().load(Ordering::Relaxed) & !(RECORD_UNIT - 1);
        self.head_seen = self.tail.wrapping_sub(self.ring.size());
    }

    /// Bytes that fit now, headers included.
    ///
    /// # Errors
    /// [`Rubbish`] if the reader's position cannot be.
    pub fn room(&mut self) -> Result<u32, Rubbish> {
        // Acquire pairs with the Release in `RecordReader::advance`: the reader is done with the bytes before `head`.
        let head = self.ring.head().load(Ordering::Acquire);
        let room = self.ring.size() - self.ring.check(self.tail, head)?;
        self.head_seen = head;
        Ok(room)
    }
}

impl<V: RecordView> RecordReader<V> {
    /// The reading end of a ring that nothing was ever read from.
    pub fn new(ring: V) -> Self {
        let size = ring.size();
        debug_assert!(size.is_power_of_two() && (RECORD_RING_MIN..=RECORD_RING_MAX).contains(&size));
        Self { ring, head: 0, tail_seen: 0, current: None }
    }

    /// The header of the oldest record, checked; `None` if there is none. The same record until [`Self::consume`].
    ///
    /// # Errors
    /// [`Rubbish`] if the writer's position or the record's length cannot be.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<Meta>, Rubbish> {
        if self.current.is_some() {
            return Ok(self.current);
        }
        let mut available = self.tail_seen.wrapping_sub(self.head);
        if available == 0 {
            available = self.available()?;
        }
        if available == 0 {
            return Ok(None);
        }
        let meta = Meta::decode(read_entry(&self.ring, self.ring.offset(self.head)));
        if record_bytes(meta.len) > u64::from(available) {
            return Err(Rubbish::Record { len: meta.len, available });
        }
        self.current = Some(meta);
        Ok(self.current)
    }

    /// Copies the payload of the peeked record into `out` and answers how many bytes; what does not fit is left out.
    #[inline]
    pub fn copy(&self, out: &mut [u8]) -> usize {
        let len = self.current.map_or(0, |meta| meta.len as usize).min(out.len());
        if let Some(out) = out.get_mut(..len) {
            self.ring.copy_out(self.head.wrapping_add(RECORD_UNIT), out);
        }
        len
    }

    /// Drops the peeked record and gives its place back to the writer.
    #[inline]
    pub fn consume(&mut self) {
        if let Some(meta) = self.current.take() {
            self.advance(self.head.wrapping_add(record_bytes(meta.len) as u32));
        }
    }

    /// Starts anew at what the writer has published: drops every record that an earlier socket left in the slot.
    pub fn restart(&mut self) {
        // Whatever the word holds will do as a start: only distances from it are ever used, and they are bounded.
        let tail = self.ring.tail().load(Ordering::Acquire) & !(RECORD_UNIT - 1);
        (self.current, self.tail_seen) = (None, tail);
        self.advance(tail);
    }

    /// Where the writer stood when it was last looked at, modulo 2^32: it grows with every record.
    pub fn shown(&self) -> u32 {
        self.tail_seen
    }

    /// Bytes of records waiting, headers included.
    ///
    /// # Errors
    /// [`Rubbish`] if the writer's position cannot be.
    pub fn available(&mut self) -> Result<u32, Rubbish> {
        // Acquire pairs with the Release in `RecordWriter::push`: records before `tail` are visible.
        let tail = self.ring.tail().load(Ordering::Acquire);
        let available = self.ring.check(tail, self.head)?;
        if !available.is_multiple_of(RECORD_UNIT) {
            return Err(Rubbish::Record { len: 0, available });
        }
        self.tail_seen = tail;
        Ok(available)
    }

    fn advance(&mut self, head: u32) {
        self.head = head;
        // Release pairs with the Acquire in `RecordWriter::room`: the bytes were read before their place is given back.
        self.ring.head().store(head, Ordering::Release);
    }
}

impl RecordView for RecordRing {
    #[inline]
    fn head(&self) -> &AtomicU32 {
        &self.head
    }
    #[inline]
    fn tail(&self) -> &AtomicU32 {
        &self.tail
    }
    #[inline]
    fn size(&self) -> u32 {
        self.size
    }
    #[inline]
    fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        self.bytes.read(offset, out)
    }
    #[inline]
    fn write(&self, offset: usize, data: &[u8]) -> bool {
        self.bytes.write(offset, data)
    }
}

/// Where a record ring lies, for whoever holds it ([`RecordRing`]) or finds it by a number (a session's slot).
pub trait RecordView: Debug {
    /// Published by the reader.
    fn head(&self) -> &AtomicU32;
    /// Published by the writer.
    fn tail(&self) -> &AtomicU32;
    /// Bytes of the ring, a power of two.
    fn size(&self) -> u32;
    /// Copies bytes of the ring into `out`. False (and `out` unchanged) if they reach beyond its end.
    fn read(&self, offset: usize, out: &mut [u8]) -> bool;
    /// Copies `data` into the ring. False (and nothing written) if it reaches beyond its end.
    fn write(&self, offset: usize, data: &[u8]) -> bool;

    /// Where `position` lies.
    #[inline]
    fn offset(&self, position: u32) -> usize {
        (position & (self.size() - 1)) as usize
    }

    /// Bytes between the two, if that can be.
    ///
    /// # Errors
    /// [`Rubbish`] if it cannot.
    #[inline]
    fn check(&self, tail: u32, head: u32) -> Result<u32, Rubbish> {
        let (claimed, capacity) = (tail.wrapping_sub(head), self.size());
        if claimed > capacity { Err(Rubbish::Position { claimed, capacity }) } else { Ok(claimed) }
    }

    /// Copies `data` to `position`, in two pieces where it wraps.
    #[inline]
    fn copy_in(&self, position: u32, data: &[u8]) {
        let offset = self.offset(position);
        let (first, second) = data.split_at(data.len().min(self.size() as usize - offset));
        self.write(offset, first);
        self.write(0, second);
    }

    /// Copies what stands at `position` to `out`.
    #[inline]
    fn copy_out(&self, position: u32, out: &mut [u8]) {
        let offset = self.offset(position);
        let (first, second) = out.split_at_mut(out.len().min(self.size() as usize - offset));
        self.read(offset, first);
        self.read(0, second);
    }
}

fn read_entry(ring: &impl RecordView, offset: usize) -> Entry {
    let mut raw = [0; RECORD_UNIT as usize];
    ring.read(offset, &mut raw);
    let mut entry = Entry::default();
    for (value, chunk) in entry.iter_mut().zip(raw.as_chunks::<8>().0) {
        *value = u64::from_ne_bytes(*chunk);
    }
    entry
}

fn write_entry(ring: &impl RecordView, offset: usize, entry: Entry) {
    let mut raw = [0; RECORD_UNIT as usize];
    for (value, chunk) in entry.iter().zip(raw.as_chunks_mut::<8>().0) {
        *chunk = value.to_ne_bytes();
    }
    ring.write(offset, &raw);
}

#[cfg(test)]
#[cfg(not(loom))]
#[path = "record_tests.rs"]
mod tests;

#[cfg(test)]
#[cfg(loom)]
mod loom_model {
    use super::*;

    #[test]
    fn loom_records_arrive_whole_and_in_order() {
        loom::model(|| {
            let (head, tail, bytes) = (Word32::private().unwrap(), Word32::private().unwrap(), Bytes::new(128));
            let ring = || RecordRing { head: head.clone(), tail: tail.clone(), bytes: bytes.clone(), size: 128 };
            let (mut writer, mut reader) = (RecordWriter::new(ring()), RecordReader::new(ring()));
            let thread = loom::thread::spawn(move || {
                let meta = Meta::of(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7));
                let mut next = 1u8;
                while next <= 3 {
                    match writer.push(&meta, &[&[next; 40]]) {
                        Ok(()) => next += 1,
                        Err(PushError::Full) => loom::thread::yield_now(),
                        Err(other) => panic!("{other}"),
                    }
                }
            });
            let mut expected = 1u8;
            while expected <= 3 {
                if let Some(meta) = reader.peek().unwrap() {
                    let mut out = [0; 40];
                    assert_eq!((meta.len, reader.copy(&mut out)), (40, 40));
                    assert_eq!(out, [expected; 40]);
                    reader.consume();
                    expected += 1;
                } else {
                    loom::thread::yield_now();
                }
            }
            thread.join().unwrap();
        });
    }
}
