//! A segment with its hosts: the drivers of its cards run here, at the exact times of their interrupts.
//!
//! Whoever calls first at a later time lets everything due happen in order: events of the wire, interrupts (after
//! `irq_latency`), watchdogs. What the hosts receive waits in their inboxes for their ports. So the wire behaves the
//! same however the lanes that own the ports take turns, and a card whose lane is busy is not deaf because of it.
//!
//! A lock around a `Lan` joins ports of different lanes. It is an emulation of shared hardware, not the fast path.

use super::bell::Bell;
use super::device::Quirks;
use super::driver::{Driver, Parity, ProbeError, RxFilter, Xmit};
use super::frame_ring::FrameRing;
use super::isa::Isa;
use super::segment::{Segment, StationId};
use super::station::Tap;
use super::timing::{Timing, earlier};
use crate::{Duration, Instant, MacAddr, PortStats};
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events per call. 100 ms of a saturated wire are 3,000; only a card whose interrupt cannot be silenced needs more.
const EVENTS_PER_ADVANCE_MAX: usize = 65_536;

/// What a segment is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LanConfig {
    /// How it treats time.
    pub timing: Timing,
    /// Decides every back-off on it.
    pub seed: u64,
    /// From an interrupt line's rise to its handler. Above the gap of 9.6 us, back-to-back frames are lost.
    pub irq_latency: Duration,
}

/// Could not plug a port into a segment.
#[derive(Debug, thiserror::Error)]
pub enum PlugError {
    /// The card did not answer the probe.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// No descriptor to wake a sleeping lane with.
    #[error("no eventfd for a port of a 3C501 segment: {0}; raise the limit of open files")]
    Eventfd(#[from] io::Error),
}

/// A host or a tap by its place in the [`Lan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlugId(usize);

/// One segment, its cards' drivers and the bells of its ports.
#[derive(Debug)]
pub struct Lan {
    segment: Segment,
    irq_latency: Duration,
    plugs: Vec<Plug>,
}

#[derive(Debug)]
struct Plug {
    station: StationId,
    bell: Bell,
    /// Absent for a tap.
    host: Option<Box<Host>>,
}

#[derive(Debug)]
struct Host {
    driver: Driver,
    inbox: FrameRing,
    irq_since: Option<Instant>,
}

/// A [`Lan`] that several ports share.
#[derive(Clone, Debug)]
pub struct SharedLan(Arc<Mutex<Lan>>);

impl SharedLan {
    /// A segment with nobody on it.
    pub fn new(config: LanConfig) -> Self {
        let segment = Segment::new(config.timing, config.seed);
        Self(Arc::new(Mutex::new(Lan { segment, irq_latency: config.irq_latency, plugs: Vec::new() })))
    }

    /// The segment, for as long as the guard lives. A lane that panicked left it between two events: still usable.
    pub fn lock(&self) -> MutexGuard<'_, Lan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lan {
    /// Plugs in a card and starts its driver.
    ///
    /// # Errors
    /// As [`Driver::el_probe`]; no descriptor left.
    pub fn add_host(&mut self, mac: MacAddr, quirks: Quirks, parity: Parity) -> Result<PlugId, PlugError> {
        let bell = Bell::new()?;
        let station = self.segment.add_card(mac, quirks);
        let now = self.segment.now();
        let mut io = Isa::new(&mut self.segment, station, now);
        let mut driver = Driver::el_probe(&mut io, parity)?;
        driver.el_open(&mut io);
        let host = Host { driver, inbox: FrameRing::new(), irq_since: None };
        Ok(self.plug(Plug { station, bell, host: Some(Box::new(host)) }))
    }

    /// Plugs in a tap.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn add_tap(&mut self) -> Result<PlugId, PlugError> {
        let bell = Bell::new()?;
        let station = self.segment.add_tap();
        Ok(self.plug(Plug { station, bell, host: None }))
    }

    /// The coax itself: its timing, counters and faults.
    pub fn segment(&mut self) -> &mut Segment {
        &mut self.segment
    }

    /// Everything due up to `to`, in order.
    pub fn advance(&mut self, to: Instant) {
        for _ in 0..EVENTS_PER_ADVANCE_MAX {
            let host = self.next_host();
            let wire = self.segment.next_deadline();
            match (host, wire) {
                (Some((at, i)), wire) if at <= to && wire.is_none_or(|wire| at <= wire) => self.run_host(at, i),
                _ => {
                    if !self.segment.step(to) {
                        return;
                    }
                }
            }
        }
    }

