//! Which sockets have something to send: one bit for each slot, set by clients' threads and collected by the lane. And the other way: which
//! streams have news, set by the lane once a turn and taken by the client.
//!
//! Over the words of bits stand two levels of summaries: one bit for each word, and one word with a bit for each word of those. Who finds
//! nothing has read one word, however many slots there are.
//!
//! Invariants:
//! * a bit is set after the work is published, and cleared before the lane looks for the work: nothing set is lost;
//! * a level's bit is set after the word below it, and cleared before it. Who finds it set need not set it: if a collector had cleared it,
//!   and the word below it, before our bit came there, then our bit's atomic operation would have seen both (each one acquires and releases);
//! * bits beyond the number of slots are never reported, whoever sets them.

use crate::memory::Words64;
use crate::slot_set::{SlotSet, each_bit};
use crate::sync::Ordering;

/// The words that both sides use.
#[derive(Clone, Debug)]
pub struct DirtyBits {
    /// One bit for each of `middle`; the first of these words.
    pub summary: Words64,
    /// One bit for each of `words`, at most 64 words.
    pub middle: Words64,
    /// One bit for each slot, at most 64 * 64 words.
    pub words: Words64,
}

/// The client's end: any number of threads.
#[derive(Clone, Debug)]
pub struct DirtyMarker(DirtyBits);

/// Marks that are set together, at the end of a turn: one atomic operation for 64 slots.
#[derive(Debug)]
pub struct DirtyBatch {
    shared: DirtyBits,
    marked: SlotSet,
}

/// The lane's end, with the bits that it collected and has not yet served.
#[derive(Debug)]
pub struct DirtyCollector {
    shared: DirtyBits,
    collected: SlotSet,
    slots: u32,
    next: u32,
}

impl DirtyBits {
    /// Sets `bits` of word `index`. False if there is no such word.
    #[inline]
    fn set(&self, index: usize, bits: u64) -> bool {
        // Release pairs with the Acquire in `take`: the work published before is visible to who collects. Acquire: see above.
        self.words.get(index).is_some_and(|word| {
            word.fetch_or(bits, Ordering::AcqRel);
            true
        })
    }

    /// Says that the words of `touched` were set, each with its bit in middle word `group`.
    #[inline]
    fn announce(&self, group: usize, touched: u64) {
        if let Some(middle) = self.middle.get(group)
            && middle.load(Ordering::Relaxed) & touched != touched
        {
            // Release pairs with the Acquire in `take`; Acquire: see above.
            middle.fetch_or(touched, Ordering::AcqRel);
        }
        // Also if somebody else has set the bit below: he may be on his way here.
        let bit = 1 << (group % 64);
        if let Some(summary) = self.summary.first()
            && summary.load(Ordering::Relaxed) & bit == 0
        {
            // Release pairs with the Acquire in `take` and `any`.
            summary.fetch_or(bit, Ordering::Release);
        }
    }

    /// Takes every word that was set and gives it to `each` with its index. Bounded by the words that were set.
    #[inline]
    fn take(&self, mut each: impl FnMut(usize, u64)) {
        let Some(summary) = self.summary.first().filter(|summary| summary.load(Ordering::Relaxed) != 0) else { return };
        for group in each_bit(summary.swap(0, Ordering::Acquire)) {
            // Acquire pairs with the Release in `announce` and `set`; Release: see above.
            let touched = self.middle.get(group).map_or(0, |middle| middle.swap(0, Ordering::AcqRel));
            for index in each_bit(touched).map(|bit| group * 64 + bit) {
                if let Some(word) = self.words.get(index) {
                    each(index, word.swap(0, Ordering::AcqRel));
                }
            }
        }
    }

    /// True if a word was set since it was taken last.
    fn any(&self) -> bool {
        self.summary.first().is_some_and(|summary| summary.load(Ordering::Acquire) != 0)
    }
}

impl DirtyMarker {
    /// Over the session's words of one lane.
    pub fn new(bits: DirtyBits) -> Self {
        Self(bits)
    }

    /// Says that `slot` has work. Nothing happens if the slot is outside the table.
    #[inline]
    pub fn mark(&self, slot: u32) {
        let index = slot as usize / 64;
        if self.0.set(index, 1 << (slot % 64)) {
            self.0.announce(index / 64, 1 << (index % 64));
        }
    }
}

