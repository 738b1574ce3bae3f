//! One stack with all that the daemon would put around it: a lane, its configuration, the book of binds.
//!
//! Runs in virtual time, on the caller's thread, without a daemon. Called by the stand of packet scripts and by pairs.

use crate::client::Client;
use std::io;
use std::sync::Arc;
use xmit_dataplane::counters::{Counters, names};
use xmit_dataplane::device::Queue;
use xmit_dataplane::lane::{Lane, LaneCommand, LaneMail, LaneReport, Remains};
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::snapshot::Snapshot;
use xmit_dataplane::socket::{Answer, Books, Report, Reporter};
use xmit_nic::pool::Census;
use xmit_nic::{Instant, Pool, Port};
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::session::{SessionConfig, in_process};
use xmit_shared::snapshot::Publisher;

/// A lane with the control thread's part played by its caller.
pub struct Host {
    lane: Lane,
    snapshot: Arc<Snapshot>,
    publisher: Publisher<Arc<Snapshot>>,
    books: Books,
    commands: Mail<LaneCommand>,
    reports: Mailbox<(u16, LaneReport)>,
    sessions: u32,
}

/// Messages between a lane and its control thread.
const MAIL: usize = 64;

impl Host {
    /// A host with `frames` frames, without ports.
    ///
    /// # Errors
    /// The kernel's, if memory or descriptors are short.
    pub fn new(snapshot: Snapshot, frames: usize, now: Instant, seed: u64) -> io::Result<Self> {
        let (commands, to_lane) = mailbox(MAIL)?;
        let (reports, from_lane) = mailbox(MAIL)?;
        let mail = LaneMail {
            commands,
            reports: from_lane,
            packets: mailbox(MAIL)?.0,
            returns: mailbox(MAIL)?.0,
            others: vec![None],
        };
        let snapshot = Arc::new(snapshot);
        let publisher = Publisher::new(Arc::clone(&snapshot));
        let reader = publisher.reader();
        let lane = Lane::new(0, Pool::anonymous(0, frames)?, now, seed, mail, reader, || 0);
        Ok(Self { lane, snapshot, publisher, books: Books::new(1, seed), commands: to_lane, reports, sessions: 0 })
    }

    /// Adds a port of the first interface.
    pub fn add_port(&mut self, port: Box<dyn Port>, queue: Queue) {
        // A lane takes several ports; this one has none yet.
        let _ = self.lane.add_port(InterfaceId(0), port, queue);
    }

    /// Puts another configuration in force, from the next turn on.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.snapshot = Arc::new(snapshot);
        self.publisher.publish(Arc::clone(&self.snapshot));
    }

    /// A program connects; it is served from the next turn on.
    ///
    /// # Errors
    /// If its session cannot be made.
    pub fn attach(&mut self) -> Result<Client, String> {
        let (lanes, client) = in_process(&SessionConfig::default()).map_err(|error| error.to_string())?;
        self.sessions += 1;
        for end in lanes {
            let attach = LaneCommand::Attach { session: self.sessions, end: Box::new(end), rate: 0 };
            self.commands.send(attach).map_err(|_| "the lane's mailbox is full".to_owned())?;
        }
        Ok(Client::new(client))
    }

    /// The program of `session` is gone, the first one being 1.
    ///
    /// # Errors
    /// If the lane's mailbox is full.
    pub fn detach(&mut self, session: u32) -> Result<(), String> {
        self.books.release_session(session);
        let detach = LaneCommand::Detach { session };
        self.commands.send(detach).map_err(|_| "the lane's mailbox is full".to_owned())
    }

    /// One turn of the lane, then of the control thread. Answers how much there was to do.
    pub fn turn(&mut self, now: Instant) -> usize {
        let work = self.lane.turn(now).work;
        work + self.answer_reports()
    }

    /// When the lane needs the CPU next; `now` if it does at once.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let sleep = self.lane.prepare_sleep(now);
        self.lane.awake();
        match sleep {
            Some(sleep) => sleep.until,
            None => Some(now),
        }
    }

    /// When one of the lane's ports needs the CPU next.
    pub fn next_port_event(&mut self, now: Instant) -> Option<Instant> {
        self.lane.ports_mut().iter_mut().filter_map(|port| port.sleep(now).at).min()
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The lane, to look at and to change.
    pub fn lane(&mut self) -> &mut Lane {
        &mut self.lane
    }

    /// Everything the lane counts.
    pub fn counters(&self) -> &Counters {
        &self.lane.stack.net.counters
    }

    /// A counter by its name, or a drop reason by `drop.` and its name.
    pub fn counter(&self, name: &str) -> Option<u64> {
        names().zip(self.counters().values()).find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Who holds the frames.
    pub fn census(&self) -> Census {
        self.lane.stack.net.pool.census()
    }

    /// Closes the host; answers how many frames are free and how many there are, which must be the same.
    pub fn shutdown(self) -> (usize, usize) {
        let pools = Remains::settle(vec![self.lane.shutdown()]);
        pools.iter().fold((0, 0), |(free, all), pool| (free + pool.available(), all + pool.total()))
    }

    fn answer_reports(&mut self) -> usize {
        let mut answered = 0;
        while let Some(report) = self.reports.take() {
            answered += 1;
            if let (_, LaneReport::Session(report)) = report {
                self.answer(&report);
            }
        }
        answered
    }

    fn answer(&mut self, report: &Report) {
        let settled = self.books.settle(&self.snapshot, Reporter { lane: 0, uid: 0, privileged: true }, report);
        if let Some(Answer { session, slot, result }) = settled.answer {
            // The mailbox holds more than one session can have under way here.
            let _ = self.commands.send(LaneCommand::Bound { session, slot, result });
        }
        if let Report::Broken { session, .. } = report {
            self.books.release_session(*session);
        }
    }
}
