//! UDP sockets with the calls and the habits of `std::net::UdpSocket`.
//!
//! Every method may be called from several threads at once. Errors carry Linux's numbers; two of them mean something here
//! that they seldom mean there: `ENETDOWN`, the daemon is dead, and `EMFILE`, the session's sockets are all in use.

use crate::session::{Inner, Session, each_v4, os_error};
use crate::slot::Slot;
use crate::tcp::{Marks, Readiness};
use crate::timeout::Timeout;
use crate::wait::lock;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use xmit_shared::Instant;
use xmit_shared::session::{Completion, Op, SocketOption, Transport};

mod transfer;

pub use transfer::Datagram;

/// A UDP socket of `xmitd`.
#[derive(Debug)]
pub struct UdpSocket {
    session: Arc<Inner>,
    lane: u32,
    slot: u32,
    names: Mutex<Names>,
    connected: AtomicBool,
    broadcast: AtomicBool,
    nonblocking: AtomicBool,
    read_timeout: Timeout,
    write_timeout: Timeout,
}

/// `getsockname` and `getpeername`.
#[derive(Debug)]
struct Names {
    local: SocketAddrV4,
    peer: Option<SocketAddrV4>,
}

const NO_ADDR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
/// How long dropping a socket waits for a lane to take what was sent; a lane that takes longer is stopped or stuck.
const LINGER_MAX: Duration = Duration::from_secs(1);

