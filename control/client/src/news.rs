//! Which streams a poller has to look at: a lane marks a slot when something happened to it, and every poller gets every mark.
//!
//! Invariant: a mark taken from the lanes is with all pollers before any of them looks again, because both happen under one lock. So
//! none sleeps over a mark that another one took.

use crate::wait::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use xmit_shared::session::ClientShared;

/// One poller's marks.
#[derive(Debug)]
pub(crate) struct News(Box<[AtomicU64]>);

/// The pollers of a session.
#[derive(Debug, Default)]
pub(crate) struct Pollers(Mutex<Vec<Weak<News>>>);

impl News {
    /// Takes the marks and gives each slot to `each`. Bounded by the session's slots.
    pub(crate) fn take(&self, mut each: impl FnMut(u32)) {
        for (index, word) in self.0.iter().enumerate() {
            // Relaxed: `Pollers` locks around every change and every look.
            let mut bits = if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::Relaxed) };
            while bits != 0 {
                each(index as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }

    /// True if there is a mark.
    pub(crate) fn any(&self) -> bool {
        self.0.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    fn add(&self, index: usize, bits: u64) {
        if let Some(word) = self.0.get(index) {
            word.fetch_or(bits, Ordering::Relaxed);
        }
    }
}

impl Pollers {
    pub(crate) fn join(&self, slots: u32) -> Arc<News> {
        let news = Arc::new(News((0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect()));
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
