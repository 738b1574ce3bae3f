//! The unit that crosses the NIC boundary.

use crate::Frame;
use arrayvec::ArrayVec;

/// The most frames in a burst. 64 frames of 1,514 bytes fill a second-level cache of 128 KiB without overflowing it.
pub const BURST_FRAMES_MAX: usize = 64;

/// A fixed array of at most [`BURST_FRAMES_MAX`] frames, in order.
pub type Burst = ArrayVec<Frame, BURST_FRAMES_MAX>;