impl DirtyBatch {
    /// Over the session's words of one lane.
    pub fn new(shared: DirtyBits) -> Self {
        let marked = SlotSet::new(shared.words.len());
        Self { shared, marked }
    }

    /// Remembers `slot` for [`Self::publish`].
    #[inline]
    pub fn mark(&mut self, slot: u32) {
        self.marked.insert(slot as usize / 64, 1 << (slot % 64));
    }

    /// Shows what was marked. Bounded by the words marked.
    #[inline]
    pub fn publish(&mut self) {
        let Self { shared, marked } = self;
        marked.drain(|group, touched, word| {
            for index in each_bit(touched).map(|bit| group * 64 + bit) {
                shared.set(index, word(index));
            }
            shared.announce(group, touched);
        });
    }
}

/// Takes every mark of `bits` away and gives it to `each`: the word's index and its bits. Bounded by the words marked.
pub fn take_marked(bits: &DirtyBits, mut each: impl FnMut(usize, u64)) {
    bits.take(|index, word| {
        if word != 0 {
            each(index, word);
        }
    });
}

impl DirtyCollector {
    /// Over the session's words of one lane, for `slots` slots.
    pub fn new(shared: DirtyBits, slots: u32) -> Self {
        let collected = SlotSet::new(shared.words.len());
        Self { shared, collected, slots, next: 0 }
    }

    /// Takes over the bits set since the last time. Reads one word, and those that are set.
    #[inline]
    pub fn collect(&mut self) {
        let Self { shared, collected, slots, .. } = self;
        shared.take(|index, word| {
            let left = slots.saturating_sub(index as u32 * 64).min(64);
            collected.insert(index, word & u64::MAX.checked_shr(64 - left).unwrap_or(0));
        });
    }

    /// The next slot with work, each in turn, and forgets its bit.
    #[inline]
    pub fn next_slot(&mut self) -> Option<u32> {
        let slot = self.collected.take_next(self.next)?;
        self.next = slot + 1;
        Some(slot)
    }

    /// Puts `slot` back: its budget was used up before its work.
    pub fn put_back(&mut self, slot: u32) {
        if slot < self.slots {
            self.collected.insert(slot as usize / 64, 1 << (slot % 64));
        }
    }

    /// Puts back slots that were taken ahead and not served, in their order: the first of them is the next to be given out.
    pub fn put_back_ahead(&mut self, slots: impl IntoIterator<Item = u32>) {
        let mut slots = slots.into_iter().peekable();
        if let Some(first) = slots.peek() {
            self.next = *first;
        }
        slots.for_each(|slot| self.put_back(slot));
    }

    /// True if a slot was marked since the last collection: the look before sleeping of who cannot serve the rest yet.
    pub fn any_new(&self) -> bool {
        self.shared.any()
    }

