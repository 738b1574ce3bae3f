//! The sender's reaction to loss, as one machine: Linux's congestion states over the parts of this folder
//! (`tcp_fastretrans_alert`, `tcp_process_loss`, `tcp_cong_control`).
//!
//! ```text
//!   Open <-> Disorder --lost--> Recovery --high_seq acknowledged--> Open      (window led by PRR)
//!     |  \----ECE, probe repaired a loss----> Cwr ------------------> Open      (window led by PRR)
//!     '-- timeout --> Loss --high_seq acknowledged, or spurious--> Open         (window grows from one segment)
//! ```
//!
//! Owns RACK, TLP, F-RTO and, in a slab of the lane (`episode`), PRR and undo; moves the scoreboard and the window, which it is lent.
//! Sends nothing: a
//! [`Directive`] says what may be sent, within `cwnd - in_flight`. Called by the connection once per acceptable ACK
//! and at the retransmission, reordering and probe timers; [`Recovery::on_retransmit`] and [`Recovery::on_sent_new`]
//! after each sending.
//!
//! Limited transmit (RFC 3042) needs no rule of its own: a selectively acknowledged segment, or a duplicate ACK without
//! SACK, leaves the pipe, so each of the first two lets one new segment out.

mod directive;
mod episode;
mod plain;
mod reduction;
#[cfg(test)]
mod tests;

pub use directive::{AckFacts, Directive, Permit, PlainAck, Sender};
pub use episode::{Episode, EpisodeSlab};

use super::congestion::{AckSample, Signal};
use super::frto::{Frto, FrtoAck, FrtoVerdict};
use super::rack::{Rack, RackPath};
use super::rtt::{self, RttEstimator};
use super::sent::{Ack, AckOutcome, SegmentId, Sent};
use super::seq::SeqNum;
use super::tlp::{Tlp, TlpAck, TlpVerdict};
use crate::Instant;
use episode::EpisodeId;

/// Linux's `tcp_ca_state`, in the order of `tcpi_ca_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing unusual.
    #[default]
    Open,
    /// Something arrived out of order; maybe nothing is lost.
    Disorder,
    /// The window is being reduced, nothing is lost.
    Cwr,
    /// Lost segments are being retransmitted (fast recovery).
    Recovery,
    /// The retransmission timer expired.
    Loss,
}

/// The machine of one connection. What every ACK looks at stands first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Recovery {
    phase: Phase,
    frto: Frto,
    episode: EpisodeId,
    tlp: Tlp,
    rack: Rack,
    /// `SND.NXT` when the phase began; it ends when this is acknowledged.
    high_seq: SeqNum,
}

impl Recovery {
    /// Gives back what it holds of the lane.
    pub fn clear(&mut self, episodes: &mut EpisodeSlab) {
        self.episode.end(episodes);
    }

