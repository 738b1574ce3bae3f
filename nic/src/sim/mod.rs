//! The seeded deterministic wire of tests and of the demo.
//!
//! Owns a full-duplex wire: two [`Line`]s, one per direction, and the two [`SimPort`]s at its ends. Frames are copied
//! into the line when they are sent, so the ends may belong to different pools, lanes and threads.
//!
//! Invariants:
//! * the same seed, settings and calls give the same deliveries at the same times, on every machine;
//! * time is what the callers say it is; the next delivery is [`Wire::next_event`] and [`crate::Port::sleep`];
//! * nothing is allocated after construction, and nothing grows: every loss is named in [`LineStats`].

mod impairment;
mod line;
mod port;

pub use impairment::Impairment;
pub use line::{Line, LineStats};
pub use port::SimPort;

use crate::rng::Rng;
use crate::{Instant, MacAddr};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which way a frame travels on a [`Wire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first port to the second.
    AToB,
    /// From the second port to the first.
    BToA,
}

/// The settings of a wire, and afterwards a handle on it that the ports share.
///
/// ```
/// use xmit_nic::sim::{Impairment, Wire};
/// let wire = Wire::new(42).impair(Impairment { loss_ppm: 10_000, ..Impairment::NONE });
/// let (a, b) = wire.ports().expect("no descriptors left");
/// ```
#[derive(Clone, Debug)]
pub struct Wire {
    a_to_b: SharedLine,
    b_to_a: SharedLine,
}

impl Wire {
    /// A perfect wire with an MTU of 1,500 bytes. `seed` decides everything that impairments leave to chance.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let line = |rng: &mut Rng| SharedLine::new(Line::new(rng.fork(), Impairment::NONE));
        Self { a_to_b: line(&mut rng), b_to_a: line(&mut rng) }
    }

    /// The same impairment in both directions.
    #[must_use]
    pub fn impair(self, impairment: Impairment) -> Self {
        self.set(Direction::AToB, impairment);
        self.set(Direction::BToA, impairment);
        self
    }

    /// Changes one direction, at any time; frames already on the wire keep what was decided for them.
    pub fn set(&self, direction: Direction, impairment: Impairment) {
        self.line(direction).set_impairment(impairment);
    }

    /// The two ends. To be called once per wire: two pairs would steal each other's frames.
    ///
    /// # Errors
    /// The kernel's, if there are no descriptors left for the ports' wake-ups.
    pub fn ports(&self) -> io::Result<(SimPort, SimPort)> {
        let mut a = SimPort::new("sim0", MacAddr([2, 0, 0, 0, 0, 1]), self.a_to_b.clone(), self.b_to_a.clone())?;
        let mut b = SimPort::new("sim1", MacAddr([2, 0, 0, 0, 0, 2]), self.b_to_a.clone(), self.a_to_b.clone())?;
        SimPort::connect(&mut a, &mut b);
        Ok((a, b))
    }

    /// When the next frame reaches an end of the wire.
    pub fn next_event(&self) -> Option<Instant> {
        let next = [self.line(Direction::AToB).next_event(), self.line(Direction::BToA).next_event()];
        next.into_iter().flatten().min()
    }

    /// What happened to the frames of one direction.
    pub fn stats(&self, direction: Direction) -> LineStats {
        self.line(direction).stats()
    }

    fn line(&self, direction: Direction) -> MutexGuard<'_, Line> {
        match direction {
            Direction::AToB => self.a_to_b.lock(),
            Direction::BToA => self.b_to_a.lock(),
        }
    }
}

/// A line with two ends. A lock is good enough for a device of tests.
#[derive(Clone, Debug)]
pub(crate) struct SharedLine(Arc<Mutex<Line>>);

impl SharedLine {
    fn new(line: Line) -> Self {
        Self(Arc::new(Mutex::new(line)))
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // A panic of the other end leaves plain counters and bytes behind: nothing that must not be read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
