//! The test stand: a host, its peer's end of the wire, and the clock.
//!
//! ```text
//!  host (lane, stack) - port - gate - medium - peer's port: what arrives is sent here, what leaves is heard here
//! ```
//!
//! Two times: `now`, which the wire moves, and `nominal`, which the script moves. On a slow wire `now` runs ahead by what
//! transmissions take; a script never waits for that, except that what must leave may do so within [`SLACK`].

use crate::gate::{Gate, GatePort};
use crate::host::Host;
use crate::medium::Medium;
use crate::packet::trimmed;
use crate::setup::{PEER_MAC, Setup};
use std::collections::VecDeque;
use xmit_nic::{Burst, Duration, Instant, Pool, Port};

/// The stand of one script.
pub(crate) struct Stand {
    pub(crate) host: Host,
    pub(crate) gate: Gate,
    peer: Box<dyn Port>,
    peer_pool: Pool,
    now: Instant,
    nominal: Instant,
    /// What left and was not judged yet.
    pub(crate) left: VecDeque<Left>,
    /// Everything that left.
    pub(crate) trace: Vec<Left>,
}

/// A frame that left, without the padding of short frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// When the peer had it, since the script began.
    pub at: Duration,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// How long after its time a frame may leave: sixteen full frames at 10 Mbit/s. Scripts keep their times further apart.
pub(crate) const SLACK: Duration = Duration::from_millis(20);

/// When scripts begin. Not zero, so that a time before the beginning can be told apart.
const START: Instant = Instant::from_millis(10_000);

/// Frames of the host: enough for every queue of a script, few enough to show a leak.
const FRAMES: usize = 2048;

/// Turns without coming to rest that mean it never will.
const TURNS_MAX: usize = 1_000_000;

impl Stand {
    pub(crate) fn open(medium: Medium, setup: &Setup, seed: u64) -> Result<Self, String> {
        let (port, peer) = medium.open(setup.mac(), PEER_MAC, seed)?;
        let gate = Gate::default();
        let mut host = Host::new(setup.snapshot(), FRAMES, START, seed).map_err(|error| error.to_string())?;
        host.add_port(Box::new(GatePort { inner: port, gate: gate.clone() }), setup.queue());
        let peer_pool = Pool::anonymous(1, FRAMES).map_err(|error| error.to_string())?;
        let (left, trace) = (VecDeque::new(), Vec::new());
        Ok(Self { host, gate, peer, peer_pool, now: START, nominal: START, left, trace })
    }

    /// Since the script began, by its own clock.
    pub(crate) fn elapsed(&self) -> Duration {
        self.nominal.saturating_since(START)
    }

    /// One turn of the host and of the peer. Answers how much there was to do.
    pub(crate) fn step(&mut self) -> usize {
        self.host.turn(self.now) + self.listen()
    }

    /// The peer puts a frame on the wire; it is answered before anything else happens.
    pub(crate) fn arrive(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.now = self.now.max(self.nominal);
        let mut frame = self.peer_pool.acquire().ok_or("the peer has no frame left")?;
        if !frame.fill(bytes) {
            self.peer_pool.release(frame);
            return Err(format!("a frame of {} bytes fits no frame buffer", bytes.len()));
        }
        let mut burst = Burst::new();
        burst.push(frame);
        self.peer.tx_burst(self.now, &mut self.peer_pool, &mut burst);
        let refused = burst.pop().map(|frame| self.peer_pool.release(frame));
        self.settle()?;
        refused.map_or(Ok(()), |()| Err("the medium does not take the frame".to_owned()))
    }

    /// Lets everything happen that is under way on the wire, but no timer of the stack.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let limit = self.nominal.max(self.now) + SLACK;
        for _ in 0..TURNS_MAX {
            if self.step() > 0 {
                continue;
            }
            match self.next_wire_event().filter(|at| *at <= limit) {
                Some(at) if at > self.now => self.now = at,
                Some(_) | None => return Ok(()),
            }
        }
        Err("the host does not come to rest".to_owned())
    }

    /// Lets time pass to `target` since the script began.
    pub(crate) fn run_to(&mut self, target: Duration) -> Result<(), String> {
        let until = START + target;
        if until < self.nominal {
            return Err(format!("this is in the past: it is {:?} already", self.elapsed()));
        }
        self.settle()?;
        self.nominal = until;
        self.run(until, |_| false)
    }

    /// Waits, within [`SLACK`], for `condition`.
    pub(crate) fn wait_for(&mut self, condition: impl Fn(&Self) -> bool) -> Result<(), String> {
        self.settle()?;
        if condition(self) {
            return Ok(());
        }
        self.run(self.nominal.max(self.now) + SLACK, condition)
    }

    /// Everything up to `until`, timers included, or until `condition` holds.
    fn run(&mut self, until: Instant, condition: impl Fn(&Self) -> bool) -> Result<(), String> {
        for _ in 0..TURNS_MAX {
            let work = self.step();
            if condition(self) {
                return Ok(());
            }
            if work > 0 {
                continue;
            }
            let next = [self.next_wire_event(), self.host.next_deadline(self.now)].into_iter().flatten().min();
            match next.filter(|at| *at < until) {
                Some(at) if at > self.now => self.now = at,
                // It says that there is work at once; the turn that has just ended did not find it.
                Some(_) => self.now += Duration::from_micros(1),
                None if self.now >= until => return Ok(()),
                None => self.now = until,
            }
        }
        Err("the host does not come to rest".to_owned())
    }

    fn next_wire_event(&mut self) -> Option<Instant> {
        let ours = self.host.next_port_event(self.now);
        [ours, self.peer.sleep(self.now).at].into_iter().flatten().min()
    }

    /// The peer takes what reached it.
    fn listen(&mut self) -> usize {
        let mut burst = Burst::new();
        self.peer.rx_burst(self.now, &mut self.peer_pool, &mut burst);
        let heard = burst.len();
        for frame in burst {
            let left = Left { at: self.now.saturating_since(START), bytes: trimmed(frame.bytes()).to_vec() };
            self.trace.push(left.clone());
            self.left.push_back(left);
            self.peer_pool.release(frame);
        }
        self.peer.service(self.now, &mut self.peer_pool);
        heard
    }
}
