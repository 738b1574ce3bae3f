//! Memory that the rings of a session may hold, over all its lanes.
//!
//! A region is address space; the kernel gives pages when they are touched. So what counts is not how many sockets a client may
//! have but which rings were used: datagram rings stay touched for good, a stream's while it is open, and one that
//! grew from ring to ring has touched them all, which is less than twice the last one.
//!
//! Called when slots are opened and closed and rings grow, never for a packet.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a slot's charges are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// Both rings of datagrams.
    Datagrams,
    /// A stream's send ring.
    Send,
    /// A stream's receive ring.
    Receive,
}

const CHARGES: usize = 3;

/// The quota of one session. A slot is charged by one lane at a time; the sum is everybody's.
#[derive(Debug)]
pub(super) struct Quota {
    max: u64,
    used: AtomicU64,
    slots: Box<[[AtomicU64; CHARGES]]>,
}

impl Quota {
    pub(super) fn new(slots: u32, max: u64) -> Self {
        Self { max, used: AtomicU64::new(0), slots: (0..slots).map(|_| Default::default()).collect() }
    }

    /// Charges `slot` with `bytes` for `what`, in place of what it was charged with before. False, and nothing changed, if
    /// that is more than is left.
    pub(super) fn charge(&self, slot: u32, what: Charge, bytes: u64) -> bool {
        let Some(entry) = self.entry(slot, what) else { return false };
        // Relaxed throughout: only the sum matters, and no memory is published by it.
        let before = entry.load(Ordering::Relaxed);
        let more = bytes.saturating_sub(before);
        if self.used.fetch_add(more, Ordering::Relaxed) + more > self.max && more > 0 {
            self.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.used.fetch_sub(before.saturating_sub(bytes), Ordering::Relaxed);
        entry.store(bytes, Ordering::Relaxed);
        true
    }

    /// The same, whatever is left: for what a connection cannot be without.
    pub(super) fn overcharge(&self, slot: u32, what: Charge, bytes: u64) {
        let Some(entry) = self.entry(slot, what) else { return };
        let before = entry.swap(bytes, Ordering::Relaxed);
        self.used.fetch_add(bytes.saturating_sub(before), Ordering::Relaxed);
        self.used.fetch_sub(before.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// What `slot` is charged with for `what`.
    pub(super) fn charged(&self, slot: u32, what: Charge) -> u64 {
        self.entry(slot, what).map_or(0, |entry| entry.load(Ordering::Relaxed))
    }

    fn entry(&self, slot: u32, what: Charge) -> Option<&AtomicU64> {
        self.slots.get(slot as usize)?.get(what as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_are_replaced_and_never_exceed_the_quota() {
        let quota = Quota::new(2, 100);
        assert!(quota.charge(0, Charge::Send, 60) && quota.charge(1, Charge::Receive, 40));
        assert!(!quota.charge(0, Charge::Send, 61) && !quota.charge(2, Charge::Send, 0), "full, and no such slot");
        assert_eq!((quota.charged(0, Charge::Send), quota.charged(1, Charge::Receive)), (60, 40));
        assert!(quota.charge(0, Charge::Send, 10) && quota.charge(0, Charge::Datagrams, 50));
        quota.overcharge(1, Charge::Receive, 90);
        assert!(!quota.charge(0, Charge::Send, 11) && quota.charge(0, Charge::Send, 5), "less is always possible");
        quota.overcharge(1, Charge::Receive, 0);
        assert!(quota.charge(0, Charge::Send, 50));
    }
}
