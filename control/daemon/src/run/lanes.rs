//! The lanes as the control thread sees them: their threads, their mailboxes, their pages of counters.

use super::lane_thread::{self, Pace};
use super::ports::{LaneFrames, Placed};
use super::published::{Published, Reading, page};
use crate::boot::StepError;
use crate::config::Config;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tracing::{error, info};
use xmit_dataplane::device::Queue;
use xmit_dataplane::lane::{Handover, Lane, LaneCommand, LaneDescription, LaneMail, LaneReport, Remains};
use xmit_dataplane::limits;
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::snapshot::Snapshot;
use xmit_nic::rng::Rng;
use xmit_nic::{Duration, Frame};
use xmit_shared::clock;
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::snapshot::Publisher;

/// Commands that wait in a lane's mailbox; more wait in the control thread's outbox.
const COMMANDS: usize = 1024;

/// Reports of all lanes that wait for the control thread.
const REPORTS: usize = 4096;

/// How long the control thread waits for a lane's description.
const DESCRIBE_LIMIT: Duration = Duration::from_millis(200);

/// What never changes of a port; kept here, because a busy lane may be late to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFacts {
    /// The lane that owns it.
    pub lane: u32,
    /// Place of its interface in the configuration.
    pub interface: u16,
    /// Its name.
    pub name: String,
    /// The mode obtained.
    pub mode: String,
}

/// One running lane.
#[derive(Debug)]
struct Running {
    core: u32,
    commands: Mail<LaneCommand>,
    /// Commands that found the mailbox full, in order.
    outbox: VecDeque<LaneCommand>,
    published: Published,
    thread: Option<JoinHandle<Remains>>,
}

/// All lanes.
#[derive(Debug)]
pub struct Lanes {
    running: Vec<Running>,
    ports: Vec<PortFacts>,
    /// What lanes report.
    pub reports: Mailbox<(u16, LaneReport)>,
}

impl Lanes {
    /// Starts a thread per lane of `config`, over `frames` and with its share of `ports`.
    ///
    /// # Errors
    /// No descriptors, no threads.
    pub fn start(
        config: &Config,
        frames: Vec<LaneFrames>,
        ports: Vec<Placed>,
        snapshots: &Publisher<Arc<Snapshot>>,
        rng: &mut Rng,
    ) -> Result<Self, StepError> {
        let facts = ports.iter().map(facts).collect();
        let (reports, report) = mailbox(REPORTS)?;
        let mut mails = mails(frames.len(), &report)?;
        let mut lanes = Self { running: Vec::new(), ports: facts, reports };
        let mut ports: Vec<Option<Placed>> = ports.into_iter().map(Some).collect();
        for (id, (frames, settings)) in frames.into_iter().zip(&config.lanes).enumerate() {
            let (mail, commands) = mails.remove(0);
            let now = clock::monotonic();
            let mut lane =
                Lane::new(id as u16, frames.pool, now, rng.next_u64(), mail, snapshots.reader(), clock::cycles);
            lane.stack.set_tcp(now, &config.tcp.capacity(), config.tcp.settings());
            for placed in ports.iter_mut().filter(|p| p.as_ref().is_some_and(|p| p.lane == id as u32)) {
                let Some(Placed { interface, port, .. }) = placed.take() else { continue };
                info!("lane {id} on core {}: {}: {}", settings.core, port.caps().name, port.caps().mode);
                let queue = Queue::pfifo_fast(limits::QDISC_FRAMES_MAX);
                lane.add_port(InterfaceId(interface), port, queue)
                    .map_err(|_| format!("lane {id} has more than {} ports", limits::PORTS_MAX))?;
            }
            let (publisher, published) = page();
            let report = report.clone();
            let pace = Pace { core: settings.core as usize, spin: settings.spin.0 };
            let thread = std::thread::Builder::new().name(format!("lane{id}")).spawn(move || {
                let _obituary = Obituary(id as u16, report);
                lane_thread::run(lane, pace, publisher)
            })?;
            let outbox = VecDeque::new();
            lanes.running.push(Running { core: settings.core, commands, outbox, published, thread: Some(thread) });
        }
        lanes.share_senders();
        Ok(lanes)
    }

    /// Tells every lane who sends by the interfaces that it has no port on itself.
    fn share_senders(&mut self) {
        for port in self.ports.clone() {
            for lane in 0..self.len() {
                let owns = |p: &PortFacts| p.interface == port.interface && p.lane == lane as u32;
                if !self.ports.iter().any(owns) {
                    let interface = InterfaceId(port.interface);
                    self.tell(lane, LaneCommand::Sender { interface, lane: port.lane as u16 });
                }
            }
        }
    }

