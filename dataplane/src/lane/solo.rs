//! The control thread's part for one lane without a daemon: a program that embeds the stack, or a test.
//!
//! Played between two turns on the lane's own thread: binds are settled, configurations published, sessions attached.

use super::{LaneCommand, LaneMail, LaneReport};
use crate::snapshot::Snapshot;
use crate::socket::{Answer, Books, Report, Reporter};
use std::io;
use std::sync::Arc;
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::session::LaneEnd;
use xmit_shared::snapshot::{Publisher, Reader};

/// What the daemon's control thread would hold.
#[derive(Debug)]
pub struct Solo {
    snapshot: Arc<Snapshot>,
    publisher: Publisher<Arc<Snapshot>>,
    books: Books,
    commands: Mail<LaneCommand>,
    reports: Mailbox<(u16, LaneReport)>,
}

/// Messages between the lane and its control thread: a turn makes fewer, and each is answered before the next turn.
const MAIL: usize = 256;

impl Solo {
    /// The control's end of `snapshot` and of its mailboxes, and what lane 0 is made with.
    ///
    /// # Errors
    /// The kernel's, if memory or descriptors are short.
    pub fn new(snapshot: Snapshot, seed: u64) -> io::Result<(Self, LaneMail, Reader<Arc<Snapshot>>)> {
        let (commands, to_lane) = mailbox(MAIL)?;
        let (reports, from_lane) = mailbox(MAIL)?;
        // No other lane sends packets, nor frames home.
        let (packets, returns) = (mailbox(1)?.0, mailbox(1)?.0);
        let mail = LaneMail { commands, reports: from_lane, packets, returns, others: vec![None] };
        let snapshot = Arc::new(snapshot);
        let publisher = Publisher::new(Arc::clone(&snapshot));
        let reader = publisher.reader();
        Ok((Self { snapshot, publisher, books: Books::new(1, seed), commands: to_lane, reports }, mail, reader))
    }

    /// The configuration in force.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Puts another configuration in force, from the next turn on.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.snapshot = Arc::new(snapshot);
        self.publisher.publish(Arc::clone(&self.snapshot));
    }

    /// Ephemeral ports are those of `range` from now on.
    pub fn set_range(&mut self, range: (u16, u16)) {
        self.books.set_range(range);
    }

    /// The lane serves `end` of `session` from its next turn on.
    ///
    /// # Errors
    /// If the lane's mailbox is full.
    pub fn attach(&self, session: u32, end: LaneEnd) -> io::Result<()> {
        self.command(LaneCommand::Attach { session, end: Box::new(end), rate: 0 })
    }

    /// The program of `session` is gone.
    ///
    /// # Errors
    /// If the lane's mailbox is full.
    pub fn detach(&mut self, session: u32) -> io::Result<()> {
        self.books.release_session(session);
        self.command(LaneCommand::Detach { session })
    }

    fn command(&self, command: LaneCommand) -> io::Result<()> {
        self.commands.send(command).map_err(|_| io::Error::other("the lane's mailbox is full"))
    }

    /// Answers what the lane has reported; how much that was. Bounded by the mailbox.
    pub fn answer_reports(&mut self) -> usize {
        let mut answered = 0;
        while let Some((_, report)) = self.reports.take() {
            answered += 1;
            if let LaneReport::Session(report) = report {
                self.answer(&report);
            }
        }
        answered
    }

    fn answer(&mut self, report: &Report) {
        let settled = self.books.settle(&self.snapshot, Reporter { lane: 0, uid: 0, privileged: true }, report);
        if let Some(Answer { session, slot, result }) = settled.answer {
            // The mailbox holds more than the sessions can have under way.
            let _ = self.commands.send(LaneCommand::Bound { session, slot, result });
        }
        if let Report::Broken { session, .. } = report {
            self.books.release_session(*session);
        }
    }
}
