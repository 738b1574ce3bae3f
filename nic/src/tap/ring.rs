//! The io_uring of a TAP: reads and writes of lent frames, and the notice that wakes the lane.
//!
//! ```text
//!  user data:   63      33 32 31           0
//!             |    zero   | W |    slot     |      W: a write; all ones: a cancellation
//! ```
//!
//! Invariants: `reads` lists and `writes` counts the requests whose completion has not been taken; the slot in the user data of
//! such a request is lent to `Receive` or `Transmit`, so its buffer stays mapped and untouched until then.

use crate::frame::FRAME_HOME;
use crate::{Duration, Frame, Holder, Pool, SlotId};
use io_uring::{IoUring, opcode, squeue, types};
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const WRITE: u64 = 1 << 32;
const CANCEL: u64 = u64::MAX;

/// A cancelled read completes in microseconds; after this long the kernel is not going to give it back.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(1);

/// One thing that the kernel is done with; `result` is bytes, or an errno below zero.
pub(super) enum Completion {
    Read { slot: SlotId, result: i32 },
    Write { slot: SlotId, result: i32 },
    Cancel,
}

/// An io_uring for one descriptor.
pub(super) struct TapRing {
    ring: IoUring,
    device: types::Fd,
    notice: OwnedFd,
    /// In the order of posting, which is nearly that of completion.
    reads: VecDeque<SlotId>,
    writes: usize,
}

impl TapRing {
    /// A ring with room for `depth` requests in flight. `device` must stay open as long as the ring.
    pub(super) fn new(device: RawFd, depth: usize) -> io::Result<Self> {
        // At most 2,048 requests (checked by `TapPort::open`); the completion queue is twice as long by default.
        let ring = IoUring::new((depth as u32).next_power_of_two())?;
        let notice = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        ring.submitter().register_eventfd(notice.as_raw_fd())?;
        Ok(Self { ring, device: types::Fd(device), notice, reads: VecDeque::with_capacity(depth), writes: 0 })
    }

    /// Requests of each kind that the kernel still has.
    pub(super) fn reads(&self) -> usize {
        self.reads.len()
    }

    pub(super) fn writes(&self) -> usize {
        self.writes
    }

    /// Posts a read into a free frame. False without a frame or without room.
    pub(super) fn read(&mut self, pool: &mut Pool) -> bool {
        let Some(slot) = pool.lend_free(Holder::Receive) else { return false };
        let Some(buf) = pool.slot_ptr(slot) else { return false };
        let len = pool.frame_size() - FRAME_HOME;
        // SAFETY: the pool's frames are larger than FRAME_HOME, so the start lies inside the slot's buffer.
        let at = unsafe { buf.as_ptr().add(FRAME_HOME.into()) };
        let entry = opcode::Read::new(self.device, at, len.into()).build().user_data(slot.0.into());
        // SAFETY: `at .. at + len` is the slot's buffer, lent to `Receive` until the completion is taken.
        let posted = unsafe { self.push(&entry) };
        if posted {
            self.reads.push_back(slot);
        } else if let Some(frame) = pool.reclaim(slot, Holder::Receive) {
            pool.release(frame);
        }
        posted
    }

    /// Queues a write of `frame`. `Err` gives back a frame of another pool, or one that found no room.
    pub(super) fn write(&mut self, frame: Frame, pool: &mut Pool) -> Result<(), Frame> {
        if self.ring.submission().is_full() && self.submit().is_err() {
            return Err(frame);
        }
        let (at, len) = (frame.bytes().as_ptr(), frame.len() as u32);
        let slot = pool.lend(frame, Holder::Transmit)?;
        let entry = opcode::Write::new(self.device, at, len).build().user_data(WRITE | u64::from(slot.0));
        // SAFETY: `at .. at + len` lies in the slot's buffer, lent to `Transmit` until the completion is taken.
        if unsafe { self.push(&entry) } {
            self.writes += 1;
            return Ok(());
        }
        match pool.reclaim(slot, Holder::Transmit) {
            Some(frame) => Err(frame),
            None => Ok(()),
        }
    }

    /// One `io_uring_enter` for all that was queued.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        match self.ring.submit() {
            // Interrupted or short of memory for a moment: what was not taken stays queued for the next turn.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Submits and waits for one completion; for shutdown only.
    ///
    /// Errors with ETIME after [`SHUTDOWN_WAIT`] (kernel 5.11; older ones wait without limit).
    pub(super) fn submit_and_wait(&mut self) -> io::Result<()> {
        let limit = types::Timespec::from(SHUTDOWN_WAIT);
        let waited = if self.ring.params().is_feature_ext_arg() {
            self.ring.submitter().submit_with_args(1, &types::SubmitArgs::new().timespec(&limit))
        } else {
            self.ring.submit_and_wait(1)
        };
        match waited {
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Asks the kernel to give up every read, for shutdown. Bounded by the reads in flight.
    pub(super) fn cancel_reads(&mut self) {
        for index in 0..self.reads.len() {
            let slot = self.reads[index];
            let entry = opcode::AsyncCancel::new(slot.0.into()).build().user_data(CANCEL);
            if self.ring.submission().is_full() && self.submit().is_err() {
                return;
            }
            // SAFETY: a cancellation refers to no memory.
            unsafe { self.push(&entry) };
        }
    }

    /// The next completion.
    pub(super) fn complete(&mut self) -> Option<Completion> {
        let entry = self.ring.completion().next()?;
        let (data, result) = (entry.user_data(), entry.result());
        if data == CANCEL {
            return Some(Completion::Cancel);
        }
        let slot = SlotId(data as u32);
        if data & WRITE == 0 {
            if let Some(index) = self.reads.iter().position(|posted| *posted == slot) {
                self.reads.remove(index);
            }
            Some(Completion::Read { slot, result })
        } else {
            self.writes = self.writes.saturating_sub(1);
            Some(Completion::Write { slot, result })
        }
    }

    /// True if a completion waits to be taken.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Readable once a completion was posted after [`TapRing::clear_notice`].
    pub(super) fn notice_fd(&self) -> RawFd {
        self.notice.as_raw_fd()
    }

    /// Forgets old notices; to be called before looking for completions, so that none is missed.
    pub(super) fn clear_notice(&self) {
        let _ = rustix::io::read(&self.notice, &mut [0; 8]); // empty means no notice
    }

    /// # Safety
    /// The memory of `entry` must stay valid and untouched until its completion is taken.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.ring.submission().push(entry).is_ok() }
    }
}

impl std::fmt::Debug for TapRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapRing")
            .field("reads", &self.reads.len())
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}
