//! One direction of a wire: a queue, a transmitter of limited rate, and frames in flight.
//!
//! ```text
//!  input -> [ mtu ] -> [ queue | rate ] -> [ loss, corruption ] -> [ delay, jitter, reordering ] -> output
//!                        departures                                  in flight, earliest first
//! ```
//!
//! Invariants: a slot is either on the free list or in flight, once; `departures` is sorted; nothing allocates after
//! [`Line::new`]. Called by `SimPort` and by the impairing join.

use super::Impairment;
use crate::Instant;
use crate::rng::Rng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Frames in flight on one line: 200 ms of 100 Mbit/s in full frames. Pages that are never used cost nothing.
const SLOTS: usize = 2048;

/// Bytes per slot: the longest frame at [`Impairment::MTU_MAX`].
const SLOT_BYTES: usize = Impairment::MTU_MAX as usize + 14 + 4;

/// What happened to the frames of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineStats {
    /// Frames put in at one end.
    pub offered: u64,
    /// Frames taken out at the other end.
    pub delivered: u64,
    /// Dropped: longer than the MTU allows.
    pub too_long: u64,
    /// Dropped: the queue before the rate limit was full.
    pub queue_full: u64,
    /// Dropped: too many frames in flight.
    pub flight_full: u64,
    /// Dropped by chance.
    pub lost: u64,
    /// One bit flipped by chance.
    pub corrupted: u64,
    /// Second copies made by chance.
    pub duplicated: u64,
    /// Held back by chance.
    pub reordered: u64,
}

/// One direction of a wire.
#[derive(Debug)]
pub struct Line {
    impairment: Impairment,
    rng: Rng,
    slots: Box<[u8]>,
    free: Vec<u16>,
    in_flight: BinaryHeap<Reverse<Flight>>,
    departures: VecDeque<Instant>,
    transmitter_free: Instant,
    last_arrival: Instant,
    sequence: u64,
    stats: LineStats,
}

/// A frame on its way; compared by arrival, then by the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    arrival: Instant,
    sequence: u64,
    slot: u16,
    len: u16,
}

impl Line {
    /// An empty line.
    pub fn new(rng: Rng, impairment: Impairment) -> Self {
        Self {
            impairment,
            rng,
            slots: vec![0; SLOTS * SLOT_BYTES].into_boxed_slice(),
            free: (0..SLOTS as u16).rev().collect(),
            in_flight: BinaryHeap::with_capacity(SLOTS),
            departures: VecDeque::with_capacity(SLOTS),
            transmitter_free: Instant::ZERO,
            last_arrival: Instant::ZERO,
            sequence: 0,
            stats: LineStats::default(),
        }
    }

    /// What the line does to its frames.
    pub fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    /// Changes what the line does, for frames that come from now on.
    pub fn set_impairment(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// Puts a frame in. False if it was dropped at the entry (`too_long`, `queue_full`, `flight_full`), which a sender
    /// can see; a frame lost on the way is accepted.
    pub fn input(&mut self, now: Instant, bytes: &[u8]) -> bool {
        self.stats.offered += 1;
        if bytes.len() > self.impairment.frame_bytes_max() {
            self.stats.too_long += 1;
            return false;
        }
        let Some(departure) = self.depart(now, bytes.len()) else {
            self.stats.queue_full += 1;
            return false;
        };
        // Each frame draws the same numbers whatever the settings, so that two settings stay comparable.
        let lost = self.rng.chance_ppm(self.impairment.loss_ppm);
        let corrupted = self.rng.chance_ppm(self.impairment.corrupt_ppm);
        let flipped_bit = self.rng.below(bytes.len() as u64 * 8);
        let duplicated = self.rng.chance_ppm(self.impairment.duplicate_ppm);
        let arrival = self.arrival(departure);
        if lost {
            self.stats.lost += 1;
            return true;
        }
        let flipped = (corrupted && !bytes.is_empty()).then_some(flipped_bit);
        self.stats.corrupted += u64::from(flipped.is_some());
        let taken = self.launch(arrival, bytes, flipped);
        if taken && duplicated && !self.free.is_empty() {
            self.stats.duplicated += 1;
            self.launch(arrival, bytes, flipped);
        }
        taken
    }

    /// The next frame that has arrived by `now`, to be taken out by [`Line::pop`].
    pub fn peek(&self, now: Instant) -> Option<&[u8]> {
        let flight = self.in_flight.peek()?.0;
        (flight.arrival <= now).then(|| self.bytes(flight))
    }

    /// Takes the frame that [`Line::peek`] showed off the line.
    pub fn pop(&mut self) {
        if let Some(Reverse(flight)) = self.in_flight.pop() {
            self.free.push(flight.slot);
            self.stats.delivered += 1;
        }
    }

    /// When the next frame arrives.
    pub fn next_event(&self) -> Option<Instant> {
        Some(self.in_flight.peek()?.0.arrival)
    }

    /// What happened so far.
    pub fn stats(&self) -> LineStats {
        self.stats
    }

    /// Frames on the line, waiting or flying.
    pub fn frames_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When the last bit of a frame leaves the transmitter; `None` if too many frames wait for it.
    fn depart(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        while self.departures.front().is_some_and(|d| *d <= now) {
            self.departures.pop_front();
        }
        if self.departures.len() >= self.impairment.queue_frames_max.min(SLOTS) {
            return None;
        }
        let departure = self.transmitter_free.max(now) + self.impairment.wire_time(bytes);
        self.transmitter_free = departure;
        if departure > now {
            self.departures.push_back(departure);
        }
        Some(departure)
    }

    fn arrival(&mut self, departure: Instant) -> Instant {
        let jitter = xmit_shared::time::nanos(self.impairment.jitter);
        let jitter = self.rng.below(jitter.saturating_add(1));
        let arrival = departure + self.impairment.delay + crate::Duration::from_nanos(jitter);
        if self.rng.chance_ppm(self.impairment.reorder_ppm) {
            // Not remembered in `last_arrival`: those behind may pass.
            self.stats.reordered += 1;
            return arrival.max(self.last_arrival) + self.impairment.reorder_hold;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }

    fn launch(&mut self, arrival: Instant, bytes: &[u8], flipped_bit: Option<u64>) -> bool {
        let Some(slot) = self.free.pop() else {
            self.stats.flight_full += 1;
            return false;
        };
        let flight = Flight { arrival, sequence: self.sequence, slot, len: bytes.len() as u16 };
        self.sequence += 1;
        let at = usize::from(slot) * SLOT_BYTES;
        let stored = &mut self.slots[at..at + bytes.len()];
        stored.copy_from_slice(bytes);
        if let Some(bit) = flipped_bit {
            stored[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        self.in_flight.push(Reverse(flight));
        true
    }

    fn bytes(&self, flight: Flight) -> &[u8] {
        let at = usize::from(flight.slot) * SLOT_BYTES;
        &self.slots[at..at + usize::from(flight.len)]
    }
}
