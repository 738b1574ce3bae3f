//! Limits on answers to segments that look forged: challenge ACKs of a lane (RFC 5961 section 7;
//! `tcp_challenge_ack_limit`) and ACKs for out-of-window segments of one connection (`tcp_invalid_ratelimit`).
//!
//! Invariants: no more than the limit and a half of it in a second; how many exactly is drawn anew every second,
//! because a stranger who can count them learns whether his guess hit a connection (CVE-2016-5696). Two ends that
//! both answer nonsense with ACKs come to rest, because each connection answers twice a second at most.

use crate::{Duration, Instant};
use xmit_nic::rng::Rng;

/// Challenge ACKs of a lane per second (Linux before it became unlimited: 1,000).
pub const CHALLENGES_PER_SECOND: u32 = 1000;
/// Between two answers of one connection to segments out of its window.
pub const INVALID_RATELIMIT: Duration = Duration::from_millis(500);

const SECOND: Duration = Duration::from_secs(1);

/// The limit of a lane.
#[derive(Clone, Debug)]
pub struct ChallengeLimit {
    per_second: u32,
    began: Instant,
    left: u32,
    rng: Rng,
}

impl ChallengeLimit {
    /// About `per_second` a second; `rng` must be seeded by what nobody knows.
    pub fn new(now: Instant, per_second: u32, rng: Rng) -> Self {
        let mut limit = Self { per_second, began: now, left: 0, rng };
        limit.begin(now);
        limit
    }

    /// True if a challenge ACK may be sent now (`tcp_send_challenge_ack`).
    pub fn allow(&mut self, now: Instant) -> bool {
        if now.saturating_since(self.began) >= SECOND {
            self.begin(now);
        }
        let allowed = self.left > 0;
        self.left -= u32::from(allowed);
        allowed
    }

    /// A new second: half the limit, and up to as much as the limit more.
    fn begin(&mut self, now: Instant) {
        self.began = now;
        self.left = self.per_second.div_ceil(2) + self.rng.below(self.per_second.into()) as u32;
    }
}

/// The limit of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct InvalidLimit {
    last: Option<Instant>,
}

impl InvalidLimit {
    /// True if an ACK may answer an out-of-window segment now (`tcp_oow_rate_limited`). Segments with data are always
    /// answered by the caller: a keepalive of old or a retransmission wants its ACK.
    pub fn allow(&mut self, now: Instant, apart: Duration) -> bool {
        let limited = self.last.is_some_and(|last| now.saturating_since(last) < apart);
        if !limited {
            self.last = Some(now);
        }
        !limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_limit_and_nobody_knows_it() {
        let mut limit = ChallengeLimit::new(Instant::ZERO, 100, Rng::new(9));
        let counts: Vec<_> = (0..50)
            .map(|second| (0..1000).filter(|at| limit.allow(Instant::from_millis(second * 1000 + at))).count())
            .collect();
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
        assert!(counts.windows(2).filter(|w| w[0] != w[1]).count() > 40, "{counts:?}");
    }

    #[test]
    fn a_connection_answers_twice_a_second() {
        let mut limit = InvalidLimit::default();
        let answers = (0..2000).filter(|at| limit.allow(Instant::from_millis(*at), INVALID_RATELIMIT)).count();
        assert_eq!(answers, 4);
    }
}
