//! Step 7 of RFC 9293 section 3.10.7.4: the segment's text (`tcp_data_queue`, `tcp_data_queue_ofo`).
//!
//! In order or not, a byte is copied once, to its place in the receive ring; what lies ahead is remembered as a range.

use super::acknowledge::QUICK_ACKS_MAX;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::connection::Connection;
use crate::tcp::out_of_order::Range;
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNum;
use crate::wire::tcp::Flags;
use crate::{Duration, Instant};

/// Segments at least this long let the window grow (`tcp_event_data_recv`).
const GROWTH_LEN_MIN: u32 = 128;

impl Connection {
    /// Takes the text of a segment that touches the window, and the FIN behind it.
    pub(in crate::tcp) fn take_data(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        self.accept_cwr(segment);
        let (start, end) = (segment.seq, segment.end());
        if end.at_or_before(self.receive.nxt) {
            ctx.net.counters.inc(Snmp::TcpExtDelayedACKLost);
            self.report_duplicate(ctx, Range { start, end: segment.data_end() });
            return self.refuse_data(ctx, DropReason::TcpOldData);
        }
        let window_end = self.receive.nxt + self.receive_window();
        if start.at_or_after(window_end) && (segment.len > 0 || start.after(self.receive.nxt)) {
            if self.receive_window() == 0 {
                ctx.net.counters.inc(Snmp::TcpExtTCPZeroWindowDrop);
            }
            return self.refuse_data(ctx, DropReason::TcpOutOfWindow);
        }
        if start.after(self.receive.nxt) {
            self.take_ahead(ctx, segment, payload);
            return Fate::Lives;
        }
        let skip = self.receive.nxt.since(start);
        if skip > 0 {
            self.report_duplicate(ctx, Range { start, end: self.receive.nxt });
            if self.receive_window() == 0 {
                ctx.net.counters.inc(Snmp::TcpExtTCPZeroWindowDrop);
                return self.refuse_data(ctx, DropReason::TcpOutOfWindow);
            }
        }
        let taken = self.take_in_order(ctx, segment, payload, skip);
        let whole = taken == segment.len.saturating_sub(skip);
        let ends = whole && segment.flags.contains(Flags::FIN) && self.receive.nxt == segment.data_end();
        match self.fin_ahead {
            Some(fin) if fin == self.receive.nxt => {
                // The hole before it is filled: that is acknowledged at once.
                self.pending.ack_now = true;
                return self.on_fin(ctx);
            }
            // The peer went on behind it: it was none (`tcp_ofo_queue` drops what lies behind `RCV.NXT`).
            Some(fin) if self.receive.nxt.after(fin) => self.fin_ahead = None,
            _ => {}
        }
        if ends {
            // Some peers repeat a FIN that meets a closed window: it takes no room, and they should stop (`tcp_data_queue`).
            self.pending.ack_now |= segment.len == 0 && self.receive_window() == 0;
            return self.on_fin(ctx);
        }
        Fate::Lives
    }

    /// Nothing of it is taken; the peer learns where we stand at once (`out_of_window`).
    fn refuse_data(&mut self, ctx: &mut Ctx<'_>, reason: DropReason) -> Fate {
        ctx.net.counters.dropped(reason);
        self.enter_quickack(QUICK_ACKS_MAX);
        self.ack.scheduled = true;
        Fate::Lives
    }