    /// The next time that [`Lan::advance`] has something to do.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let host = self.next_host().map(|(at, _)| at);
        earlier(host, self.segment.next_deadline())
    }

    /// Gives a frame to the card of `id`. Busy also for what is no host.
    pub fn start_xmit(&mut self, now: Instant, id: PlugId, frame: &[u8]) -> Xmit {
        let Some((host, mut io)) = self.host(now, id) else { return Xmit::Busy };
        let xmit = host.driver.el_start_xmit(&mut io, &mut host.inbox, frame);
        if xmit == Xmit::Accepted {
            self.ring(id);
        }
        xmit
    }

    /// True if the card of `id` takes a frame now.
    pub fn is_ready(&self, id: PlugId) -> bool {
        self.plugs.get(id.0).and_then(|plug| plug.host.as_ref()).is_some_and(|host| host.driver.is_ready())
    }

    /// Gives a frame to the tap of `id`, padded to `len_min`. False if its queue is full or there is no tap.
    pub fn tap_send(&mut self, now: Instant, id: PlugId, frame: &[u8], len_min: usize) -> bool {
        let sent = self.tap(id).is_some_and(|tap| tap.send(now, frame, len_min));
        if sent {
            self.ring(id);
        }
        sent
    }

    /// Frames that arrived at `id` and were not yet collected.
    pub fn inbox(&mut self, id: PlugId) -> Option<&mut FrameRing> {
        let plug = self.plugs.get_mut(id.0)?;
        match &mut plug.host {
            Some(host) => Some(&mut host.inbox),
            None => self.segment.tap(plug.station).map(|tap| &mut tap.heard),
        }
    }

    /// Sets the address filter of the card of `id`.
    pub fn set_filter(&mut self, id: PlugId, filter: RxFilter) {
        let now = self.segment.now();
        if let Some((host, mut io)) = self.host(now, id) {
            host.driver.set_multicast_list(&mut io, filter);
        }
    }

    /// Takes the card or tap of `id` off the wire. Its place stays.
    pub fn close(&mut self, id: PlugId) {
        let now = self.segment.now();
        if let Some((host, mut io)) = self.host(now, id) {
            host.driver.el_close(&mut io);
            host.inbox.clear();
        } else if let Some(tap) = self.tap(id) {
            tap.close();
        }
    }

    /// Counters of the driver or tap of `id`.
    pub fn stats(&mut self, id: PlugId) -> PortStats {
        match self.plugs.get(id.0).and_then(|p| p.host.as_ref()) {
            Some(host) => host.driver.stats(),
            None => self.tap(id).map_or_else(PortStats::default, |tap| tap.stats),
        }
    }

    /// Arms the bell of `id`: from now on whoever sends rings it.
    pub fn arm(&mut self, id: PlugId) -> Option<RawFd> {
        self.plugs.get_mut(id.0).map(|plug| plug.bell.arm())
    }

    fn plug(&mut self, plug: Plug) -> PlugId {
        self.plugs.push(plug);
        PlugId(self.plugs.len() - 1)
    }

    /// A new transmission changes what the sleepers must wait for.
    fn ring(&mut self, sender: PlugId) {
        let others = self.plugs.iter_mut().enumerate().filter(|(i, _)| *i != sender.0);
        others.for_each(|(_, plug)| plug.bell.ring());
    }

    fn tap(&mut self, id: PlugId) -> Option<&mut Tap> {
        let station = self.plugs.get(id.0)?.station;
        self.segment.tap(station)
    }

    fn host(&mut self, now: Instant, id: PlugId) -> Option<(&mut Host, Isa<'_>)> {
        let plug = self.plugs.get_mut(id.0)?;
        let host = plug.host.as_deref_mut()?;
        Some((host, Isa::new(&mut self.segment, plug.station, now)))
    }

    /// Which host's interrupt handler or watchdog is due first, and when.
    fn next_host(&mut self) -> Option<(Instant, usize)> {
        let (now, mut next) = (self.segment.now(), None);
        for (i, plug) in self.plugs.iter_mut().enumerate() {
            let Some(host) = &mut plug.host else { continue };
            let line = self.segment.card(plug.station).is_some_and(|card| card.irq());
            host.irq_since = if line { host.irq_since.or(Some(now)) } else { None };
            let irq = host.irq_since.map(|at| at + self.irq_latency);
            if let Some(at) = earlier(irq, host.driver.next_deadline()) {
                next = next.min(Some((at, i))).or(Some((at, i)));
            }
        }
        next
    }

    fn run_host(&mut self, at: Instant, i: usize) {
        self.segment.wait(at); // what the wire does at `at` itself comes after the interrupt
        let latency = self.irq_latency;
        let Some((host, mut io)) = self.host(at, PlugId(i)) else { return };
        if host.irq_since.take().is_some_and(|since| since + latency <= io.now()) {
            host.driver.el_interrupt(&mut io, &mut host.inbox);
        } else if host.driver.next_deadline().is_some_and(|at| at <= io.now()) {
            host.driver.el_timeout(&mut io);
        }
    }
}
