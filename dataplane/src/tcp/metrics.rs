//! What is remembered of destinations when a connection ends, for the next one (`tcp_metrics.c`).
//!
//! Bounded: a table of sets with four ways; a new destination takes the place of the one used least recently.

use crate::Duration;
use crate::Instant;
use std::net::IpAddr;

/// How long an entry is believed (`TCP_METRICS_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(3600);
const WAYS: usize = 4;

/// What is known of one destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Option<Duration>,
    /// The path MTU that ICMP told.
    pub pmtu: Option<u16>,
    /// It told of less than is believed: what does not fit may be cut on its way (`ip_mtu_locked`).
    pub pmtu_locked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    destination: IpAddr,
    known: Known,
    pmtu_at: Instant,
    used_at: Instant,
}

impl Entry {
    /// What is known at `now`: a path MTU is forgotten sooner than the rest.
    fn known_at(&self, now: Instant) -> Known {
        let mut known = self.known;
        if now.saturating_since(self.pmtu_at) > PMTU_EXPIRES {
            (known.pmtu, known.pmtu_locked) = (None, false);
        }
        known
    }
}

/// The table of a lane.
#[derive(Debug)]
pub struct Metrics {
    sets: Box<[[Option<Entry>; WAYS]]>,
}

/// How long a path MTU is believed (`mtu_expires`; RFC 1191 section 6.3).
const PMTU_EXPIRES: Duration = Duration::from_secs(600);

impl Metrics {
    /// Room for about `capacity` destinations.
    pub fn new(capacity: usize) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        Self { sets: vec![[None; WAYS]; sets].into() }
    }

    /// What is known of `destination`.
    pub fn get(&mut self, now: Instant, destination: IpAddr) -> Option<Known> {
        let entry = self.set(destination).iter_mut().flatten().find(|entry| entry.destination == destination)?;
        if now.saturating_since(entry.used_at) > TIMEOUT {
            return None;
        }
        Some(entry.known_at(now))
    }

    /// Changes what is known of `destination`.
    pub fn update(&mut self, now: Instant, destination: IpAddr, change: impl FnOnce(&mut Known)) {
        let set = self.set(destination);
        let place = set.iter().position(|e| e.is_some_and(|e| e.destination == destination));
        let place = place
            .or_else(|| set.iter().position(Option::is_none))
            .unwrap_or_else(|| (0..WAYS).min_by_key(|at| set[*at].map_or(Instant::ZERO, |e| e.used_at)).unwrap_or(0));
        let fresh = Entry { destination, known: Known::default(), pmtu_at: now, used_at: now };
        let entry = set[place].filter(|e| e.destination == destination);
        let mut entry = entry.unwrap_or(fresh);
        entry.known = entry.known_at(now);
        let pmtu = (entry.known.pmtu, entry.known.pmtu_locked);
        change(&mut entry.known);
        if (entry.known.pmtu, entry.known.pmtu_locked) != pmtu {
            entry.pmtu_at = now;
        }
        entry.used_at = now;
        set[place] = Some(entry);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sets.fill([None; WAYS]);
    }

    fn set(&mut self, destination: IpAddr) -> &mut [Option<Entry>; WAYS] {
        let bits = match destination {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64 ^ v6.to_bits() as u64,
        };
        let hash = bits.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = hash as usize & (self.sets.len() - 1);
        &mut self.sets[index]
    }
}
