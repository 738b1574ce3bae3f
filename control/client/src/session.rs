//! A process's connection to `xmitd`: socket calls, free slots, and the news of the daemon's death.
//!
//! Invariants:
//! * lock order: a slot's half, or a lane, or the waiters; never two at once, none across a sleep;
//! * a slot is in `free`, in a lane's `closing`, or owned by one socket;
//! * `down` never goes back: a session whose daemon died stays dead, a new one is made for new sockets.

use crate::slot::Slot;
use crate::spin::Spin;
use crate::wait::{Waiters, lock};
use core::net::SocketAddrV4;
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use thiserror::Error;
use xmit_shared::handshake::{self, HandshakeError, Hello};
use xmit_shared::session::{self, ClientEnd, ClientLane, ClientShared, Completion, Op, SessionError, Submission};
use xmit_shared::{Instant, Rubbish, clock};

/// Where `xmitd` listens unless `XMIT_SOCKET` says otherwise.
const DEFAULT_SOCKET: &str = "/run/xmit/session.sock";
/// The watching thread only polls.
const WATCH_STACK_BYTES: usize = 64 << 10;

/// A connection to `xmitd`. Clones are the same session; it ends with the last clone and the last socket.
#[derive(Clone, Debug)]
pub struct Session(pub(crate) Arc<Inner>);

/// Why there is no session.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The daemon did not give one.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What it gave cannot be used.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// This process has no thread or descriptor left.
    #[error("starting the session failed: {0}")]
    System(#[from] io::Error),
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<ClientShared>,
    pub(crate) slots: Box<[Slot]>,
    lanes: Box<[Mutex<Lane>]>,
    free: Mutex<Vec<u32>>,
    waiters: Waiters,
    connection: Arc<OwnedFd>,
    down: Arc<AtomicBool>,
    tokens: AtomicU64,
    next_lane: AtomicU32,
    pub(crate) spin: Spin,
}

#[derive(Debug)]
struct Lane {
    end: ClientLane,
    answers: HashMap<u64, Completion>,
    /// Closes that nobody waits for, by token.
    closing: HashMap<u64, u32>,
}

static GLOBAL: Mutex<Option<Session>> = Mutex::new(None);

