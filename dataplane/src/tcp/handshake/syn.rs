//! A SYN for a listener (`tcp_conn_request`): how many may be half open, who gets a cookie, what the SYN-ACK says.

use super::birth::Birth;
use super::connect::path_mtu;
use super::fast_open::{Welcome, welcome};
use super::initial_window::{Opening, advertised_mss};
use super::{options_of, syn_ack};
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::net::Net;
use crate::tcp::challenge::InvalidLimit;
use crate::tcp::config::Config;
use crate::tcp::congestion::Kind;
use crate::tcp::fastopen::ServerCookie;
use crate::tcp::isn;
use crate::tcp::listener::Listener;
use crate::tcp::mss::Mss;
use crate::tcp::request::Request;
use crate::tcp::segment::{Incoming, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::settings::{EcnMode, Settings};
use crate::tcp::transport::Tcp;
use crate::tcp::window::WindowScale;
use crate::wire::ipv4::ECN_MASK;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::{Options, TIMESTAMPS_LEN};
use crate::{Duration, Instant};
use std::sync::Arc;
use xmit_shared::session::LaneEnd;

/// Until a SYN-ACK is sent again for the first time (`TCP_TIMEOUT_INIT`).
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

impl Tcp {
    /// Takes a SYN; with `isn` it follows a connection in TIME_WAIT, whose peer is no stranger.
    pub(in crate::tcp) fn on_syn(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        listener: u32,
        incoming: Incoming<'_>,
        isn: Option<SeqNum>,
    ) {
        let by_cookie = match self.admit_syn(net, end.as_deref_mut(), listener, isn.is_some()) {
            Ok(by_cookie) => by_cookie,
            Err(reason) => return self.drop_syn(net, reason),
        };
        let segment = incoming.segment;
        let mut options = options_of(&self.commons.settings, incoming.header());
        let fast_open = options.fast_open.take();
        if by_cookie && options.timestamps.is_none() {
            // There is no place to keep them.
            (options.window_scale, options.sack_permitted) = (None, false);
        }
        let mut request = match self.request_of(net, now, listener, segment, &options) {
            Ok(request) => request,
            Err(reason) => return self.drop_syn(net, reason),
        };
        if by_cookie {
            return self.send_cookie(net, now, &mut request);
        }
        if let Some(isn) = isn {
            request.isn = isn;
        }
        let Some(place) = self.listeners.get(listener) else { return };
        match welcome(net, &self.commons, place, &segment.flow, fast_open, segment.len) {
            Welcome::Connection(cookie) => {
                self.open_fast(net, now, end, &request, incoming, cookie);
            }
            Welcome::Handshake(cookie) => self.enqueue_request(net, now, request, cookie),
        }
    }

    /// Whether a SYN is taken, and whether nothing is kept of it.
    fn admit_syn(
        &mut self,
        net: &mut Net,
        end: Option<&mut LaneEnd>,
        index: u32,
        proven: bool,
    ) -> Result<bool, DropReason> {
        self.settle_fast_opens();
        let settings = self.commons.settings;
        let listener = self.listeners.get(index).ok_or(DropReason::TcpNoSocket)?;
        let full = listener.half_open >= backlog(&settings, listener) || self.table.requests.is_full();
        // A TIME_WAIT becomes a request without limits: it saves memory, and its peer exists.
        let by_cookie = !proven && (settings.syncookies == 2 || full);
        if by_cookie && settings.syncookies == 0 {
            net.counters.inc(Snmp::TcpExtTCPReqQFullDrop);
            return Err(DropReason::TcpSynQueueFull);
        }
        if by_cookie {
            net.counters.inc(Snmp::TcpExtTCPReqQFullDoCookies);
        }
        if self.accept_queue_is_full(end, index) {
            net.counters.inc(Snmp::TcpExtListenOverflows);
            return Err(DropReason::TcpAcceptQueueFull);
        }
        // Without cookies the last quarter of the queue is for peers that are known to exist.
        let left = settings.max_syn_backlog.saturating_sub(listener.half_open);
        if settings.syncookies == 0 && !proven && left < settings.max_syn_backlog / 4 {
            return Err(DropReason::TcpSynQueueFull);
        }
        Ok(by_cookie)
    }

    /// `tcp_listendrop`.
    pub(super) fn drop_syn(&mut self, net: &mut Net, reason: DropReason) {
        net.counters.inc(Snmp::TcpExtListenDrops);
        net.counters.dropped(reason);
    }

    /// What is kept of a SYN (`tcp_openreq_init`, `tcp_openreq_init_rwin`, `tcp_ecn_create_request`).
    pub(super) fn request_of(
        &mut self,
        net: &mut Net,
        now: Instant,
        index: u32,
        segment: &Segment,
        options: &Options<'_>,
    ) -> Result<Request, DropReason> {
        let listener = self.listeners.get(index).ok_or(DropReason::TcpNoSocket)?;
        let (flow, config) = (segment.flow, listener.config.clone());
        let mtus = path_mtu(net, now, &mut self.commons, &flow, &config)?;
        let settings = &self.commons.settings;
        let ours = advertised_mss(settings, &config, mtus.first_hop);
        let beside = if options.timestamps.is_some() { TIMESTAMPS_LEN as u16 } else { 0 };
        let scaling = options.window_scale.is_some();
        let opening = Opening::choose(settings, &config, u32::MAX, ours.saturating_sub(beside), scaling);
        let mss = options.mss.unwrap_or(Mss::DEFAULT.bytes());
        Ok(Request {
            flow,
            listener: index,
            isn: isn::initial_sequence(&self.commons.secret, now, flow.local_addr(), flow.remote_addr()),
            peer_isn: segment.seq,
            mss: if config.max_segment != 0 { mss.min(config.max_segment) } else { mss },
            advertised_mss: ours,
            mtu: mtus.path,
            mtu_locked: mtus.locked,
            window: segment.window,
            peer_scale: options.window_scale.map(WindowScale::new),
            scale: opening.scale,
            receive_window: opening.window,
            clamp: opening.clamp,
            sack: options.sack_permitted,
            timestamp: options.timestamps.map(|timestamps| timestamps.value),
            clock: isn::timestamp_clock(
                settings,
                &self.commons.secret,
                flow.local_addr().ip(),
                flow.remote_addr().ip(),
            ),
            ecn: grants_ecn(settings, config.congestion, segment),
            acked: false,
            retransmits: 0,
            timeouts: 0,
            sent_at: now,
            invalid: InvalidLimit::default(),
            reflected_tos: settings.reflect_tos.then_some(segment.tos & !ECN_MASK),
            timer: None,
        })
    }

    /// Keeps a request and sends its SYN-ACK.
    fn enqueue_request(&mut self, net: &mut Net, now: Instant, request: Request, cookie: Option<ServerCookie>) {
        let Some(index) = self.table.insert_request(request) else {
            return self.drop_syn(net, DropReason::TcpSynQueueFull);
        };
        self.arm_request(now + TIMEOUT, index);
        if let Some(listener) = self.listeners.get_mut(request.listener) {
            listener.half_open += 1;
            listener.young += 1;
        }
        syn_ack::send(net, now, &self.listeners, &request, None, cookie.as_ref());
    }

    /// Fast opens that were finished since the last look.
    fn settle_fast_opens(&mut self) {
        for index in self.commons.fast_open_done.drain(..) {
            if let Some(listener) = self.listeners.get_mut(index) {
                listener.fast_open_pending = listener.fast_open_pending.saturating_sub(1);
            }
        }
    }
}

impl Request {
    /// What a connection of it begins with.
    pub(super) fn birth<'a>(&self, net: &mut Net, now: Instant, config: &'a Arc<Config>) -> Birth<'a> {
        Birth {
            now,
            flow: self.flow,
            isn: self.isn,
            clock: self.clock,
            mtu: self.mtu,
            mtu_locked: self.mtu_locked,
            opening: Opening { window: self.receive_window, clamp: self.clamp, scale: self.scale },
            advertised_mss: self.advertised_mss,
            ident: net.rng.next_u64() as u16,
            config,
        }
    }
}

/// The most connections that may wait at a listener, half open or not.
pub(super) fn backlog(settings: &Settings, listener: &Listener) -> u32 {
    listener.backlog.min(settings.somaxconn)
}

/// RFC 3168 section 6.1.1: asked for by ECE and CWR in a SYN that is not itself marked.
fn grants_ecn(settings: &Settings, congestion: Kind, segment: &Segment) -> bool {
    let asked = segment.flags.contains(Flags::ECE | Flags::CWR);
    let plain = !segment.ecn_capable && !segment.flags.contains(Flags::AE);
    asked && ((plain && settings.ecn != EcnMode::Off) || congestion.needs_ecn())
}
