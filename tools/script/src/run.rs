//! Runs a script over a medium, line by line.

use crate::flows::Flows;
use crate::host::Host;
use crate::medium::Medium;
use crate::packet::{Pattern, describe_in, matches, verify};
use crate::script::{Line, Script};
use crate::setup::{PEER_MAC, Setup};
use crate::sockets::Sockets;
use crate::stand::{SLACK, Stand};
use crate::statement::Statement;
use crate::tcp_look;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use xmit_dataplane::hooks::{HookVerdict, Point};
use xmit_dataplane::link::NeighbourState;
use xmit_dataplane::route::InterfaceId;

pub use crate::stand::Left;

/// Everything that left while a script ran, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(pub Vec<Left>);

/// Where a script and the stack disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: over {medium}: `{text}`\n    {why}")]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What the script ran over.
    pub medium: String,
    /// The line.
    pub text: String,
    /// What was seen instead.
    pub why: String,
}

/// Runs `script` over `medium`. `seed` decides what the stack leaves to chance.
///
/// # Errors
/// The first line that does not hold.
pub fn run(script: &Script, medium: Medium, seed: u64) -> Result<Trace, Failure> {
    let fail = |line: Option<&Line>, why: String| Failure {
        file: script.name.clone(),
        line: line.map_or(0, |line| line.number),
        medium: medium.to_string(),
        text: line.map_or_else(|| "the end".to_owned(), |line| line.text.clone()),
        why,
    };
    let mut run = Run::new(script, medium, seed).map_err(|why| fail(script.lines.first(), why))?;
    for line in &script.lines {
        run.statement(&line.statement).map_err(|why| fail(Some(line), why))?;
    }
    run.finish().map_err(|why| fail(script.lines.last(), why))
}

/// A script being run.
struct Run {
    stand: Stand,
    setup: Setup,
    sockets: Sockets,
    /// Counters where counting began.
    base: Vec<u64>,
    /// What the watching hooks saw.
    seen: Vec<(Point, Arc<AtomicU64>)>,
    /// The TCP flows.
    flows: Flows,
}

