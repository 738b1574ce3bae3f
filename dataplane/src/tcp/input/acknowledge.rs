//! Whether an answer waits: delayed and immediate ACKs (RFC 1122 section 4.2.3.2, RFC 5681 section 4.2;
//! `tcp_event_data_recv`, `__tcp_ack_snd_check`, `tcp_send_delayed_ack`).

use crate::Duration;
use crate::tcp::commons::Ctx;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::Timer;
use crate::tcp::mss::Mss;
use crate::tcp::segment::Segment;

/// The least and the most that an ACK waits (`TCP_DELACK_MIN`, `TCP_ATO_MIN`, `TCP_DELACK_MAX`), milliseconds.
pub(in crate::tcp) const DELAY_MIN_MS: u16 = 40;
pub(in crate::tcp) const DELAY_MAX_MS: u16 = 200;
const NANOS_PER_MS: u64 = 1_000_000;
/// ACKs sent at once when a connection or a burst begins (`TCP_MAX_QUICKACKS`).
pub(in crate::tcp) const QUICK_ACKS_MAX: u8 = 16;
/// Shorter segments tell nothing of the peer's path (`tcp_measure_rcv_mss`).
const SEGMENT_SIZE_MIN: u16 = Mss::RECEIVED_MIN.bytes();

impl Connection {
    /// Data arrived: how large are segments, how often do they come (`tcp_event_data_recv`).
    pub(super) fn note_data(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) {
        self.ack.scheduled = true;
        self.measure_segment(segment);
        let since = (ctx.now.nanos_since(self.ack.last_data_at) / NANOS_PER_MS).min(u32::MAX.into()) as u32;
        let ato = u32::from(self.ack.ato_ms);
        if ato == 0 {
            // The first data: the peer is in slow start and wants ACKs.
            self.raise_quick(QUICK_ACKS_MAX);
            self.ack.ato_ms = DELAY_MIN_MS;
            self.watch_idle(ctx);
        } else if since <= u32::from(DELAY_MIN_MS / 2) {
            self.ack.ato_ms = (ato / 2) as u16 + DELAY_MIN_MS / 2;
        } else if since < ato {
            self.ack.ato_ms = (ato / 2 + since).min(self.rto_ms()) as u16;
        } else if since > self.rto_ms() {
            // A pause: the peer may begin slow start again.
            self.raise_quick(QUICK_ACKS_MAX);
            self.watch_idle(ctx);
        }
        self.ack.last_data_at = ctx.now;
    }

    /// The retransmission timeout in whole milliseconds; 120,000 at most.
    fn rto_ms(&self) -> u32 {
        (self.rtt.rto_nanos() / NANOS_PER_MS) as u32
    }

    /// The peer's segment size as seen (`tcp_measure_rcv_mss`).
    pub(super) fn measure_segment(&mut self, segment: &Segment) {
        let last = std::mem::replace(&mut self.ack.last_segment, 0);
        let len = segment.len.min(u32::from(u16::MAX)) as u16;
        if len >= self.ack.segment_size {
            self.ack.segment_size = len.min(self.receive.advertised_mss.max(SEGMENT_SIZE_MIN));
            // More than a small segment came at once.
            if segment.flags.contains(crate::wire::tcp::Flags::PSH) {
                self.note_push();
            }
            return;
        }
        // Small, and of the size of the last one: the peer's path has a smaller MTU.
        if len >= SEGMENT_SIZE_MIN && !segment.flags.contains(crate::wire::tcp::Flags::PSH) {
            self.ack.last_segment = len;
            if len == last {
                self.ack.segment_size = len;
                return;
            }
        }
        self.note_push();
    }

    /// A short segment: the peer waits for us if another follows (`ICSK_ACK_PUSHED`).
    fn note_push(&mut self) {
        if self.ack.pushed {
            self.ack.pushed_twice = true;
        }
        self.ack.pushed = true;
    }

    /// `tcp_incr_quickack`: as many ACKs at once as the window has pairs of segments.
    fn raise_quick(&mut self, max: u8) {
        let pairs = self.receive.wnd.0 / (2 * u32::from(self.ack.segment_size.max(1)));
        let wanted = pairs.clamp(2, u32::from(max)) as u8;
        self.ack.quick = self.ack.quick.max(wanted);
    }

    /// The next ACKs go at once (`tcp_enter_quickack_mode`).
    pub(in crate::tcp) fn enter_quickack(&mut self, max: u8) {
        self.raise_quick(max);
        self.ack.end_turns();
        self.ack.ato_ms = DELAY_MIN_MS;
    }

    /// True while ACKs are not delayed.
    pub(in crate::tcp) fn in_quickack(&self) -> bool {
        self.ack.quick > 0 && !self.ack.is_by_turns()
    }

    /// Decides on the ACK that is owed, if one is: now, or later (`__tcp_ack_snd_check`).
    pub(super) fn acknowledge(&mut self, ctx: &mut Ctx<'_>) {
        if !self.ack.scheduled || self.pending.ack_now {
            return;
        }
        let unacknowledged = self.receive.nxt.since(self.receive.wup);
        let full = unacknowledged > u32::from(self.ack.segment_size) && self.window_holds(ctx);
        if full || self.in_quickack() || !self.is_in_order() {
            self.pending.ack_now = true;
        } else {
            self.delay_ack(ctx);
        }
    }

    /// The window would not shrink by an ACK sent now: the program keeps up. If it does not, ACKs are not hurried any more, so that
    /// it has time to read before they tell of a smaller window (`__tcp_select_window` ends `quick`).
    fn window_holds(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return true };
        let (room, unread) = end.rx_space(owner.slot).unwrap_or_default();
        if unread < end.rx_size(owner.slot) / 2 {
            return true;
        }
        self.ack.quick = 0;
        room.min(self.receive.threshold) >= self.receive.wnd.0
    }

    /// `tcp_send_delayed_ack`.
    fn delay_ack(&mut self, ctx: &mut Ctx<'_>) {
        let mut wait = self.ack.ato_ms;
        if wait > DELAY_MIN_MS {
            let by_turns = self.ack.is_by_turns() || self.ack.pushed;
            let mut most = if by_turns { DELAY_MAX_MS } else { 500 };
            if let Some(srtt) = self.rtt.srtt() {
                most = most.min((srtt.as_millis().min(500) as u16).max(DELAY_MIN_MS));
            }
            wait = wait.min(most);
        }
        let wait = Duration::from_millis(wait.clamp(1, DELAY_MAX_MS).into());
        let at = ctx.now + wait;
        match self.deadlines.at(Timer::DelayedAck) {
            // It is due about now: why wait.
            Some(armed) if armed <= ctx.now + wait / 4 => self.pending.ack_now = true,
            Some(armed) if armed <= at => {}
            _ => self.deadlines.arm(&mut ctx.commons.wheel, self.id.index, Timer::DelayedAck, at),
        }
        self.watch_for_ack(ctx);
    }
}
