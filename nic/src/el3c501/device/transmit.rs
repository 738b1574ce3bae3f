//! The sending half of the card.
//!
//! A change of buffer control to 01 or 11 is the trigger. The start pointer is the length: the transmitter reads
//! from GP to the end of the buffer. What ends a transmission is always a later event.

use super::receive::Heard;
use super::{BUFFER_BYTES, Card, GP_END};
use crate::Instant;
use crate::el3c501::backoff::Backoff;
use crate::el3c501::registers::*;
use crate::el3c501::timing::GIANT_BYTES;

#[derive(Debug)]
pub(super) struct Transmitter {
    pub(super) command: u8,
    status: u8,
    pub(super) latch: bool,
    pub(super) busy: bool,
    job: Job,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    None,
    /// Triggered at `since`; the wire has not been free yet.
    Waiting {
        start: u16,
        since: Instant,
    },
    /// On the wire.
    OnAir,
    /// Inside the card: looped, or of a length that never reaches the wire.
    Internal {
        start: u16,
        looped: bool,
        end: Instant,
    },
}

/// What a card puts on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Bytes before the check sequence.
    pub len: usize,
    /// The check sequence is to be wrong.
    pub bad_fcs: bool,
}

/// How a transmission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxEnd {
    /// The whole frame went out.
    Sent,
    /// Another station sent at the same time.
    Collided,
    /// The buffer could not feed the wire (injected fault only).
    Underflow,
}

impl Transmitter {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { command: 0, status: 0, latch: false, busy: true, job: Job::None, backoff }
    }

    pub(super) fn reset(&mut self) {
        (self.command, self.status, self.latch, self.busy) = (0, 0, false, true);
        self.backoff.forget();
    }

    fn end(&mut self, status: u8) {
        (self.status, self.busy, self.job) = (status, false, Job::None);
        self.latch = status & self.command & TX_OUTCOMES != 0;
    }
}

impl Card {
    /// When the frame at the ready may start: not before its trigger, not before the back-off has run out.
    pub fn ready_at(&self) -> Option<Instant> {
        match self.tx.job {
            Job::Waiting { since, .. } => Some(since.max(self.tx.backoff.not_before())),
            _ => None,
        }
    }

    /// Takes the frame at the ready on the air, into `wire`. `None` if there is none.
    pub fn go_on_air(&mut self, wire: &mut [u8]) -> Option<Outgoing> {
        let Job::Waiting { start, .. } = self.tx.job else { return None };
        let frame = &self.buffer[usize::from(start).min(BUFFER_BYTES)..];
        wire.get_mut(..frame.len())?.copy_from_slice(frame);
        self.tx.job = Job::OnAir;
        Some(Outgoing { len: frame.len(), bad_fcs: self.aux & AX_BAD_FCS != 0 })
    }

    /// True while the frame on the air is still being fed; false if the host took the buffer away.
    pub fn is_on_air(&self) -> bool {
        self.tx.job == Job::OnAir
    }

    /// The transmission on the air has ended.
    pub fn off_air(&mut self, now: Instant, end: TxEnd) {
        if !self.is_on_air() {
            return;
        }
        self.gp = GP_END;
        let status = match end {
            TxEnd::Sent => TX_READY,
            TxEnd::Underflow => TX_UNDERFLOW,
            TxEnd::Collided if self.tx.backoff.collided(now, self.timing) => TX_COLLISION | TX_16_COLLISIONS,
            TxEnd::Collided => TX_COLLISION,
        };
        self.tx.end(status);
        if end == TxEnd::Sent {
            self.tx.backoff.forget();
            self.rx.busy = true;
        }
    }

    /// The next time the card acts by itself.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.tx.job {
            Job::Internal { end, .. } => Some(end),
            _ => None,
        }
    }

    /// Ends an internal transmission whose time has come.
    pub fn advance(&mut self, now: Instant) {
        let Job::Internal { start, looped, end } = self.tx.job else { return };
        if end > now {
            return;
        }
        self.gp = GP_END;
        if !sendable(start) {
            self.tx.end(0);
            return;
        }
        self.tx.end(TX_READY);
        if looped {
            let sent = *self.buffer;
            let frame = Heard::good(&sent[usize::from(start)..]);
            self.receive(Heard { fcs_good: self.aux & AX_BAD_FCS == 0, ..frame });
        }
    }

    pub(super) fn read_tx_status(&mut self) -> u8 {
        self.tx.latch = false;
        self.tx.status
    }

    pub(super) fn trigger(&mut self, now: Instant) {
        self.rx.busy = false;
        self.tx.busy = true;
        self.tx.job =
            if sendable(self.gp) { Job::Waiting { start: self.gp, since: now } } else { self.internal(now, false) };
    }

    pub(super) fn trigger_loopback(&mut self, now: Instant) {
        self.rx.busy = true;
        self.tx.busy = true;
        self.tx.job = self.internal(now, true);
    }

    /// The host or a reset takes the buffer away from a transmission.
    pub(super) fn cut_off(&mut self) {
        if self.tx.job != Job::None {
            self.tx.job = Job::None;
            self.gp = GP_END;
        }
    }

    fn internal(&self, now: Instant, looped: bool) -> Job {
        let len = BUFFER_BYTES.saturating_sub(self.gp.into());
        Job::Internal { start: self.gp, looped, end: now + self.timing.frame(len) }
    }
}

/// False for the empty frame and for giants: they end with status 0 and nothing on the wire.
fn sendable(start: u16) -> bool {
    let len = BUFFER_BYTES.saturating_sub(start.into());
    (1..=GIANT_BYTES).contains(&len)
}
