//! What goes into the recovery and what comes out: the parts it is lent, what is known of an ACK, what may be sent.

use super::super::congestion::Congestion;
use super::super::rtt::RttEstimator;
use super::super::sent::{AckOutcome, SegmentSlab, Sent};
use super::super::seq::SeqNum;
use super::EpisodeSlab;
use crate::{Duration, Instant};

/// The connection's other parts, lent for one call.
#[derive(Debug)]
pub struct Sender<'a> {
    /// What is unacknowledged.
    pub sent: &'a mut Sent,
    /// Where that is kept.
    pub slab: &'a mut SegmentSlab,
    /// Where its reaction to loss is kept.
    pub episodes: &'a mut EpisodeSlab,
    /// The window.
    pub congestion: &'a mut Congestion,
    /// The round trip.
    pub rtt: &'a mut RttEstimator,
}

/// What else is known of an ACK.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckFacts {
    /// A duplicate in the sense of RFC 5681 section 2: no data, the window as before, something outstanding.
    pub duplicate: bool,
    /// It carries ECE, and ECN was agreed on.
    pub ece: bool,
    /// There is unsent data that the peer's window takes.
    pub can_send_new: bool,
    /// Segments are paced.
    pub paced: bool,
    /// Where the probe of the path MTU begins that is under way.
    pub mtu_probe: Option<SeqNum>,
}

/// An ACK that moves `SND.UNA` and says nothing else: no SACK block, no ECE.
#[derive(Clone, Copy, Debug)]
pub struct PlainAck {
    /// When it arrived.
    pub now: Instant,
    /// By so much `SND.UNA` moves.
    pub bytes: u32,
    /// Its acknowledgment number.
    pub ack: SeqNum,
    /// `SND.NXT`.
    pub nxt: SeqNum,
    /// SACK was agreed on.
    pub sack_permitted: bool,
    /// Bytes of a segment.
    pub mss: u32,
    /// Segments are paced.
    pub paced: bool,
}

/// What may be sent now, as far as the window has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Lost segments ([`Sent::next_to_retransmit`]) first, then new data.
    LostThenNew,
    /// New data only, two segments at most: the timeout is doubted (F-RTO).
    NewProbe,
}

/// What an ACK or a timer led to.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// What the ACK said; empty for a timer.
    pub outcome: AckOutcome,
    /// What may be sent.
    pub permit: Permit,
    /// The reordering timer: set it so, or stop it.
    pub reorder_timeout: Option<Duration>,
    /// A reduction was found to be a mistake and undone.
    pub undone: bool,
    /// A reduction began: announce it with CWR if the peer speaks ECN (RFC 3168 section 6.1.2).
    pub reduced: bool,
    /// The probe of the path MTU was lost, and nothing else.
    pub mtu_probe_lost: bool,
}

impl Directive {
    /// Nothing but what `outcome` says.
    pub(super) fn of(outcome: AckOutcome) -> Self {
        Self {
            outcome,
            permit: Permit::LostThenNew,
            reorder_timeout: None,
            undone: false,
            reduced: false,
            mtu_probe_lost: false,
        }
    }
}
