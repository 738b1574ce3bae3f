//! Initial sequence numbers (RFC 6528; `secure_tcp_seq`): a clock plus a keyed hash of the flow.
//!
//! Two connections of one flow get numbers that go forward in time, so that old segments are told from new ones;
//! those of different flows have nothing to do with each other, so that a stranger cannot guess them. Also the offset
//! of the timestamp clock, per pair of hosts (RFC 7323 section 7.1; `secure_tcp_ts_off`).

use super::seq::SeqNum;
use super::settings::Settings;
use super::timestamp::TimestampClock;
use crate::Instant;
use siphasher::sip::SipHasher24;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// The clock's tick is 64 ns (`seq_scale`): the numbers of one flow stay apart at 10 Gbit/s and more, and come round in
/// 4.6 minutes, which is more than a segment lives.
const TICK_SHIFT: u32 = 6;

/// A secret of 128 bits, drawn at start-up.
#[derive(Clone, Copy)]
pub struct Secret([u64; 2]);

/// Does not show itself.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Of two numbers that nobody knows.
    pub const fn new(numbers: [u64; 2]) -> Self {
        Self(numbers)
    }

    /// The keyed hash of `what`; `purpose` keeps uses of one secret apart.
    pub(super) fn hash(&self, purpose: u8, what: &impl Hash) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.0[0], self.0[1]);
        hasher.write_u8(purpose);
        what.hash(&mut hasher);
        hasher.finish()
    }
}

impl Secret {
    /// SipHash-2-4 of `bytes` alone, where other systems compute the same.
    pub(super) fn hash_bytes(&self, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.0[0], self.0[1]);
        hasher.write(bytes);
        hasher.finish()
    }
}

const SEQUENCE: u8 = 1;
const TIMESTAMP: u8 = 2;

/// The number that a connection from `local` to `remote` begins with at `now`.
pub fn initial_sequence(secret: &Secret, now: Instant, local: SocketAddr, remote: SocketAddr) -> SeqNum {
    let clock = (now.as_nanos() >> TICK_SHIFT) as u32;
    SeqNum::new(clock) + secret.hash(SEQUENCE, &(local, remote)) as u32
}

/// The clock that `local` shows to `remote`: the same for all their connections, so that time goes forward from one
/// to the next. Without `timestamp_offset` all see the same.
pub fn timestamp_clock(settings: &Settings, secret: &Secret, local: IpAddr, remote: IpAddr) -> TimestampClock {
    let offset = if settings.timestamp_offset { secret.hash(TIMESTAMP, &(local, remote)) as u32 } else { 0 };
    TimestampClock::new(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Duration;
    use std::net::Ipv4Addr;

    const SECRET: Secret = Secret::new([1, 2]);

    fn at(host: u8, port: u16) -> SocketAddr {
        (Ipv4Addr::new(192, 0, 2, host), port).into()
    }

    #[test]
    fn one_flow_goes_forward_by_the_clock() {
        let (a, b, start) = (at(1, 80), at(2, 5000), Instant::from_millis(77));
        let first = initial_sequence(&SECRET, start, a, b);
        let later = initial_sequence(&SECRET, start + Duration::from_millis(64), a, b);
        assert_eq!(later.since(first), 1_000_000);
    }

    #[test]
    fn flows_and_secrets_have_nothing_in_common() {
        let number = |secret: &Secret, local, remote| initial_sequence(secret, Instant::ZERO, local, remote).number();
        let numbers = [
            number(&SECRET, at(1, 80), at(2, 5000)),
            number(&SECRET, at(1, 80), at(2, 5001)),
            number(&SECRET, at(2, 5000), at(1, 80)),
            number(&Secret::new([1, 3]), at(1, 80), at(2, 5000)),
        ];
        let mut sorted = numbers;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|w| w[1] - w[0] > 0xffff), "{numbers:x?}");
        assert_eq!(format!("{SECRET:?}"), "Secret(..)");
    }

    #[test]
    fn all_connections_of_two_hosts_share_a_clock() {
        let (a, b) = (at(1, 0).ip(), at(2, 0).ip());
        let clock = |settings: &Settings, local, remote| timestamp_clock(settings, &SECRET, local, remote);
        let settings = Settings::default();
        assert_eq!(clock(&settings, a, b), clock(&settings, a, b));
        assert_ne!(clock(&settings, a, b), clock(&settings, b, a));
        let plain = Settings { timestamp_offset: false, ..settings };
        assert_eq!(clock(&plain, a, b), clock(&plain, b, a), "`tcp_timestamps` 2");
    }
}
