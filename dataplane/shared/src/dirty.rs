//! Which sockets have something to send: one bit for each slot, set by clients' threads and collected by the lane.
//!
//! Invariants:
//! * a bit is set after the work is published, and cleared before the lane looks for the work: nothing set is lost;
//! * bits beyond the number of slots are never reported, whoever sets them.

use crate::memory::Words64;
use crate::sync::Ordering;

/// The client's end: any number of threads.
#[derive(Clone, Debug)]
pub struct DirtyMarker(Words64);

/// The lane's end, with the bits that it collected and has not yet served.
#[derive(Debug)]
pub struct DirtyCollector {
    shared: Words64,
    collected: Box<[u64]>,
    slots: u32,
    next: u32,
}

impl DirtyMarker {
    /// Over the session's words of one lane.
    pub fn new(words: Words64) -> Self {
        Self(words)
    }

    /// Says that `slot` has work. Nothing happens if the slot is outside the table.
    #[inline]
    pub fn mark(&self, slot: u32) {
        if let Some(word) = self.0.get(slot as usize / 64) {
            // Release pairs with the Acquire in `collect`: the work published before is visible to the collector.
            word.fetch_or(1 << (slot % 64), Ordering::Release);
        }
    }
}

impl DirtyCollector {
    /// Over the session's words of one lane, for `slots` slots.
    pub fn new(shared: Words64, slots: u32) -> Self {
        let collected = vec![0; shared.len()].into_boxed_slice();
        Self { shared, collected, slots, next: 0 }
    }

    /// Takes over the bits set since the last time. Reads one word for 64 slots and writes only those that are set.
    #[inline]
    pub fn collect(&mut self) {
        let mut left = self.slots;
        for (ours, shared) in self.collected.iter_mut().zip(self.shared.iter()) {
            if shared.load(Ordering::Relaxed) != 0 {
                // Acquire pairs with the Release in `mark`.
                *ours |= shared.swap(0, Ordering::Acquire) & u64::MAX.checked_shr(64 - left.min(64)).unwrap_or(0);
            }
            left = left.saturating_sub(64);
        }
    }

    /// The next slot with work, each in turn, and forgets its bit. Bounded by one pass over the words.
    pub fn next_slot(&mut self) -> Option<u32> {
        let (start, shift) = (self.next as usize / 64, self.next % 64);
        let words = self.collected.len();
        for i in 0..=words {
            let index = (start + i) % words.max(1);
            let mask = match i {
                0 => u64::MAX << shift,
                _ if i == words => !(u64::MAX << shift),
                _ => u64::MAX,
            };
            let word = self.collected.get_mut(index)?;
            if *word & mask != 0 {
                let slot = index as u32 * 64 + (*word & mask).trailing_zeros();
                *word &= !(1 << (slot % 64));
                self.next = (slot + 1) % (words as u32 * 64);
                return Some(slot);
            }
        }
        None
    }

    /// Puts `slot` back: its budget was used up before its work.
    pub fn put_back(&mut self, slot: u32) {
        if let Some(word) = self.collected.get_mut(slot as usize / 64).filter(|_| slot < self.slots) {
            *word |= 1 << (slot % 64);
        }
    }

    /// True if a slot was marked since the last collection: the look before sleeping of who cannot serve the rest yet.
    pub fn any_new(&self) -> bool {
        self.shared.iter().any(|w| w.load(Ordering::Acquire) != 0)
    }

    /// True if any slot has work, collected or not: the look before sleeping.
    pub fn any(&self) -> bool {
        self.collected.iter().any(|word| *word != 0) || self.any_new()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn pair(slots: u32) -> (DirtyMarker, DirtyCollector, Words64) {
        let words = Memory::anonymous(64).unwrap().words64(0, slots.div_ceil(64) as usize).unwrap();
        (DirtyMarker::new(words.clone()), DirtyCollector::new(words.clone(), slots), words)
    }

    #[test]
    fn slots_are_served_in_turn() {
        let (marker, mut dirty, _) = pair(130);
        for slot in [0, 63, 64, 129] {
            marker.mark(slot);
        }
        marker.mark(200_000);
        assert!(dirty.any());
        dirty.collect();
        assert_eq!(dirty.next_slot(), Some(0));
        marker.mark(0);
        dirty.collect();
        let rest: Vec<_> = std::iter::from_fn(|| dirty.next_slot()).collect();
        assert_eq!(rest, [63, 64, 129, 0], "a busy slot waits for the others");
        assert!(!dirty.any());
        dirty.put_back(5);
        assert!(dirty.any() && !dirty.any_new());
        assert_eq!(dirty.next_slot(), Some(5));
        marker.mark(5);
        assert!(dirty.any_new());
    }

    #[test]
    fn bits_beyond_the_table_are_not_reported() {
        let (_, mut dirty, words) = pair(70);
        words[1].store(u64::MAX, Ordering::Relaxed);
        dirty.collect();
        let slots: Vec<_> = (0..80).filter_map(|_| dirty.next_slot()).collect();
        assert_eq!(slots, [64, 65, 66, 67, 68, 69]);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_model {
    use super::*;
    use crate::memory::Word32;

    #[test]
    fn loom_marked_work_is_found() {
        loom::model(|| {
            let words = Words64::new(1);
            let (marker, mut dirty) = (DirtyMarker::new(words.clone()), DirtyCollector::new(words, 2));
            let work: Vec<_> = (0..2).map(|_| Word32::private().unwrap()).collect();
            let threads: Vec<_> = (0..2u32)
                .map(|slot| {
                    let (marker, work) = (marker.clone(), work[slot as usize].clone());
                    loom::thread::spawn(move || {
                        work.store(1, Ordering::Relaxed);
                        marker.mark(slot);
                    })
                })
                .collect();
            let mut found = [false; 2];
            let mut look = |dirty: &mut DirtyCollector| {
                dirty.collect();
                while let Some(slot) = dirty.next_slot() {
                    assert_eq!(work[slot as usize].load(Ordering::Relaxed), 1, "marked before its work was visible");
                    found[slot as usize] = true;
                }
            };
            look(&mut dirty);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            look(&mut dirty);
            assert_eq!(found, [true; 2]);
        });
    }
}
