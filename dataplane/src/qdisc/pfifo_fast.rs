//! `pfifo_fast`: three bands, the lower number always first, in order within a band.
//!
//! ```text
//!  band 0  | interactive, control |
//!  band 1  | best effort          |
//!  band 2  | bulk, filler         |
//! ```
//!
//! What the port could not take returns to the front of its band: a card with one place for transmission refuses most of
//! every burst, and an urgent frame must not wait behind that.
//!
//! One limit (`tx_queue_len`) for all bands together, as before Linux 4.16: the frames that may wait in front of a port
//! are then one line in the frame budget.

use super::{Priority, QdiscStats};
use std::collections::VecDeque;
use xmit_nic::{BURST_FRAMES_MAX, Burst, Frame, Pool};

/// The limit where nobody sets another: Linux's `tx_queue_len` for Ethernet.
pub const TX_QUEUE_LEN: usize = 1000;

const BANDS: usize = 3;

/// The band of each priority. Linux: `prio2band`.
const PRIO2BAND: [u8; 16] = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];

/// Three first-in-first-out queues with strict priority.
#[derive(Debug)]
pub struct PfifoFast {
    limit: usize,
    /// Frames in the bands.
    len: usize,
    bands: [VecDeque<Frame>; BANDS],
    stats: QdiscStats,
}

