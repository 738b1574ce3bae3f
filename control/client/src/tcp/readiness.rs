//! How a TCP socket stands, in the words of `poll` (`tcp_poll`).

use super::socket::{Phase, TcpSocket};
use super::urgent::OutOfBand;
use crate::slot::Slot;
use crate::wait::lock;
use std::sync::atomic::Ordering;
use xmit_shared::session::StreamEvents;

/// What a poller tells about a socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Readiness {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) error: bool,
    pub(crate) hup: bool,
    pub(crate) read_hup: bool,
    pub(crate) priority: bool,
}

impl TcpSocket {
    /// How the socket stands, as `tcp_poll` says it.
    pub(crate) fn readiness(&self) -> Readiness {
        let Ok(slot) = self.slot() else { return Readiness::default() };
        // Before the rings: what was shown before the end is then seen.
        let events = slot.stream_events();
        let error = self.session.is_down() || slot.has_error();
        let phase = self.phase();
        let open = phase == Phase::Connected || events.contains(StreamEvents::CONNECTED);
        let closed = events.contains(StreamEvents::CLOSED) || phase == Phase::Idle;
        let read_end = closed || self.read_shut.load(Ordering::Relaxed) || events.contains(StreamEvents::RECEIVE_END);
        let write_end = closed || self.write_shut.load(Ordering::Relaxed) || events.contains(StreamEvents::SEND_END);
        let (data, urgent) = if open { self.look_for_data(slot) } else { (false, false) };
        Readiness {
            readable: error || (phase != Phase::Idle && read_end) || data,
            writable: error || write_end || (open && self.has_room(slot)),
            error,
            hup: closed || (read_end && write_end),
            read_hup: read_end && phase != Phase::Idle,
            priority: urgent,
        }
    }

    /// Whether bytes wait to be read, and an urgent one. Rubbish counts as readable: the read reports it.
    fn look_for_data(&self, slot: &Slot) -> (bool, bool) {
        let mut rx = lock(&slot.stream_rx);
        let Ok(available) = rx.available() else { return (true, false) };
        let mut urgent = lock(&self.urgent);
        let (readable, told) = urgent.readable(&mut rx, available);
        let out_of_band = matches!(urgent.out_of_band(&rx, available), OutOfBand::Byte(_));
        drop((rx, urgent));
        if told {
            self.session.kick(self.lane, self.index);
        }
        (readable > 0, out_of_band)
    }
}
