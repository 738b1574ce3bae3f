//! `TcpStream` with the calls and the habits of `std::net::TcpStream`.

use super::socket::TcpSocket;
use super::transfer::MsgFlags;
use crate::session::{Session, each_v4, os_error};
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use xmit_shared::session::{SocketOption, StreamFlags, TcpInfo};

/// A TCP connection of `xmitd`. Closed when the last handle of [`TcpStream::try_clone`] is dropped; what was written is still sent.
#[derive(Debug)]
pub struct TcpStream(pub(super) Arc<TcpSocket>);

impl TcpStream {
    /// Connects to the first of `addr` that answers, in the process's session ([`Session::global`]).
    ///
    /// # Errors
    /// `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EMFILE`, or the text of a [`crate::ConnectError`].
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_in(&Session::global()?, addr)
    }

    /// The same in a session of the caller's choice.
    ///
    /// # Errors
    /// As [`TcpStream::connect`].
    pub fn connect_in(session: &Session, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each_v4(addr, |addr| {
            let socket = TcpSocket::new(session)?;
            socket.connect(addr)?;
            Ok(Self(Arc::new(socket)))
        })
    }

    /// Connects to one address, and gives up after `timeout`.
    ///
    /// # Errors
    /// `TimedOut`, `InvalidInput` for no time at all, else as [`TcpStream::connect`].
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        Self::connect_timeout_in(&Session::global()?, addr, timeout)
    }

    /// The same in a session of the caller's choice.
    ///
    /// # Errors
    /// As [`TcpStream::connect_timeout`].
    pub fn connect_timeout_in(session: &Session, addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        let SocketAddr::V4(addr) = *addr else { return Err(os_error(libc::EAFNOSUPPORT)) };
        let socket = TcpSocket::new(session)?;
        match socket.connect_until(addr, Some(session.0.now() + timeout)) {
            Ok(()) => Ok(Self(Arc::new(socket))),
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "connection timed out"))
            }
            Err(error) => Err(error),
        }
    }

    /// Another handle of the same connection: as with `std`, both share its options and its end.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    /// The socket below, with the calls of POSIX.
    pub fn socket(&self) -> &Arc<TcpSocket> {
        &self.0
    }

    /// Copies bytes that wait to be read, and leaves them.
    ///
    /// # Errors
    /// As reading.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let flags = MsgFlags { peek: true, ..MsgFlags::default() };
        self.0.receive_with(&mut [IoSliceMut::new(buffer)], flags)
    }

    /// Ends one half of the connection, or both; what was written before is sent first.
    ///
    /// # Errors
    /// `ENOTCONN`, `ENETDOWN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// This end.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr().into())
    }

    /// The other end.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr().map(SocketAddr::from)
    }

    /// `TCP_NODELAY`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }

    /// `TCP_NODELAY`.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.0.flag(StreamFlags::NODELAY))
    }

    /// `TCP_QUICKACK`: what arrives is acknowledged at once, until the program is seen to talk and listen by turns.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.0.set_option(SocketOption::QuickAck, quickack.into())
    }

    /// `TCP_QUICKACK`, as it is at present.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(self.0.option(SocketOption::QuickAck)? != 0)
    }

    /// Makes calls that would wait give `EAGAIN` instead, or wait again.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking);
        Ok(())
    }

    /// How long reading waits; `None` for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero, as in `std`.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.read_timeout.set(timeout)
    }

    /// How long writing waits for room; `None` for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero, as in `std`.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.write_timeout.set(timeout)
    }

    /// As it was set.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.read_timeout.get())
    }

    /// As it was set.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.write_timeout.get())
    }

    /// `SO_LINGER`: how long closing waits until the peer has everything; zero resets the connection instead.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.0.set_linger(linger)
    }

    /// `SO_MAX_PACING_RATE`: at most so many bytes a second leave, evenly; `u64::MAX` is no limit.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_max_pacing_rate(&self, bytes_per_second: u64) -> io::Result<()> {
        self.0.set_max_pacing_rate(bytes_per_second)
    }

    /// `SO_MAX_PACING_RATE`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn max_pacing_rate(&self) -> io::Result<u64> {
        self.0.max_pacing_rate()
    }

    /// As it was set.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(self.0.linger())
    }

    /// `IP_TTL` of what is sent.
    ///
    /// # Errors
    /// `EINVAL` unless 1 to 255, `ENETDOWN`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = i32::try_from(ttl).map_err(|_| os_error(libc::EINVAL))?;
        self.0.set_option(SocketOption::Ttl, ttl)
    }

    /// `IP_TTL` of what is sent.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn ttl(&self) -> io::Result<u32> {
        Ok(self.0.option(SocketOption::Ttl)?.cast_unsigned())
    }

    /// The pending error, which is none afterwards: `SO_ERROR`.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// `TCP_INFO`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn info(&self) -> io::Result<TcpInfo> {
        self.0.info()
    }

    /// True if the socket does not wait.
    pub fn is_nonblocking(&self) -> bool {
        self.0.nonblocking.load(Ordering::Relaxed)
    }
}

/// A socket that connected, or is about to.
impl From<Arc<TcpSocket>> for TcpStream {
    fn from(socket: Arc<TcpSocket>) -> Self {
        Self(socket)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive_with(&mut [IoSliceMut::new(buffer)], MsgFlags::default())
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.receive_with(buffers, MsgFlags::default())
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.send_with(&[IoSlice::new(buffer)], MsgFlags::default())
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.send_with(buffers, MsgFlags::default())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
