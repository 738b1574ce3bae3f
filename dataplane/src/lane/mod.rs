//! The loop of one core: ports below, sessions above, one reading of the clock per turn.
//!
//! Owns everything it touches: ports, pool, stack, sockets. Speaks with other lanes and the control thread by mailboxes
//! and snapshots only. Whoever runs it (a thread of the daemon, a test, a program that embeds the stack) reads the clock
//! and sleeps for it.
//!
//! Invariants: every step of a turn is bounded; a lane that says it may sleep has looked once more at everything that
//! could wake it after announcing that it sleeps.

mod describe;
mod mail;
mod messages;
mod sleep;
mod solo;
mod stages;

pub use mail::Remains;
pub use messages::{
    LaneCommand, LaneDescription, LaneReport, NeighbourDescription, QueueDescription, StreamDescription,
};
pub use sleep::Sleep;
pub use solo::Solo;
pub use stages::{Stage, Stages};

use crate::device::{Device, Queue, qdisc_run};
use crate::drop::DropReason;
use crate::limits;
use crate::net::{DeviceId, Net};
use crate::route::InterfaceId;
use crate::snapshot::Snapshot;
use crate::stack::Stack;
use crate::tcp::siblings::Siblings;
use stages::Stopwatch;
use std::collections::VecDeque;
use std::sync::Arc;
use xmit_nic::{Burst, Frame, Instant, Pool, Port};
use xmit_shared::mailbox::{Mail, Mailbox};
use xmit_shared::session::Transport;
use xmit_shared::snapshot::Reader;

/// Frames between two lanes: the way there and, for the empty buffer, the way home.
#[derive(Debug)]
pub struct Handover {
    /// Packets for the other lane, at their IP header.
    pub packets: Mail<Frame>,
    /// Its frames that we are done with.
    pub returns: Mail<Frame>,
}

/// The ends of a lane's mailboxes that the lane holds.
#[derive(Debug)]
pub struct LaneMail {
    /// From the control thread; its bell is the lane's bell.
    pub commands: Mailbox<LaneCommand>,
    /// To the control thread.
    pub reports: Mail<(u16, LaneReport)>,
    /// Packets that other lanes hand over.
    pub packets: Mailbox<Frame>,
    /// Our own frames coming home.
    pub returns: Mailbox<Frame>,
    /// To every lane, by number; `None` for ourselves.
    pub others: Vec<Option<Handover>>,
}

/// What one turn did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Packets, calls and timers handled.
    pub work: usize,
    /// The lane was told to stop.
    pub stop: bool,
}

/// Counts of turns since the lane started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// All turns.
    pub total: u64,
    /// Turns that found nothing to do.
    pub idle: u64,
    /// Times the lane was ready to sleep.
    pub sleeps: u64,
    /// Doorbells rung for clients.
    pub doorbells: u64,
}

/// One lane.
pub struct Lane {
    id: u16,
    ports: Vec<Box<dyn Port>>,
    /// The stack and all its state.
    pub stack: Stack,
    mail: LaneMail,
    snapshot: Reader<Arc<Snapshot>>,
    cycles: fn() -> u64,
    stages: Stages,
    turns: Turns,
    unsent: VecDeque<LaneReport>,
    /// It announced that it waits for its own frames to come home.
    starving: bool,
}

impl Lane {
    /// A lane over `pool` that follows `snapshot`. `cycles` is the counter that stages are measured by.
    pub fn new(
        id: u16,
        pool: Pool,
        now: Instant,
        seed: u64,
        mail: LaneMail,
        snapshot: Reader<Arc<Snapshot>>,
        cycles: fn() -> u64,
    ) -> Self {
        let mut lane = Self {
            id,
            ports: Vec::new(),
            stack: Stack::new(now, Net::new(pool, now, seed)),
            mail,
            snapshot,
            cycles,
            stages: Stages::default(),
            turns: Turns::default(),
            unsent: VecDeque::new(),
            starving: false,
        };
        lane.stack.net.has_siblings = lane.mail.others.len() > 1;
        lane.stack.tcp.siblings = Siblings::new(id, lane.mail.others.len() as u16);
        lane.follow_snapshot(now);
        lane
    }

