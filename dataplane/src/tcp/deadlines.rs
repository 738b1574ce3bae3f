//! The timers of one connection: a table of deadlines with one entry in the lane's wheel for the earliest.
//!
//! Linux's four timers (`icsk_retransmit_timer`, `icsk_delack_timer`, `sk_timer`, the pacing timer) and who uses them.
//!
//! Invariants: the wheel's entry, if there is one, is not later than the earliest deadline. A deadline that moves
//! back leaves the entry where it is: it expires early, finds nothing due, and is entered anew. So arming a timer again
//! at every segment costs a store.

use crate::Instant;
use crate::timers::{TimerId, Wheel};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Timer {
    /// Pacing lets the next segment go.
    Pace,
    /// Keepalive; in FIN_WAIT2 of an orphan the end of the connection (`sk_timer`).
    KeepAlive,
    /// The retransmission timer, for what [`Retransmission`] says (`icsk_retransmit_timer`).
    Retransmission,
    /// The delayed ACK (`icsk_delack_timer`). The last, beside `entered_at`: the two that a segment of data touches.
    DelayedAck,
}

/// What the retransmission timer is armed for (`icsk_pending`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Retransmission {
    /// Nothing.
    #[default]
    None,
    /// The retransmission timeout (RFC 6298).
    Timeout,
    /// A tail loss probe (RFC 8985 section 7).
    LossProbe,
    /// RACK's reordering window (RFC 8985 section 6.3).
    Reordering,
    /// A probe of a closed window (RFC 9293 section 3.8.6.1).
    WindowProbe,
}

/// How many timers a connection has.
pub(super) const TIMERS: usize = 4;

/// What expires in the lane's wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A connection's earliest deadline; its place in the table.
    Connection(u32),
    /// A half-open connection's SYN-ACK; its place.
    Request(u32),
    /// The end of a TIME_WAIT; its place.
    TimeWait(u32),
}

/// The deadlines of one connection.
#[derive(Debug)]
#[repr(C)]
pub struct Deadlines {
    /// What the retransmission timer is for.
    pub retransmission: Retransmission,
    entry: Option<TimerId>,
    at: [Instant; TIMERS],
    entered_at: Instant,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new()
    }
}

impl Deadlines {
    /// From here on stands what arming the delayed ACK touches.
    pub(in crate::tcp) const HOT_FROM: usize =
        std::mem::offset_of!(Self, at) + Timer::DelayedAck as usize * size_of::<Instant>();

    /// None.
    pub const fn new() -> Self {
        Self {
            at: [Instant::FAR_FUTURE; TIMERS],
            entered_at: Instant::FAR_FUTURE,
            entry: None,
            retransmission: Retransmission::None,
        }
    }

    /// Sets `timer` to expire at `at`.
    #[inline]
    pub fn arm(&mut self, wheel: &mut Wheel<Due>, connection: u32, timer: Timer, at: Instant) {
        self.at[timer as usize] = at;
        if at < self.entered_at {
            self.enter(wheel, connection, at);
        }
    }

    /// Arms the retransmission timer for `what`.
    #[inline]
    pub fn arm_retransmission(&mut self, wheel: &mut Wheel<Due>, connection: u32, what: Retransmission, at: Instant) {
        self.retransmission = what;
        self.arm(wheel, connection, Timer::Retransmission, at);
    }

    /// Stops `timer`.
    #[inline]
    pub fn disarm(&mut self, timer: Timer) {
        self.at[timer as usize] = Instant::FAR_FUTURE;
        if matches!(timer, Timer::Retransmission) {
            self.retransmission = Retransmission::None;
        }
    }

    /// When `timer` expires, if it is armed.
    #[inline]
    pub fn at(&self, timer: Timer) -> Option<Instant> {
        Some(self.at[timer as usize]).filter(|at| *at < Instant::FAR_FUTURE)
    }

    /// True if `timer` is armed.
    #[inline]
    pub fn is_armed(&self, timer: Timer) -> bool {
        self.at[timer as usize] < Instant::FAR_FUTURE
    }

    /// The wheel handed our entry out: it is gone.
    pub fn entry_expired(&mut self) {
        self.entry = None;
        self.entered_at = Instant::FAR_FUTURE;
    }

    /// Takes a timer whose time has come and disarms it, in a fixed order; for the retransmission timer
    /// [`Deadlines::retransmission`] still says what for.
    pub fn take_due(&mut self, now: Instant) -> Option<Timer> {
        const ORDER: [Timer; TIMERS] = [Timer::DelayedAck, Timer::Retransmission, Timer::Pace, Timer::KeepAlive];
        let due = ORDER.into_iter().find(|timer| self.at[*timer as usize] <= now)?;
        self.at[due as usize] = Instant::FAR_FUTURE;
        Some(due)
    }

    /// Enters the earliest deadline again, after [`Deadlines::entry_expired`].
    pub fn enter_again(&mut self, wheel: &mut Wheel<Due>, connection: u32) {
        let earliest = self.at.iter().min().copied().unwrap_or(Instant::FAR_FUTURE);
        if earliest < self.entered_at {
            self.enter(wheel, connection, earliest);
        }
    }

    /// Stops everything.
    pub fn clear(&mut self, wheel: &mut Wheel<Due>) {
        wheel.stop(&mut self.entry);
        *self = Self::new();
    }

    fn enter(&mut self, wheel: &mut Wheel<Due>, connection: u32, at: Instant) {
        // The wheel has a place for every connection.
        wheel.move_to(&mut self.entry, at, Due::Connection(connection));
        self.entered_at = if self.entry.is_some() { at } else { Instant::FAR_FUTURE };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Duration;

    #[test]
    fn one_entry_follows_the_earliest_deadline() {
        let (mut wheel, mut deadlines) = (Wheel::new(Instant::ZERO, 4, Duration::from_millis(1)), Deadlines::new());
        let ms = Instant::from_millis;
        deadlines.arm(&mut wheel, 7, Timer::KeepAlive, ms(50));
        deadlines.arm(&mut wheel, 7, Timer::DelayedAck, ms(20));
        assert_eq!(wheel.len(), 1);
        // Moved back: the entry stays, expires early, and finds nothing.
        deadlines.arm(&mut wheel, 7, Timer::DelayedAck, ms(30));
        let mut due = Vec::new();
        wheel.expire(ms(20), 10, |token| due.push(token));
        assert_eq!(due, [Due::Connection(7)]);
        deadlines.entry_expired();
        assert_eq!(deadlines.take_due(ms(20)), None);
        deadlines.enter_again(&mut wheel, 7);
        assert_eq!(wheel.expire(ms(30), 10, |_| ()), 1);
        deadlines.entry_expired();
        assert_eq!(deadlines.take_due(ms(30)), Some(Timer::DelayedAck));
        deadlines.enter_again(&mut wheel, 7);
        deadlines.clear(&mut wheel);
        assert!(wheel.is_empty() && !deadlines.is_armed(Timer::KeepAlive));
    }
}
