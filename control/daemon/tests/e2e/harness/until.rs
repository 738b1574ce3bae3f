//! Waiting for a condition, with a limit.

use std::time::Duration;
use xmit_shared::clock::monotonic;

/// How long anything may take that has no limit of its own: far more than it needs on a machine that does other things too.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What is promised to happen at once, or within a second.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Asks until `done`, within [`LIMIT`].
pub(crate) fn until(what: &str, done: impl FnMut() -> bool) {
    within(LIMIT, what, done);
}

/// Asks until `done`, within `limit`; gives the processor away in between.
pub(crate) fn within(limit: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let end = monotonic() + limit;
    while !done() {
        assert!(monotonic() < end, "not within {limit:?}: {what}");
        std::thread::yield_now();
    }
}
