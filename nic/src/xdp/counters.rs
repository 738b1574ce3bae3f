//! Counters of an AF_XDP port beside those of every port.

/// What [`crate::PortStats`] has no name for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpCounters {
    /// Sent packets that did not start at `FRAME_HOME` and were moved there.
    pub tx_moved: u64,
    /// Sent packets of another pool that were copied into a frame of this one.
    pub tx_copied: u64,
    /// Transmit system calls.
    pub kicks: u64,
    /// Transmit system calls that failed for a reason other than a full queue or a link that is down.
    pub kick_errors: u64,
    /// Entries in a ring that the port had never lent: a fault of the kernel or the driver.
    pub stray: u64,
}
