//! How much of the window is used: a window that nobody fills proves nothing and must not grow (RFC 7661's reasoning;
//! `tcp_cwnd_validate`).

use super::super::seq::SeqNum;
use crate::Instant;

/// What was in flight at most, per window of data and per span of time.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Usage {
    /// When the window was last full (`snd_cwnd_stamp`).
    pub(super) since: Instant,
    /// The most segments in flight since `since`, while the application was the limit (`snd_cwnd_used`).
    pub(super) used_max: u32,
    /// The window of data ends when this is acknowledged.
    window_end: SeqNum,
    /// The most segments in flight in this window of data (`max_packets_out`).
    pub(super) in_flight_max: u32,
    /// In this window of data the congestion window ended sending.
    pub(super) limited: bool,
    /// Whether anything was noted yet.
    begun: bool,
}

impl Usage {
    /// From here on stands what every ACK looks at.
    pub(super) const HOT_FROM: usize = std::mem::offset_of!(Self, in_flight_max);

    pub(super) fn new(now: Instant) -> Self {
        Self { in_flight_max: 0, window_end: SeqNum::new(0), limited: false, used_max: 0, since: now, begun: false }
    }

    /// Notes what is in flight after sending. That the window was full counts until the data sent then is acknowledged.
    pub(super) fn note(&mut self, una: SeqNum, nxt: SeqNum, in_flight: u32, limited: bool) {
        let over = !self.begun || una.at_or_after(self.window_end);
        if over || limited || (!self.limited && in_flight > self.in_flight_max) {
            self.limited = limited;
            self.in_flight_max = in_flight;
            self.window_end = nxt;
            self.begun = true;
        }
    }

    /// A new span of time begins.
    pub(super) fn begin_span(&mut self, now: Instant) {
        self.used_max = 0;
        self.since = now;
    }

    /// What was used before a reduction says nothing of the window after it.
    pub(super) fn forget_used(&mut self) {
        self.used_max = 0;
    }
}
