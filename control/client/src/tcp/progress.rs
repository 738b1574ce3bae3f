//! How far a stream's bytes have come: for who has to tell when they were sent and acknowledged.

use super::socket::TcpSocket;
use crate::session::Inner;
use crate::wait::lock;
use std::sync::Arc;
use xmit_shared::session::StreamEvents;

/// Looks at a socket's send ring without keeping the socket open.
#[derive(Debug)]
pub struct Progress {
    session: Arc<Inner>,
    index: u32,
}

/// Positions in a stream, which begin at 0 and wrap at 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Behind the last byte that the peer has acknowledged.
    pub acked: u32,
    /// Behind the last byte that was sent.
    pub sent: u32,
    /// Behind the last byte that was written.
    pub written: u32,
    /// The connection is gone: nothing more comes of what was written.
    pub over: bool,
}

impl TcpSocket {
    /// How far this socket's bytes have come, also while others use it.
    pub fn progress(&self) -> Progress {
        Progress { session: self.session.clone(), index: self.index }
    }
}

impl Progress {
    /// How far they have come now. `None` if that cannot be said.
    pub fn look(&self) -> Option<Sent> {
        let slot = self.session.slots.get(self.index as usize)?;
        let over = slot.stream_events().contains(StreamEvents::CLOSED);
        let mut tx = lock(&slot.stream_tx);
        let [acked, sent, written] = tx.positions().ok()?;
        Some(Sent { acked, sent, written, over })
    }
}
