//! The search for the largest packet that a path carries (RFC 4821 section 7; `icsk_mtup`).
//!
//! ```text
//!        low                 tried               high
//!   .. passes |  .. unknown ..  |  .. unknown ..  | .. does not pass, or is not wanted ..
//! ```
//!
//! Owns the range of one connection and the one probe that may be under way. Sizes are those of IP packets. Invariants: at
//! most one probe is out; it is forgotten as soon as anything is sent again, because then its fate proves nothing. Who
//! sends probes and judges them is `output::mtu_probe`. The stage stands apart, where every ACK looks anyway.

use super::seq::SeqNum;
use crate::{Duration, Instant};
use std::num::NonZeroU16;

/// How far the search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuStage {
    /// Not begun: neither does the administrator want it from the first segment on (`tcp_mtu_probing` = 2), nor was a
    /// black hole suspected.
    #[default]
    Off,
    /// Segments are no longer than what was proven.
    On,
    /// The same, and a probe is under way.
    Probing,
}

/// What one connection knows of its path.
#[derive(Clone, Copy, Debug)]
pub struct MtuSearch {
    /// When the range was last opened, in seconds (`probe_timestamp`).
    since: u32,
    /// The first number of the last probe.
    probe_start: SeqNum,
    /// Its bytes of data.
    probe_len: u16,
    low: u16,
    high: u16,
}

impl MtuSearch {
    /// Nothing is known.
    pub const NEW: Self = Self { since: 0, probe_start: SeqNum::new(0), probe_len: 0, low: 0, high: u16::MAX };

    /// Between sizes, from now on (`tcp_mtup_init`).
    pub fn new(now: Instant, low: u16, high: u16) -> Self {
        Self { since: seconds(now), low, high, ..Self::NEW }
    }

    /// What passes.
    pub fn low(&self) -> u16 {
        self.low
    }

    /// Nothing larger may be tried.
    pub fn high(&self) -> u16 {
        self.high
    }

    /// The search begins now.
    pub fn begin(&mut self, now: Instant) {
        self.since = seconds(now);
    }

    /// Even what was thought to pass does not.
    pub fn lower(&mut self, low: u16) {
        self.low = low;
    }

    /// The network says that nothing larger passes.
    pub fn bound(&mut self, mtu: u16) {
        self.high = self.high.min(mtu);
    }

    /// The next size to try below `limit`, or `None` if what is left of the range is less than `threshold`.
    pub fn candidate(&self, limit: u16, threshold: u16) -> Option<u16> {
        let high = self.high.min(limit);
        (high.saturating_sub(self.low) >= threshold.max(1)).then(|| self.low.midpoint(high))
    }

    /// After `interval` what was too large may pass: the range is opened again (`tcp_mtu_check_reprobe`).
    pub fn reopen(&mut self, now: Instant, interval: Duration, low: u16, high: u16) {
        if u64::from(seconds(now).wrapping_sub(self.since)) >= interval.as_secs() {
            *self = Self::new(now, low, high);
        }
    }

    /// A probe left: `len` bytes from `start` on.
    pub fn on_sent(&mut self, start: SeqNum, len: u16) {
        (self.probe_start, self.probe_len) = (start, len);
    }

    /// The first number of the probe.
    pub fn probe_start(&self) -> SeqNum {
        self.probe_start
    }

    /// The number behind its last.
    pub fn probe_end(&self) -> SeqNum {
        self.probe_start + u32::from(self.probe_len)
    }

    /// The probe, a packet of `headers` bytes more than its data, arrived. Its size.
    pub fn on_success(&mut self, headers: NonZeroU16) -> u16 {
        self.low = self.probe_size(headers).get();
        self.high = self.high.max(self.low);
        self.low
    }

    /// The probe alone was lost: only what is smaller passes.
    pub fn on_failure(&mut self, headers: NonZeroU16) {
        self.high = self.probe_size(headers).get() - 1;
    }

    fn probe_size(&self, headers: NonZeroU16) -> NonZeroU16 {
        headers.saturating_add(self.probe_len)
    }
}

fn seconds(now: Instant) -> u32 {
    now.saturating_since(Instant::ZERO).as_secs() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SeqNum = SeqNum::new(u32::MAX - 100);
    const HEADERS: NonZeroU16 = NonZeroU16::new(40).unwrap();

    /// Searches a path of `mtu` to the end; answers what was found and how many probes that took.
    fn search(mtu: u16) -> (u16, u32) {
        let mut search = MtuSearch::new(Instant::ZERO, 1064, 1500);
        let mut probes = 0;
        while let Some(size) = search.candidate(u16::MAX, 8) {
            search.on_sent(START, size - HEADERS.get());
            if size <= mtu {
                assert_eq!(search.on_success(HEADERS), size)
            } else {
                search.on_failure(HEADERS)
            }
            probes += 1;
        }
        (search.low(), probes)
    }

    #[test]
    fn halves_the_range_until_it_is_small() {
        assert_eq!(search(1500), (1493, 6));
        assert_eq!(search(1280), (1274, 6));
        assert_eq!(search(1100), (1096, 6));
        assert_eq!(search(1064), (1064, 6));
    }

    #[test]
    fn a_limit_holds_for_one_look_alone() {
        let search = MtuSearch::new(Instant::ZERO, 552, 1500);
        assert_eq!(search.candidate(556, 8), None);
        assert_eq!(search.candidate(1000, 8), Some(776));
        assert_eq!(search.candidate(u16::MAX, 8), Some(1026));
        assert_eq!(search.candidate(400, 8), None, "what is known to pass is above it");
    }

    #[test]
    fn opens_again_after_the_interval() {
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        let mut search = MtuSearch::new(at(5), 1272, 1276);
        search.reopen(at(604), Duration::from_secs(600), 1272, 1500);
        assert_eq!(search.high(), 1276);
        search.reopen(at(605), Duration::from_secs(600), 1272, 1500);
        assert_eq!((search.low(), search.high()), (1272, 1500));
        search.bound(1300);
        search.reopen(at(700), Duration::from_secs(600), 1272, 1500);
        assert_eq!(search.high(), 1300, "counted from the last time");
    }
}
