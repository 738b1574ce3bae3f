//! Queueing disciplines: what waits in front of a port, and who goes first.
//!
//! Invariants:
//! * a queue owns its frames and gives every one of them back: sent, refused, or by `drain`;
//! * a queue that one lane owns is plain data; nothing is allocated after construction.
//!
//! Called by the device layer: `dev_queue_xmit -> enqueue -> qdisc_run -> dequeue -> tx_burst`, with `requeue` for what
//! the port could not take.

pub mod pfifo_fast;

pub use pfifo_fast::PfifoFast;

/// How urgent a frame is. Linux: `skb->priority`, `TC_PRIO_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(pub u8);

impl Priority {
    /// Everything that asks for nothing.
    pub const BEST_EFFORT: Self = Self(0);
    /// What may wait for all others.
    pub const FILLER: Self = Self(1);
    /// Transfers in the background.
    pub const BULK: Self = Self(2);
    /// Transfers that somebody waits for.
    pub const INTERACTIVE_BULK: Self = Self(4);
    /// Somebody is typing.
    pub const INTERACTIVE: Self = Self(6);
    /// Routing protocols, ARP, and what else keeps the network alive.
    pub const CONTROL: Self = Self(7);

    /// The priority that an IPv4 type of service asks for. Linux: `rt_tos2priority`, `ip_tos2prio`.
    #[inline]
    pub const fn from_tos(tos: u8) -> Self {
        // Bits 4 and 3 (low delay, high throughput) decide; reliability and cost have no queue of their own.
        match (tos >> 3) & 3 {
            0 => Self::BEST_EFFORT,
            1 => Self::BULK,
            2 => Self::INTERACTIVE,
            _ => Self::INTERACTIVE_BULK,
        }
    }
}

/// What a queue did so far. Linux: `struct gnet_stats_basic`, `struct gnet_stats_queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QdiscStats {
    /// Frames taken in.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames refused because the queue was full.
    pub drops: u64,
    /// Frames that came back because the port was busy.
    pub requeues: u64,
}
