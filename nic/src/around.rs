//! Ports around ports: a wrapper states what it changes, everything else is the inner port's.

use crate::{Burst, Caps, Instant, Pool, Port, PortStats, Wakeup};

/// A port around another. What it leaves out goes through unchanged; it is a [`Port`] itself.
pub trait Around: Send {
    /// The port inside.
    fn inner(&self) -> &dyn Port;

    /// The port inside, to work with.
    fn inner_mut(&mut self) -> &mut dyn Port;

    /// See [`Port::rx_burst`].
    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        self.inner_mut().rx_burst(now, pool, burst);
    }

    /// See [`Port::tx_burst`].
    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        self.inner_mut().tx_burst(now, pool, burst);
    }

    /// See [`Port::service`].
    fn service(&mut self, now: Instant, pool: &mut Pool) {
        self.inner_mut().service(now, pool);
    }

    /// See [`Port::carrier`].
    fn carrier(&self) -> bool {
        self.inner().carrier()
    }
}

impl<T: Around> Port for T {
    fn caps(&self) -> &Caps {
        self.inner().caps()
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        Around::rx_burst(self, now, pool, burst);
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        Around::tx_burst(self, now, pool, burst);
    }

    fn tx_room(&self) -> usize {
        self.inner().tx_room()
    }

    fn service(&mut self, now: Instant, pool: &mut Pool) {
        Around::service(self, now, pool);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        self.inner_mut().sleep(now)
    }

    fn stats(&self) -> PortStats {
        self.inner().stats()
    }

    fn set_all_multicast(&mut self, all: bool) {
        self.inner_mut().set_all_multicast(all);
    }

    fn carrier(&self) -> bool {
        Around::carrier(self)
    }

    fn shutdown(&mut self, pool: &mut Pool) {
        self.inner_mut().shutdown(pool);
    }
}
