//! A bounded queue of whole Ethernet frames by value: what a host has received and its lane not yet collected, what
//! a tap has been given and not yet sent.
//!
//! Frames of different pools meet on a segment, so bytes are copied here; the memory is allocated once.

use super::registers::BUFFER_BYTES;

/// Frames that one ring holds: one burst.
pub const RING_FRAMES_MAX: usize = crate::BURST_FRAMES_MAX;

/// A bounded queue of frames, in order.
#[derive(Debug)]
pub struct FrameRing {
    bytes: Box<[u8]>,
    lens: [u16; RING_FRAMES_MAX],
    head: usize,
    count: usize,
}

impl FrameRing {
    /// An empty ring.
    pub fn new() -> Self {
        let bytes = vec![0; RING_FRAMES_MAX * BUFFER_BYTES].into_boxed_slice();
        Self { bytes, lens: [0; RING_FRAMES_MAX], head: 0, count: 0 }
    }

    /// Frames in the ring.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True if there is no frame in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if the next `push` would be refused.
    pub fn is_full(&self) -> bool {
        self.count == RING_FRAMES_MAX
    }

    /// Appends a frame of `len` bytes and answers them, to be filled. `None` if the ring is full or the frame is
    /// longer than a card's buffer.
    pub fn push(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.is_full() || len > BUFFER_BYTES {
            return None;
        }
        let slot = (self.head + self.count) % RING_FRAMES_MAX;
        self.count += 1;
        self.lens[slot] = len as u16;
        self.bytes.get_mut(slot * BUFFER_BYTES..)?.get_mut(..len)
    }

    /// The oldest frame.
    pub fn front(&self) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        self.bytes.get(self.head * BUFFER_BYTES..)?.get(..usize::from(self.lens[self.head]))
    }

    /// Removes the oldest frame.
    pub fn pop(&mut self) {
        if !self.is_empty() {
            self.head = (self.head + 1) % RING_FRAMES_MAX;
            self.count -= 1;
        }
    }

    /// Removes all frames.
    pub fn clear(&mut self) {
        self.count = 0;
    }
}

impl Default for FrameRing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_its_bound() {
        let mut ring = FrameRing::new();
        for round in 0..3_u8 {
            for i in 0..RING_FRAMES_MAX as u8 {
                ring.push(2).unwrap().copy_from_slice(&[round, i]);
            }
            assert!(ring.push(1).is_none(), "full");
            for i in 0..RING_FRAMES_MAX as u8 {
                assert_eq!(ring.front(), Some(&[round, i][..]));
                ring.pop();
            }
            assert!(ring.push(BUFFER_BYTES + 1).is_none(), "too long");
            ring.push(1).unwrap()[0] = 7; // shifts the ring by one for the next round
            ring.pop();
        }
        assert!(ring.front().is_none());
    }
}
