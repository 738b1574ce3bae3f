//! Two lanes joined in memory: a pair of ports with a byte ring in each direction, as memif has them.
//!
//! ```text
//!  a ring: | len | frame ..... | pad | len | frame ... | pad | end | (too short for the next) |
//!          ^ head (reader's)                                 ^ tail (writer's)
//! ```
//!
//! Each frame is copied once into the ring and once out of it. Frames stand close together: what costs is the lines that go from core to
//! core, and a line that two frames share goes once.
//!
//! Invariants:
//! * one thread owns each port; positions run freely, the reader's is published once a burst, the writer's every [`PUBLISH_EVERY`] frames;
//! * a frame is never wrapped: where it does not fit before the end, the word [`END`] sends the reader to the start;
//! * a full ring refuses, and loses nothing.

use std::io;
use std::sync::atomic::Ordering;
use xmit_nic::{Burst, Caps, Frame, Instant, MacAddr, Pool, Port, PortStats, Wakeup};
use xmit_shared::memory::{Bytes, Memory, Word32};

/// Bytes of one direction: 43 full frames, or 480 of 64 bytes of payload.
const RING: usize = 64 << 10;
/// A cache line.
const LINE: usize = 64;
/// What frames are rounded up to.
const ALIGN: usize = 8;
/// Where the bytes start: behind both positions, each on a line that no prefetch of the other touches.
const BODY: usize = 256;
/// Bytes of the length before each frame.
const LEN: usize = 4;
/// How far ahead of what is written lines are taken from the reader's core: what takes it about as long to give.
const AHEAD: usize = 64 * LINE;
/// Frames after which the other side may begin with them, while this one goes on.
const PUBLISH_EVERY: usize = 16;
/// Instead of a length: go on at the start.
const END: u32 = u32::MAX;

/// One end.
#[derive(Debug)]
pub struct CablePort {
    caps: Caps,
    tx: Strand,
    rx: Strand,
    stats: PortStats,
}

/// One direction, as one of its ends sees it.
#[derive(Debug)]
struct Strand {
    bytes: Bytes,
    head: Word32,
    tail: Word32,
    /// Our own position.
    ours: u32,
    /// The other side's, as last seen.
    theirs: u32,
}

/// A cable between two stations, its ends in the order of their addresses here.
///
/// # Errors
/// If the kernel has no memory.
pub fn cable(a: MacAddr, b: MacAddr) -> io::Result<(CablePort, CablePort)> {
    let (there, back) = (Memory::anonymous(BODY + RING)?, Memory::anonymous(BODY + RING)?);
    let strand = |memory| Strand::new(memory).map_err(io::Error::other);
    let port =
        |name, mac, tx, rx| CablePort { caps: Caps::plain(name, mac, "memory"), tx, rx, stats: PortStats::default() };
    let near = port("cable/a", a, strand(&there)?, strand(&back)?);
    Ok((near, port("cable/b", b, strand(&back)?, strand(&there)?)))
}

impl Strand {
    fn new(memory: &std::sync::Arc<Memory>) -> Result<Self, xmit_shared::memory::Outside> {
        let (head, tail) = (memory.word32(0)?, memory.word32(BODY / 2)?);
        Ok(Self { bytes: memory.bytes(BODY, RING)?, head, tail, ours: 0, theirs: 0 })
    }

    /// Writes `frame` at our position, which moves on. False if there is no room.
    fn write(&mut self, frame: &Frame) -> bool {
        let need = (LEN + frame.len()).next_multiple_of(ALIGN);
        let to_end = RING - offset(self.ours);
        let skipped = if need > to_end { to_end } else { 0 };
        if self.room() < need + skipped {
            // Acquire pairs with the Release in `publish_read`: the reader is done with the bytes before it.
            self.theirs = self.head.load(Ordering::Acquire);
            if self.room() < need + skipped {
                return false;
            }
        }
        if skipped > 0 {
            self.bytes.write(offset(self.ours), &END.to_ne_bytes());
            self.ours = self.ours.wrapping_add(skipped as u32);
        }
        let at = offset(self.ours);
        self.bytes.write(at, &(frame.len() as u32).to_ne_bytes());
        self.bytes.write(at + LEN, frame.bytes());
        let lines = at / LINE..(at + need) / LINE;
        for line in lines {
            self.bytes.prefetch((line * LINE + AHEAD) % RING);
        }
        self.ours = self.ours.wrapping_add(need as u32);
        true
    }

