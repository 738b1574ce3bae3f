//! Our side of the timestamp option (RFC 7323 section 4): milliseconds of the lane's clock behind an offset per peer.
//!
//! The offset hides the uptime and is the same for all connections between two hosts, so that a peer in TIME_WAIT sees
//! time go forward (`secure_tcp_ts_off`). An echo is turned back into a time, which is what RTT samples, Karn's
//! rule by timestamps (RFC 7323 section 4.1) and Eifel detection (RFC 3522) compare.

use crate::{Duration, Instant};

/// One unit of the option: Linux's `TCP_TS_HZ` is 1,000.
pub const TIMESTAMP_TICK: Duration = Duration::from_millis(1);

/// `TS.Recent` is not believed after 24 days of silence (RFC 7323 section 5.5).
pub(super) const TS_RECENT_LIFE: Duration = Duration::from_secs(24 * 86_400);

/// An echo older than this is a lie or a wrap: no segment lives so long (2^31 milliseconds).
const ECHO_AGE_MAX_MS: u32 = 1 << 31;

/// The clock that a connection shows its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimestampClock {
    offset: u32,
}

impl TimestampClock {
    /// Ahead of the lane's clock by `offset` ticks.
    pub const fn new(offset: u32) -> Self {
        Self { offset }
    }

    /// `TSval` at `now`.
    #[inline]
    pub const fn value(self, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_add(self.offset)
    }

    /// When the segment was sent whose `TSval` came back as `echo`, rounded down to the tick. `None` if that
    /// lies in the future, before the clock's origin or too long ago.
    #[inline]
    pub const fn sent_at(self, now: Instant, echo: u32) -> Option<Instant> {
        let age = self.value(now).wrapping_sub(echo);
        if age >= ECHO_AGE_MAX_MS {
            return None;
        }
        match now.as_millis().checked_sub(age as u64) {
            Some(millis) => Some(Instant::from_millis(millis)),
            None => None,
        }
    }
}

/// True if a segment sent at `sent_at` cannot be the one echoed (sent at `echoed`, rounded down): it left in a later
/// tick.
#[inline]
pub const fn left_after(sent_at: Instant, echoed: Instant) -> bool {
    sent_at.as_millis() > echoed.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_becomes_a_time_again() {
        let clock = TimestampClock::new(u32::MAX - 5);
        let sent = Instant::from_micros(12_345_678);
        let now = sent + Duration::from_millis(40);
        let echo = clock.value(sent);
        assert_eq!(clock.sent_at(now, echo), Some(Instant::from_millis(12_345)));
        assert_eq!(clock.sent_at(sent, echo.wrapping_add(1)), None, "from the future");
        assert_eq!(clock.sent_at(sent, echo.wrapping_sub(12_346)), None, "before the clock began");
        assert!(!left_after(sent, Instant::from_millis(12_345)) && left_after(now, Instant::from_millis(12_345)));
    }
}
