//! A segment to be sent: which numbers, how many bytes, which control bits; the rest of its header is the connection's.

use super::super::connection::Connection;
use super::super::sent::{Border, SegmentId, SegmentSlab};
use super::super::seq::SeqNum;
use crate::wire::tcp::Flags;

/// What one call of `transmit` sends.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Outbound {
    /// The first sequence number.
    pub(in crate::tcp) seq: SeqNum,
    /// Bytes of data.
    pub(in crate::tcp) len: u32,
    /// Control bits; ECN's and URG are added where they are due.
    pub(in crate::tcp) flags: Flags,
    /// It was sent before.
    pub(in crate::tcp) again: bool,
    /// The SYN asks for Fast Open, or shows its cookie.
    pub(in crate::tcp) fast_open: bool,
}

impl Outbound {
    /// Without data.
    pub(in crate::tcp) const fn control(seq: SeqNum, flags: Flags) -> Self {
        Self { seq, len: 0, flags, again: false, fast_open: false }
    }

    /// One behind its last sequence number.
    #[inline]
    pub(in crate::tcp) fn end(&self) -> SeqNum {
        self.seq + self.len + self.flags.sequence_len()
    }
}

impl Connection {
    /// The segment `id` as it is sent again: its flags follow from its numbers.
    pub(in crate::tcp) fn outbound_again(&self, slab: &SegmentSlab, id: SegmentId) -> Outbound {
        let kept = &slab[id];
        let mut outbound =
            Outbound { seq: kept.start(), len: kept.len(), flags: Flags::ACK, again: true, fast_open: false };
        if kept.marks().syn {
            outbound.len -= 1;
            outbound.flags = Flags::SYN;
        }
        if self.state.fin_queued() && kept.end() == self.send.end + 1 {
            outbound.len -= 1;
            outbound.flags |= Flags::FIN;
        }
        if kept.marks().border == Border::Push {
            outbound.flags |= Flags::PSH;
        }
        outbound
    }

    /// The sequence number of the send ring's first byte (`SND.UNA`; a SYN that is not acknowledged has no byte there).
    #[inline]
    pub(in crate::tcp) fn ring_start(&self) -> SeqNum {
        if self.send.una == self.send.isn && !self.syn_acked() { self.send.isn + 1 } else { self.send.una }
    }

    /// Our SYN was acknowledged. Asked only while `SND.UNA` has the SYN's number.
    fn syn_acked(&self) -> bool {
        self.stats.bytes_acked > 0
    }
}
