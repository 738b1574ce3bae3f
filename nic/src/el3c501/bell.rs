//! Wakes a lane that sleeps on a port of a segment when another lane puts something on the wire.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// An eventfd that is rung only while its owner sleeps.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
    armed: bool,
}

impl Bell {
    /// A silent bell.
    ///
    /// # Errors
    /// The kernel's, if it has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?, armed: false })
    }

    /// Silences the bell and lets the next `ring` be heard. Answers the descriptor to wait on.
    pub fn arm(&mut self) -> RawFd {
        // Empty is the usual case and answers EAGAIN; nothing else can fail on an open eventfd.
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
        self.armed = true;
        self.fd.as_raw_fd()
    }

    /// Makes the descriptor readable if the owner sleeps.
    pub fn ring(&mut self) {
        if std::mem::take(&mut self.armed) {
            // A counter that is already full (EAGAIN) is readable, which is all that is wanted.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_rung_and_only_once() {
        let mut bell = Bell::new().unwrap();
        let count = |bell: &Bell| rustix::io::read(&bell.fd, &mut [0_u8; 8]).map_or(0, |_| 1);
        bell.ring();
        assert_eq!(count(&bell), 0, "awake");
        bell.arm();
        bell.ring();
        bell.ring();
        assert_eq!((count(&bell), count(&bell)), (1, 0));
    }
}
