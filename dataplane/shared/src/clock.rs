//! The one file that reads a clock. Everything else is told the time.

use crate::time::Instant;
use std::time::SystemTime;

/// `CLOCK_MONOTONIC` now. Comparable between processes of one machine.
pub fn monotonic() -> Instant {
    let ts = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // CLOCK_MONOTONIC starts near zero at boot and never runs negative.
    Instant::from_nanos(ts.tv_sec.unsigned_abs() * 1_000_000_000 + ts.tv_nsec.unsigned_abs())
}

/// Nanoseconds since the Unix epoch, for time stamps that people read (captures, logs).
#[allow(clippy::disallowed_methods)] // the one file that may read a clock
pub fn realtime_nanos() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, crate::time::nanos)
}

/// The processor's time-stamp counter, for cycles per stage; nanoseconds where there is none.
#[inline]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: RDTSC exists on every x86-64 processor, reads a register and touches no memory.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    monotonic().as_nanos()
}
