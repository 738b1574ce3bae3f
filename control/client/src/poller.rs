//! Readiness of several sockets, and of kernel descriptors beside them, in one wait.
//!
//! Level-triggered and exact: readiness is computed from the rings at the moment of the answer, never remembered.
//! A socket of a dead daemon is readable, writable and in error. Bounded by the number of
//! datagram sockets and listeners, and of streams with news.
//!
//! Datagram sockets are borrowed. Streams and listeners come and go while a server runs: the poller does not keep them, and forgets those
//! that were dropped, as `epoll` does.

use crate::session::{Inner, Session};
use crate::slot::Slot;
use crate::spin::Wait;
use crate::tcp::{Listener, Readiness, TcpListener, TcpSocket, TcpStream};
use crate::udp::UdpSocket;
use crate::watched::Watched;
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

/// What is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// A datagram or bytes to read, a connection to accept, the end of a stream.
    pub readable: bool,
    /// Room for any datagram, or for a third of a stream's send buffer; the end of a handshake.
    pub writable: bool,
    /// An urgent byte (`POLLPRI`).
    pub priority: bool,
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
    /// The connection is gone in both directions, or there is none (`POLLHUP`), whether it was asked for or not.
    pub hup: bool,
    /// The peer sends nothing more (`POLLRDHUP`); with an interest in reading.
    pub read_hup: bool,
    /// An urgent byte waits (`POLLPRI`).
    pub priority: bool,
}

/// Waits for several sockets of one session and kernel descriptors at once. It borrows what it waits for.
#[derive(Debug)]
pub struct Poller<'a> {
    session: Arc<Inner>,
    /// Datagram sockets and listeners, looked at each time.
    sockets: Vec<Entry<'a>>,
    streams: Watched,
    keys: Vec<usize>,
    fds: Vec<PollFd<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    key: usize,
    interest: Interest,
    source: Source<'a>,
}

/// What is waited for.
#[derive(Debug)]
enum Source<'a> {
    Datagrams(&'a Slot),
    Listener(Weak<Listener>),
}

impl Interest {
    /// Something to read.
    pub const READABLE: Self = Self { readable: true, writable: false, priority: false };
    /// Room to write.
    pub const WRITABLE: Self = Self { readable: false, writable: true, priority: false };
    /// Both.
    pub const BOTH: Self = Self { readable: true, writable: true, priority: false };
}

impl<'a> Poller<'a> {
    /// A poller for sockets of `session`.
    pub fn new(session: &Session) -> Self {
        Self {
            session: session.0.clone(),
            sockets: Vec::new(),
            streams: Watched::new(&session.0),
            keys: Vec::new(),
            fds: Vec::new(),
        }
    }

    /// Waits for `socket` too, or for something else of it than before. The answer carries `key`.
    ///
    /// # Errors
    /// `InvalidInput` if the socket belongs to another session.
    pub fn add(&mut self, socket: &'a UdpSocket, key: usize, interest: Interest) -> io::Result<()> {
        self.add_source(socket.session(), key, interest, Source::Datagrams(socket.table_slot()?))
    }

    /// The same for a stream, whose end it does not delay.
    ///
    /// # Errors
    /// As [`Poller::add`].
    pub fn add_stream(&mut self, stream: &TcpStream, key: usize, interest: Interest) -> io::Result<()> {
        self.add_socket(stream.socket(), key, interest)
    }

    /// The same for a stream's socket, also before it is connected.
    ///
    /// # Errors
    /// As [`Poller::add`].
    pub fn add_socket(&mut self, socket: &Arc<TcpSocket>, key: usize, interest: Interest) -> io::Result<()> {
        self.check_session(socket.session())?;
        self.streams.add(socket, key, interest);
        Ok(())
    }

    /// The same for a listener.
    ///
    /// # Errors
    /// As [`Poller::add`].
    pub fn add_listener(&mut self, listener: &TcpListener, key: usize, interest: Interest) -> io::Result<()> {
        let listener = listener.inner();
        self.add_source(listener.session(), key, interest, Source::Listener(Arc::downgrade(listener)))
    }

    fn add_source(
        &mut self,
        session: &Arc<Inner>,
        key: usize,
        interest: Interest,
        source: Source<'a>,
    ) -> io::Result<()> {
        self.check_session(session)?;
        self.sockets.retain(|other| !other.source.same(&source));
        self.sockets.push(Entry { key, interest, source });
        Ok(())
    }

