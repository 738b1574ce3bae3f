//! Cards and taps of a segment as ports of a lane.

use super::device::Quirks;
use super::driver::{Parity, RxFilter, Xmit};
use super::lan::{Lan, PlugError, PlugId, SharedLan};
use super::timing::{FRAME_BYTES_MAX, FRAME_BYTES_MIN};
use crate::{Burst, Caps, Instant, MacAddr, Pool, Port, PortStats, Wakeup};

/// One 3C501 with its driver: a port with a single place for transmission.
///
/// `tx_burst` takes one frame while the card is free and leaves the rest. Frames are copied into and out of the card,
/// so the port holds none between calls.
#[derive(Debug)]
pub struct El3c501Port {
    plug: Plugged,
}

impl El3c501Port {
    /// Plugs a new card named `name` with the address `mac` into `lan` and opens it.
    ///
    /// # Errors
    /// If `mac` is not of a vendor of 3C501s, or no descriptor is left.
    pub fn open(lan: &SharedLan, name: &str, mac: MacAddr, quirks: Quirks, parity: Parity) -> Result<Self, PlugError> {
        let mut guard = lan.lock();
        let id = guard.add_host(mac, quirks, parity)?;
        let caps = Caps::plain(name, mac, format!("3C501, {}", guard.segment().timing().name()));
        Ok(Self { plug: Plugged::new(lan, id, caps) })
    }

    /// Which addresses the card hears from now on.
    pub fn set_filter(&self, filter: RxFilter) {
        self.plug.lan.lock().set_filter(self.plug.id, filter);
    }
}

impl Port for El3c501Port {
    fn caps(&self) -> &Caps {
        &self.plug.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        self.plug.collect(now, pool, burst);
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let accepted = |lan: &mut Lan, id, frame: &[u8]| lan.start_xmit(now, id, frame) == Xmit::Accepted;
        self.plug.take_front(now, pool, burst, accepted);
    }

    fn tx_room(&self) -> usize {
        usize::from(self.plug.lan.lock().is_ready(self.plug.id))
    }

    fn service(&mut self, now: Instant, _pool: &mut Pool) {
        self.plug.lan.lock().advance(now);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        self.plug.sleep(now)
    }

    fn stats(&self) -> PortStats {
        self.plug.stats()
    }

    fn set_all_multicast(&mut self, all: bool) {
        self.set_filter(if all { RxFilter::AllMulticast } else { RxFilter::Normal });
    }

    fn shutdown(&mut self, _pool: &mut Pool) {
        self.plug.lan.lock().close(self.plug.id);
    }
}

/// The raw wire side of a segment: hears every good frame, sends every frame. What joins a card's wire to another
/// port. It pads short frames like any NIC.
#[derive(Debug)]
pub struct SegmentTap {
    plug: Plugged,
    len_min: usize,
}

impl SegmentTap {
    /// Plugs a tap named `name` into `lan`. `mac` is only what [`Caps`] shows.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn open(lan: &SharedLan, name: &str, mac: MacAddr) -> Result<Self, PlugError> {
        let mut guard = lan.lock();
        let id = guard.add_tap()?;
        let caps = Caps::plain(name, mac, format!("3C501 segment tap, {}", guard.segment().timing().name()));
        Ok(Self { plug: Plugged::new(lan, id, caps), len_min: FRAME_BYTES_MIN })
    }

    /// Puts short frames on the wire as they are; cards flag them.
    #[must_use]
    pub fn without_padding(mut self) -> Self {
        self.len_min = 0;
        self
    }
}

impl Port for SegmentTap {
    fn caps(&self) -> &Caps {
        &self.plug.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        self.plug.collect(now, pool, burst);
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let len_min = self.len_min;
        let queued = |lan: &mut Lan, id, frame: &[u8]| lan.tap_send(now, id, frame, len_min);
        self.plug.take_front(now, pool, burst, queued);
    }

    fn service(&mut self, now: Instant, _pool: &mut Pool) {
        self.plug.lan.lock().advance(now);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        self.plug.sleep(now)
    }

    fn stats(&self) -> PortStats {
        self.plug.stats()
    }

    fn shutdown(&mut self, _pool: &mut Pool) {
        self.plug.lan.lock().close(self.plug.id);
    }
}

/// What both kinds of port are: a place on a segment, seen by one lane.
#[derive(Debug)]
struct Plugged {
    lan: SharedLan,
    id: PlugId,
    caps: Caps,
    tx_dropped: u64,
    rx_dropped: u64,
}

impl Plugged {
    fn new(lan: &SharedLan, id: PlugId, caps: Caps) -> Self {
        Self { lan: lan.clone(), id, caps, tx_dropped: 0, rx_dropped: 0 }
    }

    /// Moves what arrived into frames of the lane; what is longer than such a frame is dropped. Without a free frame
    /// the rest waits.
    fn collect(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut lan = self.lan.lock();
        lan.advance(now);
        let Some(inbox) = lan.inbox(self.id) else { return };
        while !burst.is_full() {
            let Some(bytes) = inbox.front() else { break };
            let Some(mut frame) = pool.acquire() else { break };
            if frame.fill(bytes) {
                burst.push(frame);
            } else {
                pool.release(frame);
                self.rx_dropped += 1;
            }
            inbox.pop();
        }
    }

    /// Offers frames to `send` from the front of `burst` until it refuses one; frames that no Ethernet carries are
    /// dropped.
    fn take_front(
        &mut self,
        now: Instant,
        pool: &mut Pool,
        burst: &mut Burst,
        send: impl Fn(&mut Lan, PlugId, &[u8]) -> bool,
    ) {
        let mut lan = self.lan.lock();
        lan.advance(now);
        let mut taken = 0;
        for frame in burst.iter() {
            if frame.len() > FRAME_BYTES_MAX {
                self.tx_dropped += 1;
            } else if !send(&mut lan, self.id, frame.bytes()) {
                break;
            }
            taken += 1;
        }
        burst.drain(..taken).for_each(|frame| pool.release(frame));
    }

    /// Wakes for the next event of the wire, for what others send meanwhile, and at once for what already arrived.
    fn sleep(&self, now: Instant) -> Wakeup {
        let mut lan = self.lan.lock();
        lan.advance(now);
        let waiting = lan.inbox(self.id).is_some_and(|inbox| !inbox.is_empty());
        let at = if waiting { Some(now) } else { lan.next_deadline() };
        Wakeup { fds: lan.arm(self.id).into_iter().collect(), at }
    }

    fn stats(&self) -> PortStats {
        let stats = self.lan.lock().stats(self.id);
        PortStats {
            tx_dropped: stats.tx_dropped + self.tx_dropped,
            rx_dropped: stats.rx_dropped + self.rx_dropped,
            ..stats
        }
    }
}