    /// The ports of all lanes, in the order of the configuration.
    pub fn ports(&self) -> &[PortFacts] {
        &self.ports
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Tells lane `lane`; a full mailbox only delays it.
    pub fn tell(&mut self, lane: usize, command: LaneCommand) {
        if let Some(running) = self.running.get_mut(lane) {
            running.outbox.push_back(command);
            running.flush();
        }
    }

    /// Tells every lane but `lane` what it can do without: a full mailbox loses it.
    pub fn hint_others(&self, lane: usize, command: impl Fn() -> LaneCommand) {
        for (_, other) in self.running.iter().enumerate().filter(|(id, _)| *id != lane) {
            if other.outbox.is_empty() {
                // The lane's own timers repair what is lost here.
                let _ = other.commands.send(command());
            }
        }
    }

    /// Tells every lane.
    pub fn tell_all(&mut self, mut command: impl FnMut(usize) -> LaneCommand) {
        for lane in 0..self.running.len() {
            self.tell(lane, command(lane));
        }
    }

    /// Tries again what mailboxes had no room for; true if something still waits.
    pub fn flush(&mut self) -> bool {
        self.running.iter_mut().for_each(Running::flush);
        self.running.iter().any(|lane| !lane.outbox.is_empty())
    }

    /// Makes every lane look at its mailbox and the snapshot.
    pub fn wake_all(&self) {
        self.running.iter().for_each(|lane| lane.commands.wake());
    }

    /// The counters of every lane.
    pub fn readings(&self) -> Vec<Reading> {
        self.running.iter().enumerate().map(|(id, lane)| lane.published.read(id as u32, lane.core)).collect()
    }

    /// The core of every lane.
    pub fn cores(&self) -> Vec<u32> {
        self.running.iter().map(|lane| lane.core).collect()
    }

    /// True for every lane whose thread runs.
    pub fn alive(&self) -> Vec<bool> {
        self.running.iter().map(|lane| lane.thread.as_ref().is_some_and(|t| !t.is_finished())).collect()
    }

    /// The tables of every lane that answers in time.
    pub fn describe(&mut self) -> Vec<LaneDescription> {
        let (answer, answers) = mpsc::channel();
        let asked = self.running.len();
        self.tell_all(|_| LaneCommand::Describe { answer: answer.clone() });
        let mut descriptions: Vec<_> = (0..asked).map_while(|_| answers.recv_timeout(DESCRIBE_LIMIT).ok()).collect();
        descriptions.sort_by_key(|description| description.lane);
        descriptions
    }

    /// Stops all threads and checks that every frame came home; what did not is the answer, one sentence each.
    pub fn stop(&mut self) -> Vec<String> {
        self.tell_all(|_| LaneCommand::Stop);
        let (mut problems, mut remains) = (Vec::new(), Vec::new());
        for (id, lane) in self.running.iter_mut().enumerate() {
            while !lane.outbox.is_empty() && lane.thread.as_ref().is_some_and(|t| !t.is_finished()) {
                lane.flush();
                std::thread::yield_now();
            }
            match lane.thread.take().map(JoinHandle::join) {
                Some(Ok(left)) => remains.push(left),
                Some(Err(_)) => problems.push(format!("lane {id} ended by a panic; its message stands above")),
                None => {}
            }
        }
        // Frames of one lane may be under way to another until the last has ended.
        for pool in Remains::settle(remains).iter().filter(|pool| pool.available() != pool.total()) {
            problems.push(format!("lane {}: frames are missing at the end: {:?}", pool.id(), pool.census()));
        }
        problems.iter().for_each(|problem| error!("{problem}"));
        problems
    }
}

/// Tells the control thread of a lane that ends by a panic: nobody else would, and its clients would wait for ever.
struct Obituary(u16, Mail<(u16, LaneReport)>);

impl Drop for Obituary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A full mailbox means that the control thread is behind; `xmit doctor` shows the lane as ended.
            let _ = self.1.send((self.0, LaneReport::Ended));
        }
    }
}

impl Running {
    fn flush(&mut self) {
        while let Some(command) = self.outbox.pop_front() {
            if let Err(command) = self.commands.send(command) {
                self.outbox.push_front(command);
                break;
            }
        }
    }
}

fn facts(placed: &Placed) -> PortFacts {
    let caps = placed.port.caps();
    PortFacts { lane: placed.lane, interface: placed.interface, name: caps.name.clone(), mode: caps.mode.clone() }
}

/// The mailboxes of `count` lanes, all connected.
fn mails(count: usize, report: &Mail<(u16, LaneReport)>) -> Result<Vec<(LaneMail, Mail<LaneCommand>)>, StepError> {
    type Ends<T> = (Vec<Mailbox<T>>, Vec<Mail<T>>);
    let pairs = || -> Result<Ends<Frame>, StepError> {
        let made = (0..count).map(|_| mailbox(limits::HANDOVER_FRAMES_MAX)).collect::<Result<Vec<_>, _>>()?;
        Ok(made.into_iter().unzip())
    };
    let ((packet_boxes, packet_mails), (return_boxes, return_mails)) = (pairs()?, pairs()?);
    let mut lanes = Vec::new();
    for (id, (packets, returns)) in packet_boxes.into_iter().zip(return_boxes).enumerate() {
        let (commands, command) = mailbox(COMMANDS)?;
        let other = |to: usize| {
            (to != id).then(|| Handover { packets: packet_mails[to].clone(), returns: return_mails[to].clone() })
        };
        let others = (0..count).map(other).collect();
        lanes.push((LaneMail { commands, reports: report.clone(), packets, returns, others }, command));
    }
    Ok(lanes)
}
