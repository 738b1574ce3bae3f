//! A ring of fixed entries from one producer to one consumer.
//!
//! ```text
//!   head (consumer's)            tail (producer's)      both run freely and wrap at 2^32;
//!     |  published, not yet taken  |                     tail - head <= capacity, a power of two
//! ```
//!
//! Invariants:
//! * each end keeps its own position privately and only publishes it; what the peer published is bounded before use;
//! * an entry is touched by the producer before it publishes it, and by the consumer before it publishes that it is gone;
//! * head and tail stand on separate cache lines (the session's layout sees to it).

use crate::memory::{Entries, Entry, Word32};
use crate::rubbish::Rubbish;
use crate::sync::Ordering;

/// The end that puts entries in.
#[derive(Debug)]
pub struct Producer {
    ring: Ring,
    tail: u32,
    head_seen: u32,
}

/// The end that takes entries out.
#[derive(Debug)]
pub struct Consumer {
    ring: Ring,
    head: u32,
    tail_seen: u32,
}

/// Where a ring lies: its two published positions and its entries, whose number is a power of two.
#[derive(Debug)]
pub struct Ring {
    /// Published by the consumer.
    pub head: Word32,
    /// Published by the producer.
    pub tail: Word32,
    /// As many as `capacity`.
    pub entries: Entries,
    /// A power of two.
    pub capacity: u32,
}

impl Producer {
    /// The producing end of a fresh ring.
    pub fn new(ring: Ring) -> Self {
        debug_assert!(ring.capacity.is_power_of_two());
        Self { ring, tail: 0, head_seen: 0 }
    }

    /// Entries that fit now.
    ///
    /// # Errors
    /// [`Rubbish`] if the consumer's position cannot be.
    pub fn room(&mut self) -> Result<u32, Rubbish> {
        // Acquire pairs with the Release in `Consumer::pop`: the consumer is done with the entries before `head`.
        let head = self.ring.head.load(Ordering::Acquire);
        let room = self.ring.capacity - self.ring.check(self.tail, head)?;
        self.head_seen = head;
        Ok(room)
    }

    /// Puts `entry` in and publishes it. False if the ring is full.
    ///
    /// # Errors
    /// [`Rubbish`] if the consumer's position cannot be.
    #[inline]
    pub fn push(&mut self, entry: Entry) -> Result<bool, Rubbish> {
        if self.tail.wrapping_sub(self.head_seen) >= self.ring.capacity && self.room()? == 0 {
            return Ok(false);
        }
        self.ring.entries.write(self.tail & (self.ring.capacity - 1), entry);
        self.tail = self.tail.wrapping_add(1);
        // Release pairs with the Acquire in `Consumer::available`: the entry becomes visible with its position.
        self.ring.tail.store(self.tail, Ordering::Release);
        Ok(true)
    }
}

impl Consumer {
    /// The consuming end of a fresh ring.
    pub fn new(ring: Ring) -> Self {
        debug_assert!(ring.capacity.is_power_of_two());
        Self { ring, head: 0, tail_seen: 0 }
    }

    /// Entries waiting now.
    ///
    /// # Errors
    /// [`Rubbish`] if the producer's position cannot be.
    pub fn available(&mut self) -> Result<u32, Rubbish> {
        // Acquire pairs with the Release in `Producer::push`: entries before `tail` are visible.
        let tail = self.ring.tail.load(Ordering::Acquire);
        let available = self.ring.check(tail, self.head)?;
        self.tail_seen = tail;
        Ok(available)
    }

    /// Takes the oldest entry out; `None` if the ring is empty.
    ///
    /// # Errors
    /// [`Rubbish`] if the producer's position cannot be.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Entry>, Rubbish> {
        if self.tail_seen == self.head && self.available()? == 0 {
            return Ok(None);
        }
        let entry = self.ring.entries.read(self.head & (self.ring.capacity - 1));
        self.head = self.head.wrapping_add(1);
        // Release pairs with the Acquire in `Producer::room`: the entry was read before its place is given back.
        self.ring.head.store(self.head, Ordering::Release);
        Ok(Some(entry))
    }
}

