//! What a driver sees of its card: sixteen ports and an interrupt line.
//!
//! Port accesses take no time: the segment's clock stands still during a call of the driver.

use super::segment::{Segment, StationId};
use crate::Instant;

/// One card's ports on the ISA bus, at one point in time.
#[derive(Debug)]
pub struct Isa<'a> {
    segment: &'a mut Segment,
    card: StationId,
    now: Instant,
}

impl<'a> Isa<'a> {
    /// The ports of `card`. Events up to `now` must have happened ([`Segment::advance`]).
    pub fn new(segment: &'a mut Segment, card: StationId, now: Instant) -> Self {
        let now = now.max(segment.now());
        Self { segment, card, now }
    }

    /// The time of these accesses.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Reads a port; an empty slot floats high.
    pub fn inb(&mut self, offset: u8) -> u8 {
        let now = self.now;
        self.segment.card(self.card).map_or(0xff, |card| {
            card.receive_until(now);
            card.inb(offset)
        })
    }

    /// Writes a port.
    pub fn outb(&mut self, value: u8, offset: u8) {
        if let Some(card) = self.segment.card(self.card) {
            card.outb(self.now, offset, value);
        }
    }

    /// Reads two ports, low byte first.
    pub fn inw(&mut self, offset: u8) -> u16 {
        u16::from_le_bytes([self.inb(offset), self.inb(offset + 1)])
    }

    /// Writes two ports, low byte first.
    pub fn outw(&mut self, value: u16, offset: u8) {
        let [low, high] = value.to_le_bytes();
        self.outb(low, offset);
        self.outb(high, offset + 1);
    }

    /// Reads one port again and again.
    pub fn insb(&mut self, offset: u8, bytes: &mut [u8]) {
        if let Some(card) = self.segment.card(self.card) {
            bytes.iter_mut().for_each(|b| *b = card.inb(offset));
        }
    }

    /// Writes one port again and again.
    pub fn outsb(&mut self, offset: u8, bytes: &[u8]) {
        if let Some(card) = self.segment.card(self.card) {
            bytes.iter().for_each(|b| card.outb(self.now, offset, *b));
        }
    }

    /// The level of the interrupt line.
    pub fn irq(&mut self) -> bool {
        self.segment.card(self.card).is_some_and(|card| card.irq())
    }
}
