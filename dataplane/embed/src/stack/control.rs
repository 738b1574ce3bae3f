//! The control thread's part, played between two turns: binds are settled, settings published.

use std::io;
use std::sync::Arc;
use xmit_dataplane::lane::{LaneCommand, LaneMail, LaneReport};
use xmit_dataplane::snapshot::Snapshot;
use xmit_dataplane::socket::{Answer, Books, Report, Reporter};
use xmit_dataplane::tcp::Settings;
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::session::LaneEnd;
use xmit_shared::snapshot::{Publisher, Reader};

/// What the daemon's control thread would hold.
#[derive(Debug)]
pub(super) struct Control {
    snapshot: Arc<Snapshot>,
    books: Books,
    commands: Mail<LaneCommand>,
    reports: Mailbox<(u16, LaneReport)>,
}

/// Messages between the lane and its control thread: a turn makes fewer, and each is answered before the next turn.
const MAIL: usize = 256;
/// The one session's name.
const SESSION: u32 = 1;

impl Control {
    /// The control's end of `snapshot` and of its mailboxes, and the lane's.
    pub(super) fn new(snapshot: Snapshot, seed: u64) -> io::Result<(Self, LaneMail, Reader<Arc<Snapshot>>)> {
        let (commands, to_lane) = mailbox(MAIL)?;
        let (reports, from_lane) = mailbox(MAIL)?;
        let mail = LaneMail {
            commands,
            reports: from_lane,
            packets: mailbox(1)?.0,
            returns: mailbox(1)?.0,
            others: vec![None],
        };
        let snapshot = Arc::new(snapshot);
        // The only snapshot of a run: nobody publishes another.
        let reader = Publisher::new(Arc::clone(&snapshot)).reader();
        let books = Books::new(1, seed);
        Ok((Self { snapshot, books, commands: to_lane, reports }, mail, reader))
    }

    /// The lane serves `end` from its next turn on.
    pub(super) fn attach(&self, end: LaneEnd) -> io::Result<()> {
        let attach = LaneCommand::Attach { session: SESSION, end: Box::new(end), rate: 0 };
        self.commands.send(attach).map_err(|_| io::Error::other("the lane's mailbox is full"))
    }

    /// Puts the settings in force that concern addresses.
    pub(super) fn set(&mut self, settings: &Settings) {
        for book in [&mut self.books.udp, &mut self.books.tcp] {
            book.set_range(settings.ip_local_port_range);
        }
    }

    /// Answers what the lane has reported; how much that was. Bounded by the mailbox.
    pub(super) fn answer_reports(&mut self) -> usize {
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
            // The mailbox holds more than the session can have under way.
            let _ = self.commands.send(LaneCommand::Bound { session, slot, result });
        }
        if let Report::Broken { session, .. } = report {
            self.books.release_session(*session);
        }
    }
}
