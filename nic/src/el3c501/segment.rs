//! The shared coax: carrier sense, gap, collision, jam (IEEE 802.3 clause 4).
//!
//! ```text
//!  A  |preamble|frame ....|      B was heard too late: both jam, both report a collision
//!  B       |preamble|jam|
//!     |<-window->|                a station ready later than the window hears A and waits for silence and the gap
//! ```
//!
//! Invariants: events happen in the order of their times, ends before starts; the same calls with the same seeds give
//! the same wire; a frame that is sent reaches every station that was armed when it began.
//! Not modelled: fragments of a collision are heard by nobody; all distances are the same.
//!
//! `Lan` owns one and steps it; register tests use it alone.

use super::device::{Card, Heard, Quirks, TxEnd};
use super::fcs::fcs;
use super::registers::BUFFER_BYTES;
use super::station::{Station, StationKind, Tap};
use super::timing::{Timing, earlier};
use crate::{Instant, MacAddr};

/// A station by its place on the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StationId(usize);

/// Something to go wrong on the wire, for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transmission collides with noise.
    Collision,
    /// The sender runs dry.
    Underflow,
    /// The frame arrives with a wrong check sequence.
    Damage,
    /// The frame arrives with some bits too many.
    Dribble,
}

/// What the wire has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Frames that went out whole.
    pub frames: u64,
    /// Transmissions lost to a collision, counting all that took part as one.
    pub collisions: u64,
    /// Frames whose sender was cut off or ran dry.
    pub broken: u64,
}

/// The shared coax and all that hangs on it.
#[derive(Debug)]
pub struct Segment {
    timing: Timing,
    seed: u64,
    now: Instant,
    /// The carrier went, and the gap after it is over.
    quiet_from: Instant,
    stations: Vec<Station>,
    carried: Option<Carried>,
    wire: Box<[u8; BUFFER_BYTES]>,
    fault: Option<(Fault, u32)>,
    counters: WireCounters,
}

/// The transmission (or collision) that now occupies the wire.
#[derive(Clone, Copy, Debug)]
struct Carried {
    start: Instant,
    end: Instant,
    len: usize,
    fcs: u32,
    outcome: TxEnd,
    dribble: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    End,
    Internal,
    Start(usize),
}

impl Segment {
    /// A segment with nobody on it. `seed` decides the back-off of all its stations.
    pub fn new(timing: Timing, seed: u64) -> Self {
        Self {
            timing,
            seed,
            now: Instant::ZERO,
            quiet_from: Instant::ZERO,
            stations: Vec::new(),
            carried: None,
            wire: Box::new([0; BUFFER_BYTES]),
            fault: None,
            counters: WireCounters::default(),
        }
    }

    /// Plugs in a card with `mac` in its PROM.
    pub fn add_card(&mut self, mac: MacAddr, quirks: Quirks) -> StationId {
        let seed = self.station_seed();
        self.add(StationKind::Card(Box::new(Card::new(mac, self.timing, quirks, seed))))
    }

    /// Plugs in a tap.
    pub fn add_tap(&mut self) -> StationId {
        let seed = self.station_seed();
        self.add(StationKind::Tap(Box::new(Tap::new(self.timing, seed))))
    }

    /// The card at `id`; `None` if a tap is there.
    pub fn card(&mut self, id: StationId) -> Option<&mut Card> {
        match self.stations.get_mut(id.0).map(|s| &mut s.kind) {
            Some(StationKind::Card(card)) => Some(card),
            _ => None,
        }
    }

    /// The tap at `id`; `None` if a card is there.
    pub fn tap(&mut self, id: StationId) -> Option<&mut Tap> {
        match self.stations.get_mut(id.0).map(|s| &mut s.kind) {
            Some(StationKind::Tap(tap)) => Some(tap),
            _ => None,
        }
    }

    /// How the segment treats time.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// How far time has come.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What the wire has carried.
    pub fn counters(&self) -> WireCounters {
        self.counters
    }

    /// Lets the next `times` transmissions meet `fault`; 0 takes back what was asked for before.
    pub fn inject(&mut self, fault: Fault, times: u32) {
        self.fault = (times > 0).then_some((fault, times));
    }

