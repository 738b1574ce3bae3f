//! One slot of the session's table, each half behind its own lock: one thread may send while another receives.

use crate::tcp::Readiness;
use crate::wait::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use xmit_shared::session::{ClientRx, ClientSlot, ClientTx, SlotStatus, StreamEvents, StreamReceiver, StreamSender};

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) tx: Mutex<ClientTx>,
    pub(crate) rx: Mutex<ClientRx>,
    pub(crate) stream_tx: Mutex<StreamSender>,
    pub(crate) stream_rx: Mutex<StreamReceiver>,
    pub(crate) status: SlotStatus,
    /// The numbered error that was taken last.
    error_seen: AtomicU32,
    /// A stream of which nothing but the slot tells how it stands ([`Slot::usual_readiness`]).
    usual: AtomicBool,
}

/// The room that makes a socket writable: the largest datagram, so that a writable socket never gives `EAGAIN`.
const WRITABLE_ROOM: u32 = 65_507 + 2 * 32;

impl Slot {
    pub(crate) fn new(slot: ClientSlot) -> Self {
        Self {
            error_seen: AtomicU32::new(slot.status.error()),
            tx: Mutex::new(slot.tx),
            rx: Mutex::new(slot.rx),
            stream_tx: Mutex::new(slot.stream_tx),
            stream_rx: Mutex::new(slot.stream_rx),
            status: slot.status,
            usual: AtomicBool::new(false),
        }
    }

    /// Forgets what an earlier socket left here. After `Open`, before anything can arrive.
    pub(crate) fn restart(&self) {
        lock(&self.rx).restart();
        self.forget_error();
    }

    /// Starts both directions of a stream anew, after the lane opened the slot.
    pub(crate) fn restart_stream(&self) {
        lock(&self.stream_tx).restart();
        lock(&self.stream_rx).restart();
    }

    /// Forgets the errors of an earlier socket, while the slot is not open.
    pub(crate) fn forget_error(&self) {
        self.error_seen.store(self.status.error(), Ordering::Relaxed);
    }

    pub(crate) fn stream_events(&self) -> StreamEvents {
        StreamEvents(self.status.events())
    }

    /// The pending error, which is none afterwards: `SO_ERROR`.
    pub(crate) fn take_error(&self) -> Option<i32> {
        let error = self.status.error();
        if error == self.error_seen.load(Ordering::Relaxed) {
            return None;
        }
        // Of several threads that see it, one takes it.
        let errno = (error & 0xffff).cast_signed();
        (self.error_seen.swap(error, Ordering::Relaxed) != error && errno != 0).then_some(errno)
    }

    /// True if an error is pending.
    pub(crate) fn has_error(&self) -> bool {
        self.status.error() != self.error_seen.load(Ordering::Relaxed)
    }

    /// Says whether the program has asked for nothing that changes how the stream stands: half a connection shut, a low-water mark.
    pub(crate) fn set_usual(&self, usual: bool) {
        self.usual.store(usual, Ordering::Relaxed);
    }

    /// How a connected stream stands, whether there is room apart, without its socket: a few words tell, and no other thread's counts
    /// are touched. `None` if it takes a closer look.
    #[inline]
    pub(crate) fn usual_readiness(&self) -> Option<Readiness> {
        let usual = self.usual.load(Ordering::Relaxed)
            && self.stream_events() == StreamEvents::CONNECTED
            && !self.has_error()
            && self.status.stream_urgent_count() == 0;
        usual.then(|| Readiness { readable: self.status.stream_unread() > 0, ..Readiness::default() })
    }

    /// True if a datagram waits. Rubbish counts as readable: the read reports it.
    pub(crate) fn readable(&self) -> bool {
        !matches!(lock(&self.rx).peek(), Ok(None))
    }

    /// True if the lane has taken every datagram. Rubbish counts as taken: the next call reports it.
    pub(crate) fn drained(&self) -> bool {
        lock(&self.tx).is_drained().unwrap_or(true)
    }

    /// True if any datagram fits. Rubbish counts as writable: the write reports it.
    pub(crate) fn writable(&self) -> bool {
        lock(&self.tx).room().map_or(true, |room| room >= WRITABLE_ROOM)
    }
}