    /// The lane's number.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Adds a port of `interface`, queued by `queue`. The port comes back if the lane has no place for it.
    ///
    /// # Errors
    /// The port itself, beyond [`limits::PORTS_MAX`].
    pub fn add_port(
        &mut self,
        interface: InterfaceId,
        port: Box<dyn Port>,
        queue: Queue,
    ) -> Result<DeviceId, Box<dyn Port>> {
        let net = &mut self.stack.net;
        if net.devices.is_full() {
            return Err(port);
        }
        let mut device = Device::new(interface, port.caps().clone(), queue);
        device.adopt(&net.snapshot);
        net.devices.push(device);
        self.ports.push(port);
        Ok(DeviceId((self.ports.len() - 1) as u16))
    }

    /// The lane's ports, in the order of their devices.
    pub fn ports_mut(&mut self) -> &mut [Box<dyn Port>] {
        &mut self.ports
    }

    /// The lane's ports, to read.
    pub fn ports(&self) -> &[Box<dyn Port>] {
        &self.ports
    }

    /// Cycles per stage so far.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Turns so far.
    pub fn turns(&self) -> Turns {
        self.turns
    }

    /// One pass over everything.
    pub fn turn(&mut self, now: Instant) -> Turn {
        let mut watch = Stopwatch::start(self.cycles);
        let mut turn = Turn::default();
        turn.work += self.commands(now, &mut turn.stop);
        self.stages.record(Stage::Commands, &mut watch, turn.work);
        turn.work += self.receive(now, &mut watch);
        turn.work += self.stage(Stage::Backlog, &mut watch, |lane| lane.backlog(now));
        turn.work += self.stage(Stage::Sessions, &mut watch, |lane| {
            let (sockets, layers) = lane.stack.split(now);
            // Slots know of their connections before calls ask for them.
            sockets.take_news(layers);
            let (sockets, layers) = lane.stack.split(now);
            sockets.drain(layers)
        });
        turn.work += self.stage(Stage::Backlog, &mut watch, |lane| lane.stack.run_loopback(now));
        turn.work += self.stage(Stage::Timers, &mut watch, |lane| lane.stack.run_timers(now));
        turn.work += self.stage(Stage::Segments, &mut watch, |lane| lane.stack.run_ready(now));
        let sent = self.stage(Stage::Transmit, &mut watch, |lane| lane.transmit(now));
        self.service(now);
        turn.work += sent;
        self.stages.record(Stage::Service, &mut watch, turn.work);
        let rung = self.stage(Stage::Notify, &mut watch, |lane| lane.notify(now));
        self.turns.total += 1;
        self.turns.doorbells += rung as u64;
        self.turns.idle += u64::from(turn.work == 0);
        turn
    }

    fn stage(&mut self, stage: Stage, watch: &mut Stopwatch, step: impl FnOnce(&mut Self) -> usize) -> usize {
        let items = step(self);
        self.stages.record(stage, watch, items);
        items
    }

    /// Bounded by [`limits::COMMANDS_PER_TURN`].
    fn commands(&mut self, now: Instant, stop: &mut bool) -> usize {
        self.follow_snapshot(now);
        let mut done = 0;
        while done < limits::COMMANDS_PER_TURN {
            let Some(command) = self.mail.commands.take() else { break };
            self.command(now, command, stop);
            done += 1;
        }
        done
    }

    fn follow_snapshot(&mut self, now: Instant) {
        let net = &mut self.stack.net;
        let snapshot = self.snapshot.load();
        if !Arc::ptr_eq(snapshot, &net.snapshot) {
            let snapshot = Arc::clone(snapshot);
            net.adopt(now, snapshot, net.generation + 1);
        }
    }

