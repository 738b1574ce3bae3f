//! Tail loss probe (RFC 8985 section 7): when ACKs stop, one more segment is sent before the retransmission timer, so
//! that a lost tail is repaired by RACK and not by a timeout.
//!
//! Invariants: at most one probe is outstanding (`tlp_high_seq`); a probe that repaired a loss alone still costs a
//! reduction of the window, because otherwise that loss would be invisible. Called by the connection at its probe
//! timer and ACKs.

use super::rtt::RTO_INITIAL;
use super::seq::SeqNum;
use crate::Duration;
use xmit_shared::time::nanos;

/// With one segment in flight the peer may delay its ACK that long (`WCDelAckT`; Linux: `TCP_RTO_MIN`).
const DELAYED_ACK_MAX: u64 = nanos(Duration::from_millis(200));
/// Beside two round trips, for the peer's and our timers (`TCP_TIMEOUT_MIN`).
const SLACK: u64 = nanos(Duration::from_millis(2));

/// A probe that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    /// `SND.NXT` when it left, itself included.
    end: SeqNum,
    /// It carried old data.
    retransmission: bool,
}

/// The state of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tlp {
    probe: Option<Probe>,
}

/// What an ACK is, as far as a probe is concerned.
#[derive(Clone, Copy, Debug)]
pub struct TlpAck {
    /// Its acknowledgment number.
    pub ack: SeqNum,
    /// `SND.UNA` moved, data came with it, or SACK blocks were new: not a pure duplicate.
    pub news: bool,
    /// It carried a D-SACK that ends where the probe did.
    pub duplicate_end: Option<SeqNum>,
}

/// What an ACK means for the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlpVerdict {
    /// Nothing, or there was none.
    Undecided,
    /// Nothing had been lost.
    NoLoss,
    /// The probe repaired a loss: reduce the window once (section 7.4.2).
    Repaired,
}

impl Tlp {
    /// How long after the last sending or ACK the probe leaves (section 7.2): two round trips; if the retransmission
    /// timer is due before, in `rto_left`, the probe takes its place, and that timer begins anew.
    ///
    /// In nanoseconds; the round trip in microseconds.
    #[inline]
    pub fn timeout_nanos(srtt_micros: Option<u32>, in_flight: u32, rto_left: u64) -> u64 {
        let probe = match srtt_micros {
            Some(srtt) => 2_000 * u64::from(srtt) + if in_flight == 1 { DELAYED_ACK_MAX } else { SLACK },
            None => nanos(RTO_INITIAL),
        };
        probe.min(rto_left)
    }

    /// True if a probe may be scheduled (section 7.2): something is in flight, SACK was agreed on, no recovery is
    /// under way, no probe outstanding.
    pub fn may_schedule(&self, in_flight: u32, sack_permitted: bool, open: bool) -> bool {
        in_flight > 0 && sack_permitted && open && self.probe.is_none()
    }

    /// True if a probe is on its way.
    pub fn is_outstanding(&self) -> bool {
        self.probe.is_some()
    }

    /// Notes the probe: new data if there is some and the window allows, else the last segment again (section 7.3).
    pub fn on_sent(&mut self, nxt: SeqNum, retransmission: bool) {
        self.probe = Some(Probe { end: nxt, retransmission });
    }

    /// Recovery or a timeout began: they account for the loss.
    pub fn cancel(&mut self) {
        self.probe = None;
    }

    /// Takes an ACK (section 7.4; `tcp_process_tlp_ack`).
    pub fn on_ack(&mut self, ack: &TlpAck) -> TlpVerdict {
        let Some(probe) = self.probe.filter(|probe| ack.ack.at_or_after(probe.end)) else {
            return TlpVerdict::Undecided;
        };
        let verdict = if !probe.retransmission || ack.duplicate_end == Some(probe.end) {
            TlpVerdict::NoLoss
        } else if ack.ack.after(probe.end) {
            TlpVerdict::Repaired
        } else if !ack.news {
            // A pure duplicate: the original and the probe arrived.
            TlpVerdict::NoLoss
        } else {
            TlpVerdict::Undecided
        };
        if verdict != TlpVerdict::Undecided {
            self.probe = None;
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn ack(number: u32, news: bool, duplicate_end: Option<u32>) -> TlpAck {
        TlpAck { ack: SeqNum::new(number), news, duplicate_end: duplicate_end.map(SeqNum::new) }
    }

    #[test]
    fn the_timer_is_two_round_trips_before_the_retransmission_timer() {
        let timeout = |srtt, in_flight, left| Tlp::timeout_nanos(srtt, in_flight, left * MS) / MS;
        assert_eq!(timeout(Some(50_000), 5, 1000), 102);
        assert_eq!(timeout(Some(50_000), 1, 1000), 300);
        assert_eq!(timeout(Some(50_000), 1, 250), 250);
        assert_eq!(timeout(None, 5, 3000), 1000);
    }

    #[test]
    fn only_one_probe_and_only_in_the_open_state() {
        let mut tlp = Tlp::default();
        assert!(tlp.may_schedule(1, true, true));
        assert!(
            !tlp.may_schedule(0, true, true) && !tlp.may_schedule(1, false, true) && !tlp.may_schedule(1, true, false)
        );
        tlp.on_sent(SeqNum::new(100), true);
        assert!(!tlp.may_schedule(1, true, true) && tlp.is_outstanding());
        tlp.cancel();
        assert!(!tlp.is_outstanding());
    }

    #[test]
    fn an_ack_tells_what_the_probe_did() {
        let judged = |retransmission, acks: &[TlpAck]| {
            let mut tlp = Tlp::default();
            tlp.on_sent(SeqNum::new(1000), retransmission);
            acks.iter().map(|ack| tlp.on_ack(ack)).collect::<Vec<_>>()
        };
        use TlpVerdict::{NoLoss, Repaired, Undecided};
        assert_eq!(judged(false, &[ack(900, true, None), ack(1000, true, None)]), [Undecided, NoLoss]);
        assert_eq!(judged(true, &[ack(1000, true, None), ack(1000, false, None)]), [Undecided, NoLoss]);
        assert_eq!(judged(true, &[ack(1000, true, None), ack(1100, true, None)]), [Undecided, Repaired]);
        assert_eq!(judged(true, &[ack(1000, true, Some(1000)), ack(1100, true, None)]), [NoLoss, Undecided]);
    }
}
