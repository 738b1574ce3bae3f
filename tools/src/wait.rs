//! Waiting for a person: until an interval has passed, until they interrupt, until the reader of our output has gone.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Ctrl-C and SIGTERM as something that can be waited for.
#[derive(Debug)]
pub struct Interrupt {
    signals: UnixStream,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The time has passed.
    Elapsed,
    /// The person wants to stop, or nobody reads our output any more.
    Interrupted,
}

impl Interrupt {
    /// From here on the two signals no longer end the process; they end a wait.
    pub fn catch() -> io::Result<Self> {
        let (signals, written) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGINT, written.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGTERM, written)?;
        Ok(Self { signals })
    }

    /// Waits at most `limit`; without one until interrupted.
    pub fn wait(&self, limit: Option<Duration>) -> io::Result<Waited> {
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let output = io::stdout();
        let mut fds = [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&output, PollFlags::empty())];
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => Ok(Waited::Elapsed),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(Waited::Interrupted),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_ends_a_wait_and_not_the_process() {
        let interrupt = Interrupt::catch().unwrap();
        assert_eq!(interrupt.wait(Some(Duration::ZERO)).unwrap(), Waited::Elapsed);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert_eq!(interrupt.wait(None).unwrap(), Waited::Interrupted);
    }
}
