//! What hangs on a segment: a card, or a tap (the raw wire side, joined to another port).

use super::backoff::Backoff;
use super::device::{Card, Heard, Outgoing, TxEnd};
use super::frame_ring::FrameRing;
use super::timing::Timing;
use crate::{Instant, PortStats};

/// A station and whether it is the one (or one of those) now sending.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) kind: StationKind,
    pub(super) sending: bool,
}

#[derive(Debug)]
pub(super) enum StationKind {
    Card(Box<Card>),
    Tap(Box<Tap>),
}

/// A station without registers: hears everything, sends what it is given, retries by itself like a later NIC.
#[derive(Debug)]
pub struct Tap {
    /// Good frames heard and not yet collected.
    pub heard: FrameRing,
    /// Frames to send; the first one is at the ready.
    pub outbox: FrameRing,
    /// Counters by Linux's names.
    pub stats: PortStats,
    given_at: Instant,
    backoff: Backoff,
    timing: Timing,
}

impl Tap {
    pub(super) fn new(timing: Timing, seed: u64) -> Self {
        Self {
            heard: FrameRing::new(),
            outbox: FrameRing::new(),
            stats: PortStats::default(),
            given_at: Instant::ZERO,
            backoff: Backoff::new(seed),
            timing,
        }
    }

    /// Queues a frame to be sent, padded with zeros to `len_min` bytes. False if the queue is full.
    pub fn send(&mut self, now: Instant, bytes: &[u8], len_min: usize) -> bool {
        if self.outbox.is_empty() {
            self.given_at = now;
        }
        let Some(slot) = self.outbox.push(bytes.len().max(len_min)) else { return false };
        let (head, pad) = slot.split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        pad.fill(0);
        true
    }

    /// Forgets everything that waits.
    pub fn close(&mut self) {
        self.heard.clear();
        self.outbox.clear();
    }

    fn off_air(&mut self, now: Instant, end: TxEnd) {
        match end {
            TxEnd::Sent => {
                self.stats.tx_packets += 1;
                self.stats.tx_bytes += self.outbox.front().map_or(0, |f| f.len() as u64);
                self.next(now);
            }
            TxEnd::Underflow => {
                self.stats.tx_errors += 1;
                self.next(now);
            }
            TxEnd::Collided if self.backoff.collided(now, self.timing) => {
                self.stats.tx_aborted_errors += 1;
                self.stats.tx_errors += 1;
                self.next(now);
            }
            TxEnd::Collided => self.stats.collisions += 1,
        }
    }

    fn next(&mut self, now: Instant) {
        self.outbox.pop();
        self.backoff.forget();
        self.given_at = now;
    }

    fn hear_end(&mut self, frame: Heard<'_>) {
        if !frame.fcs_good || frame.dribble {
            self.stats.rx_errors += 1;
            return;
        }
        match self.heard.push(frame.bytes.len()) {
            Some(slot) => {
                slot.copy_from_slice(frame.bytes);
                self.stats.rx_packets += 1;
                self.stats.rx_bytes += frame.bytes.len() as u64;
            }
            None => self.stats.rx_dropped += 1,
        }
    }
}

impl Station {
    pub(super) fn new(kind: StationKind) -> Self {
        Self { kind, sending: false }
    }

    pub(super) fn ready_at(&self) -> Option<Instant> {
        match &self.kind {
            StationKind::Card(card) => card.ready_at(),
            StationKind::Tap(tap) if tap.outbox.is_empty() => None,
            StationKind::Tap(tap) => Some(tap.given_at.max(tap.backoff.not_before())),
        }
    }

    pub(super) fn go_on_air(&mut self, wire: &mut [u8]) -> Option<Outgoing> {
        let outgoing = match &mut self.kind {
            StationKind::Card(card) => card.go_on_air(wire)?,
            StationKind::Tap(tap) => {
                let frame = tap.outbox.front()?;
                wire.get_mut(..frame.len())?.copy_from_slice(frame);
                Outgoing { len: frame.len(), bad_fcs: false }
            }
        };
        self.sending = true;
        Some(outgoing)
    }

    /// False if the sender was cut off in the middle of its frame.
    pub(super) fn still_feeds_the_wire(&self) -> bool {
        match &self.kind {
            StationKind::Card(card) => card.is_on_air(),
            StationKind::Tap(_) => true,
        }
    }

    pub(super) fn off_air(&mut self, now: Instant, end: TxEnd) {
        self.sending = false;
        match &mut self.kind {
            StationKind::Card(card) => card.off_air(now, end),
            StationKind::Tap(tap) => tap.off_air(now, end),
        }
    }

    pub(super) fn hear_start(&mut self, now: Instant, bytes: &[u8]) {
        if let StationKind::Card(card) = &mut self.kind {
            card.hear_start();
            card.hear_bytes(now, bytes);
        }
    }

    pub(super) fn hear_end(&mut self, frame: Heard<'_>) {
        match &mut self.kind {
            StationKind::Card(card) => card.hear_end(frame),
            StationKind::Tap(tap) => tap.hear_end(frame),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.kind {
            StationKind::Card(card) => card.next_deadline(),
            StationKind::Tap(_) => None,
        }
    }

    pub(super) fn advance(&mut self, now: Instant) {
        if let StationKind::Card(card) = &mut self.kind {
            card.advance(now);
        }
    }
}
