//! The NIC boundary: one receive/transmit queue pair, owned by one lane.

use crate::{BURST_FRAMES_MAX, Burst, Caps, Frame, Instant, Pool};
use arrayvec::ArrayVec;
use std::os::fd::RawFd;

/// The most descriptors that one port asks its lane to wait on.
pub const PORT_FDS_MAX: usize = 4;

/// One receive/transmit queue pair of one NIC.
///
/// A turn of the lane calls, in this order: `rx_burst` (one burst), any number of `tx_burst`, one `service`.
/// All calls return without waiting.
pub trait Port: Send {
    /// What the port can do and the mode it obtained.
    fn caps(&self) -> &Caps;

    /// Appends received frames to `burst` until it is full or nothing is waiting. The caller owns them.
    /// A port that needs buffers to receive into takes them from `pool` here or in `service`.
    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst);

    /// Takes frames from the front of `burst` for transmission and owns them until they return to `pool`.
    /// What it could not take (busy) stays in `burst`, in order. A frame the port can never send (too long) is
    /// taken, counted in [`PortStats::tx_dropped`] and released.
    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst);

    /// How many frames the next `tx_burst` may take, at most: a hint that spares offering what will be refused.
    fn tx_room(&self) -> usize {
        BURST_FRAMES_MAX
    }

    /// Once per turn: completed frames back to `pool`, fresh buffers for reception, one kick, device time.
    fn service(&mut self, now: Instant, pool: &mut Pool);

    /// Called when the lane is about to sleep: arms the port's notice and says what to wait for.
    /// If work arrived meanwhile, `Wakeup::at` is a time that has passed.
    fn sleep(&mut self, now: Instant) -> Wakeup;

    /// Counters since the port was opened, by the names of `rtnl_link_stats64`.
    fn stats(&self) -> PortStats;

    /// Hears every group address (multicast) from now on, or only its own; ports without a filter ignore it.
    fn set_all_multicast(&mut self, _all: bool) {}

    /// False while the link is known to be down: the device layer then discards what it is asked to send.
    fn carrier(&self) -> bool {
        true
    }

    /// Gives every frame that the port still holds back to `pool`, before the port is dropped.
    fn shutdown(&mut self, pool: &mut Pool);
}

/// What ends a port's sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wakeup {
    /// Descriptors that become readable when the port has work.
    pub fds: ArrayVec<RawFd, PORT_FDS_MAX>,
    /// The next time the port needs the CPU even if no descriptor stirs.
    pub at: Option<Instant>,
}

/// Counters of one port since it was opened; names and meanings of `rtnl_link_stats64` (`if_link.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are Linux's
pub struct PortStats {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub collisions: u64,
    pub rx_length_errors: u64,
    pub rx_over_errors: u64,
    pub rx_missed_errors: u64,
    pub tx_aborted_errors: u64,
}

impl PortStats {
    /// Counts what a port received that copies: `bytes`, which go into `frame` and with it to `burst`, or do not fit.
    pub fn receive(&mut self, bytes: &[u8], mut frame: Frame, pool: &mut Pool, burst: &mut Burst) {
        if frame.fill(bytes) {
            self.rx_packets += 1;
            self.rx_bytes += bytes.len() as u64;
            burst.push(frame);
        } else {
            self.rx_length_errors += 1;
            pool.release(frame);
        }
    }

    /// Every counter with its name, in the order of `rtnl_link_stats64`.
    pub fn named(&self) -> [(&'static str, u64); 13] {
        [
            ("rx_packets", self.rx_packets),
            ("tx_packets", self.tx_packets),
            ("rx_bytes", self.rx_bytes),
            ("tx_bytes", self.tx_bytes),
            ("rx_errors", self.rx_errors),
            ("tx_errors", self.tx_errors),
            ("rx_dropped", self.rx_dropped),
            ("tx_dropped", self.tx_dropped),
            ("collisions", self.collisions),
            ("rx_length_errors", self.rx_length_errors),
            ("rx_over_errors", self.rx_over_errors),
            ("rx_missed_errors", self.rx_missed_errors),
            ("tx_aborted_errors", self.tx_aborted_errors),
        ]
    }
}
