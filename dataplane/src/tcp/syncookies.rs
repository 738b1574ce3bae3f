//! SYN cookies (RFC 4987 section 3.6; `cookie_v4_init_sequence`): when the SYN queue is full, what a connection needs
//! is put into the sequence number and the timestamp of the SYN-ACK, and nothing is kept.
//!
//! ```text
//!   cookie    = hash(flow) + peer's ISN + minute << 24 + (hash(flow, peer's ISN, minute) + MSS index) & 0xffffff
//!   timestamp = time with its low six bits replaced by  | ECN 1 | SACK 1 | window scale 4, 15 for none |
//! ```
//!
//! Invariants: a cookie is good for the minute it was made in and the next; a forged one is right with a chance of
//! about 2^-22 (two minutes, four indices). The secret is drawn at start-up: a restart forgets cookies on their way.

use super::isn::Secret;
use super::mss::Mss;
use super::seq::SeqNum;
use super::timestamp::TIMESTAMP_TICK;
use super::window::{WINDOW_SCALE_MAX, WindowScale};
use crate::Instant;
use std::net::SocketAddr;

/// Segment sizes that a cookie can name, rising: a peer's is rounded down to one of them (`msstab`).
const MSS_TABLE: [u16; 4] = [536, 1300, 1440, 1460];
/// Minutes that a cookie is good for (`MAX_SYNCOOKIE_AGE`).
const AGE_MAX: u32 = 2;
/// A minute in milliseconds (`TCP_SYNCOOKIE_PERIOD`).
const PERIOD_MS: u64 = 60_000;
const LOW_BITS: u32 = 24;
const LOW_MASK: u32 = (1 << LOW_BITS) - 1;

const FLOW: u8 = 3;
const MINUTE: u8 = 4;

const SCALE_NONE: u32 = 15;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;
const OPTIONS_MASK: u32 = 63;

/// The flow of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CookieFlow {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// The sequence number of the SYN-ACK that answers a SYN numbered `peer_isn`.
pub fn encode(secret: &Secret, now: Instant, flow: &CookieFlow, peer_isn: SeqNum, mss: Mss) -> SeqNum {
    let index = MSS_TABLE.iter().rposition(|size| *size <= mss.bytes()).unwrap_or(0) as u32;
    let minute = minute(now);
    let low = minute_hash(secret, flow, peer_isn, minute).wrapping_add(index) & LOW_MASK;
    peer_isn + flow_hash(secret, flow).wrapping_add(minute << LOW_BITS).wrapping_add(low)
}

/// The segment size that `cookie` names, if it is one of ours and not too old: `cookie` is the acknowledgment number
/// of the third segment less 1, `peer_isn` its sequence number less 1.
pub fn decode(secret: &Secret, now: Instant, flow: &CookieFlow, peer_isn: SeqNum, cookie: SeqNum) -> Option<Mss> {
    let rest = cookie.since(peer_isn).wrapping_sub(flow_hash(secret, flow));
    let minute = minute(now);
    let age = minute.wrapping_sub(rest >> LOW_BITS) & 0xff;
    if age >= AGE_MAX {
        return None;
    }
    let index = rest.wrapping_sub(minute_hash(secret, flow, peer_isn, minute.wrapping_sub(age))) & LOW_MASK;
    MSS_TABLE.get(index as usize).map(|size| Mss::new(*size))
}

/// What the timestamp carries besides the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieOptions {
    /// The peer's window scale, if it sent one.
    pub window_scale: Option<WindowScale>,
    /// The peer permits SACK.
    pub sack_permitted: bool,
    /// The peer is capable of ECN.
    pub ecn: bool,
}

impl CookieOptions {
    /// The `TSval` of the SYN-ACK, made from the one that stands for now: never from the future
    /// (`cookie_init_timestamp`).
    pub fn encode(&self, ts_now: u32) -> u32 {
        let scale = self.window_scale.map_or(SCALE_NONE, |scale| scale.shift().into());
        let bits = scale | if self.sack_permitted { SACK } else { 0 } | if self.ecn { ECN } else { 0 };
        let stamped = (ts_now & !OPTIONS_MASK) | bits;
        // Compared as the low bits are, because the clock wraps.
        if bits > ts_now & OPTIONS_MASK { stamped.wrapping_sub(OPTIONS_MASK + 1) } else { stamped }
    }

