//! Data that goes with the SYN (RFC 7413; `tcp_sendmsg_fastopen`): `MSG_FASTOPEN`, and the first write behind `TCP_FASTOPEN_CONNECT`.
//!
//! The lane says at connecting how much the SYN takes. A call that does not wait ends with that; one that waits sends the rest when the
//! connection is established, whether the peer took the data of the SYN or not.

use super::socket::{Phase, TcpSocket};
use super::transfer::MsgFlags;
use crate::session::os_error;
use crate::wait::lock;
use core::net::SocketAddrV4;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use xmit_shared::session::Op;

impl TcpSocket {
    /// `sendmsg` with `MSG_FASTOPEN`: connects to `to` and sends.
    ///
    /// # Errors
    /// `EINPROGRESS` if it was begun without data, and does not wait; `EALREADY` while it lasts, `EISCONN` afterwards; `EOPNOTSUPP` if the
    /// system's settings have it so; those of [`TcpSocket::connect`] and [`TcpSocket::send_with`].
    pub fn send_fast_open(&self, parts: &[IoSlice<'_>], to: SocketAddrV4, flags: MsgFlags) -> io::Result<usize> {
        match self.phase() {
            Phase::Idle => {
                if self.dial(Op::FastOpen(to), to)? {
                    return self.send_first(parts, flags);
                }
                let sent = if self.waits(flags) { self.write_ahead(parts, usize::MAX)? } else { 0 };
                self.send_behind_handshake(parts, sent, flags, libc::EINPROGRESS)
            }
            Phase::Deferred => self.send_first(parts, flags),
            Phase::Connecting => self.send_behind_handshake(parts, 0, flags, libc::EALREADY),
            Phase::Connected | Phase::Listening => Err(os_error(libc::EISCONN)),
        }
    }

    /// Sends the SYN that waits, with what it takes of `parts`.
    pub(super) fn send_first(&self, parts: &[IoSlice<'_>], flags: MsgFlags) -> io::Result<usize> {
        self.set_phase(Phase::Connecting);
        let room = self.syn_room.load(Ordering::Relaxed) as usize;
        let sent = self.write_ahead(parts, if self.waits(flags) { usize::MAX } else { room })?;
        // Also without data: the SYN shall leave now.
        let to = self.peer_wanted().ok_or_else(|| os_error(libc::ENOTCONN))?;
        self.call(Op::FastOpen(to))?;
        self.send_behind_handshake(parts, sent, flags, libc::EINPROGRESS)
    }

    /// Writes up to `room` bytes of `parts` before the handshake is over, so that the lane knows that more comes.
    fn write_ahead(&self, parts: &[IoSlice<'_>], mut room: usize) -> io::Result<usize> {
        let mut sent = 0;
        let mut tx = lock(&self.slot()?.stream_tx);
        for part in parts {
            let now = part.get(..part.len().min(room)).unwrap_or_default();
            let len = tx.write(now).map_err(|rubbish| self.session.rubbish(rubbish))?;
            (sent, room) = (sent + len, room - len);
            if len < part.len() {
                break;
            }
        }
        tx.publish(false);
        Ok(sent)
    }

    fn send_behind_handshake(
        &self,
        parts: &[IoSlice<'_>],
        sent: usize,
        flags: MsgFlags,
        unfinished: i32,
    ) -> io::Result<usize> {
        let deadline = self.write_timeout.deadline(self.session.now());
        match self.await_connection(deadline, !self.waits(flags), unfinished) {
            Ok(()) => self.send_behind(parts, sent, flags),
            Err(error) if sent > 0 && error.raw_os_error() == Some(unfinished) => Ok(sent),
            Err(error) => Err(error),
        }
    }
}
