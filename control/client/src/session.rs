//! A process's connection to `xmitd`: socket calls, free slots, and the news of the daemon's death.
//!
//! Invariants:
//! * lock order: a slot's half, or a lane, or the waiters; never two at once, none across a sleep;
//! * a slot is in `free`, in a lane's `unattended`, granted to a listener's lane, or owned by one socket;
//! * `down` never goes back: a session whose daemon died stays dead, a new one is made for new sockets.

use crate::drive::{Drive, Embedding};
use crate::news::{News, Pollers};
use crate::owners::Owners;
use crate::slot::Slot;
use crate::spin::Spin;
use crate::wait::lock;
use core::net::SocketAddrV4;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use thiserror::Error;
use xmit_shared::Rubbish;
use xmit_shared::handshake::{self, HandshakeError, Hello};
use xmit_shared::session::{self, ClientEnd, ClientLane, ClientShared, Completion, Op, SessionError, Submission};

/// Where `xmitd` listens unless `XMIT_SOCKET` says otherwise.
const DEFAULT_SOCKET: &str = "/run/xmit/session.sock";
/// How long a new socket waits for the slot of one that is closing. Datagram sockets close in a turn of the lane, streams when the peer
/// has everything; programs would rather have an error than wait for a peer.
const CLOSING_MAX: Duration = Duration::from_secs(1);

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
    pollers: Pollers,
    pub(crate) owners: Owners,
    pub(crate) drive: Drive,
    pub(crate) down: Arc<AtomicBool>,
    tokens: AtomicU64,
    next_lane: AtomicU32,
    pub(crate) spin: Spin,
}

#[derive(Debug)]
struct Lane {
    end: ClientLane,
    answers: HashMap<u64, Completion>,
    /// Calls that nobody waits for, by token.
    unattended: HashMap<u64, Unattended>,
}

