//! Was a recovery a mistake? By the echo of a timestamp older than the first retransmission (Eifel, RFC 3522 and
//! 4015), or by D-SACKs for everything that was retransmitted (RFC 3708).
//!
//! Invariants: a recovery is undone at most once; D-SACKs of data below the marker, sent before it began, do not count.
//! F-RTO judges beside this, and calls the same undo.

use super::sent::DuplicateSack;
use super::seq::SeqNum;
use super::timestamp::left_after;
use crate::Instant;

/// The evidence of one recovery.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undo {
    /// `SND.UNA` when the recovery began (`undo_marker`); none if there is nothing to undo.
    marker: Option<SeqNum>,
    /// Retransmitted segments that no D-SACK told of (`undo_retrans`); none before the first.
    outstanding: Option<u32>,
    /// When the first retransmission left (`retrans_stamp`).
    first_retransmit_at: Option<Instant>,
}

impl Undo {
    /// A recovery begins at `una`, with `retransmitted` segments of earlier retransmissions still in flight, whose
    /// D-SACKs may come yet (`tcp_init_undo`).
    pub fn begin(&mut self, una: SeqNum, retransmitted: u32) {
        self.marker = Some(una);
        self.outstanding = (retransmitted > 0).then_some(retransmitted);
        self.first_retransmit_at = self.first_retransmit_at.filter(|_| retransmitted > 0);
    }

    /// Notes a retransmission of `segments` at `now`.
    pub fn on_retransmit(&mut self, now: Instant, segments: u32) {
        self.outstanding = Some(self.outstanding.unwrap_or(0).saturating_add(segments));
        self.first_retransmit_at = self.first_retransmit_at.or(Some(now));
    }

    /// Takes a D-SACK.
    pub fn on_duplicate(&mut self, duplicate: &DuplicateSack, mss: u32) {
        let counts = self.marker.is_some_and(|marker| duplicate.end.after(marker));
        if let Some(outstanding) = self.outstanding.as_mut().filter(|_| counts) {
            *outstanding = outstanding.saturating_sub(duplicate.segments(mss));
        }
    }

    /// True if the recovery was a mistake: every retransmission arrived twice, or an ACK that is news echoes a segment
    /// sent before the first retransmission, at `echoed` (`tcp_may_undo`).
    pub fn may_undo(&self, echoed: Option<Instant>) -> bool {
        self.all_arrived_twice() || (self.marker.is_some() && self.original_echoed(echoed))
    }

    /// True if D-SACKs told of every retransmission.
    pub fn all_arrived_twice(&self) -> bool {
        self.marker.is_some() && self.outstanding == Some(0)
    }

    /// True if `echoed` is the leaving of a segment before the first retransmission (`tcp_packet_delayed`).
    pub fn original_echoed(&self, echoed: Option<Instant>) -> bool {
        match (self.first_retransmit_at, echoed) {
            (Some(first), Some(echoed)) => left_after(first, echoed),
            _ => false,
        }
    }

    /// The recovery was undone, or stands.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Where the recovery began, if it may still be undone.
    pub fn marker(&self) -> Option<SeqNum> {
        self.marker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duplicate(start: u32, end: u32) -> DuplicateSack {
        DuplicateSack { start: SeqNum::new(start), end: SeqNum::new(end) }
    }

    #[test]
    fn duplicates_of_all_retransmissions_undo() {
        let mut undo = Undo::default();
        undo.begin(SeqNum::new(1000), 0);
        assert!(!undo.may_undo(None), "nothing was retransmitted");
        undo.on_retransmit(Instant::from_millis(5), 2);
        undo.on_duplicate(&duplicate(900, 1000), 100);
        assert!(!undo.may_undo(None));
        undo.on_duplicate(&duplicate(1000, 1100), 100);
        assert!(!undo.may_undo(None), "of two one is missing; what lies below the marker is older");
        undo.on_duplicate(&duplicate(1100, 1200), 100);
        assert!(undo.may_undo(None));
        undo.end();
        assert!(!undo.may_undo(None));
    }

    #[test]
    fn the_echo_of_an_original_undoes() {
        let mut undo = Undo::default();
        undo.begin(SeqNum::new(0), 0);
        undo.on_retransmit(Instant::from_micros(50_700), 1);
        undo.on_retransmit(Instant::from_micros(70_000), 1);
        let at = |millis| Some(Instant::from_millis(millis));
        assert!(undo.may_undo(at(49)));
        assert!(!undo.may_undo(at(50)), "the same tick proves nothing");
        assert!(!undo.may_undo(at(60)) && !undo.may_undo(None));
    }
}