    fn room(&self) -> usize {
        RING - self.ours.wrapping_sub(self.theirs) as usize
    }

    fn publish_written(&self) {
        // Release pairs with the Acquire in `read`: the frames before it are visible.
        self.tail.store(self.ours, Ordering::Release);
    }

    /// Reads the next frame into one of `pool`'s; our position moves on.
    fn read(&mut self, pool: &mut Pool) -> Option<Frame> {
        if self.ours == self.theirs {
            // Acquire pairs with the Release in `publish_written`.
            self.theirs = self.tail.load(Ordering::Acquire);
            if self.ours == self.theirs {
                return None;
            }
        }
        let mut len = [0; LEN];
        self.bytes.read(offset(self.ours), &mut len);
        if u32::from_ne_bytes(len) == END {
            self.ours = self.ours.wrapping_add((RING - offset(self.ours)) as u32);
            self.bytes.read(0, &mut len);
        }
        let mut frame = pool.acquire()?;
        let len = u32::from_ne_bytes(len) as usize;
        frame.set_len(len);
        self.bytes.read(offset(self.ours) + LEN, frame.bytes_mut());
        self.ours = self.ours.wrapping_add((LEN + len).next_multiple_of(ALIGN) as u32);
        Some(frame)
    }

    fn publish_read(&self) {
        // Release pairs with the Acquire in `write`: the bytes were read before their place is given back.
        self.head.store(self.ours, Ordering::Release);
    }
}

fn offset(position: u32) -> usize {
    position as usize % RING
}

impl Port for CablePort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let before = burst.len();
        while !burst.is_full() {
            let Some(frame) = self.rx.read(pool) else { break };
            self.stats.rx_bytes += frame.len() as u64;
            burst.push(frame);
        }
        if burst.len() > before {
            self.rx.publish_read();
            self.stats.rx_packets += (burst.len() - before) as u64;
        }
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut taken = 0;
        while burst.get(taken).is_some_and(|frame| self.tx.write(frame)) {
            taken += 1;
            if taken % PUBLISH_EVERY == 0 {
                self.tx.publish_written();
            }
        }
        if taken == 0 {
            return;
        }
        self.tx.publish_written();
        self.stats.tx_packets += taken as u64;
        for frame in burst.drain(..taken) {
            self.stats.tx_bytes += frame.len() as u64;
            pool.release(frame);
        }
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {}

    /// Nobody sleeps beside a ring in memory: the lane looks again at once.
    fn sleep(&mut self, now: Instant) -> Wakeup {
        Wakeup { at: Some(now), ..Wakeup::default() }
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn shutdown(&mut self, _pool: &mut Pool) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets::{HOST_MAC, PEER_MAC};

    #[test]
    fn frames_of_all_lengths_arrive_whole_and_in_order_and_a_full_ring_keeps_the_rest() {
        let (mut a, mut b) = cable(HOST_MAC, PEER_MAC).unwrap();
        let mut pool = Pool::anonymous(0, 256).unwrap();
        let mut expected = std::collections::VecDeque::new();
        let mut lengths = crate::numbers::numbers(1).map(|number| 14 + (number % 1500) as usize);
        let (mut refused, mut received) = (0, 0);
        let mut waiting = Burst::new();
        for round in 0..2000 {
            while round < 1900 && !waiting.is_full() {
                let mut frame = pool.acquire().unwrap();
                let bytes = vec![round as u8; lengths.next().unwrap()];
                frame.fill(&bytes);
                expected.push_back(bytes);
                waiting.push(frame);
            }
            a.tx_burst(Instant::ZERO, &mut pool, &mut waiting);
            refused += usize::from(!waiting.is_empty());
            let mut burst = Burst::new();
            if round % 2 == 1 {
                continue;
            }
            b.rx_burst(Instant::ZERO, &mut pool, &mut burst);
            for frame in burst.drain(..) {
                assert_eq!(Some(frame.bytes().to_vec()), expected.pop_front());
                pool.release(frame);
                received += 1;
            }
        }
        assert!(expected.is_empty() && waiting.is_empty());
        assert!(refused > 100 && received > 10_000, "{refused} refused, {received} received");
        assert_eq!(pool.available(), pool.total());
    }
}
