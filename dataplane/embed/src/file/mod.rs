//! Descriptors and the calls of POSIX on them, over the sockets of the client crate.
//!
//! * `table`: numbers and what they stand for; `open`: sockets coming to be, connecting and ending;
//! * `transfer`: the send and receive family; `options`: `getsockopt` and `setsockopt`; `control`: `fcntl` and `ioctl`;
//! * `error_queue`: what `MSG_ERRQUEUE` reads; `poll`, `epoll`: readiness; `pipe`, `splice`: data that does not pass through the program.
//!
//! Invariants: a file lives as long as a descriptor or a call under way needs it; errors are those that Linux gives.

mod control;
mod epoll;
mod error_queue;
mod open;
mod options;
mod pipe;
mod poll;
mod splice;
mod table;
mod tcp;
mod transfer;
mod udp;

pub(crate) use control::{Argument, IoctlResult, fcntl, ioctl, reads_argument};
pub(crate) use epoll::{EpollEvent, epoll_create, epoll_ctl, epoll_wait};
pub(crate) use error_queue::ErrorQueues;
pub(crate) use open::{Address, accept, bind, connect, listen, shutdown, socket};
pub(crate) use options::{get_option, set_option};
pub(crate) use pipe::pipe;
pub(crate) use poll::{PollEntry, poll};
pub(crate) use splice::{send_file, splice};
pub(crate) use table::Files;
pub(crate) use transfer::{Ancillary, receive, send};

use crate::errno::{Result, fail};
use epoll::Epoll;
use pipe::Pipe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use tcp::Tcp;
use udp::Udp;

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    kind: Kind,
    /// `O_NONBLOCK` and `O_ASYNC`.
    flags: AtomicI32,
    /// `F_SETOWN`.
    owner: AtomicI32,
    /// `SO_MARK`: a label for rules of routing and filtering, of which there are none here. Kept for who asks.
    mark: AtomicI32,
}

/// What a file is.
#[derive(Debug)]
enum Kind {
    Tcp(Tcp),
    Udp(Udp),
    Epoll(Epoll),
    PipeRead(Arc<Pipe>),
    PipeWrite(Arc<Pipe>),
}

impl File {
    fn new(kind: Kind, nonblocking: bool) -> Arc<Self> {
        let file = Self { kind, flags: AtomicI32::new(0), owner: AtomicI32::new(0), mark: AtomicI32::new(0) };
        file.set_flags(if nonblocking { libc::O_NONBLOCK } else { 0 });
        Arc::new(file)
    }

    fn is_nonblocking(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & libc::O_NONBLOCK != 0
    }

    /// The status flags, of which two have a meaning here.
    fn set_flags(&self, flags: i32) {
        self.flags.store(flags & (libc::O_NONBLOCK | libc::O_ASYNC), Ordering::Relaxed);
        let nonblocking = self.is_nonblocking();
        match &self.kind {
            Kind::Tcp(tcp) => tcp.set_nonblocking(nonblocking),
            // Never fails.
            Kind::Udp(udp) => _ = udp.socket.set_nonblocking(nonblocking),
            Kind::Epoll(_) | Kind::PipeRead(_) | Kind::PipeWrite(_) => {}
        }
    }

    fn tcp(&self) -> Result<&Tcp> {
        match &self.kind {
            Kind::Tcp(tcp) => Ok(tcp),
            Kind::Udp(_) => fail(libc::EOPNOTSUPP),
            _ => fail(libc::ENOTSOCK),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        match &self.kind {
            Kind::PipeRead(pipe) => pipe.end_reading(),
            Kind::PipeWrite(pipe) => pipe.end_writing(),
            Kind::Tcp(_) | Kind::Udp(_) | Kind::Epoll(_) => {}
        }
    }
}
