//! TIME_WAIT, and FIN_WAIT2 of a connection whose program is gone (`tcp_timewait_state_process`, `tcp_time_wait`).

use super::connect::isn_behind;
use super::options_of;
use super::reply::{ReplyAck, reply_ack, reply_reset};
use super::request::in_window;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::net::Net;
use crate::tcp::challenge::InvalidLimit;
use crate::tcp::connection::Connection;
use crate::tcp::deadlines::Due;
use crate::tcp::segment::{Incoming, Segment};
use crate::tcp::time_wait::TimeWait;
use crate::tcp::timestamp::TS_RECENT_LIFE;
use crate::tcp::transport::Tcp;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::Timestamps;
use crate::{Duration, Instant};
use xmit_shared::session::LaneEnd;

/// Twice the life of a segment (`TCP_TIMEWAIT_LEN`).
const LENGTH: Duration = Duration::from_secs(60);
/// Of a reset `TS.Recent` is believed for a minute.
const TS_RECENT_LIFE_RESET: Duration = Duration::from_secs(60);

/// What a segment does to a TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Ignore,
    /// It ends.
    Ends,
    /// It ends, and the peer is reset.
    Reset,
    /// The peer's FIN: FIN_WAIT2 becomes TIME_WAIT.
    Fin,
    /// In the window, nothing new.
    Renews,
    /// Not acceptable: answered by an ACK, not too often. `renews`: the timer begins anew.
    Answer { renews: bool, old: bool },
    /// A new connection (RFC 9293 section 3.6.1, RFC 6191).
    Reopens,
}

impl Tcp {
    /// Keeps what is left of a connection that was taken out of the table.
    pub(in crate::tcp) fn enter_time_wait(
        &mut self,
        net: &mut Net,
        now: Instant,
        connection: &Connection,
        fin_wait_2: bool,
    ) {
        let settings = &self.commons.settings;
        let full = self.table.time_waits.len() >= settings.max_tw_buckets as usize;
        let rto = connection.rtt.rto();
        let length = if fin_wait_2 { connection.fin_timeout(settings).min(LENGTH).max(rto * 7 / 2) } else { LENGTH };
        let kept = (!full).then(|| self.table.insert_time_wait(TimeWait::of(now, connection, fin_wait_2))).flatten();
        let Some(index) = kept else {
            net.counters.inc(Snmp::TcpExtTCPTimeWaitOverflow);
            return;
        };
        net.counters.inc(Snmp::TcpExtTW);
        self.arm_time_wait(now + length, index);
    }

    /// Takes a segment for the TIME_WAIT at `index`.
    pub(in crate::tcp) fn on_time_wait_segment(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        index: u32,
        incoming: Incoming<'_>,
    ) {
        let Some(time_wait) = self.table.time_waits.get_mut(index) else { return };
        let (segment, header) = (incoming.segment, incoming.header());
        let timestamps = options_of(&self.commons.settings, header).timestamps;
        let verdict = time_wait.judge(now, segment, timestamps, self.commons.settings.rfc1337);
        match verdict {
            Verdict::Ignore => net.counters.dropped(DropReason::TcpTimeWait),
            Verdict::Ends => {
                net.counters.dropped(DropReason::TcpReset);
                self.remove_time_wait(index);
            }
            Verdict::Reset => {
                net.counters.dropped(DropReason::TcpTimeWait);
                reply_reset(net, now, segment);
                self.remove_time_wait(index);
            }
            Verdict::Fin => {
                (time_wait.fin_wait_2, time_wait.since) = (false, now);
                time_wait.rcv_nxt = segment.end();
                time_wait.note(now, timestamps);
                time_wait.answer(net, now);
                self.arm_time_wait(now + LENGTH, index);
            }
            Verdict::Renews => {
                time_wait.note(now, timestamps);
                self.arm_time_wait(now + LENGTH, index);
            }
            Verdict::Answer { renews, old } => {
                if old {
                    net.counters.inc(Snmp::TcpExtPAWSEstab);
                }
                net.counters.dropped(if old { DropReason::TcpPaws } else { DropReason::TcpTimeWait });
                time_wait.answer_seldom(net, now, self.commons.settings.invalid_ratelimit, segment);
                if renews {
                    self.arm_time_wait(now + LENGTH, index);
                }
            }
            Verdict::Reopens => self.reopen(net, now, end, index, incoming),
        }
    }

    /// A SYN for a new connection of the same flow: the listener's, if there is one.
    fn reopen(&mut self, net: &mut Net, now: Instant, end: Option<&mut LaneEnd>, index: u32, incoming: Incoming<'_>) {
        let Some(listener) = self.listener_for(&incoming.segment.flow) else {
            net.counters.dropped(DropReason::TcpTimeWait);
            if let Some(time_wait) = self.table.time_waits.get_mut(index) {
                time_wait.answer(net, now);
            }
            return;
        };
        let Some(old) = self.remove_time_wait(index) else { return };
        self.on_syn(net, now, end, listener, incoming, Some(isn_behind(&old)));
    }

    /// Takes a TIME_WAIT out of table and wheel.
    pub(in crate::tcp) fn remove_time_wait(&mut self, index: u32) -> Option<TimeWait> {
        let mut time_wait = self.table.remove_time_wait(index)?;
        self.commons.wheel.stop(&mut time_wait.timer);
        Some(time_wait)
    }

