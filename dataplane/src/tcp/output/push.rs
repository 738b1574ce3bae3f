//! New data (`tcp_write_xmit`): how much, and whether now. The congestion window, the peer's window, Nagle's rule in
//! Minshall's form, `TCP_CORK` and `MSG_MORE`, silly windows (RFC 9293 section 3.8.6.2.1).

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::deadlines::Retransmission;
use super::super::limited::Limit;
use super::super::marks::Mark;
use super::super::mtu_search::MtuStage;
use super::super::recovery::Phase;
use super::super::sent::Border;
use super::super::seq::SeqNum;
use super::super::state::State;
use super::mtu_probe::Probing;
use super::segment::Outbound;
use super::transmit::Departure;
use crate::counters::Snmp;
use crate::ip::Path;
use crate::wire::tcp::Flags;

/// New segments of one visit; the rest waits for the next, so that connections take turns.
const SEGMENTS_PER_VISIT: u32 = 64;
/// New segments that a doubted timeout permits (RFC 5682 section 2.1 step 2b).
const PROBE_SEGMENTS: u32 = 2;

/// Segments of one row: what a TSO packet of 64 KiB holds, and at least `tcp_min_tso_segs`.
const ROW_MAX: u32 = 44;
const ROW_BYTES_MAX: u32 = 65_536;
/// A row is a part of a second (2^-10) at the rate of pacing (`sk_pacing_shift`).
const ROW_SHIFT: u32 = 10;

/// How strictly new data is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// By every rule.
    Normal,
    /// Two segments, without Nagle's rule (`REXMIT_NEW`).
    NewProbe,
    /// One segment beyond the congestion window, without Nagle's rule: a tail loss probe.
    LossProbe,
}

/// Why sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Everything is sent, or a partial segment is held back.
    NoData,
    /// The congestion window is full.
    Cwnd,
    /// The peer's window is full.
    Window,
    /// The visit's budget is used up.
    Budget,
    /// Pacing: later.
    Pace,
    /// A probe of the path MTU waits for its place in the window.
    Probe,
    /// The way out is full.
    NoRoom,
}

impl Connection {
    /// Sends what may be sent of new data and FIN. Answers how many segments left.
    pub(super) fn push_new(&mut self, ctx: &mut Ctx<'_>, path: &Path, mode: Mode) -> u32 {
        let budget = match mode {
            Mode::Normal => SEGMENTS_PER_VISIT,
            Mode::NewProbe => PROBE_SEGMENTS,
            Mode::LossProbe => 1,
        };
        let mut count = 0;
        let arms = self.needs_rto();
        self.row = 0;
        if mode == Mode::Normal && self.send.mtu_stage != MtuStage::Off {
            match self.probe_mtu(ctx, path) {
                Probing::No => {}
                Probing::Waits => {
                    self.after_push(ctx, mode, 0, Stop::Probe, arms);
                    return 0;
                }
                Probing::Left => count = 1,
            }
        }
        let stop = loop {
            if count == budget {
                break if self.unsent() > 0 { Stop::Budget } else { Stop::NoData };
            }
            let begins = self.row == 0;
            match self.next_new(ctx, mode) {
                Ok(outbound) => match self.transmit(ctx, path, &outbound) {
                    Departure::Left => {
                        self.on_new_sent(ctx, &outbound);
                        self.pace_sent(ctx, outbound.len, if begins { self.row_len.max(1).into() } else { 0 });
                    }
                    Departure::NoRoom => break Stop::NoRoom,
                    Departure::NoData => break Stop::NoData,
                },
                Err(stop) => break stop,
            }
            count += 1;
            if self.unsent() == 0 {
                break Stop::NoData;
            }
        };
        self.after_push(ctx, mode, count, stop, arms);
        count
    }

    /// Segments in flight; the SYN-ACK of a fast open takes no part of the window, as those of requests do not.
    #[inline]
    fn in_flight(&self) -> u32 {
        self.sent.in_flight() - u32::from(self.state == State::SynReceived && self.sent.in_flight() > 0)
    }

    /// Sequence numbers that were never sent: data, and one for a FIN.
    #[inline]
    pub(in crate::tcp) fn unsent(&self) -> u32 {
        let end = self.send.end + u32::from(self.state.fin_queued());
        end.distance(self.send.nxt).max(0) as u32
    }

