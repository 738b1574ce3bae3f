//! The receiving half of the card.
//!
//! Armed means: receiver busy (by mode), nothing unread held, match mode not 00. A frame whose kind the RX command
//! names is held and raises the latch; until its status is read nothing else is taken.

use super::{BUFFER_BYTES, Card};
use crate::el3c501::registers::*;
use crate::el3c501::timing::FRAME_BYTES_MIN;
use crate::{Instant, MacAddr};

/// Match modes, RX command bits 7:6.
const MATCH_OFF: u8 = 0;
const MATCH_ALL: u8 = 1;
const MATCH_BROADCAST: u8 = 2;

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) command: u8,
    kind: u8,
    stale: bool,
    pub(super) latch: bool,
    pub(super) busy: bool,
    /// Armed when the frame now on the wire began, and not disturbed since.
    pub(super) listening: bool,
    /// When what it listens to began, if it is for this card.
    coming_since: Option<Instant>,
    /// Bytes of it so far, which the pointer shows.
    coming: u16,
    pub(super) pointer: u16,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            command: 0,
            kind: 0,
            stale: true,
            latch: false,
            busy: false,
            listening: false,
            coming_since: None,
            coming: 0,
            pointer: 0,
        }
    }
}

impl Receiver {
    /// Everything but the pointer.
    pub(super) fn reset(&mut self) {
        *self = Self { pointer: self.pointer, ..Self::default() };
    }
}

/// A frame as it reached the card.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// From the destination address to the last byte before the check sequence.
    pub bytes: &'a [u8],
    /// The check sequence was right.
    pub fcs_good: bool,
    /// The last byte was not whole.
    pub dribble: bool,
}

impl<'a> Heard<'a> {
    /// A frame without damage.
    pub fn good(bytes: &'a [u8]) -> Self {
        Self { bytes, fcs_good: true, dribble: false }
    }
}

impl Card {
    /// A frame begins on the wire: the card hears it only if it is armed from the first bit.
    pub fn hear_start(&mut self) {
        self.rx.listening = self.armed();
    }

    /// The frame that began with `hear_start`, at `now`, is `bytes`.
    pub fn hear_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.rx.coming_since = (self.rx.listening && self.matches(bytes)).then_some(now);
    }

    /// The pointer moves while a frame comes in: to where it is at `now`.
    pub fn receive_until(&mut self, now: Instant) {
        let since = self.rx.coming_since.filter(|_| self.rx.listening && self.armed());
        let room = BUFFER_BYTES.saturating_sub(self.rx.pointer.into());
        let heard = since.map_or(0, |since| self.timing.bytes_heard(now.saturating_since(since)));
        self.rx.coming = heard.min(room) as u16;
    }

    /// The RX pointer as it reads.
    pub(super) fn rx_pointer(&self) -> u16 {
        self.rx.pointer + self.rx.coming
    }

    /// The frame that began with `hear_start` has ended.
    pub fn hear_end(&mut self, frame: Heard<'_>) {
        (self.rx.coming_since, self.rx.coming) = (None, 0);
        if std::mem::take(&mut self.rx.listening) && self.armed() {
            let mut padded = [0; FRAME_BYTES_MIN];
            match padded.get_mut(..frame.bytes.len()) {
                Some(head) if self.quirks.pad_wire_shorts => {
                    head.copy_from_slice(frame.bytes);
                    self.receive(Heard { bytes: &padded, ..frame });
                }
                _ => self.receive(frame),
            }
        }
    }

    pub(super) fn armed(&self) -> bool {
        self.rx.busy && self.rx.stale && self.match_mode() != MATCH_OFF
    }

    /// Filters, stores and judges a frame, from the wire or looped.
    pub(super) fn receive(&mut self, frame: Heard<'_>) {
        if !self.armed() || !self.matches(frame.bytes) {
            return;
        }
        let start = self.rx.pointer;
        let overflow = self.store(frame.bytes);
        self.rx.kind = kind_of(frame, overflow);
        if self.rx.kind & self.rx.command & RX_KINDS != 0 {
            (self.rx.stale, self.rx.latch, self.rx.busy) = (false, true, false);
        } else if !self.quirks.keep_rxptr_on_discard {
            self.rx.pointer = start;
        }
    }

    pub(super) fn read_rx_status(&mut self) -> u8 {
        let value = self.rx.kind | if self.rx.stale { RX_STALE } else { 0 };
        (self.rx.stale, self.rx.latch) = (true, false);
        let cleared = self.mode() == BufferControl::Receive && self.rx.pointer == 0;
        self.rx.busy |= cleared && self.quirks.rearm_on_status_read;
        value
    }

    /// Receive mode begins. After a transmission the receiver runs already: a frame that it caught is kept.
    pub(super) fn enter_receive(&mut self, before: BufferControl) {
        let caught = before == BufferControl::Transmit && self.rx.pointer != 0;
        self.rx.busy = !caught;
        self.tx.busy = self.quirks.txbusy_in_receive;
    }

    fn match_mode(&self) -> u8 {
        self.rx.command >> 6
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        let mode = self.match_mode();
        let Some(&to) = bytes.first_chunk::<6>() else {
            return mode == MATCH_ALL; // a fragment without a whole address
        };
        let to = MacAddr(to);
        match mode {
            MATCH_OFF => false,
            MATCH_ALL => true,
            MATCH_BROADCAST => to == self.station || to.is_broadcast(),
            _ => to == self.station || to.is_group(),
        }
    }

    /// Appends what fits at the RX pointer. True if not everything did.
    fn store(&mut self, bytes: &[u8]) -> bool {
        let start = usize::from(self.rx.pointer).min(BUFFER_BYTES);
        let fits = bytes.len().min(BUFFER_BYTES - start);
        self.buffer[start..start + fits].copy_from_slice(&bytes[..fits]);
        self.rx.pointer = (start + fits) as u16;
        fits < bytes.len()
    }
}

fn kind_of(frame: Heard<'_>, overflow: bool) -> u8 {
    if overflow {
        return RX_OVERFLOW;
    }
    let flag = |on, bit| if on { bit } else { 0 };
    let errors = flag(!frame.fcs_good, RX_FCS)
        | flag(frame.dribble, RX_DRIBBLE)
        | flag(frame.bytes.len() < FRAME_BYTES_MIN, RX_SHORT);
    RX_NOT_OVERFLOW | errors | flag(errors == 0, RX_GOOD)
}