impl PfifoFast {
    /// A queue for at most `limit` frames.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            len: 0,
            // One burst may be out while the queue fills up again, and then come back.
            bands: std::array::from_fn(|_| VecDeque::with_capacity(limit + BURST_FRAMES_MAX)),
            stats: QdiscStats::default(),
        }
    }

    /// Appends `frame` to the band of its priority. Linux: `pfifo_fast_enqueue`.
    ///
    /// # Errors
    /// The frame itself, counted as dropped, if the queue is full.
    #[inline]
    pub fn enqueue(&mut self, mut frame: Frame, priority: Priority) -> Result<(), Frame> {
        if self.len >= self.limit {
            self.stats.drops += 1;
            return Err(frame);
        }
        self.len += 1;
        self.stats.packets += 1;
        self.stats.bytes += frame.len() as u64;
        frame.priority = priority.0;
        self.band(&frame).push_back(frame);
        Ok(())
    }

    /// The frame that goes out next. Linux: `pfifo_fast_dequeue`.
    #[inline]
    pub fn dequeue(&mut self) -> Option<Frame> {
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        self.bands.iter_mut().find_map(VecDeque::pop_front)
    }

    /// Puts back a frame that the port could not take: it is the next of its band, so that no flow is reordered. It was
    /// let in before, so the limit does not count. Linux 2.6.25: `pfifo_fast_requeue`.
    pub fn requeue(&mut self, frame: Frame) {
        self.len += 1;
        self.stats.requeues += 1;
        self.band(&frame).push_front(frame);
    }

    /// Puts back what is left of a burst, in its order. At most one burst is out at a time, for which there is room.
    pub fn requeue_burst(&mut self, burst: &mut Burst) {
        while let Some(frame) = burst.pop() {
            self.requeue(frame);
        }
    }

    #[inline]
    fn band(&mut self, frame: &Frame) -> &mut VecDeque<Frame> {
        &mut self.bands[usize::from(PRIO2BAND[usize::from(frame.priority & 15)])]
    }

    /// Frames that wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most frames that may wait.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What the queue did so far.
    pub fn stats(&self) -> QdiscStats {
        self.stats
    }

    /// Gives every frame back to the pool: the port goes away.
    pub fn drain(&mut self, pool: &mut Pool) {
        while let Some(frame) = self.dequeue() {
            pool.release(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(pool: &mut Pool, mark: u8) -> Frame {
        let mut frame = pool.acquire().unwrap();
        assert!(frame.fill(&[mark; 10]));
        frame
    }

    fn next(queue: &mut PfifoFast, pool: &mut Pool) -> Option<u8> {
        let frame = queue.dequeue()?;
        let mark = frame.bytes()[0];
        pool.release(frame);
        Some(mark)
    }

    #[test]
    fn bands_go_in_order_and_frames_within_them() {
        let (mut pool, mut queue) = (Pool::anonymous(0, 16).unwrap(), PfifoFast::new(10));
        let order = [
            Priority::BULK,
            Priority::BEST_EFFORT,
            Priority::CONTROL,
            Priority::FILLER,
            Priority::BEST_EFFORT,
            Priority::INTERACTIVE,
            Priority::INTERACTIVE_BULK,
        ];
        for (mark, priority) in (0..).zip(order) {
            queue.enqueue(frame(&mut pool, mark), priority).unwrap();
        }
        let sent: Vec<_> = std::iter::from_fn(|| next(&mut queue, &mut pool)).collect();
        assert_eq!(sent, [2, 5, 1, 4, 6, 0, 3]);
        assert_eq!(queue.stats(), QdiscStats { packets: 7, bytes: 70, drops: 0, requeues: 0 });
    }

    #[test]
    fn a_full_queue_refuses_and_gives_the_frame_back() {
        let (mut pool, mut queue) = (Pool::anonymous(0, 4).unwrap(), PfifoFast::new(2));
        for mark in 0..2 {
            queue.enqueue(frame(&mut pool, mark), Priority::BULK).unwrap();
        }
        let refused = queue.enqueue(frame(&mut pool, 2), Priority::CONTROL).unwrap_err();
        assert_eq!((refused.bytes()[0], queue.stats().drops), (2, 1));
        pool.release(refused);
        queue.drain(&mut pool);
        assert!(queue.is_empty());
        assert_eq!(pool.census().free, 4);
    }

    #[test]
    fn what_the_port_left_is_the_next_of_its_band() {
        let (mut pool, mut queue) = (Pool::anonymous(0, 8).unwrap(), PfifoFast::new(4));
        for mark in 0..4 {
            queue.enqueue(frame(&mut pool, mark), Priority::BEST_EFFORT).unwrap();
        }
        let mut burst: Burst = std::iter::from_fn(|| queue.dequeue()).take(3).collect();
        pool.release(burst.remove(0));
        for mark in 4..6 {
            queue.enqueue(frame(&mut pool, mark), Priority::CONTROL).unwrap();
        }
        queue.requeue_burst(&mut burst);
        assert_eq!((queue.len(), queue.stats().requeues), (5, 2));
        let sent: Vec<_> = std::iter::from_fn(|| next(&mut queue, &mut pool)).collect();
        assert_eq!(sent, [4, 5, 1, 2, 3]);
    }

    #[test]
    fn types_of_service_are_linux_s() {
        // `ip_tos2prio`, spelled out by (tos & 0x1e) >> 1.
        let table = [0, 0, 0, 0, 2, 2, 2, 2, 6, 6, 6, 6, 4, 4, 4, 4];
        for tos in 0..=255u8 {
            assert_eq!(Priority::from_tos(tos).0, table[usize::from(tos & 0x1e) >> 1], "{tos:#x}");
        }
    }

    proptest! {
        /// Frames are conserved, and leave by band and then by arrival.
        #[test]
        fn behaves_like_a_sorted_list(steps in proptest::collection::vec((any::<bool>(), 0..16u8), 1..100)) {
            let (mut pool, mut queue) = (Pool::anonymous(0, 64).unwrap(), PfifoFast::new(20));
            let mut model: Vec<(u8, u8)> = Vec::new();
            for (mark, (put, priority)) in (0..).zip(steps) {
                if put {
                    match queue.enqueue(frame(&mut pool, mark), Priority(priority)) {
                        Ok(()) => model.push((PRIO2BAND[usize::from(priority)], mark)),
                        Err(frame) => {
                            pool.release(frame);
                            prop_assert_eq!(model.len(), 20);
                        }
                    }
                } else {
                    let first = model.iter().min().copied();
                    model.retain(|entry| Some(*entry) != first);
                    prop_assert_eq!(next(&mut queue, &mut pool), first.map(|(_, mark)| mark));
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(pool.available(), 64 - model.len());
            }
        }
    }
}
