//! What a lane exchanges with other lanes and the control thread at the ends of its turn.
//!
//! Invariants: what is taken in one turn is bounded, whoever goes on sending; a frame of another lane's pool goes home.

use super::{Lane, LaneReport};
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::limits;
use crate::net::Wish;
use crate::stack::Stack;
use xmit_nic::{Frame, Instant, Pool};
use xmit_shared::mailbox::Mailbox;

impl Lane {
    /// Frames of other lanes, and our own that come home. Bounded by what the mailboxes hold at once: other lanes fill
    /// them up meanwhile.
    pub(super) fn backlog(&mut self, now: Instant) -> usize {
        let mut taken = 0;
        for _ in 0..limits::HANDOVER_FRAMES_MAX {
            let Some(frame) = self.mail.packets.take() else { break };
            self.stack.net.counters.inc(Snmp::HandoverIn);
            self.stack.receive_handover(now, frame);
            taken += 1;
        }
        for _ in 0..limits::HANDOVER_FRAMES_MAX {
            let Some(frame) = self.mail.returns.take() else { break };
            self.stack.net.pool.release(frame);
            taken += 1;
        }
        taken
    }

    /// Reports that the control thread must have wait for room in its mailbox; wishes are forgotten, they come again.
    pub(super) fn report(&mut self) {
        self.unsent.extend(self.stack.sockets.reports.drain(..).map(LaneReport::Session));
        while let Some(report) = self.unsent.pop_front() {
            if let Err((_, report)) = self.mail.reports.send((self.id, report)) {
                self.unsent.push_front(report);
                break;
            }
        }
        for wish in self.stack.net.wishes.drain(..) {
            let report = match wish {
                Wish::Resolve(interface, address) => LaneReport::Resolve { interface, address },
                Wish::Heard(interface, address, mac) => LaneReport::Heard { interface, address, mac },
            };
            // A full mailbox: the neighbour's timer asks again.
            let _ = self.mail.reports.send((self.id, report));
        }
    }

    pub(super) fn hand_over(&mut self) {
        let Stack { net, handover, .. } = &mut self.stack;
        handover.extend(net.outgoing.drain(..));
        while let Some((lane, frame)) = self.stack.handover.pop_front() {
            let to = self.mail.others.get(usize::from(lane)).and_then(Option::as_ref);
            let sent = match to {
                Some(other) => other.packets.send(frame),
                None => Err(frame),
            };
            match sent {
                Ok(()) => self.stack.net.counters.inc(Snmp::HandoverOut),
                Err(frame) => self.stack.net.drop_frame(frame, DropReason::BacklogFull),
            }
        }
        self.send_home();
    }

    /// Bounded by the frames that wait.
    fn send_home(&mut self) {
        while let Some(frame) = self.stack.net.pool.take_foreign() {
            // Pools are numbered like their lanes.
            let home = self.mail.others.get(usize::from(frame.pool())).and_then(Option::as_ref);
            let sent = match home {
                Some(home) => home.returns.send(frame),
                None => Err(frame),
            };
            if let Err(frame) = sent {
                // The other lane is behind; it takes this one when it has caught up.
                self.stack.net.pool.release(frame);
                break;
            }
        }
    }

    pub(super) fn remains(self) -> Remains {
        Remains { pool: self.stack.net.pool, packets: self.mail.packets, returns: self.mail.returns }
    }
}

/// What is left of a lane that has ended: its pool, and frames of all lanes that were under way to it.
#[derive(Debug)]
pub struct Remains {
    pool: Pool,
    packets: Mailbox<Frame>,
    returns: Mailbox<Frame>,
}

impl Remains {
    /// Sends every frame home and answers the pools, whose census then shows what is missing. To be called when all
    /// lanes have ended.
    pub fn settle(mut all: Vec<Self>) -> Vec<Pool> {
        let mut astray = Vec::new();
        for lane in &mut all {
            astray.extend(std::iter::from_fn(|| lane.packets.take().or_else(|| lane.returns.take())));
            astray.extend(std::iter::from_fn(|| lane.pool.take_foreign()));
        }
        for frame in astray {
            if let Some(home) = all.iter_mut().find(|lane| lane.pool.owns(&frame)) {
                home.pool.release(frame);
            }
        }
        all.into_iter().map(|lane| lane.pool).collect()
    }
}