    fn command(&mut self, now: Instant, command: LaneCommand, stop: &mut bool) {
        let (sockets, layers) = self.stack.split(now);
        match command {
            LaneCommand::Attach { session, end, rate } => {
                if !sockets.attach(layers, session, *end, rate) {
                    self.unsent.push_back(LaneReport::Refused { session });
                }
            }
            LaneCommand::Detach { session } => {
                sockets.detach(layers, session);
                self.unsent.push_back(LaneReport::Detached { session });
            }
            LaneCommand::Bound { session, slot, result } => sockets.bound(layers, session, slot, result),
            LaneCommand::Elsewhere { protocol: Transport::Udp, address, lane } => {
                layers.udp.set_elsewhere(address, lane);
            }
            LaneCommand::Elsewhere { protocol: Transport::Tcp, address, lane } => {
                layers.tcp.siblings.set(address, lane);
                if lane.is_some() {
                    sockets.bound_elsewhere(&layers, address.port());
                }
            }
            LaneCommand::Claim(claim) => {
                let free = sockets.may_bind(layers, &claim);
                self.unsent.push_back(LaneReport::Claimed { claim, free });
            }
            LaneCommand::AskForPorts(ask) => sockets.ask_for_ports(ask),
            LaneCommand::Heard { interface, address, mac } => {
                crate::link::heard(layers.net, now, interface, address, mac)
            }
            LaneCommand::Sender { interface, lane } => {
                layers.net.senders.retain(|(of, _)| *of != interface);
                // Beyond the table the interface cannot be sent by from here, which every packet then counts.
                let _ = layers.net.senders.try_push((interface, lane));
            }
            LaneCommand::AddTap { interface, tap } => {
                let devices = layers.net.devices.iter_mut().filter(|d| d.interface == interface);
                devices.for_each(|d| d.taps.push(tap.clone()));
            }
            LaneCommand::RemoveTap { id } => layers.net.devices.iter_mut().for_each(|d| d.taps.retain(|t| t.id != id)),
            LaneCommand::Describe { answer } => {
                // The asker may have given up waiting; then nobody misses the answer.
                let _ = answer.send(self.describe());
            }
            LaneCommand::Stop => *stop = true,
        }
    }

    /// One burst of every port, carried up to its verdicts.
    fn receive(&mut self, now: Instant, watch: &mut Stopwatch) -> usize {
        let mut received = 0;
        for (index, port) in self.ports.iter_mut().enumerate() {
            let mut burst = Burst::new();
            port.rx_burst(now, &mut self.stack.net.pool, &mut burst);
            let count = burst.len();
            self.stages.record(Stage::Receive, watch, count);
            self.stack.receive_burst(now, DeviceId(index as u16), &mut burst);
            self.stages.record(Stage::Input, watch, count);
            received += count;
        }
        received
    }

    fn transmit(&mut self, now: Instant) -> usize {
        let mut sent = 0;
        for (index, port) in self.ports.iter_mut().enumerate() {
            sent += qdisc_run(&mut self.stack.net, DeviceId(index as u16), port.as_mut(), now);
        }
        sent
    }

    fn service(&mut self, now: Instant) {
        let net = &mut self.stack.net;
        for (port, device) in self.ports.iter_mut().zip(&mut net.devices) {
            port.service(now, &mut net.pool);
            device.carrier = port.carrier();
        }
    }

    /// What other parties must hear: other lanes, the control thread, the clients. Answers doorbells rung.
    fn notify(&mut self, now: Instant) -> usize {
        self.hand_over();
        let (sockets, layers) = self.stack.split(now);
        let rung = sockets.notify(layers);
        self.report();
        rung
    }

    /// Gives every frame back and closes the ports; answers what [`Remains::settle`] counts the frames from.
    pub fn shutdown(mut self) -> Remains {
        let net = &mut self.stack.net;
        for device in &mut net.devices {
            let drained = device.queue.drain(&mut net.pool);
            (0..drained).for_each(|_| net.counters.dropped(DropReason::Shutdown));
        }
        crate::link::release_pending(net);
        while let Some(frame) = net.loopback.pop_front() {
            net.drop_frame(frame, DropReason::Shutdown);
        }
        for port in &mut self.ports {
            port.shutdown(&mut net.pool);
        }
        while let Some((_, frame)) = self.stack.handover.pop_front() {
            self.stack.net.drop_frame(frame, DropReason::Shutdown);
        }
        self.remains()
    }
}
