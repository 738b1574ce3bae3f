//! The sleeping word: how one party sleeps and another wakes it, without losing a wake-up or paying for a spare one.
//!
//! ```text
//!   sleeper                          waker
//!   1. word = 1                      1. publish work
//!   2. fence                         2. fence
//!   3. look for work; none: sleep    3. word is 1: swap it to 0 and ring the bell
//! ```
//!
//! The two fences are ordered one way or the other: either the sleeper sees the work in its step 3, or the waker sees
//! the word in its step 3. Both may happen; then the bell is rung once too often, which is harmless.
//!
//! Invariant: the bell is rung at most once for each announcement, however many wakers there are.

use crate::memory::Word32;
use crate::sync::{Ordering, fence};

/// A sleeping word in memory that sleeper and wakers share.
#[derive(Clone, Debug)]
pub struct SleepWord(Word32);

impl SleepWord {
    /// The word at `word`.
    pub fn new(word: Word32) -> Self {
        Self(word)
    }

    /// Sleeper: says that it is about to sleep. It must look for work once more before it does.
    pub fn announce(&self) {
        // A swap, not a store: it comes after every claim that found the word at 0, in the one order of changes to the word.
        self.0.swap(1, Ordering::Relaxed);
        // Pairs with the fence in `claim`: the look for work that follows sees what was published before that fence.
        fence(Ordering::SeqCst);
    }

    /// Sleeper: is awake again. True if a waker claimed the word: its bell rang or is about to.
    pub fn awake(&self) -> bool {
        self.0.swap(0, Ordering::Relaxed) == 0
    }

    /// Waker, after publishing work: true if it must ring the bell.
    #[inline]
    pub fn claim(&self) -> bool {
        self.claim_if(|| true)
    }

    /// Waker: as [`Self::claim`], unless the sleeper does not want what was published. A wish that the sleeper stored before
    /// `announce` is visible to `wanted`.
    #[inline]
    pub fn claim_if(&self, wanted: impl FnOnce() -> bool) -> bool {
        // Pairs with the fence in `announce`: if the sleeper did not see the work, its word is seen here.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) != 0 && wanted() && self.0.swap(0, Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_model {
    use super::*;
    use crate::models::Bell;
    use loom::sync::Arc;

    #[test]
    fn loom_no_wakeup_is_lost() {
        loom::model(|| {
            let (work, word) = (Word32::private().unwrap(), SleepWord::new(Word32::private().unwrap()));
            let bell = Arc::new(Bell::new());
            let waker = {
                let (work, word, bell) = (work.clone(), word.clone(), bell.clone());
                loom::thread::spawn(move || {
                    work.store(1, Ordering::Release);
                    if word.claim() {
                        bell.ring();
                    }
                })
            };
            while work.load(Ordering::Acquire) == 0 {
                word.announce();
                if work.load(Ordering::Acquire) == 0 {
                    bell.wait();
                }
                word.awake();
            }
            waker.join().unwrap();
        });
    }

    #[test]
    fn loom_two_wakers_ring_once_for_one_announcement() {
        loom::model(|| {
            let word = SleepWord::new(Word32::private().unwrap());
            word.announce();
            let other = word.clone();
            let thread = loom::thread::spawn(move || u32::from(other.claim()));
            let rung = u32::from(word.claim()) + thread.join().unwrap();
            assert_eq!(rung, 1);
        });
    }
}
