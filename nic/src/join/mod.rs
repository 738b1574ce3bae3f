//! Joins the wires of two ports: what arrives at one leaves at the other.
//!
//! Owns both ports and the pool between them. A 3C501's segment, a TAP, an AF_XDP queue or a simulated wire can be
//! either side. With impairments each direction is a [`Line`] of the simulated wire, for links that cannot be
//! impaired otherwise.
//!
//! Invariants:
//! * a frame is in the pool, in one of two bounded queues, or lent to a port; [`Join::shutdown`] brings all home;
//! * a frame that finds its queue full is dropped and counted as `queue_full`;
//! * a turn takes at most one burst from each side and gives at most two to each.

mod path;
mod wait;

pub use path::{JoinStats, QUEUE_FRAMES};
pub use wait::WAIT_OTHERS_MAX;

use crate::rng::Rng;
use crate::sim::{Impairment, Line};
use crate::{Burst, Instant, Pool, Port, Wakeup};
use arrayvec::ArrayVec;
use path::{Carrier, Path};
use std::os::fd::RawFd;

/// Descriptors of both sides.
pub const JOIN_FDS_MAX: usize = 2 * crate::port::PORT_FDS_MAX;

/// What ends a join's sleep: the [`Wakeup`]s of both sides in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinWakeup {
    /// Descriptors that become readable when either side has work.
    pub fds: ArrayVec<RawFd, JOIN_FDS_MAX>,
    /// The next time the join needs the CPU even if no descriptor stirs.
    pub at: Option<Instant>,
}

/// Two ports, back to back.
pub struct Join {
    a: Box<dyn Port>,
    b: Box<dyn Port>,
    pool: Pool,
    a_to_b: Path,
    b_to_a: Path,
}

impl Join {
    /// Joins `a` and `b`. `pool` feeds both; it should hold twice [`QUEUE_FRAMES`] beside what the ports keep, and be
    /// over the UMEM if a side is AF_XDP.
    pub fn new(a: Box<dyn Port>, b: Box<dyn Port>, pool: Pool) -> Self {
        Self { a, b, pool, a_to_b: Path::new(Carrier::direct()), b_to_a: Path::new(Carrier::direct()) }
    }

    /// As [`Join::new`], impaired in each direction as `seed` decides.
    #[must_use]
    pub fn impaired(mut self, seed: u64, a_to_b: Impairment, b_to_a: Impairment) -> Self {
        let mut rng = Rng::new(seed);
        self.a_to_b = Path::new(Carrier::Impaired(Box::new(Line::new(rng.fork(), a_to_b))));
        self.b_to_a = Path::new(Carrier::Impaired(Box::new(Line::new(rng.fork(), b_to_a))));
        self
    }

    /// Moves what waits, and answers how many frames were received or sent: zero means that nothing stirred.
    pub fn turn(&mut self, now: Instant) -> usize {
        let pool = &mut self.pool;
        let mut moved = self.a_to_b.receive(now, &mut *self.a, pool);
        moved += self.b_to_a.receive(now, &mut *self.b, pool);
        moved += self.a_to_b.send(now, &mut *self.b, pool);
        moved += self.b_to_a.send(now, &mut *self.a, pool);
        self.a.service(now, pool);
        self.b.service(now, pool);
        moved
    }

    /// Arms both ports' notices and says what to wait for.
    pub fn sleep(&mut self, now: Instant) -> JoinWakeup {
        let Wakeup { fds, at } = self.a.sleep(now);
        let b = self.b.sleep(now);
        let times = [at, b.at, self.a_to_b.next_event(now), self.b_to_a.next_event(now)];
        JoinWakeup { fds: fds.into_iter().chain(b.fds).collect(), at: times.into_iter().flatten().min() }
    }

    /// What passed from the first port to the second, and back.
    pub fn stats(&self) -> (JoinStats, JoinStats) {
        (self.a_to_b.stats(), self.b_to_a.stats())
    }

    /// The two ports.
    pub fn ports(&self) -> (&dyn Port, &dyn Port) {
        (&*self.a, &*self.b)
    }

    /// The pool between them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Takes the join apart: every frame is brought home, and the pool answered.
    #[must_use = "a pool over a UMEM belongs to its ports"]
    pub fn shutdown(mut self) -> Pool {
        self.a_to_b.clear(&mut self.pool);
        self.b_to_a.clear(&mut self.pool);
        self.a.shutdown(&mut self.pool);
        self.b.shutdown(&mut self.pool);
        self.pool
    }
}

/// One burst of `port`.
fn receive_burst(now: Instant, port: &mut dyn Port, pool: &mut Pool) -> Burst {
    let mut burst = Burst::new();
    port.rx_burst(now, pool, &mut burst);
    burst
}

#[cfg(test)]
mod tests;
