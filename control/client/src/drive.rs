//! Who runs the lanes that a session's calls wait for: the daemon, on threads of its own, or the calls themselves, where the stack is
//! embedded in this process.
//!
//! Invariants:
//! * a call on an embedded stack lets it run before it returns and before it sleeps: what a call causes has happened afterwards;
//! * the stack runs while no lock of this crate's rings is held.

use crate::pulse::Pulse;
use crate::session::{Inner, os_error};
use crate::wait::Waiters;
use rustix::event::{PollFd, PollFlags, poll};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use xmit_shared::{Instant, clock};

/// The watching thread only polls.
const WATCH_STACK_BYTES: usize = 64 << 10;

/// A stack in this process: its clock, and how to run it.
pub struct Embedding {
    /// Its time, and where calls that wait for it sleep.
    pub pulse: Arc<Pulse>,
    /// Lets its lane run until there is nothing more to do at the present time.
    pub run: Box<dyn Fn() + Send + Sync>,
}

/// Who runs a session's lanes.
#[derive(Debug)]
pub(crate) enum Drive {
    Daemon(Daemon),
    Embedded(Embedding),
}

/// Lanes in another process.
#[derive(Debug)]
pub(crate) struct Daemon {
    waiters: Waiters,
    /// Readable when the daemon dies.
    connection: Arc<OwnedFd>,
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding").field("pulse", &self.pulse).finish_non_exhaustive()
    }
}

impl Drive {
    /// Lanes behind `connection`, whose end sets `down`.
    pub(crate) fn daemon(connection: OwnedFd, down: Arc<AtomicBool>) -> io::Result<Self> {
        let connection = Arc::new(connection);
        watch(connection.clone(), down)?;
        Ok(Self::Daemon(Daemon { waiters: Waiters::default(), connection }))
    }

    /// Tells the daemon that the session is over, and ends the watching thread.
    pub(crate) fn hang_up(&self) {
        if let Self::Daemon(daemon) = self {
            let _ = rustix::net::shutdown(&*daemon.connection, rustix::net::Shutdown::Both);
        }
    }
}

impl Inner {
    /// The time by which deadlines of this session are meant.
    pub(crate) fn now(&self) -> Instant {
        match &self.drive {
            Drive::Daemon(_) => clock::monotonic(),
            Drive::Embedded(embedding) => embedding.pulse.now(),
        }
    }

    /// True if this process runs the lanes: what a call does has happened when it returns.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.drive, Drive::Embedded(_))
    }

    /// Tells `lane` that `slot` has something for it. No lock of the slot may be held.
    #[inline]
    pub(crate) fn kick(&self, lane: u32, slot: u32) {
        self.shared.kick(lane, slot);
        self.let_run();
    }

    /// Lets an embedded stack do what is there to be done now.
    #[inline]
    pub(crate) fn let_run(&self) {
        if let Drive::Embedded(embedding) = &self.drive {
            (embedding.run)();
            self.tell_owners();
        }
    }

    /// The session is over: whoever sleeps in it gets `ENETDOWN`.
    pub(crate) fn end(&self) {
        self.down.store(true, Ordering::Relaxed);
        match &self.drive {
            Drive::Daemon(_) => self.drive.hang_up(),
            Drive::Embedded(embedding) => embedding.pulse.beat(),
        }
    }

    /// Repeats `attempt` until it gives a value or an error, sleeping in between; `EAGAIN` after `deadline`.
    pub(crate) fn wait_for<R>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> io::Result<Option<R>>,
    ) -> io::Result<R> {
        let mut now = self.now();
        let wait = self.spin.start(now);
        loop {
            if let Some(value) = attempt()? {
                wait.end(now);
                return Ok(value);
            }
            now = self.now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                wait.end(now);
                return Err(os_error(libc::EAGAIN));
            }
            if wait.go_on(now) {
                continue;
            }
            let mut found = None;
            self.sleep(&[], deadline, &mut || {
                found = attempt().transpose();
                found.is_some()
            })?;
            now = self.now();
            if let Some(found) = found {
                wait.end(now);
                return found;
            }
        }
    }

    /// Sleeps until something happened, or until `deadline`, and notices the daemon's death; not at all if `ready` says so.
    pub(crate) fn sleep(
        &self,
        fds: &[PollFd<'_>],
        deadline: Option<Instant>,
        ready: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let mut over = || self.is_down() || ready();
        match &self.drive {
            Drive::Daemon(daemon) => {
                daemon.waiters.sleep(&self.shared, daemon.connection.as_fd(), fds, deadline, &mut over)?;
                if hung_up(&daemon.connection) {
                    self.down.store(true, Ordering::Relaxed);
                }
            }
            Drive::Embedded(_) if !fds.is_empty() => {
                let text = "an embedded stack's clock is not the kernel's: wait for kernel descriptors by other means";
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            Drive::Embedded(embedding) => {
                (embedding.run)();
                self.tell_owners();
                embedding.pulse.sleep(deadline, &mut over);
            }
        }
        Ok(())
    }
}

/// Waits for the daemon's death in a thread, so that no call on the path of data has to ask for it.
fn watch(connection: Arc<OwnedFd>, down: Arc<AtomicBool>) -> io::Result<()> {
    let watcher = move || {
        while !hung_up(&connection) {
            let mut fds = [PollFd::new(&*connection, PollFlags::IN)];
            let _ = poll(&mut fds, None);
        }
        down.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new().name("xmit-watch".into()).stack_size(WATCH_STACK_BYTES).spawn(watcher).map(drop)
}

/// True if the other side closed the connection: it carries nothing after the handshake, so whatever is readable is its end.
fn hung_up(connection: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(connection, PollFlags::IN)];
    let now = rustix::time::Timespec::default();
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}