impl UdpSocket {
    /// A socket bound to `addr` in the process's session ([`Session::global`]); port 0 lets the daemon choose one.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (policy), `EMFILE`, or the text of a [`crate::ConnectError`].
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_in(&Session::global()?, addr)
    }

    /// The same in a session of the caller's choice.
    ///
    /// # Errors
    /// As [`UdpSocket::bind`].
    pub fn bind_in(session: &Session, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each_v4(addr, |addr| Self::bind_v4(session.0.clone(), addr))
    }

    fn bind_v4(session: Arc<Inner>, addr: SocketAddrV4) -> io::Result<Self> {
        let socket = Self::open(session)?;
        socket.bind_to(addr)?;
        Ok(socket)
    }

    /// A socket in `session` without an address: it gets one by [`UdpSocket::bind_to`], or of the daemon's choice when it sends.
    ///
    /// # Errors
    /// `EMFILE` if the session's sockets are all in use, `ENETDOWN`.
    pub fn new(session: &Session) -> io::Result<Self> {
        Self::open(session.0.clone())
    }

    fn open(session: Arc<Inner>) -> io::Result<Self> {
        let (lane, slot) = session.take_slot()?;
        if let Err(error) = session.call(lane, slot, Op::Open(Transport::Udp)) {
            session.untake_slot(slot);
            return Err(error);
        }
        // From here on dropping the socket closes the slot.
        let socket = Self {
            session,
            lane,
            slot,
            names: Mutex::new(Names { local: NO_ADDR, peer: None }),
            connected: AtomicBool::new(false),
            broadcast: AtomicBool::new(false),
            nonblocking: AtomicBool::new(false),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
        };
        socket.table_slot()?.restart();
        Ok(socket)
    }

    /// Gives the socket its address: `bind`.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (policy), `EINVAL` if it has one.
    pub fn bind_to(&self, addr: SocketAddrV4) -> io::Result<()> {
        lock(&self.names).local = self.call(Op::Bind(addr))?.addr;
        Ok(())
    }

    /// Fixes the peer: [`UdpSocket::send`] goes to it, and only its datagrams arrive.
    ///
    /// # Errors
    /// `ENETUNREACH`, `EACCES` (a broadcast address without [`UdpSocket::set_broadcast`]), `ENETDOWN`.
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        each_v4(addr, |peer| {
            let local = self.call(Op::Connect(peer))?.addr;
            *lock(&self.names) = Names { local, peer: Some(peer) };
            self.connected.store(true, Ordering::Relaxed);
            Ok(())
        })
    }

    /// Forgets the peer: `connect` to `AF_UNSPEC`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn disconnect(&self) -> io::Result<()> {
        self.call(Op::Disconnect)?;
        self.connected.store(false, Ordering::Relaxed);
        lock(&self.names).peer = None;
        Ok(())
    }

    /// The address bound.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(lock(&self.names).local.into())
    }

    /// The connected peer.
    ///
    /// # Errors
    /// `ENOTCONN` without one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        lock(&self.names).peer.map(SocketAddr::from).ok_or_else(|| os_error(libc::ENOTCONN))
    }

    /// Makes calls that would wait give `EAGAIN` instead, or wait again.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// How long receiving waits; `None` for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero, as in `std`.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read_timeout.set(timeout)
    }

    /// How long sending waits for room; `None` for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero, as in `std`.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write_timeout.set(timeout)
    }

    /// As it was set.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.read_timeout.get())
    }

    /// As it was set.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.write_timeout.get())
    }

    /// `IP_TTL` of what is sent.
    ///
    /// # Errors
    /// `EINVAL` unless 1 to 255, `ENETDOWN`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.set_option(SocketOption::Ttl, i32::try_from(ttl).map_err(|_| os_error(libc::EINVAL))?)
    }

    /// `IP_TTL` of what is sent.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.option(SocketOption::Ttl)?.cast_unsigned())
    }

    /// `IP_TOS` of what is sent.
    ///
    /// # Errors
    /// `EINVAL` above 255, `ENETDOWN`.
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_option(SocketOption::Tos, i32::try_from(tos).map_err(|_| os_error(libc::EINVAL))?)
    }

    /// `SO_BROADCAST`: allows sending to broadcast addresses.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.set_option(SocketOption::Broadcast, broadcast.into())
    }

    /// The pending error, which is none afterwards: `SO_ERROR`.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.table_slot()?.take_error().map(os_error))
    }

    /// How the socket stands (`datagram_poll`).
    pub fn readiness(&self) -> Readiness {
        let Ok(slot) = self.table_slot() else { return Readiness::default() };
        let error = self.session.is_down() || slot.has_error();
        let (readable, writable) = (error || slot.readable(), error || slot.writable());
        Readiness { readable, writable, error, ..Readiness::default() }
    }

    /// What happened to the socket so far.
    pub fn marks(&self) -> Marks {
        let Ok(slot) = self.table_slot() else { return Marks::default() };
        let (received, events) = (lock(&slot.rx).shown(), slot.stream_events().0);
        Marks { received, refilled: 0, changes: [events, slot.status.error(), 0] }
    }

    pub(crate) fn session(&self) -> &Arc<Inner> {
        &self.session
    }

    pub(crate) fn table_slot(&self) -> io::Result<&Slot> {
        self.session.slots.get(self.slot as usize).ok_or_else(|| os_error(libc::EBADF))
    }

    fn call(&self, op: Op) -> io::Result<Completion> {
        self.flush(None)?;
        self.session.call(self.lane, self.slot, op)
    }

    /// Waits until the lane has taken what was sent, so that a call takes effect after it, as in the kernel.
    fn flush(&self, deadline: Option<Instant>) -> io::Result<()> {
        let slot = self.table_slot()?;
        if slot.drained() {
            return Ok(());
        }
        slot.status.want_room();
        let result = self.session.wait_for(deadline, || {
            self.session.check_up()?;
            Ok(slot.drained().then_some(()))
        });
        slot.status.forget_room();
        result
    }

    /// `setsockopt` for what the lane has to know.
    ///
    /// # Errors
    /// `EINVAL` and `ENOPROTOOPT` as in Linux, `ENETDOWN`.
    pub fn set_option(&self, option: SocketOption, value: i32) -> io::Result<()> {
        self.call(Op::SetOption(option, value))?;
        if option == SocketOption::Broadcast {
            self.broadcast.store(value != 0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// `getsockopt`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`, `ENETDOWN`.
    pub fn option(&self, option: SocketOption) -> io::Result<i32> {
        Ok(self.call(Op::GetOption(option))?.value)
    }

    /// The daemon's death and pending errors come before data, as in Linux.
    fn check(&self, slot: &Slot) -> io::Result<()> {
        self.session.check_up()?;
        slot.take_error().map_or(Ok(()), |errno| Err(os_error(errno)))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let _ = self.flush(Some(self.session.now() + LINGER_MAX));
        self.session.close(self.lane, self.slot);
    }
}
