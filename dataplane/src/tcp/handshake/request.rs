//! Half-open connections: the third segment, duplicates, resets, and the SYN-ACK's timer (`tcp_check_req`,
//! `reqsk_timer_handler`).

use super::reply::{ReplyAck, reply_ack, reply_reset};
use super::syn::{TIMEOUT, backlog};
use super::{options_of, syn_ack};
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::net::Net;
use crate::tcp::config::Config;
use crate::tcp::deadlines::Due;
use crate::tcp::listener::Listener;
use crate::tcp::request::Request;
use crate::tcp::rtt::RTO_MAX;
use crate::tcp::segment::{Incoming, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::settings::Settings;
use crate::tcp::transport::Tcp;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::Timestamps;
use crate::{Duration, Instant};
use xmit_shared::session::LaneEnd;

/// What every request is granted, and up to which backlog a queue is never half full (`reqsk_timer_handler`).
const RETRIES_KEPT: u8 = 2;
const QUEUE_SMALL: u32 = 8;

/// What a segment means for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The SYN again.
    SynAgain,
    /// Its acknowledgment number is not ours: the listener judges it.
    NotOurs,
    /// Out of the window, or from the past.
    Unacceptable(DropReason),
    /// It ends the request.
    Reset,
    /// A reset in the window, but not at its beginning: may be forged, and the peer is asked.
    UnsureReset,
    /// A SYN in the window: resets the peer and ends the request.
    BadSyn,
    /// Means nothing here.
    Nothing,
    /// The handshake is over.
    Completes,
}

impl Tcp {
    /// Takes a segment for the half-open connection `index`.
    pub(in crate::tcp) fn on_request_segment(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        index: u32,
        incoming: Incoming<'_>,
    ) {
        let Some(request) = self.table.requests.get_mut(index) else { return };
        let (segment, header) = (incoming.segment, incoming.header());
        let timestamps = options_of(&self.commons.settings, header).timestamps.filter(|_| request.timestamp.is_some());
        let verdict = judge(request, segment, timestamps);
        let apart = self.commons.settings.invalid_ratelimit;
        match verdict {
            Verdict::SynAgain => self.on_syn_again(net, now, index),
            Verdict::NotOurs => {
                let listener = request.listener;
                self.on_listener_ack(net, now, end, listener, incoming);
            }
            Verdict::Unacceptable(reason) => {
                net.counters.dropped(reason);
                if reason == DropReason::TcpPaws {
                    net.counters.inc(Snmp::TcpExtPAWSEstab);
                }
                if !segment.flags.contains(Flags::RST) && may_answer(net, request, now, apart) {
                    answer(net, now, request, segment.tos);
                }
            }
            Verdict::Reset => {
                net.counters.dropped(DropReason::TcpReset);
                self.end_request(net, index);
            }
            Verdict::UnsureReset => {
                net.counters.dropped(DropReason::TcpResetUnsure);
                if may_answer(net, request, now, apart) && self.commons.challenge.allow(now) {
                    net.counters.inc(Snmp::TcpExtTCPChallengeACK);
                    answer(net, now, request, segment.tos);
                }
            }
            Verdict::BadSyn => {
                net.counters.dropped(DropReason::TcpSyn);
                reply_reset(net, now, segment);
                self.end_request(net, index);
            }
            Verdict::Nothing => net.counters.dropped(DropReason::TcpFlags),
            Verdict::Completes => {
                if let Some(timestamps) = timestamps.filter(|_| !segment.seq.after(request.peer_isn + 1)) {
                    request.timestamp = Some(timestamps.value);
                }
                self.complete(net, now, end, index, incoming);
            }
        }
    }

    /// The SYN came again: so does the SYN-ACK, and its timer begins anew.
    fn on_syn_again(&mut self, net: &mut Net, now: Instant, index: u32) {
        let Some(request) = self.table.requests.get_mut(index) else { return };
        let apart = self.commons.settings.invalid_ratelimit;
        if !may_answer(net, request, now, apart) {
            return;
        }
        let Some(listener) = self.listeners.get(request.listener) else { return };
        let at = now + timeout_after(&self.commons.settings, &listener.config, request.timeouts);
        self.send_syn_ack_again(net, now, index);
        self.arm_request(at, index);
    }

