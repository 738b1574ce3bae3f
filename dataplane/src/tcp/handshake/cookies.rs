//! SYN cookies at work (`cookie_v4_init_sequence`, `cookie_v4_check`): a SYN-ACK without memory, and a connection made of
//! the segment that answers it.

use super::options_of;
use super::reply::reply_reset;
use super::syn_ack;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::net::Net;
use crate::tcp::mss::Mss;
use crate::tcp::request::Request;
use crate::tcp::segment::{Incoming, Segment};
use crate::tcp::syncookies::{self, CookieFlow, CookieOptions};
use crate::tcp::transport::Tcp;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::Options;
use crate::{Duration, Instant};
use xmit_shared::session::LaneEnd;

/// Cookies are believed so long after the last one was sent (`tcp_synq_no_recent_overflow`).
const MEMORY: Duration = Duration::from_secs(120);

impl Tcp {
    /// Answers a SYN by a cookie; nothing is kept.
    pub(super) fn send_cookie(&mut self, net: &mut Net, now: Instant, request: &mut Request) {
        self.commons.flood_told_at = Some(now);
        let flow = CookieFlow { local: request.flow.local_addr(), remote: request.flow.remote_addr() };
        request.isn = syncookies::encode(&self.commons.secret, now, &flow, request.peer_isn, Mss::new(request.mss));
        if request.timestamp.is_none() {
            request.ecn = false;
        }
        let options =
            CookieOptions { window_scale: request.peer_scale, sack_permitted: request.sack, ecn: request.ecn };
        let value = options.encode(request.clock.value(now));
        net.counters.inc(Snmp::TcpExtSyncookiesSent);
        syn_ack::send(net, now, &self.listeners, request, Some(value), None);
    }

    /// An ACK for a listener, of no request: it answers a cookie, or is reset.
    pub(in crate::tcp) fn on_listener_ack(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        listener: u32,
        incoming: Incoming<'_>,
    ) {
        let segment = incoming.segment;
        let options = options_of(&self.commons.settings, incoming.header());
        let Some(request) = self.request_of_cookie(net, now, listener, segment, &options) else {
            net.counters.dropped(DropReason::TcpNoSocket);
            return reply_reset(net, now, segment);
        };
        // A request of the flow may stand here still: the cookie outlived a flood that ended.
        let taken = self.table.lookup(&segment.flow).is_some();
        if taken || self.table.connections.is_full() || self.accept_queue_is_full(end.as_deref_mut(), listener) {
            net.counters.inc(Snmp::TcpExtListenOverflows);
            return self.drop_syn(net, DropReason::TcpAcceptQueueFull);
        }
        let _ = self.create_child(net, now, end, &request, incoming);
    }

    /// What the cookie kept for us.
    fn request_of_cookie(
        &mut self,
        net: &mut Net,
        now: Instant,
        listener: u32,
        segment: &Segment,
        options: &Options<'_>,
    ) -> Option<Request> {
        let recent = self.commons.flood_told_at.is_some_and(|at| now.saturating_since(at) <= MEMORY);
        let plain = !segment.flags.intersects(Flags::SYN | Flags::RST);
        if self.commons.settings.syncookies == 0 || !recent || !plain {
            return None;
        }
        let flow = CookieFlow { local: segment.flow.local_addr(), remote: segment.flow.remote_addr() };
        let (peer_isn, cookie) = (segment.seq - 1, segment.ack - 1);
        let Some(mss) = syncookies::decode(&self.commons.secret, now, &flow, peer_isn, cookie) else {
            net.counters.inc(Snmp::TcpExtSyncookiesFailed);
            return None;
        };
        net.counters.inc(Snmp::TcpExtSyncookiesRecv);
        let kept = match options.timestamps {
            Some(timestamps) => CookieOptions::decode(timestamps.echo)?,
            None => CookieOptions { window_scale: None, sack_permitted: false, ecn: false },
        };
        let settings = self.commons.settings;
        let forged =
            (kept.sack_permitted && !settings.sack) || (kept.window_scale.is_some() && !settings.window_scaling);
        if forged {
            return None;
        }
        let offered = Options {
            mss: Some(mss.bytes()),
            window_scale: kept.window_scale.map(|scale| scale.shift()),
            sack_permitted: kept.sack_permitted,
            timestamps: options.timestamps,
            ..Options::NONE
        };
        let mut request = self.request_of(net, now, listener, segment, &offered).ok()?;
        (request.isn, request.peer_isn) = (cookie, peer_isn);
        request.ecn = kept.ecn;
        // When the SYN-ACK left is told by the timestamp, or not at all.
        request.sent_at = Instant::FAR_FUTURE;
        Some(request)
    }
}