    fn check_session(&self, session: &Arc<Inner>) -> io::Result<()> {
        if Arc::ptr_eq(session, &self.session) {
            return Ok(());
        }
        let text = "the socket belongs to another session: use one poller for each, or one session for all sockets";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// Waits for a kernel descriptor too.
    pub fn add_fd(&mut self, fd: BorrowedFd<'a>, key: usize, interest: Interest) {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.readable);
        flags.set(PollFlags::OUT, interest.writable);
        flags.set(PollFlags::PRI, interest.priority);
        self.keys.push(key);
        self.fds.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Waits no longer for what was added with `key`.
    pub fn remove(&mut self, key: usize) {
        self.sockets.retain(|other| other.key != key);
        self.streams.remove(key);
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
        // Who only looks, or finds at once what he waits for, needs no clock.
        let only_looks = timeout.is_some_and(|timeout| timeout.is_zero());
        let deadline = timeout.filter(|_| !only_looks).map(|timeout| self.session.now() + timeout);
        self.sockets.retain(|entry| entry.source.exists());
        let session = self.session.clone();
        let writers = self.sockets.iter().filter(|entry| entry.interest.writable);
        let datagrams = writers.filter_map(|entry| entry.source.slot());
        let streams = self.streams.writers().iter().filter_map(|slot| session.slots.get(*slot as usize));
        let writers: Vec<&Slot> = datagrams.chain(streams).collect();
        writers.iter().for_each(|slot| slot.status.want_room());
        let mut wait = None;
        let result = loop {
            events.clear();
            if let Err(error) = self.look(events) {
                break Err(error);
            }
            let found = !events.is_empty();
            if wait.is_none() && (found || only_looks) {
                break Ok(events.len());
            }
            let now = session.now();
            if found || deadline.is_some_and(|deadline| now >= deadline) {
                wait.iter().for_each(|wait: &Wait<'_>| wait.end(now));
                break Ok(events.len());
            }
            if wait.get_or_insert_with(|| session.spin.start(now)).go_on(now) {
                continue;
            }
            let (sockets, streams) = (&self.sockets, &self.streams);
            let slept = session.sleep(&self.fds, deadline, &mut || {
                streams.has_news(&session) || sockets.iter().any(|s| event(&session, s).is_some())
            });
            if let Err(error) = slept {
                break Err(error);
            }
        };
        writers.iter().for_each(|slot| slot.status.forget_room());
        result
    }

    fn look(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        events.extend(self.sockets.iter().filter_map(|socket| event(&self.session, socket)));
        self.streams.look(&self.session, events);
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

impl<'a> Source<'a> {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Datagrams(one), Self::Datagrams(other)) => std::ptr::eq(*one, *other),
            (Self::Listener(one), Self::Listener(other)) => one.ptr_eq(other),
            _ => false,
        }
    }

    fn exists(&self) -> bool {
        match self {
            Self::Datagrams(_) => true,
            Self::Listener(listener) => listener.strong_count() > 0,
        }
    }

    /// What a writer waits on.
    fn slot(&self) -> Option<&'a Slot> {
        match self {
            Self::Datagrams(slot) => Some(slot),
            Self::Listener(_) => None,
        }
    }

    fn readiness(&self, session: &Inner, interest: Interest) -> Readiness {
        match self {
            Self::Datagrams(slot) => {
                let error = session.is_down() || slot.has_error();
                let readable = error || (interest.readable && slot.readable());
                let writable = error || (interest.writable && slot.writable());
                Readiness { readable, writable, error, ..Readiness::default() }
            }
            Self::Listener(listener) => listener.upgrade().map(|listener| listener.readiness()).unwrap_or_default(),
        }
    }
}

fn event(session: &Inner, Entry { key, interest, source }: &Entry<'_>) -> Option<Event> {
    Event::of(*key, *interest, source.readiness(session, *interest))
}

impl Event {
    /// What of `ready` is worth telling to somebody with this interest.
    pub(crate) fn of(key: usize, interest: Interest, ready: Readiness) -> Option<Self> {
        let event = Self {
            key,
            readable: interest.readable && ready.readable,
            writable: interest.writable && ready.writable,
            error: ready.error,
            hup: ready.hup,
            read_hup: interest.readable && ready.read_hup,
            priority: interest.priority && ready.priority,
        };
        (event != Self { key, ..Self::default() }).then_some(event)
    }
}

fn fd_event(key: usize, flags: PollFlags) -> Option<Event> {
    let error = flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    let event = Event {
        key,
        readable: flags.contains(PollFlags::IN) || error,
        writable: flags.contains(PollFlags::OUT),
        error: flags.intersects(PollFlags::ERR | PollFlags::NVAL),
        hup: flags.contains(PollFlags::HUP),
        read_hup: flags.contains(PollFlags::RDHUP),
        priority: flags.contains(PollFlags::PRI),
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
