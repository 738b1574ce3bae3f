//! One direction of a join.

use super::receive_burst;
use crate::sim::{Line, LineStats};
use crate::{Burst, Duration, Frame, Instant, Pool, Port};
use std::collections::VecDeque;

/// Frames that wait for a port that is busy: four bursts, 25 ms of a 100 Mbit/s link in full frames.
pub const QUEUE_FRAMES: usize = 256;

/// When to offer frames again to a port that refused them and named no time of its own: ports that are busy become
/// free by a descriptor or within the time of a frame at 10 Mbit/s.
const RETRY_AFTER: Duration = Duration::from_millis(1);

/// What happened to the frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinStats {
    /// Frames received at one side.
    pub received: u64,
    /// Frames that the port of the other side took.
    pub sent: u64,
    /// Dropped: the other side was busy for longer than the queue lasts.
    pub queue_full: u64,
    /// Dropped: the impaired line gave a frame longer than the pool's buffers.
    pub too_long: u64,
    /// What the impairment did, if there is one.
    pub line: LineStats,
}

/// What carries frames from one port to the other.
pub(super) enum Carrier {
    /// The frames themselves.
    Direct(VecDeque<Frame>),
    /// A simulated line, which holds copies.
    Impaired(Box<Line>),
}

impl Carrier {
    pub(super) fn direct() -> Self {
        Self::Direct(VecDeque::with_capacity(QUEUE_FRAMES))
    }
}

/// One direction of a join: what carries the frames, and the burst that the far port is being offered.
pub(super) struct Path {
    carrier: Carrier,
    offered: Burst,
    received: u64,
    sent: u64,
    queue_full: u64,
    too_long: u64,
    /// A frame is due, but the pool had no buffer for it.
    starved: bool,
}

impl Path {
    pub(super) fn new(carrier: Carrier) -> Self {
        Self { carrier, offered: Burst::new(), received: 0, sent: 0, queue_full: 0, too_long: 0, starved: false }
    }

    /// One burst from `port`; answers its length.
    pub(super) fn receive(&mut self, now: Instant, port: &mut dyn Port, pool: &mut Pool) -> usize {
        let burst = receive_burst(now, port, pool);
        let count = burst.len();
        self.received += count as u64;
        for frame in burst {
            match &mut self.carrier {
                Carrier::Direct(queue) if queue.len() < QUEUE_FRAMES => queue.push_back(frame),
                Carrier::Direct(_) => {
                    self.queue_full += 1;
                    pool.release(frame);
                }
                Carrier::Impaired(line) => {
                    line.input(now, frame.bytes()); // the line counts what it drops
                    pool.release(frame);
                }
            }
        }
        count
    }

    /// At most two bursts to `port`; answers how many frames it took.
    pub(super) fn send(&mut self, now: Instant, port: &mut dyn Port, pool: &mut Pool) -> usize {
        let mut taken = 0;
        for _ in 0..2 {
            self.top_up(now, pool);
            let before = self.offered.len();
            if before == 0 {
                break;
            }
            port.tx_burst(now, pool, &mut self.offered);
            taken += before - self.offered.len();
            if !self.offered.is_empty() {
                break;
            }
        }
        self.sent += taken as u64;
        taken
    }

    /// When something must be done although no port stirs.
    pub(super) fn next_event(&self, now: Instant) -> Option<Instant> {
        let refused = self.starved || !self.offered.is_empty();
        match &self.carrier {
            _ if refused => Some(now + RETRY_AFTER),
            Carrier::Direct(queue) => (!queue.is_empty()).then_some(now),
            Carrier::Impaired(line) => line.next_event().map(|at| at.max(now)),
        }
    }

    pub(super) fn stats(&self) -> JoinStats {
        let line = match &self.carrier {
            Carrier::Direct(_) => LineStats::default(),
            Carrier::Impaired(line) => line.stats(),
        };
        let Self { received, sent, queue_full, too_long, .. } = *self;
        JoinStats { received, sent, queue_full, too_long, line }
    }

    /// Gives every frame back.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.offered.drain(..).for_each(|frame| pool.release(frame));
        if let Carrier::Direct(queue) = &mut self.carrier {
            queue.drain(..).for_each(|frame| pool.release(frame));
        }
    }

    /// Fills the burst on offer with what the carrier has by `now`.
    fn top_up(&mut self, now: Instant, pool: &mut Pool) {
        self.starved = false;
        while !self.offered.is_full() {
            match &mut self.carrier {
                Carrier::Direct(queue) => match queue.pop_front() {
                    Some(frame) => self.offered.push(frame),
                    None => return,
                },
                Carrier::Impaired(line) => {
                    let Some(bytes) = line.peek(now) else { return };
                    self.starved = pool.available() == 0;
                    let Some(mut frame) = pool.acquire() else { return };
                    if frame.fill(bytes) {
                        self.offered.push(frame);
                    } else {
                        self.too_long += 1;
                        pool.release(frame);
                    }
                    line.pop();
                }
            }
        }
    }
}
