//! What held a sender back and for how long, for `tcpi_busy_time` and its parts (`tcp_chrono_start`, `tcp_chrono_stop`).
//!
//! Invariant: one thing runs at a time, the most telling one; while anything is unsent or unacknowledged at least
//! [`Held::Busy`] does. Called by `look` (data was written), `push` (what ended sending) and `input` (all is acknowledged).

use crate::{Duration, Instant};

/// What holds a sender back; a later one tells more than an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// There is nothing to send.
    #[default]
    Idle,
    /// Only the network.
    Busy,
    /// The peer's window.
    Window,
}

/// The times of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chronograph {
    held: Held,
    since: Option<Instant>,
    busy_micros: u64,
    window_micros: u64,
}

impl Chronograph {
    /// `held` holds the sender back from now on, unless something more telling does.
    #[inline]
    pub fn start(&mut self, now: Instant, held: Held) {
        if held > self.held {
            self.set(now, held);
        }
    }

    /// It does so no longer; `left`: something is still to be sent or acknowledged.
    #[inline]
    pub fn stop(&mut self, now: Instant, held: Held, left: bool) {
        if !left && self.held != Held::Idle {
            self.set(now, Held::Idle);
        } else if left && held == self.held {
            self.set(now, Held::Busy);
        }
    }

    /// The time that there was something to send, and the part of it that the peer's window held it back, in microseconds.
    pub fn micros(&self, now: Instant) -> (u64, u64) {
        let mut copy = *self;
        copy.set(now, Held::Idle);
        (copy.busy_micros + copy.window_micros, copy.window_micros)
    }

    fn set(&mut self, now: Instant, held: Held) {
        let ran = self.since.map_or(Duration::ZERO, |since| now.saturating_since(since)).as_micros() as u64;
        match self.held {
            Held::Idle => {}
            Held::Busy => self.busy_micros += ran,
            Held::Window => self.window_micros += ran,
        }
        (self.held, self.since) = (held, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_thing_is_counted() {
        let at = |millis| Instant::from_millis(millis);
        let mut chronograph = Chronograph::default();
        assert_eq!(chronograph.micros(at(5)), (0, 0));
        chronograph.start(at(10), Held::Busy);
        chronograph.start(at(20), Held::Window);
        chronograph.start(at(25), Held::Busy);
        assert_eq!(chronograph.micros(at(30)), (20_000, 10_000));
        chronograph.stop(at(40), Held::Window, true);
        chronograph.stop(at(50), Held::Window, true);
        assert_eq!(chronograph.micros(at(60)), (50_000, 20_000));
        chronograph.stop(at(60), Held::Busy, false);
        assert_eq!(chronograph.micros(at(100)), (50_000, 20_000), "nothing runs while nothing is to be sent");
    }
}
