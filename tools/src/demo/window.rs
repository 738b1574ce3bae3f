//! Which datagrams are out and which came back: a window over numbers, whatever carries them.
//!
//! Bounded by the window. Called by both kinds of exchange, which bring the clock and the sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use xmit_shared::Instant;

use crate::demo::datagram;
use crate::demo::shown::Echoes;

/// The datagrams of one exchange.
#[derive(Debug)]
pub struct Window {
    next: u32,
    size: usize,
    patience: Duration,
    /// When each was sent.
    out: BTreeMap<u32, Instant>,
    echoes: Echoes,
}

impl Window {
    /// `wanted` datagrams, at most `size` out at once; each is sent again when its echo takes longer than `patience`.
    pub fn new(wanted: u32, size: usize, patience: Duration) -> Self {
        Self { next: 0, size, patience, out: BTreeMap::new(), echoes: Echoes { wanted, ..Echoes::default() } }
    }

    /// The number of the datagram to send now, if one may be sent.
    pub fn next(&mut self, now: Instant) -> Option<u32> {
        let late = self.out.iter().find(|(_, sent)| now.saturating_since(**sent) >= self.patience);
        let number = match late {
            Some((number, _)) => {
                self.echoes.again += 1;
                *number
            }
            None if self.out.len() < self.size && self.next < self.echoes.wanted => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        self.out.insert(number, now);
        Some(number)
    }

    /// A datagram came in. The second echo of one that was sent twice is neither counted nor wrong.
    pub fn input(&mut self, bytes: &[u8]) {
        match datagram::check(bytes) {
            Some(number) if number < self.next => {
                self.echoes.echoed += u32::from(self.out.remove(&number).is_some());
            }
            _ => self.echoes.wrong += 1,
        }
    }

    /// Whether all came back.
    pub fn is_done(&self) -> bool {
        self.echoes.echoed == self.echoes.wanted
    }

    /// How many came back so far.
    pub fn echoed(&self) -> u32 {
        self.echoes.echoed
    }

    /// What became of them in `time`.
    pub fn echoes(self, time: Duration) -> Echoes {
        Echoes { seconds: time.as_secs_f64(), ..self.echoes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::datagram::payload;

    #[test]
    fn late_ones_go_again_and_wrong_ones_are_seen() {
        let at = |millis| Instant::from_millis(millis);
        let mut window = Window::new(3, 2, Duration::from_millis(10));
        assert_eq!((window.next(at(0)), window.next(at(0)), window.next(at(0))), (Some(0), Some(1), None));
        window.input(&payload(1));
        assert_eq!((window.next(at(1)), window.next(at(1))), (Some(2), None));
        window.input(&payload(2));
        assert_eq!((window.next(at(10)), window.next(at(10))), (Some(0), None));
        window.input(&payload(0));
        window.input(&payload(0));
        assert!(window.is_done());
        window.input(&payload(3));
        window.input(b"");
        let expected = Echoes { wanted: 3, echoed: 3, wrong: 2, again: 1, seconds: 2.0 };
        assert_eq!(window.echoes(Duration::from_secs(2)), expected);
    }
}
