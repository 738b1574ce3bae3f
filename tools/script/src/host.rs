//! One stack with all that the daemon would put around it: a lane, its configuration, the book of binds.
//!
//! Runs in virtual time, on the caller's thread, without a daemon. Called by the stand of packet scripts and by pairs.

use crate::client::Client;
use std::io;
use xmit_dataplane::counters::{Counters, names};
use xmit_dataplane::device::Queue;
use xmit_dataplane::lane::{Lane, Remains, Solo};
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::snapshot::Snapshot;
use xmit_nic::pool::Census;
use xmit_nic::{Instant, Pool, Port};
use xmit_shared::session::{SessionConfig, in_process};

/// A lane with the control thread's part played by its caller.
pub struct Host {
    lane: Lane,
    control: Solo,
    sessions: u32,
}

impl Host {
    /// A host with `frames` frames, without ports.
    ///
    /// # Errors
    /// The kernel's, if memory or descriptors are short.
    pub fn new(snapshot: Snapshot, frames: usize, now: Instant, seed: u64) -> io::Result<Self> {
        let (control, mail, reader) = Solo::new(snapshot, seed)?;
        let lane = Lane::new(0, Pool::anonymous(0, frames)?, now, seed, mail, reader, || 0);
        Ok(Self { lane, control, sessions: 0 })
    }

    /// Adds a port of the first interface.
    pub fn add_port(&mut self, port: Box<dyn Port>, queue: Queue) {
        // A lane takes several ports; this one has none yet.
        let _ = self.lane.add_port(InterfaceId(0), port, queue);
    }

    /// Puts another configuration in force, from the next turn on.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.control.publish(snapshot);
    }

    /// A program connects; it is served from the next turn on.
    ///
    /// # Errors
    /// If its session cannot be made.
    pub fn attach(&mut self) -> Result<Client, String> {
        let (lanes, client) = in_process(&SessionConfig::default()).map_err(|error| error.to_string())?;
        self.sessions += 1;
        for end in lanes {
            self.control.attach(self.sessions, end).map_err(|error| error.to_string())?;
        }
        Ok(Client::new(client))
    }

    /// The program of `session` is gone, the first one being 1.
    ///
    /// # Errors
    /// If the lane's mailbox is full.
    pub fn detach(&mut self, session: u32) -> Result<(), String> {
        self.control.detach(session).map_err(|error| error.to_string())
    }

    /// One turn of the lane, then of the control thread. Answers how much there was to do.
    pub fn turn(&mut self, now: Instant) -> usize {
        let work = self.lane.turn(now).work;
        work + self.control.answer_reports()
    }

    /// When the lane needs the CPU next; `now` if it does at once.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        self.lane.next_deadline(now)
    }

    /// When one of the lane's ports needs the CPU next.
    pub fn next_port_event(&mut self, now: Instant) -> Option<Instant> {
        self.lane.ports_mut().iter_mut().filter_map(|port| port.sleep(now).at).min()
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> &Snapshot {
        self.control.snapshot()
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
}
