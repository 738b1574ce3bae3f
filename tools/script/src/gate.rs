//! A port around a port that can be shut: it is busy, or its cable is out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use xmit_nic::{Around, Burst, Instant, Pool, Port};

/// What a script does to a port behind the stack's back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    busy: Arc<AtomicBool>,
    unplugged: Arc<AtomicBool>,
}

impl Gate {
    /// From now on the port takes no frame, or takes them again.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// From now on the port has no carrier, or has it again.
    pub(crate) fn set_unplugged(&self, unplugged: bool) {
        self.unplugged.store(unplugged, Ordering::Relaxed);
    }
}

/// A port whose gate can be shut.
pub(crate) struct GatePort {
    /// The port behind the gate.
    pub(crate) inner: Box<dyn Port>,
    /// The gate.
    pub(crate) gate: Gate,
}

impl Around for GatePort {
    fn inner(&self) -> &dyn Port {
        &*self.inner
    }

    fn inner_mut(&mut self) -> &mut dyn Port {
        &mut *self.inner
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        if !self.gate.busy.load(Ordering::Relaxed) {
            self.inner.tx_burst(now, pool, burst);
        }
    }

    fn carrier(&self) -> bool {
        !self.gate.unplugged.load(Ordering::Relaxed) && self.inner.carrier()
    }
}
