//! Two stacks in this process on any two ports, in virtual time: time stands still while there is work, and then jumps
//! to the next event.
//!
//! `a` asks (a program with a socket, and a pinger), `b` echoes.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use indicatif::ProgressBar;
use xmit_nic::{Instant, Port};
use xmit_script::End;
use xmit_shared::record::PushError;

use crate::Failure;
use crate::demo::exchange::Load;
use crate::demo::pinger::{Pinger, Route};
use crate::demo::shown::{Echoes, Pings};
use crate::demo::window::Window;
use crate::demo::{datagram, not_shown};

/// Addresses of the two.
const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The port of the echo service (RFC 862), and the asker's.
const ECHO: u16 = 7;
const ASKER: u16 = 49_152;
/// When virtual time begins; hosts are made at this time.
const START: Instant = Instant::from_millis(10_000);
/// Frames of each host.
const FRAMES: usize = 4096;
const MTU: u16 = 1500;
/// Virtual time that one answer may take.
const PATIENCE: Duration = Duration::from_millis(100);
/// Virtual time that an exchange may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Two stacks, joined by whatever is between their ports.
pub struct Stacks {
    /// Who asks.
    pub a: End,
    /// Who answers.
    pub b: End,
    pinger: Pinger,
    route: Route,
    now: Instant,
}

impl Stacks {
    /// Stacks on `a` and `b`, the two ends of something.
    pub fn new(a: Box<dyn Port>, b: Box<dyn Port>) -> Result<Self, Failure> {
        let route = Route { source: A, source_mac: a.caps().mac, target: B, target_mac: b.caps().mac };
        let (pinger, a) = Pinger::around(a);
        let a = End::new(A, Box::new(a), MTU, FRAMES, 1).map_err(not_shown)?;
        let b = End::new(B, b, MTU, FRAMES, 2).map_err(not_shown)?;
        Ok(Self { a, b, pinger, route, now: START })
    }

    /// `count` pings, one after the other.
    pub fn ping(&mut self, count: u16) -> Pings {
        let mut round_trips = Vec::new();
        for sequence in 0..count {
            self.pinger.ask(self.route, sequence);
            let until = self.now + PATIENCE;
            while self.pinger.round_trip().is_none() && self.step(until) {}
            round_trips.extend(self.pinger.round_trip().map(|time| time.as_secs_f64() * 1e3));
        }
        Pings::new(count.into(), count.into(), round_trips)
    }

    /// Sends `load` from socket to socket and checks the echoes. `look` is called now and then and may end it.
    pub fn exchange(
        &mut self,
        load: Load,
        bar: &ProgressBar,
        mut look: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Echoes, Failure> {
        let asker = self.a.socket(self.now, ASKER).map_err(not_shown)?;
        let echo = self.b.socket(self.now, ECHO).map_err(not_shown)?;
        let (start, mut buffer) = (self.now, vec![0; 2048]);
        let until = start + LIMIT;
        let mut window = Window::new(load.datagrams, load.window, PATIENCE);
        while !window.is_done() && self.now < until {
            while let Some(number) = window.next(self.now) {
                let to = SocketAddrV4::new(B, ECHO);
                sent(self.a.client.send(asker, Some(to), &datagram::payload(number)))?;
            }
            self.step((self.now + PATIENCE).min(until));
            while let Some(meta) = self.b.client.receive(echo, &mut buffer) {
                let payload = buffer.get(..meta.len as usize).unwrap_or_default();
                sent(self.b.client.send(echo, Some(meta.peer), payload))?;
            }
            while let Some(meta) = self.a.client.receive(asker, &mut buffer) {
                window.input(buffer.get(..meta.len as usize).unwrap_or_default());
            }
            if u64::from(window.echoed()) >= bar.position() + 256 {
                bar.set_position(window.echoed().into());
                look()?;
            }
        }
        bar.finish_and_clear();
        Ok(window.echoes(self.now.saturating_since(start)))
    }

    /// Ends both; answers how many frames were lost, which must be none.
    pub fn finish(self) -> usize {
        let lost = [self.a.host, self.b.host].map(|host| {
            let (free, total) = host.shutdown();
            total - free
        });
        lost.iter().sum()
    }

    /// One turn of both; without work time moves on, at most to `until`. False when it is there.
    fn step(&mut self, until: Instant) -> bool {
        if self.a.host.turn(self.now) + self.b.host.turn(self.now) > 0 {
            return true;
        }
        let next = [self.a.host.next_deadline(self.now), self.b.host.next_deadline(self.now)];
        let next = next.into_iter().flatten().min().unwrap_or(until).min(until);
        // Work that the turn did not find must not stop time.
        self.now = next.max(self.now + Duration::from_nanos(1));
        self.now < until
    }
}

/// A program here has rings with more room than its window needs.
fn sent(result: Result<(), PushError>) -> Result<(), Failure> {
    result.map_err(|error| not_shown(format!("a program in this process could not send: {error}")))
}