impl Run {
    fn new(script: &Script, medium: Medium, seed: u64) -> Result<Self, String> {
        let setup = script.setup.clone();
        let mut stand = Stand::open(medium, &setup, seed)?;
        let sockets = Sockets::new(stand.host.attach()?);
        stand.settle()?;
        Ok(Self { stand, setup, sockets, base: Vec::new(), seen: Vec::new(), flows: Flows::default() })
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::At(time) => self.stand.run_to(*time),
            Statement::After(time) => self.stand.run_to(self.stand.elapsed() + *time),
            Statement::Arrives(packet) => packet.parts().iter().try_for_each(|packet| {
                let frame = self.flows.arriving(packet)?.build(&self.setup.defaults())?;
                self.stand.arrive(&frame)
            }),
            Statement::Leaves(packet) => packet.parts().iter().try_for_each(|packet| self.leaves(packet)),
            Statement::Lines(lines) => lines
                .iter()
                .try_for_each(|(line, statement)| self.statement(statement).map_err(|why| format!("`{line}`: {why}"))),
            Statement::Setting(name, value) => tcp_look::set(&mut self.stand.host, name, value),
            Statement::NothingLeaves => self.nothing_leaves(),
            Statement::PeerKnown(address) => self.peer_known(*address),
            Statement::Socket(name, act) => self.sockets.act(&mut self.stand, name, act),
            Statement::Repeat(count, inner) => (0..*count)
                .try_for_each(|i| self.statement(inner).map_err(|why| format!("time {} of {count}: {why}", i + 1))),
            _ => self.change(statement),
        }
    }

    fn change(&mut self, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::NeighbourTold(address, mac) => self.setup.neighbour(*address, *mac),
            Statement::NeighbourForgotten(address) => self.setup.forget_neighbour(*address),
            Statement::InterfaceGoes(name, up) => self.setup.set_up(name, *up)?,
            Statement::PortBusy(busy) => {
                self.stand.settle()?;
                self.stand.gate.set_busy(*busy);
                return self.stand.settle();
            }
            Statement::CarrierLost(lost) => {
                self.stand.settle()?;
                self.stand.gate.set_unplugged(*lost);
                return self.stand.settle();
            }
            Statement::HookDrop(point, protocol) => {
                self.hook_drop(*point, *protocol);
                return Ok(());
            }
            Statement::HookWatch(point) => {
                self.hook_watch(*point);
                return Ok(());
            }
            _ => {
                self.stand.settle()?;
                return self.look(statement);
            }
        }
        self.stand.host.publish(self.setup.snapshot());
        self.stand.settle()
    }

    fn look(&mut self, statement: &Statement) -> Result<(), String> {
        let host = &mut self.stand.host;
        match statement {
            Statement::Counter(name, wanted) => {
                let index = xmit_dataplane::counters::names().position(|n| n == *name);
                let index = index.ok_or_else(|| format!("there is no counter {name}"))?;
                let value = host.counters().values().nth(index).unwrap_or(0);
                equal(name, value - self.base.get(index).copied().unwrap_or(0), *wanted)
            }
            Statement::NeighbourState(address, wanted) => {
                let is = neighbour_state(host, *address);
                if is == wanted { Ok(()) } else { Err(format!("it is {is}")) }
            }
            Statement::Queue(what, wanted) => equal(what, queue_counter(host, what)?, *wanted),
            Statement::HookSaw(point, wanted) => {
                let watch = self.seen.iter().find(|(p, _)| p == point);
                let (_, seen) = watch.ok_or("no hook watches there")?;
                equal("packets seen", seen.load(Ordering::Relaxed), *wanted)
            }
            Statement::FlowState(wanted) => {
                let is = tcp_look::state(host, self.flows.last()?);
                if is == wanted { Ok(()) } else { Err(format!("it is {is}")) }
            }
            Statement::Holds(wanted, what) => equal(what, tcp_look::count(host, what)?, *wanted),
            Statement::FramesConserved => {
                let census = host.census();
                let total = census.free + census.lane + census.receive + census.transmit;
                if census.free == total { Ok(()) } else { Err(format!("the stack holds frames: {census:?}")) }
            }
            other => Err(format!("{other:?} is nothing to look at")),
        }
    }

    fn leaves(&mut self, packet: &Pattern) -> Result<(), String> {
        if self.stand.left.is_empty() {
            self.stand.wait_for(|stand| !stand.left.is_empty())?;
        }
        let left = self.stand.left.pop_front().ok_or_else(|| format!("nothing left within {SLACK:?}"))?;
        let packet = self.flows.leaving(packet, Some(&left.bytes))?;
        let differs = verify(&left.bytes).and_then(|()| matches(&packet, &left.bytes));
        differs.map_err(|why| {
            let mut text =
                format!("{why}\n    what left:\n      {:>11?}  {}", left.at, describe_in(&left.bytes, &self.flows));
            self.list_left(&mut text);
            text
        })
    }

    fn nothing_leaves(&mut self) -> Result<(), String> {
        self.stand.settle()?;
        if self.stand.left.is_empty() {
            return Ok(());
        }
        let mut text = "this left, which no line asks for:".to_owned();
        self.list_left(&mut text);
        Err(text)
    }

    fn list_left(&self, text: &mut String) {
        for left in &self.stand.left {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n      {:>11?}  {}", left.at, describe_in(&left.bytes, &self.flows));
        }
    }

    /// A ping of the peer makes us resolve its address, and its answer confirms it.
    fn peer_known(&mut self, peer: Ipv4Addr) -> Result<(), String> {
        self.nothing_leaves()?;
        let ours = self.setup.address().ok_or("the host has no address")?;
        let exchange = [
            ("arrives", format!("icmp echo request {peer} > {ours}")),
            ("leaves", format!("arp request who-has {peer} tell {ours}")),
            ("arrives", format!("arp reply {peer} is-at {PEER_MAC} to {ours}")),
            ("leaves", format!("icmp echo reply {ours} > {peer}")),
        ];
        for (way, text) in exchange {
            let packet = Box::new(Pattern::parse(&text)?);
            let step = if way == "arrives" { Statement::Arrives(packet) } else { Statement::Leaves(packet) };
            self.statement(&step).map_err(|why| format!("making the peer known, {way} {text}: {why}"))?;
        }
        self.base = self.stand.host.counters().values().collect();
        Ok(())
    }

    fn hook_drop(&mut self, point: Point, protocol: Option<u8>) {
        let hook = Box::new(move |packet: &xmit_dataplane::hooks::HookPacket<'_>| {
            let meant = protocol.is_none_or(|protocol| packet.datagram.get(9) == Some(&protocol));
            if meant { HookVerdict::Drop } else { HookVerdict::Accept }
        });
        self.stand.host.lane().stack.net.hooks.register(point, hook);
    }

    fn hook_watch(&mut self, point: Point) {
        let seen = Arc::new(AtomicU64::new(0));
        self.seen.push((point, Arc::clone(&seen)));
        let hook = Box::new(move |_: &xmit_dataplane::hooks::HookPacket<'_>| {
            seen.fetch_add(1, Ordering::Relaxed);
            HookVerdict::Accept
        });
        self.stand.host.lane().stack.net.hooks.register(point, hook);
    }

    /// Nothing may be left over: no frame that nobody asked for, no frame outside the pool.
    fn finish(mut self) -> Result<Trace, String> {
        self.nothing_leaves().map_err(|why| format!("at the end of the script: {why}"))?;
        let trace = Trace(self.stand.trace);
        let (free, total) = self.stand.host.shutdown();
        if free == total {
            Ok(trace)
        } else {
            Err(format!("at the end of the script: {} of {total} frames are lost", total - free))
        }
    }
}

fn equal(what: &str, is: u64, wanted: u64) -> Result<(), String> {
    if is == wanted { Ok(()) } else { Err(format!("{what} is {is}, not {wanted}")) }
}

fn neighbour_state(host: &mut Host, address: Ipv4Addr) -> &'static str {
    let neighbours = &host.lane().stack.net.neighbours;
    let entry = neighbours.lookup(InterfaceId(0), address).and_then(|id| neighbours.get(id));
    match entry.map(|neighbour| neighbour.state) {
        None => "unknown",
        Some(NeighbourState::None) => "none",
        Some(NeighbourState::Incomplete { .. }) => "incomplete",
        Some(NeighbourState::Reachable { .. }) => "reachable",
        Some(NeighbourState::Stale) => "stale",
        Some(NeighbourState::Delay) => "delay",
        Some(NeighbourState::Probe { .. }) => "probe",
        Some(NeighbourState::Failed) => "failed",
        Some(NeighbourState::Permanent) => "permanent",
    }
}

fn queue_counter(host: &mut Host, what: &str) -> Result<u64, String> {
    let device = host.lane().stack.net.devices.first().ok_or("there is no device")?;
    let stats = device.queue.stats();
    match what {
        "packets" => Ok(stats.packets),
        "drops" => Ok(stats.drops),
        "requeues" => Ok(stats.requeues),
        "backlog" => Ok(stats.backlog as u64),
        other => Err(format!("`{other}` is not counted; packets, drops, requeues and backlog are")),
    }
}