/// A call that nobody waits for, and what its answer decides.
#[derive(Clone, Copy, Debug)]
enum Unattended {
    /// The slot is free when it is answered.
    Close(u32),
    /// A slot is the lane's for a connection to come. Taken or refused, its listener gives it back when it is closed.
    Grant,
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
        let down = Arc::new(AtomicBool::new(false));
        let drive = Drive::daemon(connection, down.clone())?;
        // Programs with one socket each must not all meet on the first lane.
        Ok(Self::on(end, drive, down, std::process::id()))
    }

    /// A session with a stack that is embedded in this process. Its calls run the stack, and wait by its clock.
    pub fn embedded(end: ClientEnd, embedding: Embedding) -> Self {
        let session = Self::on(end, Drive::Embedded(embedding), Arc::default(), 0);
        // Nobody else changes what a call waits for while it looks.
        session.set_spin(Duration::ZERO);
        session
    }

    fn on(end: ClientEnd, drive: Drive, down: Arc<AtomicBool>, first_lane: u32) -> Self {
        let lane = |end| Mutex::new(Lane { end, answers: HashMap::new(), unattended: HashMap::new() });
        Self(Arc::new(Inner {
            free: Mutex::new((0..end.shared.config().slots).rev().collect()),
            shared: end.shared,
            slots: end.slots.into_iter().map(Slot::new).collect(),
            lanes: end.lanes.into_iter().map(lane).collect(),
            pollers: Pollers::default(),
            owners: Owners::default(),
            drive,
            down,
            tokens: AtomicU64::new(1),
            next_lane: AtomicU32::new(first_lane),
            spin: Spin::default(),
        }))
    }

    /// Ends the session for all its sockets: every call gives `ENETDOWN`, also those that wait.
    pub fn end(&self) {
        self.0.end();
    }

    /// Raises the signals of what an embedded stack has received ([`crate::TcpSocket::set_owner`]): for whoever lets it run otherwise than by
    /// a call of the session.
    pub fn tell_owners(&self) {
        self.0.tell_owners();
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
        self.end();
        os_error(libc::ENETDOWN)
    }

    /// News of streams for one more poller.
    pub(crate) fn news(&self) -> Arc<News> {
        self.pollers.join(self.shared.config().slots)
    }

    /// Gives what the lanes have marked to all pollers.
    pub(crate) fn collect_news(&self) {
        self.pollers.collect(&self.shared);
    }

    /// Says that this process changed something of `slot` that a poller may wait for.
    pub(crate) fn tell_pollers(&self, slot: u32) {
        self.pollers.tell(slot);
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
        self.let_run();
        let answer = self.wait_for(None, || {
            self.check_up()?;
            let mut lane = lock(lane);
            self.drain(&mut lane)?;
            Ok(lane.answers.remove(&submission.token))
        })?;
        if answer.result < 0 { Err(os_error(answer.result.saturating_neg())) } else { Ok(answer) }
    }

    /// Finds a free slot and the lane for it, each lane in turn. `EMFILE` if the session's sockets are all in use, also if one is closing
    /// and its peer takes long to agree.
    pub(crate) fn take_slot(&self) -> io::Result<(u32, u32)> {
        let lane = self.next_lane.fetch_add(1, Ordering::Relaxed) % self.shared.config().lanes.max(1);
        // No peer can agree while a call on an embedded stack waits for it.
        let closing_max = if self.is_embedded() { Duration::ZERO } else { CLOSING_MAX };
        let slot = self.wait_for(Some(self.now() + closing_max), || match self.try_take_slot()? {
            (None, true) => Ok(None),
            (slot, _) => slot.ok_or_else(|| os_error(libc::EMFILE)).map(Some),
        });
        match slot {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(os_error(libc::EMFILE)),
            slot => Ok((lane, slot?)),
        }
    }

    /// A free slot, if there is one now, and whether there may be one soon.
    pub(crate) fn try_take_slot(&self) -> io::Result<(Option<u32>, bool)> {
        self.check_up()?;
        if let Some(slot) = lock(&self.free).pop() {
            return Ok((Some(slot), true));
        }
        let mut closing = false;
        for lane in &self.lanes {
            let mut lane = lock(lane);
            self.drain(&mut lane)?;
            closing |= lane.unattended.values().any(|call| matches!(call, Unattended::Close(_)));
        }
        Ok((lock(&self.free).pop(), closing))
    }

    /// Free slots now.
    pub(crate) fn free_slots(&self) -> usize {
        lock(&self.free).len()
    }

    pub(crate) fn lanes(&self) -> u32 {
        self.shared.config().lanes
    }

    /// Gives back a slot that was taken and never opened, or that is closed.
    pub(crate) fn untake_slot(&self, slot: u32) {
        lock(&self.free).push(slot);
    }

    /// Closes `slot` without waiting: it is free again when the lane has answered.
    pub(crate) fn close(&self, lane: u32, slot: u32) {
        // The ring is only full while calls wait for their answers, so this waits for a turn of the lane at most.
        let _ = self.wait_for(None, || {
            let taken = self.submit_unattended(lane, slot, Op::Close, Unattended::Close(slot))?;
            Ok(taken.then_some(()))
        });
        self.let_run();
    }

    /// Gives `granted` to the listener in `slot`, without waiting. False if the ring of calls is full.
    pub(crate) fn grant(&self, lane: u32, slot: u32, granted: u32) -> io::Result<bool> {
        self.submit_unattended(lane, slot, Op::Grant(granted), Unattended::Grant)
    }

    fn submit_unattended(&self, lane: u32, slot: u32, op: Op, unattended: Unattended) -> io::Result<bool> {
        self.check_up()?;
        let mut lane = lock(self.lane(lane)?);
        self.drain(&mut lane)?;
        let submission = Submission { token: self.tokens.fetch_add(1, Ordering::Relaxed), slot, op };
        let taken = lane.end.submit(&submission).map_err(|rubbish| self.rubbish(rubbish))?;
        if taken {
            lane.unattended.insert(submission.token, unattended);
        }
        Ok(taken)
    }

    fn lane(&self, lane: u32) -> io::Result<&Mutex<Lane>> {
        self.lanes.get(lane as usize).ok_or_else(|| os_error(libc::EINVAL))
    }

    /// Takes in the answers of one lane. Bounded by the size of its ring.
    fn drain(&self, lane: &mut Lane) -> io::Result<()> {
        for _ in 0..self.shared.config().control_entries {
            let Some(answer) = lane.end.next_completion().map_err(|rubbish| self.rubbish(rubbish))? else { break };
            match lane.unattended.remove(&answer.token) {
                Some(Unattended::Close(slot)) => lock(&self.free).push(slot),
                Some(Unattended::Grant) => {}
                None => drop(lane.answers.insert(answer.token, answer)),
            }
        }
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.drive.hang_up();
    }
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
