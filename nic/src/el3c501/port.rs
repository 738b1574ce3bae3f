//! Cards and taps of a segment as ports of a lane.

use super::device::Quirks;
use super::driver::{Parity, RxFilter, Xmit};
use super::frame_ring::FrameRing;
use super::lan::{Lan, PlugError, PlugId, SharedLan};
use super::timing::{FRAME_BYTES_MAX, FRAME_BYTES_MIN};
use crate::{Burst, Caps, Frame, Instant, MacAddr, Pool, Port, PortStats, Wakeup};

/// One 3C501 with its driver: a port with a single place for transmission.
///
/// `tx_burst` takes one frame while the card is free and leaves the rest. Frames are copied into and out of the card,
/// so the port holds none between calls.
#[derive(Debug)]
pub struct El3c501Port {
    lan: SharedLan,
    id: PlugId,
    caps: Caps,
    tx_dropped: u64,
    rx_dropped: u64,
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
        Ok(Self { lan: lan.clone(), id, caps, tx_dropped: 0, rx_dropped: 0 })
    }
}

impl Port for El3c501Port {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut lan = self.lan.lock();
        lan.advance(now);
        self.rx_dropped += collect(lan.inbox(self.id), pool, burst);
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut lan = self.lan.lock();
        lan.advance(now);
        let (id, dropped) = (self.id, &mut self.tx_dropped);
        take_front(pool, burst, dropped, |frame| lan.start_xmit(now, id, frame.bytes()) == Xmit::Accepted);
    }

    fn service(&mut self, now: Instant, _pool: &mut Pool) {
        self.lan.lock().advance(now);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        sleep(&mut self.lan.lock(), self.id, now)
    }

    fn stats(&self) -> PortStats {
        let stats = self.lan.lock().stats(self.id);
        PortStats {
            tx_dropped: stats.tx_dropped + self.tx_dropped,
            rx_dropped: stats.rx_dropped + self.rx_dropped,
            ..stats
        }
    }

    fn set_all_multicast(&mut self, all: bool) {
        let filter = if all { RxFilter::AllMulticast } else { RxFilter::Normal };
        self.lan.lock().set_filter(self.id, filter);
    }

    fn shutdown(&mut self, _pool: &mut Pool) {
        self.lan.lock().close(self.id);
    }
}

/// The raw wire side of a segment: hears every good frame, sends every frame. What joins a card's wire to another
/// port. It pads short frames like any NIC.
#[derive(Debug)]
pub struct SegmentTap {
    lan: SharedLan,
    id: PlugId,
    caps: Caps,
    len_min: usize,
    tx_dropped: u64,
    rx_dropped: u64,
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
        Ok(Self { lan: lan.clone(), id, caps, len_min: FRAME_BYTES_MIN, tx_dropped: 0, rx_dropped: 0 })
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
        &self.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut lan = self.lan.lock();
        lan.advance(now);
        self.rx_dropped += collect(lan.inbox(self.id), pool, burst);
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut lan = self.lan.lock();
        lan.advance(now);
        let (id, len_min, dropped) = (self.id, self.len_min, &mut self.tx_dropped);
        take_front(pool, burst, dropped, |frame| lan.tap_send(now, id, frame.bytes(), len_min));
    }

    fn service(&mut self, now: Instant, _pool: &mut Pool) {
        self.lan.lock().advance(now);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        sleep(&mut self.lan.lock(), self.id, now)
    }

    fn stats(&self) -> PortStats {
        let stats = self.lan.lock().stats(self.id);
        PortStats {
            tx_dropped: stats.tx_dropped + self.tx_dropped,
            rx_dropped: stats.rx_dropped + self.rx_dropped,
            ..stats
        }
    }

    fn shutdown(&mut self, _pool: &mut Pool) {
        self.lan.lock().close(self.id);
    }
}

/// Moves what arrived into frames of the lane. Answers how many did not fit a frame. Without a free frame the rest
/// waits.
fn collect(inbox: Option<&mut FrameRing>, pool: &mut Pool, burst: &mut Burst) -> u64 {
    let mut dropped = 0;
    let Some(inbox) = inbox else { return dropped };
    while !burst.is_full() {
        let Some(bytes) = inbox.front() else { break };
        let Some(mut frame) = pool.acquire() else { break };
        if frame.fill(bytes) {
            burst.push(frame);
        } else {
            pool.release(frame);
            dropped += 1;
        }
        inbox.pop();
    }
    dropped
}

/// Offers frames to `send` from the front of `burst` until it refuses one; frames no Ethernet carries are dropped.
fn take_front(pool: &mut Pool, burst: &mut Burst, dropped: &mut u64, mut send: impl FnMut(&Frame) -> bool) {
    let mut taken = 0;
    for frame in burst.iter() {
        if frame.len() > FRAME_BYTES_MAX {
            *dropped += 1;
        } else if !send(frame) {
            break;
        }
        taken += 1;
    }
    burst.drain(..taken).for_each(|frame| pool.release(frame));
}

/// Wakes for the next event of the wire, for what others send meanwhile, and at once for what has already arrived.
fn sleep(lan: &mut Lan, id: PlugId, now: Instant) -> Wakeup {
    lan.advance(now);
    let waiting = lan.inbox(id).is_some_and(|inbox| !inbox.is_empty());
    let at = if waiting { Some(now) } else { lan.next_deadline() };
    Wakeup { fds: lan.arm(id).into_iter().collect(), at }
}