    /// Data that begins at or before `RCV.NXT`: from its byte `skip` on it is new. Answers how much was taken.
    pub(super) fn take_in_order(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8], skip: u32) -> u32 {
        let Some(new) = payload.get(skip as usize..).filter(|new| !new.is_empty()) else { return 0 };
        let Some(taken) = self.place_in_order(ctx, new) else {
            // Nobody has made room for it yet: the peer sends it again.
            ctx.net.counters.dropped(DropReason::TcpNoRing);
            return 0;
        };
        if (taken as usize) < new.len() {
            ctx.net.counters.inc(Snmp::TcpExtTCPRcvQDrop);
            ctx.net.counters.dropped(DropReason::TcpReceiveBufferFull);
        }
        if taken == 0 {
            self.pending.no_room = true;
            self.ack.scheduled = true;
            self.enter_quickack(QUICK_ACKS_MAX);
            return 0;
        }
        self.advance(ctx, self.receive.nxt + taken);
        self.measure_rtt(ctx.now, segment);
        self.note_data(ctx, segment);
        self.note_congestion(ctx, segment);
        if segment.len >= GROWTH_LEN_MIN {
            self.grow_window(segment.len);
        }
        taken
    }

    /// Copies `new` to its ring, or to the block of a connection that waits for one. How much had a place; `None`: there is neither.
    #[inline]
    fn place_in_order(&self, ctx: &mut Ctx<'_>, new: &[u8]) -> Option<u32> {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else {
            let waits = self.owner.is_none() && self.listener.is_some();
            return Some(if waits { ctx.commons.early.keep(self.id, new) } else { 0 }).filter(|kept| *kept > 0);
        };
        let mut taken = end.rx_write_at(owner.slot, 0, new);
        if (taken as usize) < new.len() {
            // The room seen last may be out of date: the program reads meanwhile.
            let _ = end.rx_room(owner.slot);
            let rest = new.get(taken as usize..).unwrap_or_default();
            taken += end.rx_write_at(owner.slot, taken, rest);
        }
        Some(taken)
    }

    /// `RCV.NXT` moves to `nxt`, and over what waits behind it; the program sees it all at once.
    fn advance(&mut self, ctx: &mut Ctx<'_>, nxt: SeqNum) {
        let from = self.receive.nxt;
        if let Some(twice) = self.out_of_order.overlap(&ctx.commons.ranges, nxt) {
            self.report_duplicate(ctx, twice);
        }
        self.receive.nxt = if self.is_in_order() {
            nxt
        } else {
            let nxt = self.out_of_order.advance(&mut ctx.commons.ranges, nxt);
            // RFC 5681 section 4.2: what fills the last hole is acknowledged at once.
            self.pending.ack_now |= self.out_of_order.is_empty();
            nxt
        };
        let run = self.receive.nxt.since(from);
        self.stats.bytes_received += u64::from(run);
        if let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) {
            end.rx_advance(owner.slot, run);
        }
        if self.receive.urgent.is_some_and(|urgent| self.receive.nxt.at_or_after(urgent)) {
            self.receive.urgent = None;
        }
    }

    /// Data ahead of `RCV.NXT`: placed, remembered, and reported at once (RFC 5681 section 4.2).
    fn take_ahead(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) {
        ctx.net.counters.inc(Snmp::TcpExtTCPOFOQueue);
        self.rare.rcv_ooopack = self.rare.rcv_ooopack.wrapping_add(1);
        self.prediction = super::established::UNPREDICTED;
        self.ack.scheduled = true;
        self.note_congestion(ctx, segment);
        if segment.len > 0 && self.place_ahead(ctx, segment, payload) {
            self.measure_segment(segment);
            // Without SACK a duplicate is told by its window, too: that stays as it is. Short segments let nothing grow, for Linux because
            // of what their buffers take (`__tcp_grow_window`).
            if self.agreed.sack && segment.len >= GROWTH_LEN_MIN {
                self.grow_window(segment.len);
            }
        }
        if segment.flags.contains(Flags::FIN) {
            self.fin_ahead = Some(segment.data_end());
        }
        self.pending.ack_now = false;
        self.send_ack(ctx);
    }

    /// True if it is new and has a place.
    fn place_ahead(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> bool {
        let range = Range { start: segment.seq, end: segment.data_end() };
        if let Some(known) = self.out_of_order.covering(&ctx.commons.ranges, range) {
            self.report_duplicate(ctx, range);
            self.out_of_order.report(&mut ctx.commons.ranges, known);
            return false;
        }
        let offset = segment.seq.since(self.receive.nxt);
        let placed = match (self.owner, ctx.end.as_deref_mut()) {
            (Some(owner), Some(end)) => match end.rx_room(owner.slot) {
                // All or nothing: a partly placed segment would be acknowledged in part only.
                Ok(room) if offset.saturating_add(segment.len) <= room => {
                    end.rx_write_at(owner.slot, offset, payload) == segment.len
                }
                _ => false,
            },
            _ => false,
        };
        let kept = placed && self.out_of_order.insert(&mut ctx.commons.ranges, range);
        if !kept {
            ctx.net.counters.inc(Snmp::TcpExtTCPOFODrop);
            ctx.net.counters.dropped(DropReason::TcpOutOfOrderFull);
        }
        kept
    }

    /// The most that is announced grows with what arrives, by twice as much at least (`tcp_grow_window`).
    fn grow_window(&mut self, len: u32) {
        let most = self.receive.clamp.min(self.receive.buffer / 2);
        if self.receive.threshold >= most {
            return;
        }
        let step = 2 * len.max(self.receive.advertised_mss.into());
        self.receive.threshold = (self.receive.threshold + step).min(most);
        self.ack.quick = self.ack.quick.max(1);
    }

    /// The receiver's round trip: by the echo of a full segment (`tcp_rcv_rtt_measure_ts`), or by the time that a
    /// window takes (`tcp_rcv_rtt_measure`).
    fn measure_rtt(&mut self, now: Instant, segment: &Segment) {
        if let Some(timestamps) = segment.timestamps.filter(|_| self.agreed.timestamps) {
            if timestamps.echo == self.receive.last_echo || segment.len < u32::from(self.ack.segment_size) {
                return;
            }
            self.receive.last_echo = timestamps.echo;
            if let Some(sent) = self.clock.sent_at(now, timestamps.echo) {
                self.sample_receiver_rtt(now.saturating_since(sent).max(Duration::from_millis(1)), false);
            }
            return;
        }
        if self.tuning.rtt_at != Instant::ZERO {
            if self.receive.nxt.before(self.tuning.rtt_seq) {
                return;
            }
            self.sample_receiver_rtt(now.saturating_since(self.tuning.rtt_at), true);
        }
        self.tuning.rtt_seq = self.receive.nxt + self.receive.wnd.0;
        self.tuning.rtt_at = now;
    }

    /// `tcp_rcv_rtt_update`: a window may take longer than a round trip, so that only less is believed at once.
    fn sample_receiver_rtt(&mut self, sample: Duration, by_window: bool) {
        let micros = (sample.as_micros().min(u128::from(u32::MAX / 8)) as u32).max(1);
        let old = self.receive.rtt_8;
        self.receive.rtt_8 = match (old, by_window) {
            (0, _) => micros * 8,
            (_, true) => old.min(micros * 8),
            (_, false) => old - old / 8 + micros,
        };
    }

    /// The network's mark goes back to the sender (RFC 3168 section 6.1.3; RFC 8257 section 3.2).
    fn note_congestion(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) {
        if !self.agreed.ecn || segment.len == 0 {
            return;
        }
        let marked = segment.congestion_experienced;
        if self.echoes_exactly() {
            if marked != self.receive.last_was_marked {
                if self.ack.scheduled && self.receive.nxt.since(self.receive.wup) > segment.len {
                    // What came before had the other mark: its ACK says so.
                    self.send_ack(ctx);
                    self.ack.scheduled = true;
                }
                self.receive.last_was_marked = marked;
                self.pending.ack_now = true;
            }
            self.receive.echo_congestion = marked;
        } else if marked && !self.receive.echo_congestion {
            self.receive.echo_congestion = true;
            self.prediction = super::established::UNPREDICTED;
            self.enter_quickack(2);
        } else if !segment.ecn_capable && segment.seq.before(self.receive.nxt - segment.len) {
            // A retransmission: the sender may have timed out.
            self.enter_quickack(2);
        }
    }

    /// The sender has reduced its window (`tcp_ecn_accept_cwr`).
    fn accept_cwr(&mut self, segment: &Segment) {
        if self.agreed.ecn && segment.flags.contains(Flags::CWR) {
            self.receive.echo_congestion = false;
            if segment.len > 0 {
                self.pending.ack_now = true;
            }
        }
    }
}
