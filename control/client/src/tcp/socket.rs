//! A TCP socket with the calls of POSIX: what [`super::TcpStream`] and [`super::TcpListener`] stand on, and what a C interface needs.
//!
//! Invariants:
//! * a socket owns its slot from `open` or `accept` until it is dropped; dropping closes, what was written is still sent;
//! * how the connection stands is read from the slot at each call, never remembered.

use super::inherit::Settings;
use super::send_limit::SendLimit;
use super::urgent::Urgent;
use crate::session::{Inner, Session, os_error};
use crate::slot::Slot;
use crate::timeout::Timeout;
use crate::wait::lock;
use core::net::SocketAddrV4;
use core::time::Duration;
use std::io;
use std::net::{Ipv4Addr, Shutdown};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use xmit_shared::Instant;
use xmit_shared::session::{Accepted, Completion, How, Op, StreamEvents, Transport};

/// A TCP socket of `xmitd`, in any state.
#[derive(Debug)]
pub struct TcpSocket {
    pub(super) session: Arc<Inner>,
    pub(super) lane: u32,
    pub(super) index: u32,
    names: Mutex<Names>,
    /// A [`Phase`] by its number.
    phase: AtomicU8,
    pub(super) nonblocking: AtomicBool,
    pub(super) read_timeout: Timeout,
    pub(super) write_timeout: Timeout,
    /// `shutdown` ended this half here.
    pub(super) read_shut: AtomicBool,
    pub(super) write_shut: AtomicBool,
    /// Bytes that a SYN takes which waits for them.
    pub(super) syn_room: AtomicU32,
    pub(super) flags: AtomicU32,
    pub(super) linger: AtomicI32,
    /// `TCP_FASTOPEN_KEY`, as it was set.
    pub(super) fast_open_keys: Mutex<Vec<[u64; 2]>>,
    /// `TCP_NOTSENT_LOWAT`; zero for none.
    pub(super) notsent_lowat: AtomicU32,
    /// `SO_RCVLOWAT`.
    pub(super) rcvlowat: AtomicU32,
    /// A writer found no room and was not told of any since.
    pub(super) starved: AtomicBool,
    /// How often it was.
    pub(super) refills: AtomicU32,
    pub(super) send_limit: SendLimit,
    pub(super) urgent: Mutex<Urgent>,
    /// What a listener's other shares are to have as well.
    pub(super) settings: Mutex<Settings>,
    /// The lane has closed the slot already.
    closed: AtomicBool,
}

#[derive(Debug)]
struct Names {
    local: SocketAddrV4,
    peer: Option<SocketAddrV4>,
}

/// What the program did with the socket so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Idle,
    Connecting,
    Connected,
    Listening,
    /// The SYN waits for data.
    Deferred,
}

const NO_ADDR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
/// `SO_LINGER` is off.
pub(super) const NO_LINGER: i32 = -1;

impl TcpSocket {
    /// A socket in `session`: `socket(AF_INET, SOCK_STREAM, 0)`.
    ///
    /// # Errors
    /// `EMFILE` if the session's sockets are all in use, `ENETDOWN`.
    pub fn new(session: &Session) -> io::Result<Self> {
        let (lane, index) = session.0.take_slot()?;
        Self::open(session.0.clone(), lane, index)
    }

    /// Opens a slot that was taken.
    pub(super) fn open(session: Arc<Inner>, lane: u32, index: u32) -> io::Result<Self> {
        if let Err(error) = session.call(lane, index, Op::Open(Transport::Tcp)) {
            session.untake_slot(index);
            return Err(error);
        }
        let socket = Self::on(session, lane, index, Names { local: NO_ADDR, peer: None }, Phase::Idle);
        let slot = socket.slot()?;
        slot.forget_error();
        slot.restart_stream();
        socket.note_usual();
        Ok(socket)
    }

