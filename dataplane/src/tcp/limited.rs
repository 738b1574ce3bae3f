//! What a connection with data to send waits for, and for how long (`tcp_chrono_start`, `tcp_get_info_chrono_stats`).
//!
//! Called whenever sending has ended for now and whenever acknowledgements came: whatever is the case then lasts until the next time.

use crate::{Duration, Instant};
use xmit_shared::time::nanos;

/// What limits a connection. The later of two is the one that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// It has nothing to send.
    #[default]
    Idle,
    /// The network, or the congestion window.
    Busy,
    /// The peer's window.
    Window,
    /// The program's send buffer: it would write more if it could.
    Buffer,
}

/// The time spent at each limit.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Limited {
    limit: Limit,
    since: Instant,
    /// Nanoseconds.
    busy: u64,
    window: u64,
    buffer: u64,
}

impl Limited {
    /// So many bytes change between idle and busy.
    pub(in crate::tcp) const HOT_LEN: usize = std::mem::offset_of!(Self, window);

    /// From `now` on it is `limit`.
    #[inline]
    pub fn set(&mut self, now: Instant, limit: Limit) {
        if limit == self.limit {
            return;
        }
        *self = Self { limit, since: now, ..self.at(now) };
    }

    /// What limits it.
    #[inline]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Until `now`: with data to send, limited by the peer's window, by the send buffer.
    pub fn times(&self, now: Instant) -> [Duration; 3] {
        let Self { busy, window, buffer, .. } = self.at(now);
        [busy + window + buffer, window, buffer].map(Duration::from_nanos)
    }

    fn at(&self, now: Instant) -> Self {
        let mut at = *self;
        let passed = nanos(now.saturating_since(self.since));
        match self.limit {
            Limit::Idle => {}
            Limit::Busy => at.busy += passed,
            Limit::Window => at.window += passed,
            Limit::Buffer => at.buffer += passed,
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_where_it_was_spent() {
        let at = Instant::from_millis;
        let mut limited = Limited::default();
        for (time, limit) in
            [(10, Limit::Busy), (30, Limit::Window), (40, Limit::Buffer), (45, Limit::Busy), (50, Limit::Idle)]
        {
            limited.set(at(time), limit);
        }
        let millis = limited.times(at(1000)).map(|time| time.as_millis());
        assert_eq!(millis, [40, 10, 5]);
        limited.set(at(1000), Limit::Window);
        assert_eq!(limited.times(at(1001)).map(|time| time.as_millis()), [41, 11, 5], "also what still lasts");
    }
}
