//! The lane's end of socket calls: taking them, and answering each exactly once.
//!
//! Invariants: room in the completion ring is kept for the answer of every call taken, so answering needs no retry; the answer to a
//! postponed call waits in `late` until there is room.

use super::lane_end::LaneEnd;
use super::op::{Completion, Submission};
use crate::rubbish::Rubbish;

impl LaneEnd {
    /// The next socket call, or `None` if there is none or no room to answer it. Call at most a budget of times a turn.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn next_submission(&mut self) -> Result<Option<Submission>, Rubbish> {
        self.complete_late()?;
        if self.submissions.available()? == 0 || self.completions.room()? <= self.outstanding {
            return Ok(None);
        }
        let Some(entry) = self.submissions.pop()? else { return Ok(None) };
        let submission = Submission::decode(entry, self.config().slots)?;
        self.outstanding += 1;
        Ok(Some(submission))
    }

    /// Answers a submission, now or in a later turn; exactly one answer for each.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn complete(&mut self, completion: &Completion) -> Result<(), Rubbish> {
        self.outstanding = self.outstanding.saturating_sub(1);
        self.posted = true;
        // There is room: `next_submission` counted it, and a client cannot take room back without being rubbish.
        if self.completions.push(completion.encode())? {
            return Ok(());
        }
        Err(Rubbish::Position { claimed: self.config().control_entries, capacity: self.config().control_entries })
    }

    /// A submission that was taken will be answered long after others that follow it, by [`LaneEnd::complete_postponed`]:
    /// no room is kept for its answer meanwhile, or a few such would hold up all calls. Only closing a slot may be postponed.
    pub fn postpone(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// Answers a postponed submission, as soon as there is room.
    ///
    /// # Errors
    /// [`Rubbish`]: the session is over.
    pub fn complete_postponed(&mut self, completion: &Completion) -> Result<(), Rubbish> {
        self.late.push_back(*completion);
        self.complete_late()
    }

    /// Bounded by the slots.
    fn complete_late(&mut self) -> Result<(), Rubbish> {
        while let Some(completion) = self.late.front().copied() {
            if self.completions.room()? <= self.outstanding {
                break;
            }
            self.late.pop_front();
            self.outstanding += 1;
            self.complete(&completion)?;
        }
        Ok(())
    }

    /// True if a call can be taken or answered.
    pub(super) fn has_submission(&mut self) -> bool {
        let submissions = self.submissions.available().map_or(1, |available| available);
        let answerable = self.completions.room().map_or(1, |room| room.saturating_sub(self.outstanding));
        (submissions > 0 || !self.late.is_empty()) && answerable > 0
    }
}