    /// The socket of a connection that a lane announced.
    pub(super) fn accepted(session: Arc<Inner>, lane: u32, accepted: &Accepted) -> io::Result<Self> {
        let names = Names { local: accepted.local, peer: Some(accepted.peer) };
        let socket = Self::on(session, lane, accepted.slot, names, Phase::Connected);
        socket.slot()?.restart_stream();
        socket.note_usual();
        Ok(socket)
    }

    fn on(session: Arc<Inner>, lane: u32, index: u32, names: Names, phase: Phase) -> Self {
        Self {
            session,
            lane,
            index,
            names: Mutex::new(names),
            phase: AtomicU8::new(phase as u8),
            nonblocking: AtomicBool::new(false),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            read_shut: AtomicBool::new(false),
            write_shut: AtomicBool::new(false),
            syn_room: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            linger: AtomicI32::new(NO_LINGER),
            fast_open_keys: Mutex::default(),
            notsent_lowat: AtomicU32::new(0),
            rcvlowat: AtomicU32::new(1),
            starved: AtomicBool::new(false),
            refills: AtomicU32::new(0),
            send_limit: SendLimit::default(),
            urgent: Mutex::new(Urgent::default()),
            settings: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Fixes the local address; port 0 lets the daemon choose one.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (policy), `EINVAL` if bound already.
    pub fn bind(&self, addr: SocketAddrV4) -> io::Result<()> {
        lock(&self.names).local = self.call(Op::Bind(addr))?.addr;
        Ok(())
    }

    /// Connects: waits until the handshake is over, or, non-blocking, begins it.
    ///
    /// # Errors
    /// `EINPROGRESS` if it was begun and nothing waits for it, `EALREADY` while it lasts, `EISCONN` afterwards; `ECONNREFUSED`, `ETIMEDOUT`,
    /// `ENETUNREACH`, `EHOSTUNREACH`; `EADDRNOTAVAIL` without a free port.
    pub fn connect(&self, addr: SocketAddrV4) -> io::Result<()> {
        self.connect_until(addr, self.write_timeout.deadline(self.session.now()))
    }

    pub(super) fn connect_until(&self, addr: SocketAddrV4, deadline: Option<Instant>) -> io::Result<()> {
        let phase = self.phase();
        match phase {
            Phase::Idle => {
                if self.dial(Op::Connect(addr), addr)? {
                    // As if it were connected: the SYN goes with the first data.
                    return Ok(());
                }
            }
            Phase::Connecting => {}
            Phase::Connected | Phase::Deferred => return Err(os_error(libc::EISCONN)),
            Phase::Listening => return Err(os_error(libc::EINVAL)),
        }
        let unfinished = if phase == Phase::Idle { libc::EINPROGRESS } else { libc::EALREADY };
        self.await_connection(deadline, self.nonblocking.load(Ordering::Relaxed), unfinished)
    }

    /// Begins to connect by `op`. True if the SYN waits for data.
    pub(super) fn dial(&self, op: Op, addr: SocketAddrV4) -> io::Result<bool> {
        // An error of a connection before is none of this one (`tcp_connect_init`).
        self.slot()?.forget_error();
        let answer = self.call(op)?;
        *lock(&self.names) = Names { local: answer.addr, peer: Some(addr) };
        let deferred = answer.value > 0;
        self.syn_room.store(answer.value.unsigned_abs(), Ordering::Relaxed);
        self.set_phase(if deferred { Phase::Deferred } else { Phase::Connecting });
        Ok(deferred)
    }

    /// Waits until the handshake is over; `unfinished` if it is not and the caller does not wait.
    pub(super) fn await_connection(
        &self,
        deadline: Option<Instant>,
        dont_wait: bool,
        unfinished: i32,
    ) -> io::Result<()> {
        if let Some(done) = self.connect_outcome()? {
            return Ok(done);
        }
        if dont_wait {
            return Err(os_error(unfinished));
        }
        match self.session.wait_for(deadline, || self.connect_outcome()) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Err(os_error(unfinished)),
            outcome => outcome,
        }
    }

    /// How the handshake ended, if it has.
    fn connect_outcome(&self) -> io::Result<Option<()>> {
        self.session.check_up()?;
        let slot = self.slot()?;
        let events = slot.stream_events();
        let failed = slot.take_error();
        if failed.is_none() && events.contains(StreamEvents::CONNECTED) {
            self.set_phase(Phase::Connected);
            return Ok(Some(()));
        }
        if failed.is_some() || events.contains(StreamEvents::CLOSED) {
            lock(&self.names).peer = None;
            self.set_phase(Phase::Idle);
            return Err(os_error(failed.unwrap_or(libc::ECONNABORTED)));
        }
        Ok(None)
    }

    /// Ends the connection without a word to the program: `connect` to `AF_UNSPEC` (`tcp_disconnect`).
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn disconnect(&self) -> io::Result<()> {
        let local = self.call(Op::Disconnect)?.addr;
        self.discard_received()?;
        self.read_shut.store(false, Ordering::Relaxed);
        self.write_shut.store(false, Ordering::Relaxed);
        self.forget_connection(local);
        Ok(())
    }

    /// The socket is as good as new, with its `local` address.
    fn forget_connection(&self, local: SocketAddrV4) {
        *lock(&self.names) = Names { local, peer: None };
        self.syn_room.store(0, Ordering::Relaxed);
        self.forget_peer();
        self.set_phase(Phase::Idle);
        self.session.tell_pollers(self.index);
    }

    /// What nobody read of a connection that is gone is not the next one's.
    fn discard_received(&self) -> io::Result<()> {
        let mut rx = lock(&self.slot()?.stream_rx);
        let unread = rx.available().map_err(|rubbish| self.session.rubbish(rubbish))?;
        rx.consume(unread);
        lock(&self.urgent).forget(&rx);
        Ok(())
    }

    /// Makes a bound socket listen.
    pub(super) fn listen(&self, backlog: u32) -> io::Result<()> {
        let answer = self.call(Op::Listen(backlog))?;
        self.set_phase(Phase::Listening);
        let mut names = lock(&self.names);
        if names.local.port() == 0 {
            names.local = answer.addr;
        }
        Ok(())
    }

    /// Makes this socket another lane's share of the listener in slot `of`.
    pub(super) fn share(&self, of: u32) -> io::Result<()> {
        lock(&self.names).local = self.call(Op::Share(of))?.addr;
        Ok(())
    }

    /// Ends one half of the connection, or both. What was written before is sent first. A handshake that is not over ends at once.
    ///
    /// # Errors
    /// `ENOTCONN`, `ENETDOWN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => How::Read,
            Shutdown::Write => How::Write,
            Shutdown::Both => How::Both,
        };
        let phase = self.phase_now();
        if self.slot()?.stream_events().contains(StreamEvents::CLOSED) {
            return Err(os_error(libc::ENOTCONN));
        }
        match phase {
            Phase::Connected | Phase::Connecting | Phase::Deferred => self.shut_halves(how),
            Phase::Idle | Phase::Listening => Err(os_error(libc::ENOTCONN)),
        }
    }

    /// In SYN_SENT `shutdown` is `connect` to `AF_UNSPEC` (`inet_shutdown`): the socket may connect again, and what waits for the
    /// handshake gets `ECONNRESET`. Only the lane knows whether the peer has been heard.
    fn shut_halves(&self, how: How) -> io::Result<()> {
        self.read_shut.fetch_or(how.reads(), Ordering::Relaxed);
        self.write_shut.fetch_or(how.writes(), Ordering::Relaxed);
        self.note_usual();
        self.session.tell_pollers(self.index);
        // The answer also wakes those who sleep in this socket's calls.
        let answer = self.call(Op::Shutdown(how))?;
        if answer.value != 0 {
            self.read_shut.store(false, Ordering::Relaxed);
            self.write_shut.store(false, Ordering::Relaxed);
            self.forget_connection(answer.addr);
        }
        Ok(())
    }

    /// `getsockname`; all zero before the socket has one.
    pub fn local_addr(&self) -> SocketAddrV4 {
        lock(&self.names).local
    }

    /// `getpeername`.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<SocketAddrV4> {
        if self.phase_now() != Phase::Connected || self.slot()?.stream_events().contains(StreamEvents::CLOSED) {
            return Err(os_error(libc::ENOTCONN));
        }
        lock(&self.names).peer.ok_or_else(|| os_error(libc::ENOTCONN))
    }

    /// To whom it connects, or is connected.
    pub fn peer_wanted(&self) -> Option<SocketAddrV4> {
        lock(&self.names).peer
    }

    /// Makes calls that would wait give `EAGAIN` instead, or wait again.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// `SO_ERROR`: the pending error, which is none afterwards.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.slot()?.take_error().map(os_error))
    }

    /// Closes a listener and waits until the lane has: its ring is complete then. [`Self::release_slot`] follows.
    pub(super) fn close_and_wait(&self) -> io::Result<()> {
        self.call(Op::Close)?;
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The slot of a closed listener is free again.
    pub(super) fn release_slot(&self) {
        self.session.untake_slot(self.index);
    }

    /// The phase, also if the handshake of a non-blocking connect has ended since the last call.
    pub(super) fn phase_now(&self) -> Phase {
        let phase = self.phase();
        let connected = || self.slot().is_ok_and(|slot| slot.stream_events().contains(StreamEvents::CONNECTED));
        if phase == Phase::Connecting && connected() {
            // The next `connect` says so first, and `EISCONN` from then on.
            return Phase::Connected;
        }
        phase
    }

    /// The phase as of the last call.
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            1 => Phase::Connecting,
            2 => Phase::Connected,
            3 => Phase::Listening,
            4 => Phase::Deferred,
            _ => Phase::Idle,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.note_usual();
    }

    /// Whether the slot alone tells pollers how the socket stands; after each change of what it depends on.
    pub(super) fn note_usual(&self) {
        // Of two threads that change something, the one that looks last must say it last. This lock, too, is taken for changes only.
        let _one = lock(&self.settings);
        let shut = self.read_shut.load(Ordering::Relaxed) || self.write_shut.load(Ordering::Relaxed);
        let connects = matches!(self.phase(), Phase::Connecting | Phase::Connected);
        let usual = connects && !shut && self.rcvlowat.load(Ordering::Relaxed) <= 1;
        // A socket without a slot has nothing that could be watched.
        self.slot().into_iter().for_each(|slot| slot.set_usual(usual));
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn session(&self) -> &Arc<Inner> {
        &self.session
    }

    pub(crate) fn slot(&self) -> io::Result<&Slot> {
        self.session.slots.get(self.index as usize).ok_or_else(|| os_error(libc::EBADF))
    }

    pub(super) fn call(&self, op: Op) -> io::Result<Completion> {
        self.session.call(self.lane, self.index, op)
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        self.session.tell_pollers(self.index);
        self.session.disown(self.index);
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let linger = self.linger.load(Ordering::Relaxed);
        let unread = || self.queued().is_ok_and(|(unread, ..)| unread > 0);
        // Unread data makes closing a reset, which waits for nothing.
        if linger > 0 && !unread() {
            // The end goes out now; what is waited for is that the peer has all that came before it.
            let _ = self.call(Op::Shutdown(How::Write));
            let deadline = self.session.now() + Duration::from_secs(linger.unsigned_abs().into());
            let drained = || {
                self.session.check_up()?;
                let slot = self.slot()?;
                let gone = slot.stream_events().contains(StreamEvents::SEND_END);
                let left = lock(&slot.stream_tx).outstanding().map_or(0, |(all, _)| all);
                Ok((gone || left == 0).then_some(()))
            };
            // Wakes at each acknowledgement: the wish for room is one for less data as well.
            let slot = self.slot().ok();
            slot.iter().for_each(|slot| slot.status.want_room());
            let _ = self.session.wait_for(Some(deadline), drained);
            slot.iter().for_each(|slot| slot.status.forget_room());
        }
        self.session.close(self.lane, self.index);
    }
}