    /// The third segment is good (`tcp_check_req`, its second half).
    fn complete(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        index: u32,
        incoming: Incoming<'_>,
    ) {
        let Some(request) = self.table.requests.get_mut(index) else { return };
        let listener = request.listener;
        let deferred = self.listeners.get(listener).map_or(0, |place| retries_in(place.config.defer_accept.into()));
        if request.timeouts < deferred && incoming.segment.end() == request.peer_isn + 1 {
            request.acked = true;
            net.counters.inc(Snmp::TcpExtTCPDeferAcceptDrop);
            net.counters.dropped(DropReason::TcpDeferred);
            return;
        }
        if self.accept_queue_is_full(end.as_deref_mut(), listener) || self.table.connections.is_full() {
            net.counters.inc(Snmp::TcpExtListenOverflows);
            self.drop_syn(net, DropReason::TcpAcceptQueueFull);
            return self.overflow(net, now, index, incoming.segment);
        }
        if let Some(request) = self.remove_request(index) {
            // There is room: nobody took it since.
            let _ = self.create_child(net, now, end, &request, incoming);
        }
    }

    /// The accept queue is full: the peer is made to try again, or told (`tcp_abort_on_overflow`).
    fn overflow(&mut self, net: &mut Net, now: Instant, index: u32, segment: &Segment) {
        if self.commons.settings.abort_on_overflow {
            reply_reset(net, now, segment);
            self.end_request(net, index);
        } else if let Some(request) = self.table.requests.get_mut(index) {
            request.acked = true;
        }
    }

    /// A reset, sent or received, ends a request.
    fn end_request(&mut self, net: &mut Net, index: u32) {
        net.counters.inc(Snmp::TcpAttemptFails);
        net.counters.inc(Snmp::TcpExtEmbryonicRsts);
        self.remove_request(index);
    }

    /// Takes a request out of table, wheel and its listener's count.
    pub(in crate::tcp) fn remove_request(&mut self, index: u32) -> Option<Request> {
        let mut request = self.table.remove_request(index)?;
        self.commons.wheel.stop(&mut request.timer);
        if let Some(listener) = self.listeners.get_mut(request.listener) {
            listener.half_open = listener.half_open.saturating_sub(1);
            listener.young = listener.young.saturating_sub(u32::from(request.timeouts == 0));
        }
        Some(request)
    }

    /// The SYN-ACK was not answered in time.
    pub(in crate::tcp) fn on_request_timer(&mut self, net: &mut Net, now: Instant, index: u32) {
        let Some(request) = self.table.requests.get_mut(index) else { return };
        request.timer = None;
        let Some(listener) = self.listeners.get(request.listener) else {
            self.remove_request(index);
            return;
        };
        let retries = retries_of(&self.commons.settings, listener);
        let deferred = retries_in(listener.config.defer_accept.into());
        let expired = request.timeouts >= retries && (!request.acked || deferred == 0 || request.timeouts >= deferred);
        if expired {
            self.remove_request(index);
            return;
        }
        let after = timeout_after(&self.commons.settings, &listener.config, request.timeouts.saturating_add(1));
        // While data is waited for nothing is sent, but for a last chance at the end.
        let resend = deferred == 0 || !request.acked || request.timeouts + 1 >= deferred;
        if request.timeouts == 0
            && let Some(listener) = self.listeners.get_mut(request.listener)
        {
            listener.young = listener.young.saturating_sub(1);
        }
        request.timeouts = request.timeouts.saturating_add(1);
        if resend {
            self.send_syn_ack_again(net, now, index);
        }
        self.arm_request(now + after, index);
    }

    /// Has the request's timer expire at `at`.
    pub(super) fn arm_request(&mut self, at: Instant, index: u32) {
        let Some(request) = self.table.requests.get_mut(index) else { return };
        self.commons.wheel.move_to(&mut request.timer, at, Due::Request(index));
    }

    fn send_syn_ack_again(&mut self, net: &mut Net, now: Instant, index: u32) {
        let Some(request) = self.table.requests.get_mut(index) else { return };
        request.retransmits = request.retransmits.saturating_add(1);
        net.counters.inc(Snmp::TcpRetransSegs);
        net.counters.inc(Snmp::TcpExtTCPSynRetrans);
        syn_ack::send(net, now, &self.listeners, request, None, None);
    }
}

