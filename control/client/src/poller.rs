//! Readiness of several sockets, and of kernel descriptors beside them, in one wait.
//!
//! Level-triggered and exact: readiness is computed from the rings at the moment of the answer, never remembered.
//! A socket of a dead daemon is readable, writable and in error. Bounded by the number of sockets added.

use crate::session::{Inner, Session};
use crate::slot::Slot;
use crate::spin::Wait;
use crate::udp::UdpSocket;
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use xmit_shared::clock;

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// A datagram to read.
    pub readable: bool,
    /// Room for any datagram.
    pub writable: bool,
}

/// One ready socket or descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// As given when it was added.
    pub key: usize,
    /// It can be read without waiting; also with an error, which the read reports.
    pub readable: bool,
    /// It can be written without waiting; also with an error, which the write reports.
    pub writable: bool,
    /// An error is pending, whether it was asked for or not.
    pub error: bool,
}

/// Waits for several sockets of one session and kernel descriptors at once. It borrows what it waits for.
#[derive(Debug)]
pub struct Poller<'a> {
    session: Arc<Inner>,
    sockets: Vec<(usize, Interest, &'a Slot)>,
    keys: Vec<usize>,
    fds: Vec<PollFd<'a>>,
}

impl Interest {
    /// A datagram to read.
    pub const READABLE: Self = Self { readable: true, writable: false };
    /// Room for any datagram.
    pub const WRITABLE: Self = Self { readable: false, writable: true };
    /// Both.
    pub const BOTH: Self = Self { readable: true, writable: true };
}

impl<'a> Poller<'a> {
    /// A poller for sockets of `session`.
    pub fn new(session: &Session) -> Self {
        Self { session: session.0.clone(), sockets: Vec::new(), keys: Vec::new(), fds: Vec::new() }
    }

    /// Waits for `socket` too, or for something else of it than before. The answer carries `key`.
    ///
    /// # Errors
    /// `InvalidInput` if the socket belongs to another session.
    pub fn add(&mut self, socket: &'a UdpSocket, key: usize, interest: Interest) -> io::Result<()> {
        if !Arc::ptr_eq(socket.session(), &self.session) {
            let text = "the socket belongs to another session: use one poller for each, or one session for all sockets";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let slot = socket.table_slot()?;
        self.sockets.retain(|(_, _, other)| !std::ptr::eq(*other, slot));
        self.sockets.push((key, interest, slot));
        Ok(())
    }

    /// Waits for a kernel descriptor too.
    pub fn add_fd(&mut self, fd: BorrowedFd<'a>, key: usize, interest: Interest) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.readable);
        flags.set(PollFlags::OUT, interest.writable);
        self.keys.push(key);
        self.fds.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Waits no longer for what was added with `key`.
    pub fn remove(&mut self, key: usize) {
        self.sockets.retain(|(other, ..)| *other != key);
        let keys = std::mem::take(&mut self.keys);
        let fds = std::mem::take(&mut self.fds);
        (self.keys, self.fds) = keys.into_iter().zip(fds).filter(|(other, _)| *other != key).unzip();
    }

    /// Waits until something is ready or `timeout` (`None`: for ever) has passed; zero only looks. Replaces `events` by what is
    /// ready and answers how many.
    ///
    /// # Errors
    /// If the kernel cannot poll.
    pub fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<usize> {
        let deadline = timeout.map(|timeout| clock::monotonic() + timeout);
        let writers: Vec<_> = self.sockets.iter().filter(|(_, interest, _)| interest.writable).map(|s| s.2).collect();
        writers.iter().for_each(|slot| slot.status.want_room());
        let session = self.session.clone();
        let mut wait = None;
        let result = loop {
            events.clear();
            if let Err(error) = self.look(events) {
                break Err(error);
            }
            let now = clock::monotonic();
            if !events.is_empty() || deadline.is_some_and(|deadline| now >= deadline) {
                wait.iter().for_each(|wait: &Wait<'_>| wait.end(now));
                break Ok(events.len());
            }
            if wait.get_or_insert_with(|| session.spin.start(now)).go_on(now) {
                continue;
            }
            let (session, sockets) = (&self.session, &self.sockets);
            let slept = session.sleep(&self.fds, deadline, &mut || sockets.iter().any(|s| event(session, s).is_some()));
            if let Err(error) = slept {
                break Err(error);
            }
        };
        writers.iter().for_each(|slot| slot.status.forget_room());
        result
    }

    fn look(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        events.extend(self.sockets.iter().filter_map(|socket| event(&self.session, socket)));
        if self.fds.is_empty() {
            return Ok(());
        }
        match poll(&mut self.fds, Some(&rustix::time::Timespec::default())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        events.extend(self.keys.iter().zip(&self.fds).filter_map(|(key, fd)| fd_event(*key, fd.revents())));
        Ok(())
    }
}

fn event(session: &Inner, (key, interest, slot): &(usize, Interest, &Slot)) -> Option<Event> {
    let error = session.is_down() || slot.has_error();
    let event = Event {
        key: *key,
        readable: interest.readable && (error || slot.readable()),
        writable: interest.writable && (error || slot.writable()),
        error,
    };
    (event.readable || event.writable || event.error).then_some(event)
}

fn fd_event(key: usize, flags: PollFlags) -> Option<Event> {
    let error = flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    let event = Event {
        key,
        readable: flags.contains(PollFlags::IN) || error,
        writable: flags.contains(PollFlags::OUT),
        error: flags.intersects(PollFlags::ERR | PollFlags::NVAL),
    };
    (!flags.is_empty()).then_some(event)
}

/// So that a `std` socket or file can be added as it is.
impl<'a> Poller<'a> {
    /// As [`Poller::add_fd`], for anything that has a descriptor.
    pub fn add_kernel(&mut self, kernel: &'a impl AsFd, key: usize, interest: Interest) {
        self.add_fd(kernel.as_fd(), key, interest);
    }
}
