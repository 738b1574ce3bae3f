//! Token buckets: how often something may be sent.
//!
//! `icmp_global_allow` (1,000 a second, burst 50) and `xrlim_allow` (one a second to one peer, burst 6) of Linux.

use std::net::Ipv4Addr;
use xmit_nic::rng::Rng;
use xmit_nic::{Duration, Instant};
use xmit_shared::time::nanos;

/// A token bucket that holds at most `burst` tokens and gains one per `period`.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Nanoseconds of credit; one token costs a period.
    credit: u64,
    updated: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(now: Instant, period: Duration, burst: u32) -> Self {
        Self { credit: nanos(period) * u64::from(burst), updated: now }
    }

    /// When there is a token: `now` if there is one.
    pub fn ready_at(&mut self, now: Instant, period: Duration, burst: u32) -> Instant {
        let earned = nanos(now.saturating_since(self.updated));
        self.updated = now;
        self.credit = self.credit.saturating_add(earned).min(nanos(period) * u64::from(burst));
        now + Duration::from_nanos(nanos(period).saturating_sub(self.credit))
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Instant, period: Duration, burst: u32) -> bool {
        let rich = self.ready_at(now, period, burst) <= now;
        if rich {
            self.credit -= nanos(period);
        }
        rich
    }
}

const GLOBAL_PERIOD: Duration = Duration::from_millis(1);
const GLOBAL_BURST: u32 = 50;
const PEER_PERIOD: Duration = Duration::from_secs(1);
const PEER_BURST: u32 = 6;
/// Buckets shared by all peers; two peers that hash alike share one, which only makes the limit stricter.
const PEER_BUCKETS: usize = 256;

/// The two limits on ICMP errors.
#[derive(Debug)]
pub struct IcmpLimit {
    global: TokenBucket,
    peers: Box<[TokenBucket]>,
    key: u64,
}

impl IcmpLimit {
    /// Full buckets; `rng` keys the hash of peers.
    pub fn new(now: Instant, rng: &mut Rng) -> Self {
        Self {
            global: TokenBucket::full(now, GLOBAL_PERIOD, GLOBAL_BURST),
            peers: vec![TokenBucket::full(now, PEER_PERIOD, PEER_BURST); PEER_BUCKETS].into(),
            key: rng.next_u64() | 1,
        }
    }

    /// True if an error may be sent to `peer` now.
    pub fn allow(&mut self, now: Instant, peer: Ipv4Addr) -> bool {
        let hash = u64::from(peer.to_bits()).wrapping_add(1).wrapping_mul(self.key) >> 56;
        let peer = &mut self.peers[hash as usize % PEER_BUCKETS];
        // A token is taken from both or from none: what one refuses must not be charged to the other.
        let both = peer.ready_at(now, PEER_PERIOD, PEER_BURST) <= now
            && self.global.ready_at(now, GLOBAL_PERIOD, GLOBAL_BURST) <= now;
        both && peer.take(now, PEER_PERIOD, PEER_BURST) && self.global.take(now, GLOBAL_PERIOD, GLOBAL_BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_gets_a_burst_then_one_a_second() {
        let mut limit = IcmpLimit::new(Instant::ZERO, &mut Rng::new(1));
        let peer = Ipv4Addr::new(10, 0, 0, 1);
        let sent = (0..100).filter(|_| limit.allow(Instant::ZERO, peer)).count();
        assert_eq!(sent, 6);
        assert!(!limit.allow(Instant::from_millis(900), peer));
        assert!(limit.allow(Instant::from_millis(1000), peer));
        assert!(!limit.allow(Instant::from_millis(1001), peer));
    }

    #[test]
    fn all_peers_together_are_limited() {
        let mut limit = IcmpLimit::new(Instant::ZERO, &mut Rng::new(1));
        let sent = (0..1000u32).filter(|i| limit.allow(Instant::ZERO, Ipv4Addr::from_bits(0x0a00_0000 + i))).count();
        assert_eq!(sent as u32, GLOBAL_BURST);
    }
}