/// How often SYN-ACKs of `listener` are sent again. Half of the queue is for young requests: the fuller it is of old ones, the
/// less is tried.
fn retries_of(settings: &Settings, listener: &Listener) -> u8 {
    let mut retries = match listener.config.syn_count {
        0 => settings.synack_retries,
        count => count,
    };
    if 2 * listener.half_open > backlog(settings, listener).max(QUEUE_SMALL) {
        let mut young = 2 * listener.young;
        while retries > RETRIES_KEPT && listener.half_open >= young {
            retries -= 1;
            young = young.saturating_mul(2);
        }
    }
    retries
}

/// The first half of `tcp_check_req`: what RFC 9293 section 3.10.7.4 says of SYN-RECEIVED.
fn judge(request: &Request, segment: &Segment, timestamps: Option<Timestamps>) -> Verdict {
    let flags = segment.flags;
    let next = request.peer_isn + 1;
    let reset = flags.contains(Flags::RST);
    let old =
        |t: Timestamps| request.timestamp.is_some_and(|known| (known.wrapping_sub(t.value) as i32) > 0 && known != 0);
    let from_the_past = timestamps.is_some_and(old);
    let pure_syn = flags.contains(Flags::SYN) && !flags.intersects(Flags::RST | Flags::ACK);
    if segment.seq == request.peer_isn && pure_syn && !from_the_past {
        return Verdict::SynAgain;
    }
    // A reset is judged by its sequence number alone, before any acknowledgment number (section 3.10.7.4, first and second).
    if !reset && flags.contains(Flags::ACK) && segment.ack != request.isn + 1 {
        return Verdict::NotOurs;
    }
    if from_the_past {
        return Verdict::Unacceptable(DropReason::TcpPaws);
    }
    if !in_window(segment.seq, segment.end(), next, request.receive_window.min(0xffff)) {
        return Verdict::Unacceptable(DropReason::TcpOutOfWindow);
    }
    if reset {
        return if segment.seq == next { Verdict::Reset } else { Verdict::UnsureReset };
    }
    // A SYN that is the first one again, with an ACK beside it, lies before the window.
    let syn = flags.contains(Flags::SYN) && segment.seq != request.peer_isn;
    match (syn, flags.contains(Flags::ACK)) {
        (true, _) => Verdict::BadSyn,
        (_, true) => Verdict::Completes,
        _ => Verdict::Nothing,
    }
}

/// `tcp_in_window`.
pub(super) fn in_window(seq: SeqNum, end: SeqNum, start: SeqNum, len: u32) -> bool {
    seq == start || (end.after(start) && seq.before(start + len)) || (seq == start + len && seq == end)
}

/// True if a segment that is out of order may be answered now (`tcp_oow_rate_limited`).
fn may_answer(net: &mut Net, request: &mut Request, now: Instant, apart: Duration) -> bool {
    let allowed = request.invalid.allow(now, apart);
    if !allowed {
        net.counters.inc(Snmp::TcpExtTCPACKSkippedSynRecv);
    }
    allowed
}

/// Says what is expected (`tcp_v4_reqsk_send_ack`).
fn answer(net: &mut Net, now: Instant, request: &Request, tos: u8) {
    let ack = ReplyAck {
        flow: request.flow,
        seq: request.isn + 1,
        ack: request.peer_isn + 1,
        window: (request.receive_window.min(0xffff) >> request.scale.shift()) as u16,
        timestamps: request.timestamp.map(|echo| Timestamps { value: request.clock.value(now), echo }),
    };
    reply_ack(net, now, &ack, tos);
}

/// Until the SYN-ACK is sent again, after `timeouts` times.
fn timeout_after(settings: &Settings, config: &Config, timeouts: u8) -> Duration {
    TIMEOUT.saturating_mul(1 << timeouts.min(16)).min(config.rto_max(settings))
}

/// How many timeouts `seconds` hold (`secs_to_retrans`).
pub(in crate::tcp) fn retries_in(seconds: u32) -> u8 {
    if seconds == 0 {
        return 0;
    }
    let (mut retries, mut timeout, mut period) = (1, 1, 1);
    while seconds > period && retries < u8::MAX {
        retries += 1;
        timeout = (timeout * 2).min(RTO_MAX.as_secs() as u32);
        period += timeout;
    }
    retries
}

/// How many seconds `retries` timeouts take (`retrans_to_secs`).
pub(in crate::tcp) fn seconds_of(retries: u8) -> u32 {
    (0..retries).map(|retry| (1 << retry.min(16)).min(RTO_MAX.as_secs() as u32)).sum()
}
