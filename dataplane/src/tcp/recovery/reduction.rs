//! The window is reduced, and given back if that was a mistake: what begins an episode, what leads the window through it, what ends it.

use super::super::congestion::{Congestion, Signal};
use super::super::prr::Prr;
use super::super::seq::SeqNum;
use super::{Directive, Episode, EpisodeSlab, Phase, Recovery, Sender};

impl Recovery {
    /// Reduces the window once per window of data, without loss: for ECE, and for a frame that our own queues refused
    /// (`tcp_enter_cwr`).
    pub fn enter_cwr(
        &mut self,
        congestion: &mut Congestion,
        episodes: &mut EpisodeSlab,
        nxt: SeqNum,
        signal: Signal,
    ) -> bool {
        let enters = self.phase < Phase::Cwr;
        if enters {
            self.begin_reduction(congestion, episodes, nxt, signal);
            if let Some(episode) = self.episode.get_mut(episodes) {
                episode.undo.end();
                episode.prior = None;
            }
            self.phase = Phase::Cwr;
        }
        enters
    }

    pub(super) fn leave_cwr(&mut self, sender: &mut Sender<'_>) {
        sender.congestion.end_reduction();
        self.phase = Phase::Open;
    }

    /// After an ACK up to `ack`: ends an episode in which nothing can be undone any more. No retransmission is out, and what left after
    /// the recovery has arrived, so that D-SACKs of retransmissions would have come, too.
    #[inline]
    pub(super) fn forget_evidence(&mut self, sender: &mut Sender<'_>, ack: SeqNum) {
        if self.episode.is_begun() && self.phase == Phase::Open && sender.sent.retransmitted() == 0 {
            let undo = self.episode.undo(sender.episodes);
            if undo.marker().is_none() || ack.after(self.high_seq) {
                self.episode.end(sender.episodes);
            }
        }
    }

    /// `tcp_enter_recovery`.
    pub(super) fn enter_recovery(&mut self, sender: &mut Sender<'_>, nxt: SeqNum, directive: &mut Directive) {
        let una = sender.sent.first().map_or(nxt, |id| sender.slab[id].start());
        self.doubt(sender, una);
        if self.phase < Phase::Cwr {
            self.begin_reduction(sender.congestion, sender.episodes, nxt, Signal::Loss);
            directive.reduced = true;
        } else {
            self.high_seq = nxt;
        }
        self.phase = Phase::Recovery;
    }

    /// `tcp_init_cwnd_reduction`.
    fn begin_reduction(
        &mut self,
        congestion: &mut Congestion,
        episodes: &mut EpisodeSlab,
        nxt: SeqNum,
        signal: Signal,
    ) {
        let prior = congestion.cwnd();
        if let Some(episode) = self.reduce(congestion, episodes, signal) {
            episode.prr = Prr::new(prior, congestion.ssthresh());
        }
        self.tlp.cancel();
        self.high_seq = nxt;
    }

    /// Lowers the threshold, and keeps what was before.
    pub(super) fn reduce<'s>(
        &mut self,
        congestion: &mut Congestion,
        episodes: &'s mut EpisodeSlab,
        signal: Signal,
    ) -> Option<&'s mut Episode> {
        let prior = congestion.reduce(signal);
        let episode = self.episode.begin(episodes)?;
        episode.prior = Some(prior);
        Some(episode)
    }

    /// From here on evidence is gathered that the reduction was a mistake (`tcp_init_undo`).
    pub(super) fn doubt(&mut self, sender: &mut Sender<'_>, una: SeqNum) {
        let retransmitted = sender.sent.retransmitted();
        if let Some(episode) = self.episode.begin(sender.episodes) {
            episode.undo.begin(una, retransmitted);
        }
    }

    /// The window that PRR allows.
    pub(super) fn follow_prr(&mut self, sender: &mut Sender<'_>, delivered: u32, safe: bool) {
        let in_flight = sender.sent.in_flight();
        let cwnd = self.episode.get_mut(sender.episodes).and_then(|e| e.prr.on_ack(delivered, in_flight, safe));
        if let Some(cwnd) = cwnd {
            sender.congestion.set_cwnd(cwnd);
        }
    }

    /// Everything retransmitted arrived twice (`tcp_try_undo_dsack`).
    pub(super) fn undo_by_duplicates(&mut self, sender: &mut Sender<'_>, directive: &mut Directive) {
        if self.episode.undo(sender.episodes).all_arrived_twice() {
            self.undo_now(sender, directive);
        }
    }

    pub(super) fn undo_now(&mut self, sender: &mut Sender<'_>, directive: &mut Directive) {
        let prior = self.episode.get_mut(sender.episodes).and_then(|episode| episode.prior.take());
        directive.undone |= prior.is_some_and(|prior| sender.congestion.undo(&prior));
        self.episode.end(sender.episodes);
        self.phase = Phase::Open;
    }
}