    /// True if any slot has work, collected or not: the look before sleeping.
    pub fn any(&self) -> bool {
        !self.collected.is_empty() || self.any_new()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::slot_set::SLOTS_MAX;
    use std::collections::BTreeSet;

    fn bits(words: usize) -> DirtyBits {
        let memory = Memory::anonymous(65_536).unwrap();
        let middle = memory.words64(8, words.div_ceil(64)).unwrap();
        DirtyBits { summary: memory.words64(0, 1).unwrap(), middle, words: memory.words64(1024, words).unwrap() }
    }

    fn pair(slots: u32) -> (DirtyMarker, DirtyCollector, DirtyBits) {
        let bits = bits(slots.div_ceil(64) as usize);
        (DirtyMarker::new(bits.clone()), DirtyCollector::new(bits.clone(), slots), bits)
    }

    #[test]
    fn all_slots_of_a_full_table_are_served_once() {
        let (marker, mut dirty, bits) = pair(SLOTS_MAX);
        for round in 0..3u32 {
            (0..SLOTS_MAX).for_each(|slot| marker.mark(slot));
            dirty.collect();
            let served: Vec<_> = std::iter::from_fn(|| dirty.next_slot()).collect();
            assert_eq!(served.len(), SLOTS_MAX as usize, "round {round}");
            assert!(served.windows(2).all(|pair| pair[1] == (pair[0] + 1) % SLOTS_MAX), "round {round}");
            assert!(!dirty.any() && bits.summary[0].load(Ordering::Relaxed) == 0);
            marker.mark(100_000 * round);
            dirty.collect();
            assert_eq!(dirty.next_slot(), Some(100_000 * round));
        }
    }

    #[test]
    fn slots_far_apart_are_served_as_a_sorted_set_would() {
        let slots = 200_000;
        let (marker, mut dirty, _) = pair(slots);
        let (mut model, mut next, mut state) = (BTreeSet::new(), 0, 7u32);
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 31 == 0 {
                let slot = (state >> 4) % slots;
                marker.mark(slot);
                model.insert(slot);
            } else {
                dirty.collect();
                let expected = model.range(next..).next().or(model.first()).copied();
                expected.iter().for_each(|slot| next = slot + 1);
                expected.iter().for_each(|slot| assert!(model.remove(slot)));
                assert_eq!(dirty.next_slot(), expected);
            }
        }
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
    fn slots_taken_ahead_and_put_back_are_the_next() {
        let (marker, mut dirty, _) = pair(130);
        (0..5).for_each(|slot| marker.mark(slot));
        for round in 0..5 {
            dirty.collect();
            let taken: Vec<_> = std::iter::from_fn(|| dirty.next_slot()).collect();
            assert_eq!(taken[0], round, "each is served in its turn though all want more");
            dirty.put_back_ahead(taken[1..].iter().copied());
            marker.mark(taken[0]);
        }
    }

    #[test]
    fn a_batch_is_shown_at_once_and_taken_once() {
        let bits = bits(3);
        let mut batch = DirtyBatch::new(bits.clone());
        let taken = || {
            let mut taken = Vec::new();
            take_marked(&bits, |index, bits| taken.push((index, bits)));
            taken
        };
        [0, 3, 130, 9999].into_iter().for_each(|slot| batch.mark(slot));
        assert_eq!(taken(), []);
        batch.publish();
        assert_eq!(taken(), [(0, 9), (2, 4)]);
        batch.publish();
        assert_eq!(taken(), []);
    }

    #[test]
    fn bits_beyond_the_table_are_not_reported() {
        let (_, mut dirty, bits) = pair(70);
        bits.words[1].store(u64::MAX, Ordering::Relaxed);
        bits.middle[0].store(u64::MAX, Ordering::Relaxed);
        bits.summary[0].store(u64::MAX, Ordering::Relaxed);
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

    /// Two threads mark a slot each; the lane looks while they do, and once more.
    fn marked_work_is_found(slots: [u32; 2]) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let words = slots[1] as usize / 64 + 1;
            let middle = Words64::new(words.div_ceil(64));
            let bits = DirtyBits { summary: Words64::new(1), middle, words: Words64::new(words) };
            let (marker, mut dirty) = (DirtyMarker::new(bits.clone()), DirtyCollector::new(bits, slots[1] + 1));
            let work: Vec<_> = (0..2).map(|_| Word32::private().unwrap()).collect();
            let threads: Vec<_> = (0..2)
                .map(|at| {
                    let (marker, work) = (marker.clone(), work[at].clone());
                    loom::thread::spawn(move || {
                        work.store(1, Ordering::Relaxed);
                        marker.mark(slots[at]);
                    })
                })
                .collect();
            let mut found = [false; 2];
            let mut look = |dirty: &mut DirtyCollector| {
                dirty.collect();
                while let Some(slot) = dirty.next_slot() {
                    let at = slots.iter().position(|marked| *marked == slot).unwrap();
                    assert_eq!(work[at].load(Ordering::Relaxed), 1, "marked before its work was visible");
                    found[at] = true;
                }
            };
            look(&mut dirty);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            look(&mut dirty);
            assert_eq!(found, [true; 2]);
        });
    }

    #[test]
    fn loom_marked_work_is_found() {
        marked_work_is_found([0, 1]);
    }

    #[test]
    fn loom_marked_work_of_two_words_is_found() {
        marked_work_is_found([0, 64]);
    }

    #[test]
    fn loom_marked_work_of_two_groups_is_found() {
        marked_work_is_found([0, 4096]);
    }
}