    /// The next new segment, or why there is none.
    #[inline]
    fn next_new(&mut self, ctx: &mut Ctx<'_>, mode: Mode) -> Result<Outbound, Stop> {
        let data = self.send.end.distance(self.send.nxt).max(0) as u32;
        let fin = self.state.fin_queued() && self.send.nxt.at_or_before(self.send.end);
        if data == 0 && !fin {
            return Err(Stop::NoData);
        }
        // The last segment need not wait: nothing follows it (`tcp_cwnd_test`).
        let last = fin && data <= self.current_mss();
        if mode != Mode::LossProbe && !last && self.in_flight() >= self.congestion.cwnd() {
            return Err(Stop::Cwnd);
        }
        if self.is_paced(ctx) && self.row == 0 {
            return Err(Stop::Pace);
        }
        if ctx.commons.slab.room() == 0 {
            return Err(Stop::NoRoom);
        }
        let mss = self.current_mss();
        let mark = self.marks.next(&mut ctx.commons.marks, self.send.nxt);
        let data_here = match mark.filter(|mark| mark.record) {
            Some(mark) => data.min(mark.at.since(self.send.nxt)),
            None => data,
        };
        let (len, fin) = self.fit_window(data_here, fin && data_here == data, mss)?;
        let len = if mode == Mode::Normal { self.hold_back(len, data, fin, mss)? } else { len };
        let end = self.send.nxt + len;
        let mut flags = if fin { Flags::ACK | Flags::FIN } else { Flags::ACK };
        let mark = mark.filter(|mark| mark.at == end);
        if len > 0 && (self.ends_row(ctx, end, data - len, mss, mark.is_some()) || self.carries_push(end, mark)) {
            flags |= Flags::PSH;
        }
        Ok(Outbound { seq: self.send.nxt, len, flags, again: false, fast_open: false })
    }

    /// The program's writing puts `PSH` on a segment that ends at `end`, where a buffer may end.
    #[inline]
    fn carries_push(&self, end: SeqNum, mark: Option<Mark>) -> bool {
        let last = end == self.send.end && self.marks.is_pushed();
        last || end == self.send.pushed || mark.is_some_and(|mark| mark.push)
    }

    /// True for the last segment of a row of several, which ends at `end` with `left` bytes behind it: its PSH lets a receiver that
    /// gathers segments hand them up (Linux marks every TSO packet so).
    ///
    /// A row has at most half a congestion window, so that two are always under way (`tcp_cwnd_test`), and half the peer's largest
    /// window (`tcp_xmit_size_goal`); it ends with its buffer.
    #[inline]
    fn ends_row(&mut self, ctx: &Ctx<'_>, end: SeqNum, left: u32, mss: u32, ends_buffer: bool) -> bool {
        if self.row == 0 {
            if left == 0 {
                // A row of one segment needs no mark; most requests and answers are one.
                return false;
            }
            let cwnd = self.congestion.cwnd();
            let quota = cwnd.saturating_sub(self.in_flight());
            let by_window = (self.largest_write() / mss.max(1)).max(1);
            self.row_len = (cwnd / 2).max(1).min(quota).min(self.row_max(ctx, mss)).min(by_window) as u8;
        }
        self.row += 1;
        let room = self.window_end().distance(end).max(0).cast_unsigned();
        let over = self.row >= self.row_len
            || ends_buffer
            || left == 0
            || (room < left.min(mss) && !(room > 0 && self.may_fill_window()))
            || (left < mss && self.hold_back(left, left, false, mss).is_err());
        let several = self.row > 1;
        if over {
            self.row = 0;
        }
        over && several
    }

    /// Segments of one row: what leaves in about a millisecond at the rate of pacing, and at least two; more on short paths
    /// (`tcp_tso_autosize`). Without a round trip the rate is not known.
    pub(super) fn row_max(&self, ctx: &Ctx<'_>, mss: u32) -> u32 {
        let settings = &ctx.commons.settings;
        let rate = self.pacing_rate(settings, self.sent.in_flight()).unwrap_or(u64::MAX);
        let far = self.rtt.min_rtt_micros().map_or(0, |micros| micros >> (settings.rows.rtt_log & 31));
        let bonus = ROW_BYTES_MAX.checked_shr(far).unwrap_or(0);
        let bytes = (rate >> ROW_SHIFT).min(u64::from(ROW_BYTES_MAX)) as u32 + bonus;
        (bytes / mss.max(1)).max(settings.rows.min_segs.into()).min(ROW_MAX)
    }

    /// What the peer's window takes of the next segment: all of it or nothing, except behind others of its row
    /// (`tcp_snd_wnd_test`, `tcp_mss_split_point`).
    #[inline]
    fn fit_window(&self, data: u32, fin: bool, mss: u32) -> Result<(u32, bool), Stop> {
        let len = data.min(mss);
        let fin = fin && len == data;
        let window = self.window_end().distance(self.send.nxt).max(0) as u32;
        if len + u32::from(fin) <= window {
            return Ok((len, fin));
        }
        if self.row > 0 && window > 0 && self.may_fill_window() {
            return Ok((window.min(len), false));
        }
        Err(Stop::Window)
    }

    /// A row may end with a partial segment at the edge of the peer's window.
    fn may_fill_window(&self) -> bool {
        !self.small_outstanding() && !self.send.cork
    }