    fn arm_time_wait(&mut self, at: Instant, index: u32) {
        let Some(time_wait) = self.table.time_waits.get_mut(index) else { return };
        self.commons.wheel.move_to(&mut time_wait.timer, at, Due::TimeWait(index));
    }
}

impl TimeWait {
    /// What is left of `connection`.
    fn of(now: Instant, connection: &Connection, fin_wait_2: bool) -> Self {
        let receive = &connection.receive;
        let announced = receive.wup + receive.wnd.0;
        Self {
            flow: connection.flow,
            fin_wait_2,
            snd_nxt: connection.send.nxt,
            rcv_nxt: receive.nxt,
            window: announced.distance(receive.nxt).max(0).cast_unsigned(),
            scale: receive.scale,
            ts_recent: connection.agreed.timestamps.then_some(receive.ts_recent),
            ts_recent_at: receive.ts_recent_at,
            since: now,
            clock: connection.clock,
            tos: connection.config.tos,
            invalid: InvalidLimit::default(),
            timer: None,
        }
    }

    fn judge(&self, now: Instant, segment: &Segment, timestamps: Option<Timestamps>, rfc1337: bool) -> Verdict {
        let flags = segment.flags;
        let old = timestamps.is_some_and(|timestamps| self.is_old(now, timestamps, flags.contains(Flags::RST)));
        if self.fin_wait_2 {
            return self.judge_in_fin_wait_2(segment, old);
        }
        let empty = segment.seq == segment.end();
        if !old && segment.seq == self.rcv_nxt && (empty || flags.contains(Flags::RST)) {
            // In the window: a reset, or an ACK that says nothing new.
            return match (flags.contains(Flags::RST), rfc1337) {
                (true, false) => Verdict::Ends,
                (true, true) => Verdict::Ignore,
                (false, _) => Verdict::Renews,
            };
        }
        let newer_time = || {
            let (Some(known), Some(timestamps)) = (self.ts_recent, timestamps) else { return false };
            (known.wrapping_sub(timestamps.value) as i32) < 0
        };
        let pure_syn = flags.contains(Flags::SYN) && !flags.intersects(Flags::RST | Flags::ACK);
        if pure_syn && !old && (segment.seq.after(self.rcv_nxt) || newer_time()) {
            return Verdict::Reopens;
        }
        if flags.contains(Flags::RST) {
            return Verdict::Ignore;
        }
        Verdict::Answer { renews: old || flags.contains(Flags::ACK), old }
    }

    fn judge_in_fin_wait_2(&self, segment: &Segment, old: bool) -> Verdict {
        let flags = segment.flags;
        let (seq, end) = (segment.seq, segment.end());
        if old || !in_window(seq, end, self.rcv_nxt, self.window) {
            return Verdict::Answer { renews: false, old };
        }
        if flags.contains(Flags::RST) {
            return Verdict::Ends;
        }
        if flags.contains(Flags::SYN) && seq.at_or_after(self.rcv_nxt) {
            return Verdict::Reset;
        }
        if !flags.contains(Flags::ACK) || end.at_or_before(self.rcv_nxt) || end == seq {
            return Verdict::Ignore;
        }
        // Nobody reads data any more.
        if flags.contains(Flags::FIN) && end == self.rcv_nxt + 1 { Verdict::Fin } else { Verdict::Reset }
    }

    /// `tcp_paws_reject`.
    fn is_old(&self, now: Instant, timestamps: Timestamps, reset: bool) -> bool {
        let Some(known) = self.ts_recent.filter(|known| *known != 0) else { return false };
        let life = if reset { TS_RECENT_LIFE_RESET } else { TS_RECENT_LIFE };
        (known.wrapping_sub(timestamps.value) as i32) > 0 && now.saturating_since(self.ts_recent_at) < life
    }

    fn note(&mut self, now: Instant, timestamps: Option<Timestamps>) {
        if let (Some(_), Some(timestamps)) = (self.ts_recent, timestamps) {
            self.ts_recent = Some(timestamps.value);
            self.ts_recent_at = now;
        }
    }

    /// `tcp_timewait_check_oow_rate_limit`: an answer to an answer would never end. Data and a FIN that come again are no such answer,
    /// and are answered each time; a SYN is what a stranger sends (`tcp_oow_rate_limited`).
    fn answer_seldom(&mut self, net: &mut Net, now: Instant, apart: Duration, segment: &Segment) {
        let limited = segment.end() == segment.seq || segment.flags.contains(Flags::SYN);
        if limited && !self.invalid.allow(now, apart) {
            net.counters.inc(if self.fin_wait_2 {
                Snmp::TcpExtTCPACKSkippedFinWait2
            } else {
                Snmp::TcpExtTCPACKSkippedTimeWait
            });
            return;
        }
        self.answer(net, now);
    }

    /// `tcp_v4_timewait_ack`.
    fn answer(&self, net: &mut Net, now: Instant) {
        let ack = ReplyAck {
            flow: self.flow,
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            window: (self.window >> self.scale.shift()).min(0xffff) as u16,
            timestamps: self.ts_recent.map(|echo| Timestamps { value: self.clock.value(now), echo }),
        };
        reply_ack(net, now, &ack, self.tos);
    }
}