    /// With other limits of reordering than the usual (`tcp_reordering`, `tcp_max_reordering`).
    pub fn new(reordering: u32, max: u32) -> Self {
        Self { rack: Rack::with_reordering(reordering, max), ..Self::default() }
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Where the phase ends; what [`Ack::high_seq`] wants.
    pub fn high_seq(&self) -> SeqNum {
        self.high_seq
    }

    /// Whether reordering was seen, and how much is allowed for.
    pub fn rack(&self) -> &Rack {
        &self.rack
    }

    /// True if a tail loss probe may be scheduled.
    pub fn may_probe(&self, sent: &Sent, sack_permitted: bool) -> bool {
        self.tlp.may_schedule(sent.in_flight(), sack_permitted, matches!(self.phase, Phase::Open | Phase::Cwr))
    }

    /// Takes an ACK: scoreboard, round trip, loss, window.
    pub fn on_ack(&mut self, sender: &mut Sender<'_>, ack: &Ack, facts: &AckFacts) -> Directive {
        let mut outcome = sender.sent.on_ack(sender.slab, ack);
        if facts.duplicate && !ack.sack_permitted {
            if sender.sent.add_duplicate_ack(ack.now) {
                outcome.delivered += 1;
            } else {
                self.rack.on_too_many_duplicates(sender.sent.segments());
            }
        }
        outcome.sample_rtt(sender.rtt, ack);
        if ack.sack_permitted {
            // Without SACK an acknowledgment of a filled hole would make all that was sent before it look lost.
            self.rack.on_ack(&outcome, ack.ack, ack.nxt);
            if self.phase != Phase::Loss || self.episode.undo(sender.episodes).marker().is_some() {
                self.rack.on_late(outcome.overtaken.by_sack, ack.mss);
            }
            self.rack.on_late(outcome.overtaken.by_ack, ack.mss);
        }
        if let (Some(duplicate), Some(episode)) = (&outcome.duplicate, self.episode.get_mut(sender.episodes)) {
            episode.undo.on_duplicate(duplicate, ack.mss);
        }
        let lost_before = sender.sent.lost();
        let mut directive = Directive::of(outcome);
        self.judge_probe(sender, ack, facts, &mut directive);
        self.leave_at_high_seq(sender, ack, &mut directive);
        match self.phase {
            Phase::Open | Phase::Disorder | Phase::Cwr => self.watch(sender, ack, facts, &mut directive),
            Phase::Recovery => self.in_recovery(sender, ack, &mut directive),
            Phase::Loss => self.in_loss(sender, ack, facts, &mut directive),
        }
        let newly_lost = sender.sent.lost() > lost_before;
        self.control_window(sender, ack, facts, &directive.outcome, newly_lost);
        self.forget_evidence(sender, ack.ack);
        directive
    }

    /// The retransmission timer expired (`tcp_enter_loss`); `timeouts` did before it without progress. The first
    /// segment is among the lost. The caller backs the timer off, and sends. Without SACK, call
    /// [`Sent::forget_duplicate_acks`] before.
    pub fn on_rto(&mut self, sender: &mut Sender<'_>, now: Instant, nxt: SeqNum, timeouts: u32) -> Directive {
        let Some(first) = sender.sent.first() else { return Directive::of(AckOutcome::default()) };
        let una = sender.slab[first].start();
        let new = self.phase < Phase::Recovery;
        let mut directive = Directive::of(AckOutcome::default());
        if self.phase <= Phase::Disorder
            || self.high_seq.at_or_before(una)
            || (self.phase == Phase::Loss && timeouts == 0)
        {
            self.reduce(sender.congestion, sender.episodes, Signal::Timeout);
            self.doubt(sender, una);
            directive.reduced = true;
        }
        if self.phase <= Phase::Disorder {
            self.rack.on_needless_patience(sender.sent.sacked());
        }
        self.mark_timed_out(sender, now, first);
        sender.congestion.set_cwnd(sender.sent.in_flight() + 1);
        self.phase = Phase::Loss;
        self.high_seq = nxt;
        self.frto = Frto::begin(new || timeouts > 0);
        self.tlp.cancel();
        directive
    }

    /// The timeout is not doubted (`tcp_frto` = 0).
    pub fn believe_timeout(&mut self) {
        self.frto = Frto::Off;
    }

    /// After a timeout the first segment and all that is overdue is lost; without samples, or if the peer took back
    /// what it had (RFC 2018 section 8), everything (`tcp_timeout_mark_lost`).
    fn mark_timed_out(&mut self, sender: &mut Sender<'_>, now: Instant, first: SegmentId) {
        if sender.slab[first].marks().sacked {
            sender.sent.mark_all_lost(sender.slab, true);
        } else {
            let path = self.path(sender.rtt, true);
            self.rack.on_timeout(sender.sent, sender.slab, now, &path);
        }
    }

    /// The reordering timer expired (`tcp_rack_reo_timeout`). `mtu_probe`: as [`AckFacts::mtu_probe`].
    pub fn on_reorder_timer(
        &mut self,
        sender: &mut Sender<'_>,
        now: Instant,
        nxt: SeqNum,
        mtu_probe: Option<SeqNum>,
    ) -> Directive {
        let mut directive = Directive::of(AckOutcome::default());
        let lost = self.detect(sender, now, &mut directive);
        if lost > 0 && self.lost_is_probe(sender, mtu_probe) {
            directive.mtu_probe_lost = true;
        } else if lost > 0 && self.phase < Phase::Recovery {
            self.enter_recovery(sender, nxt, &mut directive);
            self.follow_prr(sender, 1, false);
        }
        directive
    }

    /// Segments were lost that were too long for the path, which is not congestion: they are sent again under the window as it
    /// is (`tcp_non_congestion_loss_retransmit`).
    pub fn on_harmless_loss(&mut self, episodes: &mut EpisodeSlab, nxt: SeqNum) {
        if self.phase != Phase::Loss {
            self.phase = Phase::Loss;
            self.high_seq = nxt;
            self.episode.end(episodes);
            self.frto = Frto::begin(false);
            self.tlp.cancel();
        }
    }

    /// A tail loss probe left; `retransmission` if it carried old data. `nxt` is `SND.NXT` after it.
    pub fn on_probe(&mut self, nxt: SeqNum, retransmission: bool) {
        self.tlp.on_sent(nxt, retransmission);
    }

    /// Notes that `id` was sent again.
    pub fn on_retransmit(&mut self, sender: &mut Sender<'_>, now: Instant, id: SegmentId) {
        sender.sent.retransmit(sender.slab, now, id);
        if let Some(episode) = self.episode.begin(sender.episodes) {
            episode.undo.on_retransmit(now, 1);
            episode.prr.on_sent(1);
        }
    }

    /// Counts a new segment that left.
    #[inline]
    pub fn on_sent_new(&mut self, episodes: &mut EpisodeSlab) {
        if let Some(episode) = self.episode.get_mut(episodes) {
            episode.prr.on_sent(1);
        }
    }

    /// What a probe proved, now that its ACK is here.
    fn judge_probe(&mut self, sender: &mut Sender<'_>, ack: &Ack, facts: &AckFacts, directive: &mut Directive) {
        let outcome = &directive.outcome;
        let news = outcome.advanced() || outcome.newly_sacked > 0 || !facts.duplicate;
        let duplicate_end = outcome.duplicate.map(|duplicate| duplicate.end);
        let verdict = self.tlp.on_ack(&TlpAck { ack: ack.ack, news, duplicate_end });
        if verdict == TlpVerdict::Repaired && self.enter_cwr(sender.congestion, sender.episodes, ack.nxt, Signal::Loss)
        {
            // The loss is repaired already: the reduction is over at once.
            self.leave_cwr(sender);
            directive.reduced = true;
        }
    }

    /// Ends a reduction or a recovery whose data is acknowledged.
    fn leave_at_high_seq(&mut self, sender: &mut Sender<'_>, ack: &Ack, directive: &mut Directive) {
        match self.phase {
            Phase::Cwr if ack.ack.after(self.high_seq) => self.leave_cwr(sender),
            Phase::Recovery if ack.ack.at_or_after(self.high_seq) => {
                if !ack.sack_permitted {
                    if ack.ack == self.high_seq {
                        // Duplicates of retransmissions may follow; they must not begin a recovery (RFC 6582 section
                        // 4.1).
                        return;
                    }
                    sender.sent.forget_duplicate_acks();
                }
                self.finish(sender, ack, directive);
            }
            _ => {}
        }
    }

    /// The recovery's data is acknowledged: undone if it was a mistake (`tcp_try_undo_recovery`). If that is not
    /// known yet, D-SACKs that come later may still tell.
    fn finish(&mut self, sender: &mut Sender<'_>, ack: &Ack, directive: &mut Directive) {
        if self.episode.undo(sender.episodes).may_undo(ack.echoed) {
            self.undo_now(sender, directive);
        } else if self.phase == Phase::Recovery {
            sender.congestion.end_reduction();
        }
        self.rack.on_recovery_end();
        self.phase = Phase::Open;
        self.high_seq = ack.nxt;
    }

    /// Nothing is being recovered: is something lost, or marked?
    fn watch(&mut self, sender: &mut Sender<'_>, ack: &Ack, facts: &AckFacts, directive: &mut Directive) {
        if self.phase <= Phase::Disorder {
            self.undo_by_duplicates(sender, directive);
        }
        self.detect(sender, ack.now, directive);
        self.count_duplicates(sender, ack);
        if sender.sent.lost() > 0 {
            if self.lost_is_probe(sender, facts.mtu_probe) {
                directive.mtu_probe_lost = true;
                return;
            }
            return self.enter_recovery(sender, ack.nxt, directive);
        }
        if facts.ece {
            directive.reduced |= self.enter_cwr(sender.congestion, sender.episodes, ack.nxt, Signal::Ece);
        }
        if self.phase < Phase::Cwr {
            self.keep_open(sender.sent, ack.nxt);
        }
    }

    /// All that is lost is the probe of the path MTU, which was too long (RFC 4821 section 7.6.2): no congestion.
    fn lost_is_probe(&self, sender: &Sender<'_>, mtu_probe: Option<SeqNum>) -> bool {
        let Some(probe) = mtu_probe.filter(|_| self.phase < Phase::Cwr && sender.sent.lost() == 1) else {
            return false;
        };
        sender.sent.first().is_some_and(|first| {
            let first = &sender.slab[first];
            first.start() == probe && first.marks().lost
        })
    }

    /// `tcp_try_keep_open`.
    fn keep_open(&mut self, sent: &Sent, nxt: SeqNum) {
        let quiet = sent.sacked() == 0 && sent.lost() == 0 && sent.retransmitted() == 0;
        let phase = if quiet { Phase::Open } else { Phase::Disorder };
        if self.phase != phase {
            self.phase = phase;
            self.high_seq = nxt;
        }
    }

    fn in_recovery(&mut self, sender: &mut Sender<'_>, ack: &Ack, directive: &mut Directive) {
        let undo = self.episode.undo(sender.episodes);
        let by_echo = directive.outcome.advanced() && undo.original_echoed(ack.echoed);
        if by_echo && sender.sent.retransmitted() == 0 && undo.marker().is_some() {
            // The hole was filled by the original, and no retransmission is out (`tcp_try_undo_partial`).
            self.undo_now(sender, directive);
            sender.sent.unmark_lost(sender.slab);
            return self.keep_open(sender.sent, ack.nxt);
        }
        self.undo_by_duplicates(sender, directive);
        self.detect(sender, ack.now, directive);
        if !ack.sack_permitted && directive.outcome.advanced() && ack.ack.before(self.high_seq) {
            // A partial acknowledgment names the next hole (RFC 6582 section 3.2 step 3).
            self.mark_first(sender);
        }
        if self.phase != Phase::Recovery {
            self.keep_open(sender.sent, ack.nxt);
        }
    }

    fn in_loss(&mut self, sender: &mut Sender<'_>, ack: &Ack, facts: &AckFacts, directive: &mut Directive) {
        let recovered = ack.ack.at_or_after(self.high_seq);
        let outcome = &directive.outcome;
        let verdict = self.frto.on_ack(&FrtoAck {
            una: ack.ack,
            high_seq: self.high_seq,
            advanced: outcome.advanced(),
            original_arrived: outcome.original_arrived,
            duplicate: outcome.newly_sacked > 0 || facts.duplicate,
            can_send_new: facts.can_send_new,
        });
        let by_evidence = outcome.advanced() && self.episode.undo(sender.episodes).may_undo(ack.echoed);
        if by_evidence || verdict == FrtoVerdict::Spurious {
            self.undo_now(sender, directive);
            sender.sent.unmark_lost(sender.slab);
            self.frto = Frto::Off;
            return self.keep_open(sender.sent, ack.nxt);
        }
        if recovered {
            if !ack.sack_permitted {
                sender.sent.forget_duplicate_acks();
            }
            self.finish(sender, ack, directive);
            return self.watch(sender, ack, facts, directive);
        }
        if verdict == FrtoVerdict::SendNew {
            self.high_seq = ack.nxt;
            directive.permit = Permit::NewProbe;
            return;
        }
        self.detect(sender, ack.now, directive);
    }

    /// Asks RACK; answers how many were newly lost.
    fn detect(&mut self, sender: &mut Sender<'_>, now: Instant, directive: &mut Directive) -> u32 {
        let path = self.path(sender.rtt, self.phase >= Phase::Recovery);
        let found = self.rack.detect(sender.sent, sender.slab, now, &path);
        directive.reorder_timeout = found.timeout;
        found.lost
    }

    /// Without SACK the third duplicate ACK tells of a loss (RFC 5681 section 3.2).
    fn count_duplicates(&self, sender: &mut Sender<'_>, ack: &Ack) {
        if !ack.sack_permitted && sender.sent.sacked() >= self.rack.reordering() {
            self.mark_first(sender);
        }
    }

    fn mark_first(&self, sender: &mut Sender<'_>) {
        if let Some(first) = sender.sent.first().filter(|id| !sender.slab[*id].marks().in_flight_again) {
            sender.sent.mark_lost(sender.slab, first);
        }
    }

    fn path(&self, rtt: &RttEstimator, in_recovery: bool) -> RackPath {
        RackPath { in_recovery, min_rtt: rtt.min_rtt(), srtt: rtt.srtt() }
    }

    /// PRR leads the window during a reduction; otherwise it may grow (`tcp_cong_control`).
    fn control_window(
        &mut self,
        sender: &mut Sender<'_>,
        ack: &Ack,
        facts: &AckFacts,
        outcome: &AckOutcome,
        newly_lost: bool,
    ) {
        let reducing = matches!(self.phase, Phase::Cwr | Phase::Recovery);
        sender.congestion.on_ack(&AckSample {
            now: ack.now,
            una: ack.ack,
            nxt: ack.nxt,
            delivered: outcome.delivered,
            acked_bytes: outcome.acked_bytes,
            ece_marked_bytes: if facts.ece { outcome.acked_bytes } else { 0 },
            rtt_micros: outcome.rtt_newest.or(outcome.sack_rtt).map(rtt::micros),
            min_rtt_micros: sender.rtt.min_rtt_micros(),
            srtt_micros: sender.rtt.srtt_micros(),
            mss: ack.mss,
            paced: facts.paced,
            may_grow: !reducing && (outcome.advanced() || (self.rack.expects_reordering() && outcome.newly_sacked > 0)),
        });
        if reducing {
            self.follow_prr(sender, outcome.delivered, outcome.advanced() && !newly_lost);
        }
    }
}
