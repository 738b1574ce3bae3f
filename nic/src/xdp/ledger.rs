//! Which frames a port has lent to the kernel, and to which pair of rings.
//!
//! The pool knows that a slot is lent, but not to whom when several ports share it. The ledger does, so that a port
//! can give back at shutdown what the kernel still had, and nothing of another port.
//!
//! Invariant: a slot is entered here exactly while the pool holds it as `Receive` or `Transmit` for this port.

use crate::{Frame, Holder, Pool, SlotId};

/// The slots that one port has in the kernel's rings.
#[derive(Debug)]
pub(super) struct Ledger {
    entries: Vec<Holder>,
    rx: usize,
    tx: usize,
}

impl Ledger {
    /// An empty ledger for a pool of `frames` frames.
    pub(super) fn new(frames: usize) -> Self {
        Self { entries: vec![Holder::Free; frames], rx: 0, tx: 0 }
    }

    /// Frames in the fill and receive rings.
    pub(super) fn rx(&self) -> usize {
        self.rx
    }

    /// Frames in the transmit and completion rings.
    pub(super) fn tx(&self) -> usize {
        self.tx
    }

    /// Enters a slot that was just lent.
    pub(super) fn enter(&mut self, slot: SlotId, holder: Holder) {
        if let Some(entry) = self.entries.get_mut(slot.0 as usize) {
            *entry = holder;
            *self.count(holder) += 1;
        }
    }

    /// Strikes a slot that the kernel gave back and answers its frame. `None` if it was not this port's: the ring
    /// holds something that was never put in.
    pub(super) fn strike(&mut self, slot: SlotId, holder: Holder, pool: &mut Pool) -> Option<Frame> {
        let entry = self.entries.get_mut(slot.0 as usize).filter(|entry| **entry == holder)?;
        *entry = Holder::Free;
        *self.count(holder) -= 1;
        pool.reclaim(slot, holder)
    }

    /// Gives every slot back to `pool`; only after the kernel has let go of the rings.
    pub(super) fn settle(&mut self, pool: &mut Pool) {
        for index in 0..self.entries.len() {
            let holder = self.entries[index];
            if let Some(frame) =
                (holder != Holder::Free).then(|| self.strike(SlotId(index as u32), holder, pool)).flatten()
            {
                pool.release(frame);
            }
        }
    }

    fn count(&mut self, holder: Holder) -> &mut usize {
        if holder == Holder::Receive { &mut self.rx } else { &mut self.tx }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_gives_back_its_own_frames_only() {
        let mut pool = Pool::anonymous(1, 6).unwrap();
        let (mut ours, mut theirs) = (Ledger::new(6), Ledger::new(6));
        let slots: Vec<_> = (0..4).map(|_| pool.lend_free(Holder::Receive).unwrap()).collect();
        ours.enter(slots[0], Holder::Receive);
        ours.enter(slots[1], Holder::Receive);
        theirs.enter(slots[2], Holder::Receive);
        theirs.enter(slots[3], Holder::Receive);
        assert!(ours.strike(slots[2], Holder::Receive, &mut pool).is_none(), "another port's");
        assert!(ours.strike(SlotId(99), Holder::Receive, &mut pool).is_none(), "no such slot");
        assert!(ours.strike(slots[0], Holder::Transmit, &mut pool).is_none(), "another ring's");
        let frame = ours.strike(slots[0], Holder::Receive, &mut pool).unwrap();
        pool.release(frame);
        assert_eq!((ours.rx(), ours.tx(), pool.available()), (1, 0, 3));
        ours.settle(&mut pool);
        assert_eq!((ours.rx(), pool.available(), pool.census().receive), (0, 4, 2));
        theirs.settle(&mut pool);
        assert_eq!(pool.available(), 6);
    }
}