impl Ring {
    fn check(&self, tail: u32, head: u32) -> Result<u32, Rubbish> {
        let claimed = tail.wrapping_sub(head);
        if claimed > self.capacity {
            return Err(Rubbish::Position { claimed, capacity: self.capacity });
        }
        Ok(claimed)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::sync::Arc;

    fn ring(memory: &Arc<Memory>) -> Ring {
        Ring {
            head: memory.word32(0).unwrap(),
            tail: memory.word32(64).unwrap(),
            entries: memory.entries(128, 8).unwrap(),
            capacity: 8,
        }
    }

    fn pair() -> (Producer, Consumer, Arc<Memory>) {
        let memory = Memory::anonymous(4096).unwrap();
        (Producer::new(ring(&memory)), Consumer::new(ring(&memory)), memory)
    }

    proptest! {
        #[test]
        fn behaves_like_a_bounded_queue(pushes in prop::collection::vec(any::<bool>(), 0..400)) {
            let (mut producer, mut consumer, _memory) = pair();
            let mut model = VecDeque::new();
            for (i, push) in pushes.into_iter().enumerate() {
                if push {
                    let taken = producer.push([i as u64; 4]).unwrap();
                    prop_assert_eq!(taken, model.len() < 8);
                    if taken { model.push_back([i as u64; 4]); }
                } else {
                    prop_assert_eq!(consumer.pop().unwrap(), model.pop_front());
                }
                prop_assert_eq!(consumer.available().unwrap() as usize, model.len());
                prop_assert_eq!(producer.room().unwrap() as usize, 8 - model.len());
            }
        }

        #[test]
        fn rubbish_positions_are_named_and_bounded(writes in prop::collection::vec((any::<bool>(), any::<u32>()), 1..50)) {
            let (mut producer, mut consumer, memory) = pair();
            for (tail, value) in writes {
                memory.word32(if tail { 64 } else { 0 }).unwrap().store(value, Ordering::Relaxed);
                let mut taken = 0;
                while let Ok(Some(_)) = consumer.pop() {
                    taken += 1;
                    prop_assert!(taken <= 8, "more entries than the ring has");
                }
                memory.word32(0).unwrap().store(value, Ordering::Relaxed);
                let _ = producer.push([1; 4]);
            }
        }
    }

    #[test]
    fn positions_wrap_at_the_end_of_u32() {
        let (mut producer, mut consumer, memory) = pair();
        let start = u32::MAX - 3;
        (producer.tail, producer.head_seen, consumer.head, consumer.tail_seen) = (start, start, start, start);
        memory.word32(0).unwrap().store(start, Ordering::Relaxed);
        for i in 0..8 {
            assert!(producer.push([i; 4]).unwrap());
        }
        assert!(!producer.push([9; 4]).unwrap(), "full");
        for i in 0..8 {
            assert_eq!(consumer.pop().unwrap(), Some([i; 4]));
        }
        assert_eq!(consumer.pop().unwrap(), None);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_model {
    use super::*;

    #[test]
    fn loom_entries_arrive_once_and_in_order() {
        loom::model(|| {
            let (head, tail, entries) = (Word32::private().unwrap(), Word32::private().unwrap(), Entries::new(2));
            let ring = || Ring { head: head.clone(), tail: tail.clone(), entries: entries.clone(), capacity: 2 };
            let (mut producer, mut consumer) = (Producer::new(ring()), Consumer::new(ring()));
            let writer = loom::thread::spawn(move || {
                let mut next = 1;
                while next <= 3 {
                    if producer.push([next; 4]).unwrap() {
                        next += 1;
                    } else {
                        loom::thread::yield_now();
                    }
                }
            });
            let mut expected = 1;
            while expected <= 3 {
                match consumer.pop().unwrap() {
                    Some(entry) => {
                        assert_eq!(entry, [expected; 4]);
                        expected += 1;
                    }
                    None => loom::thread::yield_now(),
                }
            }
            writer.join().unwrap();
        });
    }
}
