//! How long a call of a socket waits: `SO_RCVTIMEO` and `SO_SNDTIMEO`.

use core::time::Duration;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use xmit_shared::Instant;

/// Nanoseconds; zero for no limit.
#[derive(Debug, Default)]
pub(crate) struct Timeout(AtomicU64);

impl Timeout {
    /// `InvalidInput` for zero, as in `std`.
    pub(crate) fn set(&self, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = match timeout {
            Some(Duration::ZERO) => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
            }
            Some(timeout) => xmit_shared::time::nanos(timeout),
            None => 0,
        };
        self.0.store(nanos, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        let nanos = self.0.load(Ordering::Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }

    /// When a call that begins at `now` has waited long enough.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.get().map(|timeout| now + timeout)
    }
}