    /// Of the `TSecr` of the third segment (`cookie_timestamp_decode`). `None` if no SYN-ACK of ours looked like that.
    pub fn decode(ts_echo: u32) -> Option<Self> {
        let scale = ts_echo & SCALE_NONE;
        let window_scale = (scale != SCALE_NONE).then(|| WindowScale::new(scale as u8));
        (scale == SCALE_NONE || scale <= WINDOW_SCALE_MAX.into()).then_some(Self {
            window_scale,
            sack_permitted: ts_echo & SACK != 0,
            ecn: ts_echo & ECN != 0,
        })
    }
}

/// The timestamp in a SYN-ACK lags by at most 64 ticks.
const _: () = assert!(TIMESTAMP_TICK.as_millis() == 1);

fn minute(now: Instant) -> u32 {
    (now.as_millis() / PERIOD_MS) as u32
}

fn flow_hash(secret: &Secret, flow: &CookieFlow) -> u32 {
    secret.hash(FLOW, flow) as u32
}

/// The peer's number is in the hash too, unlike Linux's: otherwise a cookie were good for the SYN numbered one lower,
/// as one of the next size.
fn minute_hash(secret: &Secret, flow: &CookieFlow, peer_isn: SeqNum, minute: u32) -> u32 {
    secret.hash(MINUTE, &(flow, peer_isn, minute & 0xff)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Duration;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use xmit_nic::rng::Rng;

    const SECRET: Secret = Secret::new([3, 4]);
    const PEER_ISN: SeqNum = SeqNum::new(0xffff_fff0);

    fn flow(port: u16) -> CookieFlow {
        let at = |host, port| (Ipv4Addr::new(192, 0, 2, host), port).into();
        CookieFlow { local: at(1, 80), remote: at(2, port) }
    }

    #[test]
    fn a_cookie_brings_back_the_segment_size() {
        let now = Instant::from_millis(59_999);
        for (mss, named) in [(48, 536), (536, 536), (1299, 536), (1300, 1300), (1448, 1440), (1460, 1460), (9000, 1460)]
        {
            let cookie = encode(&SECRET, now, &flow(5), PEER_ISN, Mss::new(mss));
            let decoded = |at| decode(&SECRET, at, &flow(5), PEER_ISN, cookie).map(Mss::bytes);
            assert_eq!(decoded(now), Some(named));
            assert_eq!(decoded(now + Duration::from_secs(60)), Some(named), "in the next minute");
            assert_eq!(decoded(now + Duration::from_secs(61)), None, "in the one after");
            assert_eq!(decode(&SECRET, now, &flow(6), PEER_ISN, cookie), None, "of another flow");
            assert_eq!(decode(&SECRET, now, &flow(5), PEER_ISN + 1, cookie), None, "for another SYN");
        }
    }

    #[test]
    fn guesses_fail() {
        let (mut rng, now) = (Rng::new(5), Instant::from_millis(1_000_000));
        let hits = (0..200_000)
            .filter(|_| decode(&SECRET, now, &flow(5), PEER_ISN, SeqNum::new(rng.next_u64() as u32)).is_some())
            .count();
        assert!(hits <= 2, "{hits} of 200,000");
    }

    proptest! {
        #[test]
        fn the_timestamp_brings_back_the_options(ts: u32, shift in 0..=15u8, sack_permitted: bool, ecn: bool) {
            let window_scale = (shift < 15).then(|| WindowScale::new(shift));
            let options = CookieOptions { window_scale, sack_permitted, ecn };
            let stamped = options.encode(ts);
            prop_assert_eq!(CookieOptions::decode(stamped), Some(options));
            prop_assert!(ts.wrapping_sub(stamped) < 64, "behind the clock, by less than 64 ticks");
        }
    }
}
