//! `TcpListener` with the calls and the habits of `std::net::TcpListener`.
//!
//! A listener has one socket on each lane, so that a connection stays where it arrived. Each lane holds a stock of slots granted in
//! advance: it opens an accepted connection there, with the data that came along, and announces it. Accepting is reading that
//! announcement and granting another slot; it waits for nobody.
//!
//! Invariant: a granted slot is announced once, or free again when the listener is closed.

use super::Readiness;
use super::socket::TcpSocket;
use super::stream::TcpStream;
use crate::session::{Inner, Session, each_v4, os_error};
use crate::slot::Slot;
use crate::wait::lock;
use core::net::{SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use xmit_shared::Rubbish;
use xmit_shared::session::{Accepted, SocketOption};
use xmit_shared::stream::ACCEPTED_BYTES;

/// A TCP socket of `xmitd` that accepts connections.
#[derive(Debug)]
pub struct TcpListener(Arc<Listener>);

/// The connections of a listener, one after the other, without end.
#[derive(Debug)]
pub struct Incoming<'a>(&'a TcpListener);

#[derive(Debug)]
pub(crate) struct Listener {
    session: Arc<Inner>,
    shares: Vec<Share>,
    /// Slots that each lane shall hold for connections to come.
    stock: usize,
    /// The share that is asked first.
    next: AtomicUsize,
    nonblocking: AtomicBool,
}

/// A listener's part on one lane.
#[derive(Debug)]
struct Share {
    socket: Arc<TcpSocket>,
    granted: Mutex<Vec<u32>>,
}

/// As `std` has it.
const BACKLOG: u32 = 128;
/// Slots that a lane holds at most: connections that arrive faster wait in the lane, up to the backlog.
const STOCK_MAX: u32 = 64;
/// Part of a session's slots that one listener has in stock at most: they are of no use to anybody else.
const STOCK_SHARE: u32 = 8;
/// Part of a session's slots that listeners leave to connections that the program makes itself.
const RESERVE_SHARE: u32 = 4;

