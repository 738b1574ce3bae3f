//! A TCP socket as a file: one that connects, or one that listens.

use super::error_queue::ErrorQueue;
use crate::errno::{Errno, Result};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use xmit::{SocketOption, TcpListener, TcpSocket, TcpStream};

/// A TCP socket.
#[derive(Debug)]
pub(super) struct Tcp {
    pub(super) socket: Arc<TcpSocket>,
    listener: Mutex<Option<TcpListener>>,
    /// `TCP_INQ`: received data comes with the number of bytes behind it.
    pub(super) inq: AtomicBool,
    /// `SO_DONTROUTE` and its like, which change nothing here: kept for who asks.
    pub(super) dont_route: AtomicI32,
    pub(super) errors: Arc<ErrorQueue>,
}

impl Tcp {
    pub(super) fn new(socket: Arc<TcpSocket>) -> Self {
        let errors = ErrorQueue::new(&socket);
        Self { errors, socket, listener: Mutex::default(), inq: AtomicBool::new(false), dont_route: AtomicI32::new(0) }
    }

    /// The socket of a connection that arrived here: what the listener was told holds for it too (`inet_csk_clone_lock`).
    pub(super) fn accepted(&self, stream: &TcpStream) -> Result<Self> {
        let (ours, theirs) = (self.stream(), stream);
        theirs.set_read_timeout(ours.read_timeout()?)?;
        theirs.set_write_timeout(ours.write_timeout()?)?;
        let socket = stream.socket().clone();
        socket.set_oob_inline(self.socket.oob_inline());
        socket.set_receive_lowat(self.socket.receive_lowat());
        let accepted = Self::new(socket);
        accepted.errors.inherit(&self.errors);
        accepted.inq.store(self.inq.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(accepted)
    }

    /// The listener, if it is one.
    pub(super) fn listener(&self) -> Option<TcpListener> {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        // Another handle never fails to be made.
        listener.as_ref().and_then(|listener| listener.try_clone().ok())
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Begins to listen, or changes the length of the queue.
    pub(super) fn listen(&self, backlog: u32, nonblocking: bool) -> Result<()> {
        if let Some(listener) = self.listener() {
            return Ok(listener.set_backlog(backlog)?);
        }
        let listener = TcpListener::listen(self.socket.clone(), backlog)?;
        listener.set_nonblocking(nonblocking)?;
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        Ok(())
    }

    /// Listens no longer.
    pub(super) fn end_listening(&self) {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Closing it waits for the lane.
        drop(listener);
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) {
        self.socket.set_nonblocking(nonblocking);
        if let Some(listener) = self.listener() {
            // Never fails.
            let _ = listener.set_nonblocking(nonblocking);
        }
    }

    /// The socket with the habits of `std`.
    pub(super) fn stream(&self) -> TcpStream {
        TcpStream::from(self.socket.clone())
    }

    pub(super) fn set_option(&self, option: SocketOption, value: i32) -> Result<()> {
        match self.listener() {
            Some(listener) => listener.set_option(option, value).map_err(Errno::from),
            None => self.socket.set_option(option, value).map_err(Errno::from),
        }
    }
}