    /// The next time something happens on the segment.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_event().map(|(at, _)| at)
    }

    /// Lets the next event happen, if its time is not after `to`. False if there was none: then it is `to`.
    pub fn step(&mut self, to: Instant) -> bool {
        match self.next_event() {
            Some((at, event)) if at <= to => {
                self.now = self.now.max(at);
                match event {
                    Event::End => self.end(),
                    Event::Internal => self.stations.iter_mut().for_each(|s| s.advance(self.now)),
                    Event::Start(station) => self.start(station),
                }
                true
            }
            _ => {
                self.now = self.now.max(to);
                false
            }
        }
    }

    /// All events up to `to`. Bounded: without port writes every station sends what it has and falls silent.
    pub fn advance(&mut self, to: Instant) {
        while self.step(to) {}
    }

    /// Moves the clock to `to`, before which nothing is due. What is due at `to` itself stays so.
    pub(super) fn wait(&mut self, to: Instant) {
        self.now = self.now.max(to);
    }

    fn add(&mut self, kind: StationKind) -> StationId {
        self.stations.push(Station::new(kind));
        StationId(self.stations.len() - 1)
    }

    fn station_seed(&self) -> u64 {
        // Neighbouring seeds must not give neighbouring stations the same draws.
        self.seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add((self.stations.len() as u64) << 32)
    }

    fn next_event(&self) -> Option<(Instant, Event)> {
        let end = self.carried.map(|c| (c.end, Event::End));
        let internal = self.stations.iter().fold(None, |at, s| earlier(at, s.next_deadline()));
        let internal = internal.map(|at| (at, Event::Internal));
        [end, internal, self.next_start()].into_iter().flatten().min()
    }

    /// Who starts next: the first that is ready and hears nothing.
    fn next_start(&self) -> Option<(Instant, Event)> {
        let ready = |(i, s): (usize, &Station)| {
            let at = s.ready_at().filter(|_| !s.sending)?;
            Some((at.max(self.quiet_from), Event::Start(i)))
        };
        let first = self.stations.iter().enumerate().filter_map(ready).min()?;
        match self.carried {
            Some(c) if first.0 >= c.end.min(c.start + self.timing.collision_window()) => None,
            _ => Some(first),
        }
    }

    fn start(&mut self, station: usize) {
        let Some(outgoing) = self.stations.get_mut(station).and_then(|s| s.go_on_air(&mut *self.wire)) else { return };
        if let Some(carried) = &mut self.carried {
            carried.outcome = TxEnd::Collided;
            carried.end = self.now + self.timing.jam();
            return;
        }
        let right = fcs(self.wire.get(..outgoing.len).unwrap_or_default());
        let mut carried = Carried {
            start: self.now,
            end: self.now + self.timing.frame(outgoing.len),
            len: outgoing.len,
            fcs: if outgoing.bad_fcs { !right } else { right },
            outcome: TxEnd::Sent,
            dribble: false,
        };
        self.apply_fault(&mut carried);
        self.carried = Some(carried);
        let (now, bytes) = (self.now, self.wire.get(..outgoing.len).unwrap_or_default());
        self.stations.iter_mut().filter(|s| !s.sending).for_each(|s| s.hear_start(now, bytes));
    }

    fn apply_fault(&mut self, carried: &mut Carried) {
        let Some((fault, times)) = self.fault.take() else { return };
        self.inject(fault, times - 1);
        match fault {
            Fault::Damage => carried.fcs = !carried.fcs,
            Fault::Dribble => carried.dribble = true,
            Fault::Collision => carried.outcome = TxEnd::Collided,
            Fault::Underflow => carried.outcome = TxEnd::Underflow,
        }
        if carried.outcome != TxEnd::Sent {
            carried.end = carried.start + self.timing.jam();
        }
    }

    fn end(&mut self) {
        let Some(mut carried) = self.carried.take() else { return };
        self.quiet_from = carried.end + self.timing.gap();
        if self.stations.iter().any(|s| s.sending && !s.still_feeds_the_wire()) {
            carried.fcs = !carried.fcs;
            self.counters.broken += 1;
        } else {
            match carried.outcome {
                TxEnd::Sent => self.counters.frames += 1,
                TxEnd::Collided => self.counters.collisions += 1,
                TxEnd::Underflow => self.counters.broken += 1,
            }
        }
        let bytes = self.wire.get(..carried.len).unwrap_or_default();
        let heard = Heard { bytes, fcs_good: fcs(bytes) == carried.fcs, dribble: carried.dribble };
        for station in &mut self.stations {
            if station.sending {
                station.off_air(carried.end, carried.outcome);
            } else if carried.outcome == TxEnd::Sent {
                station.hear_end(heard);
            }
        }
    }
}
