//! The lane's store of sent segments: one slab for all connections, so that an idle connection holds none.
//!
//! A segment stands in two lists of its connection, whose links are its own: by sequence number, and, while it may be
//! in flight, by time of sending (`tcp_rtx_queue` and `tsorted_sent_queue` of Linux). Splitting one and taking one
//! out of the middle are O(1). Nothing is allocated after construction; a full slab refuses, and the connection sends
//! later.
//!
//! Invariants: an index is free or in exactly one connection's lists; a [`Segment`] is one cache line.

use super::super::seq::SeqNum;
use crate::Instant;
use std::ops::{Index, IndexMut};

/// Which segment; of use only to the connection that sent it, while it is unacknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentId(pub(super) u32);

impl SegmentId {
    /// Ends a list.
    pub(super) const NONE: Self = Self(u32::MAX);

    pub(super) fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// Neighbours in a list; [`SegmentId::NONE`] at its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) prev: SegmentId,
    pub(super) next: SegmentId,
}

impl Links {
    pub(super) const NONE: Self = Self { prev: SegmentId::NONE, next: SegmentId::NONE };
}

/// What is known of a segment (`TCP_SKB_CB(skb)->sacked`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The peer holds it (`TCPCB_SACKED_ACKED`).
    pub sacked: bool,
    /// Judged lost (`TCPCB_LOST`).
    pub lost: bool,
    /// A retransmission is in flight (`TCPCB_SACKED_RETRANS`).
    pub in_flight_again: bool,
    /// Was ever retransmitted (`TCPCB_EVER_RETRANS`).
    pub ever_retransmitted: bool,
    /// In the list by time.
    pub(super) timed: bool,
    /// Carries the SYN, whose acknowledgment is no data (`FLAG_SYN_ACKED`).
    pub syn: bool,
    /// What ends with it.
    pub border: Border,
}

/// What a segment is the end of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Border {
    /// Nothing.
    #[default]
    None,
    /// A row of segments that left together, a TSO packet of Linux's: what is sent again of it forms rows within it.
    Row,
    /// The same, and a write of the program: it carries PSH, also when it is sent again.
    Push,
}

/// What the connection had delivered when the segment left: the base of a delivery rate sample
/// (draft-cheng-iccrg-delivery-rate-estimation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Segments delivered.
    pub segments: u32,
    /// The application had left the pipe unfilled.
    pub app_limited: bool,
    /// When the last of them was.
    pub at: Instant,
    /// When the first segment of the flight that ended with it left.
    pub flight_began: Instant,
}

/// A sent, unacknowledged run of sequence numbers.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub(super) start: SeqNum,
    pub(super) end: SeqNum,
    pub(super) sent_at: Instant,
    pub(super) delivered: Delivered,
    pub(super) by_seq: Links,
    pub(super) by_time: Links,
    pub(super) marks: Marks,
    pub(super) retransmits: u8,
}

const _: () = assert!(size_of::<Segment>() <= 64, "a segment is one cache line");

impl Segment {
    /// Its first sequence number.
    pub fn start(&self) -> SeqNum {
        self.start
    }

    /// The number behind its last.
    pub fn end(&self) -> SeqNum {
        self.end
    }

    /// Sequence numbers it takes, SYN and FIN included.
    #[allow(clippy::len_without_is_empty)] // an empty one is not sent
    pub fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// When it was last sent.
    pub fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// How often it was retransmitted, 255 for more.
    pub fn retransmits(&self) -> u8 {
        self.retransmits
    }

    /// What is known of it.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// What had been delivered when it was last sent.
    pub fn delivered(&self) -> Delivered {
        self.delivered
    }
}

/// The store of a lane.
#[derive(Debug)]
pub struct SegmentSlab {
    segments: Vec<Segment>,
    /// The first free index; the others follow by `by_seq.next`.
    free: SegmentId,
    free_len: usize,
}

impl SegmentSlab {
    /// Room for `capacity` segments.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.min(SegmentId::NONE.0 as usize);
        let link = |at: usize| if at + 1 < capacity { SegmentId(at as u32 + 1) } else { SegmentId::NONE };
        let blank = |at| Segment {
            start: SeqNum::default(),
            end: SeqNum::default(),
            sent_at: Instant::ZERO,
            delivered: Delivered::default(),
            by_seq: Links { prev: SegmentId::NONE, next: link(at) },
            by_time: Links::NONE,
            marks: Marks::default(),
            retransmits: 0,
        };
        let free = if capacity == 0 { SegmentId::NONE } else { SegmentId(0) };
        Self { segments: (0..capacity).map(blank).collect(), free, free_len: capacity }
    }

    /// Segments that could be taken.
    pub fn room(&self) -> usize {
        self.free_len
    }

    /// Segments in use by all connections.
    pub fn in_use(&self) -> usize {
        self.segments.len() - self.free_len
    }

    /// Notes what `id` is the end of.
    #[inline]
    pub fn mark_border(&mut self, id: SegmentId, border: Border) {
        self[id].marks.border = border;
    }

    /// Takes a free segment and fills it.
    pub(super) fn acquire(&mut self, segment: Segment) -> Option<SegmentId> {
        let id = self.free.some()?;
        self.free = self[id].by_seq.next;
        self.free_len -= 1;
        self[id] = segment;
        Some(id)
    }

    /// Makes it free.
    pub(super) fn release(&mut self, id: SegmentId) {
        self[id].by_seq.next = self.free;
        self.free = id;
        self.free_len += 1;
    }
}

impl Index<SegmentId> for SegmentSlab {
    type Output = Segment;
    #[inline]
    fn index(&self, id: SegmentId) -> &Segment {
        &self.segments[id.0 as usize]
    }
}

impl IndexMut<SegmentId> for SegmentSlab {
    #[inline]
    fn index_mut(&mut self, id: SegmentId) -> &mut Segment {
        &mut self.segments[id.0 as usize]
    }
}
