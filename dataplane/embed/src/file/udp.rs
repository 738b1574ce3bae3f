//! A UDP socket as a file, with what the kernel keeps beside the socket itself: halves that were shut down, and a datagram being made.

use crate::errno::{Result, fail};
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use xmit::{MsgFlags, UdpSocket};

/// A UDP socket.
#[derive(Debug)]
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    pub(super) bound: AtomicBool,
    read_shut: AtomicBool,
    write_shut: AtomicBool,
    /// `UDP_CORK`.
    pub(super) cork: AtomicBool,
    /// What was sent with `MSG_MORE` or under the cork, and to whom.
    pending: Mutex<Option<Pending>>,
    /// `IP_PKTINFO`, `IP_RECVTTL`, `IP_RECVTOS`: what comes along with a datagram.
    pub(super) wants_pktinfo: AtomicBool,
    pub(super) wants_ttl: AtomicBool,
    pub(super) wants_tos: AtomicBool,
    pub(super) dont_route: AtomicI32,
    pub(super) max_pacing_rate: AtomicU64,
}

#[derive(Debug)]
struct Pending {
    to: Option<SocketAddrV4>,
    bytes: Vec<u8>,
}

/// No datagram is larger (`udp_sendmsg`).
const LEN_MAX: usize = 0xffff;

impl Udp {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            bound: AtomicBool::new(false),
            read_shut: AtomicBool::new(false),
            write_shut: AtomicBool::new(false),
            cork: AtomicBool::new(false),
            pending: Mutex::default(),
            wants_pktinfo: AtomicBool::new(false),
            wants_ttl: AtomicBool::new(false),
            wants_tos: AtomicBool::new(false),
            dont_route: AtomicI32::new(0),
            max_pacing_rate: AtomicU64::new(u64::MAX),
        }
    }

    /// Ends a half of a connected socket, for this program alone.
    pub(super) fn shutdown(&self, how: Shutdown) -> Result<()> {
        if self.socket.peer_addr().is_err() {
            return fail(libc::ENOTCONN);
        }
        self.read_shut.fetch_or(how != Shutdown::Write, Ordering::Relaxed);
        self.write_shut.fetch_or(how != Shutdown::Read, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn is_read_shut(&self) -> bool {
        self.read_shut.load(Ordering::Relaxed)
    }

    /// Sends, or adds to a datagram that is being made (`ip_append_data`).
    pub(super) fn send(&self, parts: &[IoSlice<'_>], to: Option<SocketAddrV4>, flags: MsgFlags) -> Result<usize> {
        if self.write_shut.load(Ordering::Relaxed) {
            return fail(libc::EPIPE);
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let corked = flags.more || self.cork.load(Ordering::Relaxed);
        if !corked && pending.is_none() {
            drop(pending);
            return Ok(self.socket.send_with(parts, to, flags)?);
        }
        if to.is_none() && pending.is_none() && self.socket.peer_addr().is_err() {
            return fail(libc::EDESTADDRREQ);
        }
        let made = pending.get_or_insert_with(|| Pending { to, bytes: Vec::new() });
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if made.bytes.len() + len > LEN_MAX {
            *pending = None;
            return fail(libc::EMSGSIZE);
        }
        parts.iter().for_each(|part| made.bytes.extend_from_slice(part));
        if !corked {
            let made = pending.take();
            drop(pending);
            self.push(made, flags)?;
        }
        Ok(len)
    }

    /// Sends what is being made (`udp_push_pending_frames`).
    pub(super) fn uncork(&self) -> Result<()> {
        let made = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.push(made, MsgFlags::default())
    }

    fn push(&self, made: Option<Pending>, flags: MsgFlags) -> Result<()> {
        if let Some(Pending { to, bytes }) = made {
            self.socket.send_with(&[IoSlice::new(&bytes)], to, flags)?;
        }
        Ok(())
    }
}
