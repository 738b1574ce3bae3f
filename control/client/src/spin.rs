//! How long a thread looks for what it waits for before it sleeps.
//!
//! Waking a sleeper costs several microseconds, and ten times that where its core has gone idle or is a virtual one, so a
//! thread whose datagrams follow closely looks for them a while. It yields its core between two looks, so whoever
//! shares the core, perhaps the very lane that it waits for, goes first.
//!
//! Invariant: a session whose waits last longer than looking could help looks for [`BRIEF`] only, so that programs which
//! seldom receive do not pay for those that often do.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};
use xmit_shared::Instant;
use xmit_shared::time::nanos;

/// What a wake-up costs where it is dear. Looking longer would cost more than it can save.
const LIMIT_DEFAULT: Duration = Duration::from_micros(50);
/// A lane that spins on another core answers within this.
const BRIEF: Duration = Duration::from_micros(5);

/// The patience of all threads of one session. A wrong guess of one thread costs another one wake-up, so the words need
/// no order.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: AtomicU64,
    patience: AtomicU64,
}

/// One wait.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    spin: &'a Spin,
    start: Instant,
    until: Instant,
}

impl Default for Spin {
    fn default() -> Self {
        let limit = nanos(LIMIT_DEFAULT);
        Self { limit: limit.into(), patience: limit.into() }
    }
}

impl Spin {
    /// Waits spin for `limit` at most from now on; zero sleeps at once.
    pub(crate) fn set_limit(&self, limit: Duration) {
        self.limit.store(nanos(limit), Ordering::Relaxed);
        self.patience.store(nanos(limit), Ordering::Relaxed);
    }

    /// Begins a wait at `now`.
    pub(crate) fn start(&self, now: Instant) -> Wait<'_> {
        let patience = Duration::from_nanos(self.patience.load(Ordering::Relaxed));
        Wait { spin: self, start: now, until: now + patience }
    }
}

impl Wait<'_> {
    /// True if the caller shall look again, after others have had their turn on the core; false if it shall sleep.
    pub(crate) fn go_on(&self, now: Instant) -> bool {
        let spins = now < self.until;
        if spins {
            rustix::thread::sched_yield();
        }
        spins
    }

    /// The wait ended at `now`: learns whether the next one is worth spinning. Half of a short sleep is the waking itself.
    pub(crate) fn end(&self, now: Instant) {
        let limit = self.spin.limit.load(Ordering::Relaxed);
        let waited = nanos(now.saturating_since(self.start));
        let patience = if waited <= 2 * limit { limit } else { limit.min(nanos(BRIEF)) };
        if self.spin.patience.load(Ordering::Relaxed) != patience {
            self.spin.patience.store(patience, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a wait that begins now would spin, in microseconds.
    fn patience(spin: &Spin) -> u128 {
        let wait = spin.start(Instant::ZERO);
        wait.until.saturating_since(wait.start).as_micros()
    }

    fn wait(spin: &Spin, micros: u64) {
        spin.start(Instant::ZERO).end(Instant::ZERO + Duration::from_micros(micros));
    }

    #[test]
    fn long_waits_make_brief_spins_and_short_ones_long_spins() {
        let spin = Spin::default();
        assert_eq!(patience(&spin), 50);
        wait(&spin, 1000);
        assert_eq!(patience(&spin), 5);
        wait(&spin, 80);
        assert_eq!(patience(&spin), 50);
    }

    #[test]
    fn a_limit_holds() {
        let spin = Spin::default();
        spin.set_limit(Duration::ZERO);
        wait(&spin, 0);
        assert_eq!(patience(&spin), 0);
        assert!(!spin.start(Instant::ZERO).go_on(Instant::ZERO));
        spin.set_limit(Duration::from_micros(3));
        wait(&spin, 1000);
        assert_eq!(patience(&spin), 3);
    }
}
