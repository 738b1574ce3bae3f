//! How the thread of a join sleeps.

use super::{JOIN_FDS_MAX, Join, JoinWakeup};
use crate::{Duration, Instant};
use arrayvec::ArrayVec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;

/// Descriptors beside the ports' that a join can wait for: somebody who wants to stop it, or to know how it goes.
pub const WAIT_OTHERS_MAX: usize = 4;

impl Join {
    /// Waits until a port has work, a frame is due, one of `others` is readable, or `limit` has passed. Ends early for a signal.
    /// Beyond [`WAIT_OTHERS_MAX`] descriptors of `others` are not watched.
    ///
    /// # Errors
    /// The kernel's, if it has no memory to wait with.
    pub fn wait(&mut self, now: Instant, limit: Option<Duration>, others: &[BorrowedFd<'_>]) -> io::Result<()> {
        let JoinWakeup { fds, at } = self.sleep(now);
        let due = at.map(|at| at.saturating_since(now));
        let timeout = due.into_iter().chain(limit).min().and_then(|timeout| Timespec::try_from(timeout).ok());
        let ports = fds.iter().map(|fd| {
            // SAFETY: the descriptors belong to the two ports of this join, which nobody touches until `poll` is over.
            PollFd::from_borrowed_fd(unsafe { BorrowedFd::borrow_raw(*fd) }, PollFlags::IN)
        });
        let others = others.iter().take(WAIT_OTHERS_MAX).map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
        let mut fds: ArrayVec<PollFd<'_>, { JOIN_FDS_MAX + WAIT_OTHERS_MAX }> = ports.chain(others).collect();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
