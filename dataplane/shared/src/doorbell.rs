//! Sleeping until another thread or process has work: a sleeping word and a descriptor to sleep on.
//!
//! Owns the descriptors. Between threads it is an eventfd. Between processes it is a pipe, not an eventfd: the flag
//! `O_NONBLOCK` of an eventfd belongs to both sides, so a client could clear it, fill the counter, and leave a lane hanging in
//! `write`; and it could read away what others wrote. Each end of a pipe has its own flags. The waker's end is opened
//! for reading too: then a dead sleeper is no `SIGPIPE`, which would kill a program that uses the client library.
//!
//! Invariants:
//! * neither end ever blocks in `read` or `write`; only [`Sleeper::wait`] blocks;
//! * a waker makes at most one system call, and only if the sleeper announced that it sleeps.
//!
//! Called by lanes, the control thread and clients: `prepare`, look for work once more, `wait` or poll [`Sleeper::fd`], `awake`.

use crate::memory::Word32;
use crate::sleep::SleepWord;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The end that sleeps.
#[derive(Debug)]
pub struct Sleeper {
    word: SleepWord,
    bell: OwnedFd,
    /// Claims whose ring was not read yet: a waker may be between its claim and its write.
    owed: AtomicU64,
    /// Wakes in a row that no waker claimed.
    quiet: AtomicU32,
}

/// After so many unclaimed wakes the bell is read all the same, so that a peer that rings without a claim cannot keep this
/// end awake for ever; rare enough to cost nothing.
const QUIET_WAKES_MAX: u32 = 32;

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
    Ok((Sleeper::new(word, bell), waker))
}

/// The two ends of a bell between processes: to be read by the sleeper, to be written by the waker.
///
/// # Errors
/// If the kernel has no descriptor left, or `/proc` is not mounted.
pub fn bell_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Opening the pipe anew gives an open file of its own, with its own flags.
    let path = format!("/proc/self/fd/{}", write.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let write = open(&path, flags, Mode::empty()).map_err(|error| {
        io::Error::new(io::Error::from(error).kind(), format!("opening {path}: {error}; mount /proc"))
    })?;
    Ok((read, write))
}

impl Sleeper {
    /// A sleeper on `word` that is woken through the readable end `bell`.
    pub fn new(word: SleepWord, bell: OwnedFd) -> Self {
        Self { word, bell, owed: AtomicU64::new(0), quiet: AtomicU32::new(0) }
    }

    /// Announces sleep. Look for work once more before sleeping: what came earlier rings no bell.
    pub fn prepare(&self) {
        self.word.announce();
    }

    /// Says that this end is awake, and silences the bell if a waker rang it, by one system call. False if none did.
    pub fn awake(&self) -> bool {
        let rung = self.word.awake();
        if rung {
            self.owed.fetch_add(1, Ordering::Relaxed);
        }
        let quiet = if rung { 0 } else { self.quiet.load(Ordering::Relaxed) + 1 };
        self.quiet.store(quiet, Ordering::Relaxed);
        if self.owed.load(Ordering::Relaxed) > 0 || quiet >= QUIET_WAKES_MAX {
            self.silence();
        }
        rung
    }

    /// Silences the bell, for whoever finds it ringing.
    pub fn silence(&self) {
        let mut buffer = [0; 512];
        // One read empties an eventfd, and a pipe unless its writer is rubbish; then the next sleep is a short one.
        let len = rustix::io::read(&self.bell, &mut buffer).unwrap_or(0);
        // Each ring added one to the counter of an eventfd, or one word to a pipe.
        let words = buffer.get(..len).unwrap_or_default().as_chunks::<8>().0.iter();
        let rings = words.fold(0u64, |sum, word| sum.saturating_add(u64::from_ne_bytes(*word)));
        let owed = self.owed.load(Ordering::Relaxed);
        self.owed.store(owed.saturating_sub(rings), Ordering::Relaxed);
        self.quiet.store(0, Ordering::Relaxed);
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

    /// As [`Waker::ring`], unless `wanted` says that the sleeper does not wait for what was published.
    #[inline]
    pub fn ring_if(&self, wanted: impl FnOnce() -> bool) -> bool {
        self.word.claim_if(wanted) && self.write()
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
    fn a_ring_that_comes_after_its_sleeper_woke_is_read_later() {
        let (sleeper, waker) = doorbell().unwrap();
        sleeper.prepare();
        assert!(waker.word.claim());
        assert!(sleeper.awake(), "claimed, not yet written");
        waker.write();
        sleeper.prepare();
        assert!(sleeper.wait(Some(Duration::ZERO)), "once too often");
        assert!(!sleeper.awake());
        assert!(!sleeper.wait(Some(Duration::ZERO)), "and then silent");
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
            count.fetch_add(1, Ordering::Release);
            waker.ring();
            std::thread::yield_now();
        }
        thread.join().unwrap();
    }
}