    /// Nagle, cork and `MSG_MORE` on the last, partial segment (`tcp_nagle_test`). What of it may go now.
    #[inline]
    fn hold_back(&self, len: u32, data: u32, fin: bool, mss: u32) -> Result<u32, Stop> {
        if len >= mss || len < data || fin || self.state.fin_queued() {
            return Ok(len);
        }
        if self.send.urgent.is_some_and(|up| up.after(self.send.nxt)) {
            return Ok(len);
        }
        if (self.send.nxt + len).at_or_before(self.send.released) {
            return Ok(len);
        }
        // What follows `pushed` waits for more (`MSG_MORE`), but for no longer than until the peer is heard.
        let pushed = self.send.pushed.distance(self.send.nxt).max(0) as u32;
        let len = if self.send.more { len.min(pushed) } else { len };
        let nagle = !self.send.nodelay && self.sent.segments() > 0 && self.small_outstanding();
        if len == 0 || self.send.cork || nagle { Err(Stop::NoData) } else { Ok(len) }
    }

    /// A segment shorter than the MSS is unacknowledged (`tcp_minshall_check`).
    #[inline]
    fn small_outstanding(&self) -> bool {
        let small = self.send.small_end;
        !self.send.nodelay && small.after(self.send.una) && small.at_or_before(self.send.nxt)
    }

    /// A new segment left (`tcp_event_new_data_sent`), and nothing else will arm the timer for it.
    pub(super) fn on_new_sent_alone(&mut self, ctx: &mut Ctx<'_>, outbound: &Outbound) {
        let arms = self.needs_rto();
        self.on_new_sent(ctx, outbound);
        self.pace_sent(ctx, outbound.len, 1);
        if arms {
            self.rearm_rto(ctx);
        }
    }

    /// What leaves now wants the retransmission timer armed anew: nothing was in flight, or a probe stood in its place.
    #[inline]
    fn needs_rto(&self) -> bool {
        self.sent.segments() == 0 || self.deadlines.retransmission == Retransmission::LossProbe
    }

    /// A new segment left. The timer follows when all have.
    #[inline]
    pub(super) fn on_new_sent(&mut self, ctx: &mut Ctx<'_>, outbound: &Outbound) {
        let (start, end) = (outbound.seq, outbound.end());
        let id = self.sent.push(&mut ctx.commons.slab, ctx.now, start, end.since(start), false);
        if let Some(id) = id.filter(|_| outbound.len > 0) {
            let data_end = start + outbound.len;
            let mark = self.marks.next(&mut ctx.commons.marks, start).filter(|mark| mark.at == data_end);
            // The PSH of a row is not the segment's own.
            let border = match self.row {
                _ if self.carries_push(data_end, mark) => Border::Push,
                0 => Border::Row,
                _ => Border::None,
            };
            ctx.commons.slab.mark_border(id, border);
        }
        self.send.nxt = end;
        self.recovery.on_sent_new(&mut ctx.commons.episodes);
        if outbound.len < self.current_mss() {
            self.send.small_end = end;
        }
        ctx.net.counters.inc(Snmp::TcpExtTCPOrigDataSent);
    }

    /// Validates the window, arms the probe timers, and comes again where more is to be done.
    fn after_push(&mut self, ctx: &mut Ctx<'_>, mode: Mode, count: u32, stop: Stop, arms: bool) {
        match stop {
            Stop::Budget if mode == Mode::Normal => self.pending.send = true,
            Stop::NoRoom => self.block(ctx),
            Stop::Pace => self.arm_pace(ctx),
            _ => {}
        }
        let in_flight = self.sent.in_flight();
        let limited = stop == Stop::Cwnd || in_flight >= self.congestion.cwnd();
        if count > 0 || limited {
            let (una, nxt) = (self.send.una, self.send.nxt);
            self.congestion.on_sent(ctx.now, una, nxt, in_flight, limited);
            if !limited && ctx.commons.settings.slow_start_after_idle && self.recovery.phase() == Phase::Open {
                self.congestion.validate_application_limited(ctx.now, self.rtt.rto_nanos());
            }
        }
        self.note_limit(ctx, stop, count > 0);
        if count > 0 {
            self.note_sent(ctx);
            let probes = mode != Mode::LossProbe && self.schedule_probe(ctx, false);
            if arms && !probes {
                self.rearm_rto(ctx);
            }
        } else if self.sent.segments() == 0 && self.unsent() > 0 {
            self.check_probe_timer(ctx);
        }
    }

    /// What keeps it from sending more (`tcp_cwnd_application_limited`, `tcp_write_xmit`).
    fn note_limit(&mut self, ctx: &Ctx<'_>, stop: Stop, sent: bool) {
        let limit = match stop {
            Stop::Window => Limit::Window,
            _ if sent && self.unsent() == 0 && !self.congestion.is_cwnd_limited() && self.program_waits(ctx) => {
                Limit::Buffer
            }
            _ if self.limited.limit() == Limit::Window => Limit::Busy,
            _ => return,
        };
        self.limited.set(ctx.now, limit);
    }

    /// Tells the program how far its bytes were sent.
    fn note_sent(&mut self, ctx: &mut Ctx<'_>) {
        let (start, nxt): (SeqNum, SeqNum) = (self.ring_start(), self.send.nxt.earlier(self.send.end));
        if let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) {
            end.tx_sent(owner.slot, nxt.distance(start).max(0) as u32);
        }
    }
}
