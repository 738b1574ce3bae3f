//! What goes into the scoreboard with an ACK, and what comes out: plain facts, for congestion control, RACK and undo
//! to judge.

use super::super::rtt::{self, RttEstimator};
use super::super::seq::SeqNum;
use super::Delivered;
use crate::wire::tcp_options::SackBlocks;
use crate::{Duration, Instant};

/// An acceptable ACK: `una <= ack <= nxt` was checked.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// When it arrived.
    pub now: Instant,
    /// `SND.UNA` before it.
    pub una: SeqNum,
    /// Its acknowledgment number.
    pub ack: SeqNum,
    /// `SND.NXT`.
    pub nxt: SeqNum,
    /// SACK was agreed on; without it duplicate ACKs stand in ([`super::Sent::add_duplicate_ack`]).
    pub sack_permitted: bool,
    /// Its SACK blocks; none unless SACK was agreed on.
    pub sack: SackBlocks,
    /// When the segment left whose timestamp it echoes, if it echoes one (`TimestampClock::sent_at`).
    pub echoed: Option<Instant>,
    /// Where the recovery under way began (`high_seq`): data below it that was sent once and arrives argues for F-RTO.
    pub high_seq: SeqNum,
    /// The least round trip before it: what seems shorter was an earlier transmission's.
    pub min_rtt: Option<Duration>,
    /// The segment size: longer segments are split where a block's edge lies within them.
    pub mss: u32,
}

/// The segment that left last of those that an ACK proves to have arrived (RFC 8985 section 6.2 step 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// When it left.
    pub sent_at: Instant,
    /// Its end.
    pub end: SeqNum,
    /// From leaving to this ACK of what was found last to have arrived, be it this one or not.
    pub rtt: Duration,
}

/// How many bytes lay between the end of what had arrived and a segment that arrived later though it was sent once; zero for
/// none (`tcp_check_sack_reordering`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overtaken {
    /// As SACK blocks tell.
    pub by_sack: u32,
    /// As the acknowledgment number tells.
    pub by_ack: u32,
}

/// A block that tells of data that arrived twice (RFC 2883 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateSack {
    /// Its first sequence number.
    pub start: SeqNum,
    /// The number behind its last.
    pub end: SeqNum,
}

impl DuplicateSack {
    /// Segments of `mss` that arrived twice, at least one.
    pub fn segments(&self, mss: u32) -> u32 {
        self.end.since(self.start).div_ceil(mss.max(1)).max(1)
    }
}

/// How fast data was delivered (draft-cheng-iccrg-delivery-rate-estimation section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSample {
    /// Segments delivered between the leaving of a segment and its acknowledgment.
    pub segments: u32,
    /// Over this time, in nanoseconds: the longer of that of sending and that of acknowledging them.
    pub interval_nanos: u64,
    /// The application, not the network, set the rate.
    pub app_limited: bool,
    /// Segments delivered when that segment left: a round trip ago.
    pub prior_delivered: u32,
}

/// What an ACK said.
#[derive(Clone, Copy, Debug, Default)]
pub struct AckOutcome {
    /// Segments that left the scoreboard.
    pub acked: u32,
    /// Bytes by which `SND.UNA` moved, SYN and FIN included.
    pub acked_bytes: u32,
    /// Segments that arrived, as this ACK is the first to tell, in order or not.
    pub delivered: u32,
    /// Segments newly selectively acknowledged.
    pub newly_sacked: u32,
    /// A SYN was acknowledged.
    pub syn_acked: bool,
    /// Of the earliest segment acknowledged, if all were sent once: the sample for the timeout.
    pub rtt: Option<Duration>,
    /// The same of the latest: without the peer's delay of ACKs, for congestion control and the minimum.
    pub rtt_newest: Option<Duration>,
    /// Of the earliest segment selectively acknowledged that was sent once.
    pub sack_rtt: Option<Duration>,
    /// A segment that had been retransmitted was acknowledged (`FLAG_RETRANS_DATA_ACKED`).
    pub retransmitted_acked: bool,
    /// Data below `high_seq` that was sent once arrived (`FLAG_ORIG_SACK_ACKED`).
    pub original_arrived: bool,
    /// A segment that was sent once arrived although one above it had arrived before: the lowest such number.
    pub reordered_from: Option<SeqNum>,
    /// How far the order was broken.
    pub overtaken: Overtaken,
    /// The latest sent of what arrived.
    pub newest: Option<Newest>,
    /// The block about data that arrived twice.
    pub duplicate: Option<DuplicateSack>,
    /// Blocks that cannot be (`LINUX_MIB_TCPSACKDISCARD`), counted.
    pub bad_blocks: u8,
    /// The first unacknowledged segment is one that the peer had selectively acknowledged: it took it back, or will
    /// move soon (`FLAG_SACK_RENEGING`). The
    /// caller shortens the retransmission timer to half a round trip, 10 ms at least, and lets it judge.
    pub reneging: bool,
    /// How fast data was delivered.
    pub rate: Option<RateSample>,
    /// The end of the highest selectively acknowledged segment before this ACK; internal to the scoreboard.
    pub(super) prior_highest: Option<SeqNum>,
    /// Where the rate sample begins; internal to the scoreboard.
    pub(super) rate_base: Option<(Delivered, Instant)>,
}

impl AckOutcome {
    /// True if `SND.UNA` moved.
    pub fn advanced(&self) -> bool {
        self.acked_bytes > 0
    }

    /// Gives `estimator` the samples that name one transmission (`tcp_ack_update_rtt`).
    pub fn sample_rtt(&self, estimator: &mut RttEstimator, ack: &Ack) {
        if let Some(newest) = self.rtt_newest.or(self.sack_rtt) {
            estimator.sample_min(ack.now, newest);
        }
        let echoed = ack.echoed.filter(|_| self.advanced());
        if let Some(rtt) = rtt::choose(ack.now, self.rtt, self.sack_rtt, echoed) {
            estimator.sample(ack.now, rtt, ack.ack, ack.nxt);
        }
    }
}
