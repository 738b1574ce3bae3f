//! pcapng out, pcap and pcapng in.
//!
//! ```text
//!  lane: CapturePort, device taps                control side: CaptureThread
//!     CaptureTap::offer  --- filled records --->  CaptureWriter -> pcapng -> CaptureFile (io_uring)
//!                       <--- empty records ----
//! ```
//!
//! Invariants:
//! * a lane never waits, allocates or calls the kernel to capture: without an empty record the frame is not captured
//!   and that is counted, for the interface it passed;
//! * memory is bounded by `records * snaplen` bytes, taken at the start;
//! * time stamps are the lane's `now` plus one offset, so virtual time is captured as well as the clock's.
//!
//! Format: draft-ietf-opsawg-pcapng (blocks SHB, IDB, EPB, ISB), written and read with the pcap-file crate.

mod file;
mod player;
mod port;
mod queue;
mod read;
mod thread;
mod writer;

pub use file::CaptureFile;
pub use player::{Pace, PcapPort};
pub use port::CapturePort;
pub use queue::{CaptureInterface, CaptureQueue, CaptureTap};
pub use read::{PcapError, PcapFile, PcapRecord};
pub use thread::CaptureThread;
pub use writer::{CaptureSummary, CaptureWriter};

/// Which way a captured frame went, as seen from the interface (the `epb_flags` of pcapng).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Received from the wire.
    Inbound,
    /// Sent to the wire.
    Outbound,
}

#[cfg(test)]
mod tests;