impl TcpListener {
    /// A listener at `addr` in the process's session ([`Session::global`]), with `SO_REUSEADDR` as in `std`; port 0 lets the daemon choose.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` (policy), `EMFILE`, or the text of a [`crate::ConnectError`].
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_in(&Session::global()?, addr)
    }

    /// The same in a session of the caller's choice.
    ///
    /// # Errors
    /// As [`TcpListener::bind`].
    pub fn bind_in(session: &Session, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each_v4(addr, |addr: SocketAddrV4| {
            let socket = TcpSocket::new(session)?;
            socket.set_option(SocketOption::ReuseAddr, 1)?;
            socket.bind(addr)?;
            Self::listen(socket, BACKLOG)
        })
    }

    /// Makes `socket` listen, and a share of it on each other lane.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EMFILE`, `ENETDOWN`.
    pub fn listen(socket: impl Into<Arc<TcpSocket>>, backlog: u32) -> io::Result<Self> {
        let socket: Arc<TcpSocket> = socket.into();
        let session = socket.session.clone();
        socket.listen(backlog)?;
        let (first_lane, first) = (socket.lane, socket.index);
        let mut shares = vec![Share { socket: socket.clone(), granted: Mutex::default() }];
        for lane in (0..session.lanes()).filter(|lane| *lane != first_lane) {
            let (_, index) = session.take_slot()?;
            let share = TcpSocket::open(session.clone(), lane, index)?;
            share.share(first)?;
            socket.hand_on(&share)?;
            share.listen(backlog)?;
            shares.push(Share { socket: share.into(), granted: Mutex::default() });
        }
        let share = session.shared.config().slots / (STOCK_SHARE * session.lanes());
        let stock = backlog.min(STOCK_MAX).min(share).max(1) as usize;
        let (next, nonblocking) = (AtomicUsize::new(0), AtomicBool::new(false));
        let listener = Listener { session, shares, stock, next, nonblocking };
        // One for each lane first: the session may have few.
        listener.shares.iter().try_for_each(|share| listener.top_up(share, 1))?;
        listener.shares.iter().try_for_each(|share| listener.top_up(share, stock))?;
        Ok(Self(Arc::new(listener)))
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// `EAGAIN` if there is none (non-blocking), `ENETDOWN`.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let listener = &self.0;
        let accepted = match listener.try_accept()? {
            Some(accepted) => accepted,
            None if listener.nonblocking.load(Ordering::Relaxed) => return Err(os_error(libc::EAGAIN)),
            None => {
                let deadline = listener.first().and_then(|socket| socket.read_timeout.deadline(listener.session.now()));
                listener.session.wait_for(deadline, || listener.try_accept())?
            }
        };
        // Known also of a connection that was reset while it waited.
        let peer = accepted.peer_wanted().map_or_else(|| SocketAddr::from(([0; 4], 0)), SocketAddr::from);
        Ok((TcpStream(Arc::new(accepted)), peer))
    }

    /// The connections, one after the other.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// The address bound.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.first().map(|socket| socket.local_addr().into()).ok_or_else(|| os_error(libc::EBADF))
    }

    /// Another handle of the same listener.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    /// Makes [`TcpListener::accept`] give `EAGAIN` instead of waiting, or wait again. Accepted connections wait, as in `std`.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    /// How long [`TcpListener::accept`] waits (`SO_RCVTIMEO`); `None` for ever.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_accept_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.first().map_or(Ok(()), |socket| socket.read_timeout.set(timeout))
    }

    /// `listen` once more: another length of the queue of connections that nobody has accepted.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        self.0.shares.iter().try_for_each(|share| share.socket.listen(backlog))
    }

    /// How the listener stands: readable if a connection waits.
    pub fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    /// `TCP_NODELAY`, which accepted connections inherit.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.shares.iter().try_for_each(|share| share.socket.set_nodelay(nodelay))
    }

    /// `IP_TTL` of what accepted connections send.
    ///
    /// # Errors
    /// `EINVAL` unless 1 to 255, `ENETDOWN`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let ttl = i32::try_from(ttl).map_err(|_| os_error(libc::EINVAL))?;
        self.set_option(SocketOption::Ttl, ttl)
    }

    /// `IP_TTL`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn ttl(&self) -> io::Result<u32> {
        let first = self.0.first().ok_or_else(|| os_error(libc::EBADF))?;
        Ok(first.option(SocketOption::Ttl)?.cast_unsigned())
    }

    /// `setsockopt` on every lane's share.
    ///
    /// # Errors
    /// `EINVAL` and `ENOPROTOOPT` as in Linux, `ENETDOWN`.
    pub fn set_option(&self, option: SocketOption, value: i32) -> io::Result<()> {
        self.0.shares.iter().try_for_each(|share| share.socket.set_option(option, value))
    }

    /// `SO_MAX_PACING_RATE` of the connections that are accepted from now on.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_max_pacing_rate(&self, bytes_per_second: u64) -> io::Result<()> {
        self.0.shares.iter().try_for_each(|share| share.socket.set_max_pacing_rate(bytes_per_second))
    }

    /// `TCP_FASTOPEN_KEY` of every lane's share: [`TcpSocket::set_fast_open_keys`].
    ///
    /// # Errors
    /// `EINVAL`, `ENETDOWN`.
    pub fn set_fast_open_keys(&self, keys: &[u8]) -> io::Result<()> {
        self.0.shares.iter().try_for_each(|share| share.socket.set_fast_open_keys(keys))
    }

    /// The pending error, which is none afterwards: `SO_ERROR`.
    ///
    /// # Errors
    /// None; a `Result` as in `std`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.first().map_or(Ok(None), |socket| socket.take_error())
    }

    /// The sockets that stand for it, one on each lane.
    #[cfg(test)]
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &TcpSocket> {
        self.0.shares.iter().map(|share| &*share.socket)
    }

    pub(crate) fn inner(&self) -> &Arc<Listener> {
        &self.0
    }
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}

