//! How a TCP socket stands, in the words of `poll` (`tcp_poll`).

use super::socket::{Phase, TcpSocket};
use super::urgent::OutOfBand;
use crate::slot::Slot;
use crate::wait::lock;
use std::sync::atomic::Ordering;
use xmit_shared::session::StreamEvents;

/// What a poller tells about a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes, a datagram, a connection or the end can be read (`POLLIN`).
    pub readable: bool,
    /// There is room to write, or writing reports what is wrong (`POLLOUT`).
    pub writable: bool,
    /// An error is pending (`POLLERR`).
    pub error: bool,
    /// The connection is gone in both directions, or there is none (`POLLHUP`).
    pub hup: bool,
    /// The peer sends nothing more (`POLLRDHUP`).
    pub read_hup: bool,
    /// An urgent byte waits (`POLLPRI`).
    pub priority: bool,
}

/// Counts by which an edge-triggered watcher knows that something happened since it looked last. A socket is watched by its `Readiness`;
/// these say whether to tell it again (`ep_poll_callback`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Grows when something came to be read.
    pub received: u32,
    /// Grows when there is room again for a writer that found none.
    pub refilled: u32,
    /// Differs when the connection's state, its error or its urgent byte changed.
    pub changes: [u32; 3],
}

impl TcpSocket {
    /// How the socket stands, as `tcp_poll` says it.
    pub fn readiness(&self) -> Readiness {
        self.readiness_for(true)
    }

    /// The same; whether there is room to write is looked at only for `writers`.
    pub(crate) fn readiness_for(&self, writers: bool) -> Readiness {
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
            writable: error || write_end || phase == Phase::Deferred || (writers && open && self.look_for_room(slot)),
            error,
            hup: closed || (read_end && write_end),
            read_hup: read_end && phase != Phase::Idle,
            priority: urgent,
        }
    }

    /// Whether bytes wait to be read, and an urgent one. Rubbish counts as readable: the read reports it.
    fn look_for_data(&self, slot: &Slot) -> (bool, bool) {
        let lowat = self.rcvlowat.load(Ordering::Relaxed);
        if lowat <= 1 && slot.status.stream_urgent_count() == 0 {
            // Nearly always: two words tell.
            return (slot.status.stream_unread() > 0, false);
        }
        let mut rx = lock(&slot.stream_rx);
        let Ok(available) = rx.available() else { return (true, false) };
        let mut urgent = lock(&self.urgent);
        let (readable, told) = urgent.readable(&mut rx, available);
        let out_of_band = matches!(urgent.out_of_band(&rx, available), OutOfBand::Byte(_));
        let rx_size = rx.size();
        drop((rx, urgent));
        if told {
            self.session.kick(self.lane, self.index);
        }
        let enough = lowat.min(rx_size / 2).max(1);
        (readable >= enough, out_of_band)
    }

    /// What happened to the socket so far.
    pub fn marks(&self) -> Marks {
        let Ok(slot) = self.slot() else { return Marks::default() };
        let (events, error) = (slot.stream_events().0, slot.status.error());
        let mut rx = lock(&slot.stream_rx);
        // Rubbish is reported by the next read.
        let _ = rx.available();
        let (received, urgent) = (rx.shown(), rx.urgent().0);
        drop(rx);
        Marks { received, refilled: self.refills.load(Ordering::Relaxed), changes: [events, error, urgent] }
    }

    /// True if a write takes something now. A writer who finds no room waits for it from now on (`SOCK_NOSPACE`), and one who has
    /// waited is told once (`sk_stream_write_space`).
    pub(super) fn look_for_room(&self, slot: &Slot) -> bool {
        let room = self.has_room(slot);
        if self.starved.swap(!room, Ordering::Relaxed) && room {
            self.refills.fetch_add(1, Ordering::Relaxed);
        }
        room
    }
}
