//! The signals of `xmit impair`: flags to look at, and descriptors that wake it.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level::pipe};

/// From [`Signals::catch`] on the signals no longer end the process.
#[derive(Debug)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    report: Arc<AtomicBool>,
    woken: UnixStream,
}

impl Signals {
    /// SIGINT and SIGTERM stop, SIGUSR1 asks for the counters.
    ///
    /// # Errors
    /// The kernel's, if it has no descriptor to give.
    pub fn catch() -> io::Result<Self> {
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let [stop, report] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        for (signal, raised) in [(SIGINT, &stop), (SIGTERM, &stop), (SIGUSR1, &report)] {
            // In this order: whoever is woken finds the flag.
            flag::register(signal, Arc::clone(raised))?;
            pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Self { stop, report, woken })
    }

    /// True once it shall end.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// True once for each time that the counters were asked for.
    pub fn report(&self) -> bool {
        if !self.report.swap(false, Ordering::Relaxed) {
            return false;
        }
        // What woke us must not do so again. Empty is as good.
        let _ = (&self.woken).read(&mut [0; 64]);
        true
    }

    /// Readable when a signal came.
    pub fn fds(&self) -> [BorrowedFd<'_>; 1] {
        [self.woken.as_fd()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use signal_hook::low_level;

    fn is_woken(signals: &Signals) -> bool {
        let [fd] = signals.fds();
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(1)
    }

    // The other signals belong to the whole process, and other tests raise them too.
    #[test]
    fn a_report_is_asked_for_once() {
        let signals = Signals::catch().unwrap();
        assert!(!signals.report());
        low_level::raise(SIGUSR1).unwrap();
        assert!(is_woken(&signals) && signals.report());
        assert!(!signals.report());
    }
}