impl Listener {
    fn first(&self) -> Option<&TcpSocket> {
        self.shares.first().map(|share| &*share.socket)
    }

    pub(crate) fn session(&self) -> &Arc<Inner> {
        &self.session
    }

    /// The next connection announced by any lane, each lane in turn. Bounded by the number of lanes.
    fn try_accept(&self) -> io::Result<Option<TcpSocket>> {
        self.session.check_up()?;
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        for i in 0..self.shares.len() {
            let Some(share) = self.shares.get((start + i) % self.shares.len()) else { continue };
            let accepted = self.take_announced(share)?;
            self.top_up(share, self.stock)?;
            if let Some(accepted) = accepted {
                let socket = TcpSocket::accepted(self.session.clone(), share.socket.lane, &accepted)?;
                socket.inherit(&share.socket)?;
                return Ok(Some(socket));
            }
        }
        Ok(None)
    }

    fn take_announced(&self, share: &Share) -> io::Result<Option<Accepted>> {
        let mut bytes = [0; ACCEPTED_BYTES];
        {
            let mut rx = lock(&share.socket.slot()?.stream_rx);
            let available = rx.available().map_err(|rubbish| self.session.rubbish(rubbish))?;
            if (available as usize) < ACCEPTED_BYTES {
                return Ok(None);
            }
            rx.copy_at(0, &mut bytes);
            rx.consume(ACCEPTED_BYTES as u32);
        }
        let accepted = Accepted::decode(&bytes);
        let mut granted = lock(&share.granted);
        match granted.iter().position(|slot| *slot == accepted.slot) {
            Some(at) => drop(granted.swap_remove(at)),
            // Not one of those that were granted: another socket's, perhaps.
            None => return Err(self.session.rubbish(Rubbish::Slot(accepted.slot))),
        }
        Ok(Some(accepted))
    }

    /// Grants slots until the lane has `stock`, as far as the session has any. Bounded by the stock.
    fn top_up(&self, share: &Share, stock: usize) -> io::Result<()> {
        let reserve = (self.session.shared.config().slots / RESERVE_SHARE) as usize;
        loop {
            let held = lock(&share.granted).len();
            if held >= stock || (held > 0 && self.session.free_slots() <= reserve) {
                return Ok(());
            }
            let (Some(slot), _) = self.session.try_take_slot()? else { return Ok(()) };
            self.session.slots.get(slot as usize).into_iter().for_each(Slot::forget_error);
            // Known as granted before the lane can announce it.
            lock(&share.granted).push(slot);
            if !self.session.grant(share.socket.lane, share.socket.index, slot)? {
                lock(&share.granted).retain(|other| *other != slot);
                self.session.untake_slot(slot);
                return Ok(());
            }
        }
    }

    /// Readable if a connection was announced. Looking keeps the stock full as well.
    pub(crate) fn readiness(&self) -> Readiness {
        let mut readable = self.session.is_down();
        for share in &self.shares {
            let Ok(slot) = share.socket.slot() else { continue };
            let available = lock(&slot.stream_rx).available();
            // Rubbish counts as readable: accepting reports it.
            readable |= available.map_or(true, |len| len as usize >= ACCEPTED_BYTES);
            if available.is_ok() && self.top_up(share, self.stock).is_err() {
                readable = true;
            }
        }
        Readiness { readable, error: self.session.is_down(), ..Readiness::default() }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for share in std::mem::take(&mut self.shares) {
            if share.socket.close_and_wait().is_err() {
                continue;
            }
            // The lane reset the connections that nobody took, as Linux does, and announces none after its answer.
            lock(&share.granted).drain(..).for_each(|slot| self.session.untake_slot(slot));
            share.socket.release_slot();
        }
    }
}
