//! UDP sockets with the calls and the habits of `std::net::UdpSocket`.
//!
//! Every method may be called from several threads at once. Errors carry Linux's numbers; two of them mean something here
//! that they seldom mean there: `ENETDOWN`, the daemon is dead, and `EMFILE`, the session's sockets are all in use.

use crate::session::{Inner, Session, each_v4, os_error};
use crate::slot::Slot;
use crate::timeout::Timeout;
use crate::wait::lock;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use xmit_shared::Instant;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::{Completion, Op, SocketOption, Transport};

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

/// The largest payload of a UDP datagram in IPv4: 65,535 bytes less both headers.
const PAYLOAD_MAX: usize = 65_507;
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
            names: Mutex::new(Names { local: addr, peer: None }),
            connected: AtomicBool::new(false),
            broadcast: AtomicBool::new(false),
            nonblocking: AtomicBool::new(false),
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
        };
        socket.table_slot()?.restart();
        lock(&socket.names).local = socket.call(Op::Bind(addr))?.addr;
        Ok(socket)
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

    /// Sends one datagram to the connected peer.
    ///
    /// # Errors
    /// `EDESTADDRREQ` without a peer; `ECONNREFUSED` and its like for an earlier datagram; else as [`UdpSocket::send_to`].
    pub fn send(&self, payload: &[u8]) -> io::Result<usize> {
        if !self.connected.load(Ordering::Relaxed) {
            return Err(os_error(libc::EDESTADDRREQ));
        }
        self.send_meta(&Meta::of(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)), payload)
    }

    /// Sends one datagram to `addr`.
    ///
    /// # Errors
    /// `EMSGSIZE` above 65,507 bytes, `EAGAIN` if there is no room now (non-blocking) or in time, `EACCES` for a broadcast
    /// without [`UdpSocket::set_broadcast`], `EINVAL` for port 0, `ENETDOWN`, and pending errors of earlier datagrams.
    pub fn send_to(&self, payload: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        // `std` takes the first address only.
        match addr.to_socket_addrs()?.next() {
            Some(SocketAddr::V4(addr)) if addr.port() == 0 => Err(os_error(libc::EINVAL)),
            Some(SocketAddr::V4(addr)) if addr.ip().is_broadcast() && !self.broadcast.load(Ordering::Relaxed) => {
                Err(os_error(libc::EACCES))
            }
            Some(SocketAddr::V4(addr)) => self.send_meta(&Meta::of(addr), payload),
            Some(SocketAddr::V6(_)) => Err(os_error(libc::EAFNOSUPPORT)),
            None => Err(os_error(libc::EDESTADDRREQ)),
        }
    }

    /// Receives one datagram of the connected peer. What does not fit into `buffer` is lost.
    ///
    /// # Errors
    /// `EAGAIN` if there is none now (non-blocking) or in time, `ENETDOWN`, and pending errors such as `ECONNREFUSED`.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, true).map(|(len, _)| len)
    }

    /// Receives one datagram and tells who sent it.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buffer, true)
    }

    /// As [`UdpSocket::recv`], leaving the datagram for the next call.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, false).map(|(len, _)| len)
    }

    /// As [`UdpSocket::recv_from`], leaving the datagram for the next call.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buffer, false)
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

    /// `IP_TTL` of what is sent.
    ///
    /// # Errors
    /// `EINVAL` unless 1 to 255, `ENETDOWN`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.set_option(SocketOption::Ttl, ttl)
    }

    /// `IP_TTL` of what is sent.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.call(Op::GetOption(SocketOption::Ttl))?.value.cast_unsigned())
    }

    /// `IP_TOS` of what is sent.
    ///
    /// # Errors
    /// `EINVAL` above 255, `ENETDOWN`.
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_option(SocketOption::Tos, tos)
    }

    /// `SO_BROADCAST`: allows sending to broadcast addresses.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.set_option(SocketOption::Broadcast, broadcast.into())?;
        self.broadcast.store(broadcast, Ordering::Relaxed);
        Ok(())
    }

    /// The pending error, which is none afterwards: `SO_ERROR`.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.table_slot()?.take_error().map(os_error))
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

    fn set_option(&self, option: SocketOption, value: u32) -> io::Result<()> {
        let value = i32::try_from(value).map_err(|_| os_error(libc::EINVAL))?;
        self.call(Op::SetOption(option, value)).map(drop)
    }

    fn send_meta(&self, meta: &Meta, payload: &[u8]) -> io::Result<usize> {
        if payload.len() > PAYLOAD_MAX {
            return Err(os_error(libc::EMSGSIZE));
        }
        let slot = self.table_slot()?;
        if let Some(sent) = self.try_send(slot, meta, payload)? {
            return Ok(sent);
        }
        if self.nonblocking.load(Ordering::Relaxed) {
            return Err(os_error(libc::EAGAIN));
        }
        slot.status.want_room();
        let result = self
            .session
            .wait_for(self.write_timeout.deadline(self.session.now()), || self.try_send(slot, meta, payload));
        slot.status.forget_room();
        result
    }

    fn try_send(&self, slot: &Slot, meta: &Meta, payload: &[u8]) -> io::Result<Option<usize>> {
        self.check(slot)?;
        // The guard must be gone before the lane is told: telling may be a system call.
        let pushed = lock(&slot.tx).push(meta, &[payload]);
        match pushed {
            Ok(()) => {
                self.session.kick(self.lane, self.slot);
                Ok(Some(payload.len()))
            }
            Err(PushError::Full) => Ok(None),
            Err(PushError::TooLarge) => Err(os_error(libc::EMSGSIZE)),
            Err(PushError::Rubbish(rubbish)) => Err(self.session.rubbish(rubbish)),
        }
    }

    fn receive(&self, buffer: &mut [u8], consume: bool) -> io::Result<(usize, SocketAddr)> {
        let slot = self.table_slot()?;
        if let Some(received) = self.try_receive(slot, buffer, consume)? {
            return Ok(received);
        }
        if self.nonblocking.load(Ordering::Relaxed) {
            return Err(os_error(libc::EAGAIN));
        }
        self.session
            .wait_for(self.read_timeout.deadline(self.session.now()), || self.try_receive(slot, buffer, consume))
    }

    fn try_receive(&self, slot: &Slot, buffer: &mut [u8], consume: bool) -> io::Result<Option<(usize, SocketAddr)>> {
        self.check(slot)?;
        let mut rx = lock(&slot.rx);
        let Some(meta) = rx.peek().map_err(|rubbish| self.session.rubbish(rubbish))? else { return Ok(None) };
        let len = rx.copy(buffer);
        if consume {
            rx.consume();
        }
        Ok(Some((len, meta.peer.into())))
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
