//! Which streams a poller has to look at: a lane marks a slot when something happened to it, and every poller gets every mark.
//!
//! Invariant: a mark taken from the lanes is with all pollers before any of them looks again, because both happen under one lock. So
//! none sleeps over a mark that another one took.

use crate::wait::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use xmit_shared::session::ClientShared;
use xmit_shared::slot_set::each_bit;

/// One poller's marks: a bit for each slot, and one for each word of these, so that a look does not pass over all slots.
#[derive(Debug)]
pub(crate) struct News {
    summary: Box<[AtomicU64]>,
    words: Box<[AtomicU64]>,
}

/// The pollers of a session.
#[derive(Debug, Default)]
pub(crate) struct Pollers(Mutex<Vec<Weak<News>>>);

impl News {
    fn new(slots: u32) -> Self {
        let zeros = |len: u32| (0..len).map(|_| AtomicU64::new(0)).collect();
        let words = slots.div_ceil(64);
        Self { summary: zeros(words.div_ceil(64)), words: zeros(words) }
    }

    /// Takes the marks and gives each slot to `each`. Bounded by the slots marked.
    pub(crate) fn take(&self, mut each: impl FnMut(u32)) {
        take_bits(&self.summary, |index| {
            if let Some(word) = self.words.get(index as usize) {
                take_bits(std::slice::from_ref(word), |bit| each(index * 64 + bit));
            }
        });
    }

    /// True if there is a mark.
    pub(crate) fn any(&self) -> bool {
        self.summary.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    fn add(&self, index: usize, bits: u64) {
        if let (Some(word), Some(summary)) = (self.words.get(index), self.summary.get(index / 64)) {
            word.fetch_or(bits, Ordering::Relaxed);
            // Release pairs with the Acquire in `take_bits`: who finds this bit finds those below it.
            summary.fetch_or(1 << (index % 64), Ordering::Release);
        }
    }
}

/// Takes the bits of `words` and gives the number of each to `each`.
fn take_bits(words: &[AtomicU64], mut each: impl FnMut(u32)) {
    for (index, word) in words.iter().enumerate() {
        let bits = if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::Acquire) };
        each_bit(bits).for_each(|bit| each((index * 64 + bit) as u32));
    }
}

impl Pollers {
    pub(crate) fn join(&self, slots: u32) -> Arc<News> {
        let news = Arc::new(News::new(slots));
        let mut pollers = lock(&self.0);
        pollers.retain(|poller| poller.strong_count() > 0);
        pollers.push(Arc::downgrade(&news));
        news
    }

    pub(crate) fn collect(&self, shared: &ClientShared) {
        let pollers = lock(&self.0);
        shared.take_news(|index, bits| add(&pollers, index, bits));
    }

    pub(crate) fn tell(&self, slot: u32) {
        add(&lock(&self.0), slot as usize / 64, 1 << (slot % 64));
    }
}

fn add(pollers: &[Weak<News>], index: usize, bits: u64) {
    pollers.iter().filter_map(Weak::upgrade).for_each(|news| news.add(index, bits));
}
