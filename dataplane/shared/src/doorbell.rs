//! Sleeping until another thread or process has work: a sleeping word and a descriptor to sleep on.
//!
//! Owns the descriptors. Between threads it is an eventfd. Between processes it is a pipe, not an eventfd: the flag
//! `O_NONBLOCK` of an eventfd belongs to both sides, so a client could clear it, fill the counter, and leave a lane hanging in
//! `write`; and it could read away what others wrote. Each end of a pipe has its own flags.
//!
//! Invariants:
//! * neither end ever blocks in `read` or `write`; only [`Sleeper::wait`] blocks;
//! * a waker makes at most one system call, and only if the sleeper announced that it sleeps.
//!
//! Called by lanes, the control thread and clients: `prepare`, look for work once more, `wait` or poll [`Sleeper::fd`], `awake`.

use crate::memory::Word32;
use crate::sleep::SleepWord;
use core::time::Duration;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The end that sleeps.
#[derive(Debug)]
pub struct Sleeper {
    word: SleepWord,
    bell: OwnedFd,
}

/// The end that wakes. Every clone may ring.
#[derive(Clone, Debug)]
pub struct Waker {
    word: SleepWord,
    bell: Arc<OwnedFd>,
}

/// A doorbell between threads of one process.
///
/// # Errors
/// If the kernel has no descriptor or memory left.
pub fn doorbell() -> io::Result<(Sleeper, Waker)> {
    let word = SleepWord::new(Word32::private()?);
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let waker = Waker { word: word.clone(), bell: Arc::new(bell.try_clone()?) };
    Ok((Sleeper { word, bell }, waker))
}

/// The two ends of a bell between processes: to be read by the sleeper, to be written by the waker.
///
/// # Errors
/// If the kernel has no descriptor left.
pub fn bell_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

impl Sleeper {
    /// A sleeper on `word` that is woken through the readable end `bell`.
    pub fn new(word: SleepWord, bell: OwnedFd) -> Self {
        Self { word, bell }
    }

    /// Announces sleep. Look for work once more before sleeping: what came earlier rings no bell.
    pub fn prepare(&self) {
        self.word.announce();
    }

    /// Says that this end is awake, and silences the bell.
    pub fn awake(&self) {
        self.word.awake();
        // One read empties an eventfd, and a pipe unless its writer is rubbish; then the next sleep is a short one.
        let _ = rustix::io::read(&self.bell, &mut [0; 512]);
    }

    /// Sleeps until the bell rings or `timeout` (`None`: for ever) has passed. True if it rang.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut fds = [PollFd::new(&self.bell, PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }

    /// The descriptor to poll beside others; readable when the bell rang.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl Waker {
    /// A waker of the sleeper on `word` through the writable end `bell`.
    pub fn new(word: SleepWord, bell: OwnedFd) -> Self {
        Self { word, bell: Arc::new(bell) }
    }

    /// Wakes the sleeper if it sleeps. True if a system call was made. Call after the work is published.
    #[inline]
    pub fn ring(&self) -> bool {
        self.word.claim() && self.write()
    }

    /// True if the other side seems to sleep; only [`Waker::ring`] is exact.
    pub fn seems_asleep(&self) -> bool {
        self.word.seems_asleep()
    }

    fn write(&self) -> bool {
        // A full pipe or counter is already readable; a closed one has nobody to wake.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sleeper: &Sleeper, waker: &Waker) {
        assert!(!waker.ring(), "nobody sleeps");
        assert!(!sleeper.wait(Some(Duration::ZERO)));
        sleeper.prepare();
        assert!(waker.ring());
        assert!(!waker.ring(), "once for each announcement");
        assert!(sleeper.wait(None));
        sleeper.awake();
        assert!(!sleeper.wait(Some(Duration::ZERO)), "silent again");
        sleeper.prepare();
        sleeper.awake();
        assert!(!waker.ring());
    }

    #[test]
    fn rings_only_a_sleeper() {
        let (sleeper, waker) = doorbell().unwrap();
        check(&sleeper, &waker);
        let word = SleepWord::new(Word32::private().unwrap());
        let (read, write) = bell_pipe().unwrap();
        check(&Sleeper::new(word.clone(), read), &Waker::new(word, write));
    }

    #[test]
    fn a_full_or_closed_pipe_never_blocks_the_waker() {
        let word = SleepWord::new(Word32::private().unwrap());
        let (read, write) = bell_pipe().unwrap();
        let waker = Waker::new(word.clone(), write);
        for _ in 0..20_000 {
            word.announce();
            assert!(waker.ring());
        }
        drop(read);
        word.announce();
        assert!(waker.ring());
    }

    #[test]
    fn a_sleeping_thread_is_woken_for_every_item() {
        let (sleeper, waker) = doorbell().unwrap();
        let count = Word32::private().unwrap();
        let seen = count.clone();
        let thread = std::thread::spawn(move || {
            use std::sync::atomic::Ordering;
            let mut taken = 0;
            while taken < 1000 {
                sleeper.prepare();
                if seen.load(Ordering::Acquire) == taken {
                    assert!(sleeper.wait(Some(Duration::from_secs(20))), "lost wake-up at {taken}");
                }
                sleeper.awake();
                taken = seen.load(Ordering::Acquire);
            }
        });
        for _ in 0..1000 {
            count.fetch_add(1, std::sync::atomic::Ordering::Release);
            waker.ring();
            std::thread::yield_now();
        }
        thread.join().unwrap();
    }
}
