//! The 3Com 3C501 "EtherLink": the card, its coax, its driver. No unsafe code, no clock.
//!
//! The story of a frame, from one host to another:
//!
//! 1. The lane offers it to [`El3c501Port`], which hands its bytes to [`Driver::el_start_xmit`]. The driver takes the
//!    one buffer of the card away from the receiver (`AX_SYS`), sets the GP pointer so that the frame will end where
//!    the buffer ends, pushes the bytes through the data port, rewinds GP and writes `AX_XMIT`: the trigger. The lane
//!    has its frame back at once; until the card interrupts, the port answers *busy*.
//! 2. The [`Card`] now waits for the wire. The [`Segment`] sees it ready, lets the carrier and the gap of 9.6 us pass,
//!    and puts preamble, frame and check sequence on the coax, 0.8 us a byte. If another station starts before it can
//!    have heard the first, both jam, both draw a back-off, and both hosts are interrupted: the handler rewinds GP
//!    and triggers again, and the card holds the frame back until its back-off has run out. The sixteenth time is the
//!    last.
//! 3. At the end of the frame the sender's line rises: [`Driver::el_interrupt`] counts it and returns the buffer to
//!    the receiver (`AX_RX`).
//! 4. Every other card that was armed when the frame began filters it by address, stores it from the RX pointer up,
//!    and raises its line. That host's `el_interrupt` reads the status and calls `el_receive`: length from the RX
//!    pointer, bytes through the data port into the host's inbox. The receiver is armed again.
//! 5. `rx_burst` of the receiving lane's port copies the bytes into a frame of its pool.
//!
//! A card that loads, sends, or holds an unread frame is deaf: that is the card, not a fault of the model.
//! [`Lan`] is where steps 2 to 4 happen, in the order of their times, whichever lane calls first.
//! [`SegmentTap`] is the bare wire as a port, to be joined to any other.
//!
//! Behaviour on which the sources disagree is a switch: of the card in [`Quirks`], of the driver in [`Parity`].

pub mod backoff;
pub mod bell;
pub mod device;
pub mod driver;
pub mod fcs;
pub mod frame_ring;
pub mod isa;
pub mod lan;
pub mod port;
pub mod registers;
pub mod segment;
pub mod station;
pub mod timing;

#[cfg(test)]
mod tests;

pub use device::{Card, Quirks};
pub use driver::{Driver, Parity, RxFilter, Xmit};
pub use isa::Isa;
pub use lan::{Lan, LanConfig, PlugError, SharedLan};
pub use port::{El3c501Port, SegmentTap};
pub use segment::{Fault, Segment, StationId, WireCounters};
pub use timing::Timing;
