//! The queue in front of a port.

use crate::qdisc::{PfifoFast, Priority};
use std::collections::VecDeque;
use xmit_nic::{BURST_FRAMES_MAX, Frame, Pool};

/// How frames wait for a port.
#[derive(Debug)]
pub enum Queue {
    /// No discipline: frames go straight to the port at the end of the turn; at most one burst waits (`noqueue`).
    Direct(Direct),
    /// Three priority bands (`pfifo_fast`).
    PfifoFast(PfifoFast),
}

/// Counters of a queue, as `tc -s qdisc` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Frames taken in (`pfifo_fast`), or sent (`noqueue`).
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames refused because the queue was full.
    pub drops: u64,
    /// Frames put back because the port was busy.
    pub requeues: u64,
    /// Frames waiting.
    pub backlog: usize,
}

/// One burst of frames in order.
#[derive(Debug, Default)]
pub struct Direct {
    frames: VecDeque<Frame>,
    stats: QueueStats,
}

impl Queue {
    /// A queue of one burst.
    pub fn direct() -> Self {
        Self::Direct(Direct { frames: VecDeque::with_capacity(2 * BURST_FRAMES_MAX), stats: QueueStats::default() })
    }

    /// Three bands of together `limit` frames.
    pub fn pfifo_fast(limit: usize) -> Self {
        Self::PfifoFast(PfifoFast::new(limit))
    }

    /// The discipline's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Direct(_) => "noqueue",
            Self::PfifoFast(_) => "pfifo_fast",
        }
    }

    /// Appends `frame` to its band.
    ///
    /// # Errors
    /// The frame, if there is no room; counted here.
    #[inline]
    pub fn enqueue(&mut self, frame: Frame, priority: Priority) -> Result<(), Frame> {
        match self {
            Self::Direct(direct) => direct.enqueue(frame),
            Self::PfifoFast(bands) => bands.enqueue(frame, priority),
        }
    }

    /// The next frame to send.
    #[inline]
    pub fn dequeue(&mut self) -> Option<Frame> {
        match self {
            Self::Direct(direct) => direct.dequeue(),
            Self::PfifoFast(bands) => bands.dequeue(),
        }
    }

    /// Puts a frame back that the port refused: it is the next to go (of its band, where there are bands).
    pub fn requeue(&mut self, frame: Frame) {
        match self {
            Self::Direct(direct) => direct.requeue(frame),
            Self::PfifoFast(bands) => bands.requeue(frame),
        }
    }

    /// Frames waiting.
    pub fn len(&self) -> usize {
        match self {
            Self::Direct(direct) => direct.frames.len(),
            Self::PfifoFast(bands) => bands.len(),
        }
    }

    /// True if none waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when three quarters of the room are taken: local senders hold back, so that what is left serves replies.
    #[inline]
    pub fn is_nearly_full(&self) -> bool {
        match self {
            Self::Direct(direct) => direct.frames.len() * 4 >= BURST_FRAMES_MAX * 3,
            Self::PfifoFast(bands) => bands.len() * 4 >= bands.limit() * 3,
        }
    }

    /// The most frames it holds.
    pub fn limit(&self) -> usize {
        match self {
            Self::Direct(_) => BURST_FRAMES_MAX,
            Self::PfifoFast(bands) => bands.limit(),
        }
    }

    /// The queue's counters.
    pub fn stats(&self) -> QueueStats {
        match self {
            Self::Direct(direct) => QueueStats { backlog: direct.frames.len(), ..direct.stats },
            Self::PfifoFast(bands) => {
                let s = bands.stats();
                QueueStats {
                    packets: s.packets,
                    bytes: s.bytes,
                    drops: s.drops,
                    requeues: s.requeues,
                    backlog: bands.len(),
                }
            }
        }
    }

    /// Gives all waiting frames back; answers how many.
    pub fn drain(&mut self, pool: &mut Pool) -> usize {
        let mut drained = 0;
        while let Some(frame) = self.dequeue() {
            pool.release(frame);
            drained += 1;
        }
        drained
    }
}

impl Direct {
    fn enqueue(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.frames.len() >= BURST_FRAMES_MAX {
            self.stats.drops += 1;
            return Err(frame);
        }
        self.frames.push_back(frame);
        Ok(())
    }

    fn dequeue(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.stats.packets += 1;
        self.stats.bytes += frame.len() as u64;
        Some(frame)
    }

    fn requeue(&mut self, frame: Frame) {
        self.stats.packets -= 1;
        self.stats.bytes -= frame.len() as u64;
        self.stats.requeues += 1;
        self.frames.push_front(frame);
    }
}