impl Session {
    /// A session of its own with the daemon that listens at `path`.
    ///
    /// # Errors
    /// [`ConnectError`], with the cure.
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        let name = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (connection, fds) = handshake::connect(path.as_ref(), &Hello { name, sockets: 0 })?;
        Self::new(session::attach(fds)?, connection)
    }

    /// The session that all sockets of this process share: with the daemon at `$XMIT_SOCKET`, or at
    /// `/run/xmit/session.sock`. Made at the first call, and anew after the daemon died.
    ///
    /// # Errors
    /// [`ConnectError`], with the cure.
    pub fn global() -> Result<Self, ConnectError> {
        let mut global = lock(&GLOBAL);
        if let Some(session) = global.as_ref().filter(|session| !session.is_down()) {
            return Ok(session.clone());
        }
        let path = std::env::var_os("XMIT_SOCKET").unwrap_or_else(|| DEFAULT_SOCKET.into());
        let session = Self::connect(Path::new(&path))?;
        *global = Some(session.clone());
        Ok(session)
    }

    /// A session on ends that exist: what the daemon passed, or both sides in one process. `connection` becomes readable
    /// when the other side dies.
    ///
    /// # Errors
    /// If this process has no thread left.
    pub fn new(end: ClientEnd, connection: OwnedFd) -> Result<Self, ConnectError> {
        let (connection, down) = (Arc::new(connection), Arc::new(AtomicBool::new(false)));
        watch(connection.clone(), down.clone())?;
        let lane = |end| Mutex::new(Lane { end, answers: HashMap::new(), closing: HashMap::new() });
        Ok(Self(Arc::new(Inner {
            free: Mutex::new((0..end.shared.config().slots).rev().collect()),
            shared: end.shared,
            slots: end.slots.into_iter().map(Slot::new).collect(),
            lanes: end.lanes.into_iter().map(lane).collect(),
            waiters: Waiters::default(),
            connection,
            down,
            tokens: AtomicU64::new(1),
            // Programs with one socket each must not all meet on the first lane.
            next_lane: AtomicU32::new(std::process::id()),
            spin: Spin::default(),
        })))
    }

    /// True once the daemon is dead, or has closed the session. Every socket of the session gives `ENETDOWN` then.
    pub fn is_down(&self) -> bool {
        self.0.is_down()
    }

    /// How long blocking calls look for their datagram before they sleep, at most; 50 microseconds at first. They yield the
    /// core between two looks, and look for 5 microseconds only while waits last too long for looking to help. Longer saves
    /// wake-ups and wastes a core; zero sleeps at once.
    pub fn set_spin(&self, spin: Duration) {
        self.0.spin.set_limit(spin);
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Handshake(HandshakeError::NoDaemon { error, .. }) => error.kind(),
            ConnectError::Handshake(HandshakeError::Refused { errno, .. }) => Self::from_raw_os_error(*errno).kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// `errno` as an error with Linux's number.
pub(crate) fn os_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Inner {
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// `ENETDOWN` if the daemon is dead.
    pub(crate) fn check_up(&self) -> io::Result<()> {
        if self.is_down() { Err(os_error(libc::ENETDOWN)) } else { Ok(()) }
    }

    /// The daemon wrote what cannot be: the session is over for this client too.
    pub(crate) fn rubbish(&self, _: Rubbish) -> io::Error {
        self.down.store(true, Ordering::Relaxed);
        let _ = rustix::net::shutdown(&*self.connection, rustix::net::Shutdown::Both);
        os_error(libc::ENETDOWN)
    }

    /// Repeats `attempt` until it gives a value or an error, sleeping in between; `EAGAIN` after `deadline`.
    pub(crate) fn wait_for<R>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> io::Result<Option<R>>,
    ) -> io::Result<R> {
        let mut now = clock::monotonic();
        let wait = self.spin.start(now);
        loop {
            if let Some(value) = attempt()? {
                wait.end(now);
                return Ok(value);
            }
            now = clock::monotonic();
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
            now = clock::monotonic();
            if let Some(found) = found {
                wait.end(now);
                return found;
            }
        }
    }

    /// Sleeps as [`Waiters::sleep`] does, and notices the daemon's death.
    pub(crate) fn sleep(
        &self,
        fds: &[PollFd<'_>],
        deadline: Option<Instant>,
        ready: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        self.waiters.sleep(&self.shared, self.connection.as_fd(), fds, deadline, &mut || self.is_down() || ready())?;
        if hung_up(&self.connection) {
            self.down.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes a socket call and waits for its answer; an error of the call comes as one with its number.
    pub(crate) fn call(&self, lane: u32, slot: u32, op: Op) -> io::Result<Completion> {
        let lane = self.lane(lane)?;
        let submission = Submission { token: self.tokens.fetch_add(1, Ordering::Relaxed), slot, op };
        self.wait_for(None, || {
            self.check_up()?;
            let mut lane = lock(lane);
            self.drain(&mut lane)?;
            let taken = lane.end.submit(&submission).map_err(|rubbish| self.rubbish(rubbish))?;
            Ok(taken.then_some(()))
        })?;
        let answer = self.wait_for(None, || {
            self.check_up()?;
            let mut lane = lock(lane);
            self.drain(&mut lane)?;
            Ok(lane.answers.remove(&submission.token))
        })?;
        if answer.result < 0 { Err(os_error(answer.result.saturating_neg())) } else { Ok(answer) }
    }

    /// Finds a free slot and the lane for it, each lane in turn. `EMFILE` if the session's sockets are all in use.
    pub(crate) fn take_slot(&self) -> io::Result<(u32, u32)> {
        let lane = self.next_lane.fetch_add(1, Ordering::Relaxed) % self.shared.config().lanes.max(1);
        let slot = self.wait_for(None, || {
            self.check_up()?;
            let mut closing = false;
            for lane in &self.lanes {
                let mut lane = lock(lane);
                self.drain(&mut lane)?;
                closing |= !lane.closing.is_empty();
            }
            match lock(&self.free).pop() {
                Some(slot) => Ok(Some(slot)),
                None if closing => Ok(None),
                None => Err(os_error(libc::EMFILE)),
            }
        })?;
        Ok((lane, slot))
    }

    /// Gives back a slot that was taken and never opened.
    pub(crate) fn untake_slot(&self, slot: u32) {
        lock(&self.free).push(slot);
    }

    /// Closes `slot` without waiting: it is free again when the lane has answered.
    pub(crate) fn close(&self, lane: u32, slot: u32) {
        let Ok(lane) = self.lane(lane) else { return };
        let submission = Submission { token: self.tokens.fetch_add(1, Ordering::Relaxed), slot, op: Op::Close };
        // The ring is only full while calls wait for their answers, so this waits for a turn of the lane at most.
        let _ = self.wait_for(None, || {
            self.check_up()?;
            let mut lane = lock(lane);
            self.drain(&mut lane)?;
            let taken = lane.end.submit(&submission).map_err(|rubbish| self.rubbish(rubbish))?;
            if taken {
                lane.closing.insert(submission.token, slot);
            }
            Ok(taken.then_some(()))
        });
    }

    fn lane(&self, lane: u32) -> io::Result<&Mutex<Lane>> {
        self.lanes.get(lane as usize).ok_or_else(|| os_error(libc::EINVAL))
    }

    /// Takes in the answers of one lane. Bounded by the size of its ring.
    fn drain(&self, lane: &mut Lane) -> io::Result<()> {
        for _ in 0..self.shared.config().control_entries {
            let Some(answer) = lane.end.next_completion().map_err(|rubbish| self.rubbish(rubbish))? else { break };
            match lane.closing.remove(&answer.token) {
                Some(slot) => lock(&self.free).push(slot),
                None => drop(lane.answers.insert(answer.token, answer)),
            }
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Tells the daemon, and ends the watching thread.
        let _ = rustix::net::shutdown(&*self.connection, rustix::net::Shutdown::Both);
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

/// The first IPv4 address among `addrs` for which `call` succeeds, as `std` does it.
pub(crate) fn each_v4<R>(
    addrs: impl std::net::ToSocketAddrs,
    mut call: impl FnMut(SocketAddrV4) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = os_error(libc::EINVAL);
    for addr in addrs.to_socket_addrs()? {
        let attempt = match addr {
            std::net::SocketAddr::V4(addr) => call(addr),
            std::net::SocketAddr::V6(_) => Err(os_error(libc::EAFNOSUPPORT)),
        };
        match attempt {
            Ok(value) => return Ok(value),
            Err(error) => last = error,
        }
    }
    Err(last)
}
