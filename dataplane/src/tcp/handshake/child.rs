//! A connection made of a request (`tcp_v4_syn_recv_sock`, `tcp_create_openreq_child`).

use crate::Instant;
use crate::counters::Snmp;
use crate::net::Net;
use crate::tcp::commons::{Ctx, Fate};
use crate::tcp::config::Config;
use crate::tcp::connection::{Connection, FastOpenState};
use crate::tcp::fastopen::ServerCookie;
use crate::tcp::part::Part;
use crate::tcp::request::Request;
use crate::tcp::segment::{Incoming, Segment};
use crate::tcp::state::State;
use crate::tcp::table::ConnectionId;
use crate::tcp::transport::Tcp;
use crate::tcp::window::WireWindow;
use crate::wire::tcp::Flags;
use crate::wire::tcp_options::TIMESTAMPS_LEN;
use xmit_shared::session::LaneEnd;

impl Tcp {
    /// The third segment came: the request, which is no longer in the table, becomes an established connection; what the
    /// segment carries is taken at once. False if there is no room.
    pub(super) fn create_child(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        request: &Request,
        incoming: Incoming<'_>,
    ) -> bool {
        let Some(id) = self.insert_child(net, now, request) else { return false };
        let segment = incoming.segment;
        net.counters.inc(Snmp::TcpPassiveOpens);
        self.with(net, now, None, id, |child, ctx| child.establish(ctx, request, segment));
        self.hand_over(net, now, end.as_deref_mut(), request.listener, id);
        if segment.len > 0 || segment.flags.intersects(Flags::FIN | Flags::URG) {
            let payload = incoming.payload();
            let end = end.filter(|_| self.owner(id).is_some());
            self.with(net, now, end, id, |child, ctx| child.receive(ctx, segment, payload));
        }
        true
    }

    /// A SYN with a valid cookie: a connection at once, with its data (`tcp_fastopen_create_child`).
    pub(super) fn open_fast(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        request: &Request,
        incoming: Incoming<'_>,
        cookie: Option<ServerCookie>,
    ) {
        let Some(id) = self.insert_child(net, now, request) else {
            net.counters.inc(Snmp::TcpExtTCPFastOpenPassiveFail);
            return self.drop_syn(net, crate::drop::DropReason::TcpAcceptQueueFull);
        };
        net.counters.inc(Snmp::TcpPassiveOpens);
        net.counters.inc(Snmp::TcpExtTCPFastOpenPassive);
        if let Some(listener) = self.listeners.get_mut(request.listener) {
            listener.fast_open_pending += 1;
        }
        self.with(net, now, None, id, |child, ctx| {
            child.fast_open = FastOpenState::Server;
            child.part = Part::Handshake(cookie);
            child.inherit(ctx, request);
            child.state = State::SynReceived;
            child.init_transfer(ctx, 0, false);
            // The SYN-ACK is sent again as those of requests are.
            child.rtt.set_first_rto(crate::Duration::ZERO);
            Fate::Lives
        });
        self.hand_over(net, now, end.as_deref_mut(), request.listener, id);
        let end = end.filter(|_| self.owner(id).is_some());
        let (segment, payload) = (incoming.segment, incoming.payload());
        self.with(net, now, end, id, |child, ctx| child.take_data_of_syn(ctx, segment, payload));
    }

    fn insert_child(&mut self, net: &mut Net, now: Instant, request: &Request) -> Option<ConnectionId> {
        let mut config = self.listeners.get(request.listener)?.config.clone();
        if let Some(tos) = request.reflected_tos.filter(|tos| *tos != config.tos) {
            config = self.commons.configs.share(Config { tos, ..*config });
        }
        let birth = request.birth(net, now, &config);
        let settings = &self.commons.settings;
        self.table.insert_connection(request.flow, |id| Connection::new(id, settings, &birth))
    }
}

impl Connection {
    /// Everything that SYN and SYN-ACK said.
    fn inherit(&mut self, ctx: &mut Ctx<'_>, request: &Request) {
        self.listener = Some(request.listener);
        self.peer_isn = request.peer_isn;
        self.receive.nxt = request.peer_isn + 1;
        self.receive.wup = self.receive.nxt;
        self.receive.last_ack = self.receive.nxt;
        self.send.wl1 = request.peer_isn;
        self.send.mss_clamp = request.mss;
        self.agreed.sack = request.sack;
        self.agreed.timestamps = request.timestamp.is_some();
        self.agreed.ecn = request.ecn;
        self.receive.ts_recent = request.timestamp.unwrap_or(0);
        self.receive.ts_recent_at = ctx.now;
        match request.peer_scale {
            Some(scale) => {
                self.agreed.window_scaling = true;
                self.send.scale = scale;
            }
            None => self.drop_scaling(),
        }
        // A SYN's window is never scaled (RFC 7323 section 2.2).
        self.send.wnd = crate::tcp::window::Window(u32::from(request.window));
        self.send.wnd_max = self.send.wnd;
        self.begun_at = request.sent_at.min(ctx.now);
        self.update_mss(ctx, self.send.pmtu);
        self.guess_segment_size();
    }

    /// The handshake is over by `segment`.
    fn establish(&mut self, ctx: &mut Ctx<'_>, request: &Request, segment: &Segment) -> Fate {
        self.inherit(ctx, request);
        let first = self.send.isn + 1;
        (self.send.una, self.send.nxt, self.send.small_end) = (first, first, first);
        self.send.wnd = self.send.scale.to_window(WireWindow(segment.window));
        self.send.wnd_max = self.send.wnd;
        self.send.wl1 = segment.seq;
        self.state = State::Established;
        self.stats.segs_in = 1;
        let spurious = self.sample_handshake(ctx, request, segment);
        self.rare.total_rto = u16::from(request.timeouts);
        if self.agreed.timestamps {
            self.receive.advertised_mss = self.receive.advertised_mss.saturating_sub(TIMESTAMPS_LEN as u16);
        }
        self.update_mss(ctx, self.send.pmtu);
        self.guess_segment_size();
        self.init_transfer(ctx, u32::from(request.retransmits), spurious);
        self.init_mtu_search(ctx);
        self.begin_keep_alive(ctx);
        self.predict(segment.window);
        Fate::Lives
    }

    /// The first round trip: of a SYN-ACK sent once, else by the timestamp that came back (`tcp_synack_rtt_meas`). True if
    /// SYN-ACKs were sent again in vain.
    fn sample_handshake(&mut self, ctx: &Ctx<'_>, request: &Request, segment: &Segment) -> bool {
        let echo = segment.timestamps.filter(|t| self.agreed.timestamps && t.echo != 0).map(|t| t.echo);
        let echoed = echo.and_then(|echo| self.clock.sent_at(ctx.now, echo));
        let once = request.retransmits == 0 && request.sent_at != Instant::FAR_FUTURE;
        let left = if once { Some(request.sent_at) } else { echoed };
        self.sent.count_syn(ctx.now);
        if let Some(left) = left {
            self.rtt.sample(ctx.now, ctx.now.saturating_since(left), self.send.una, self.send.nxt);
        }
        echo == Some(self.clock.value(request.sent_at))
    }

    /// The data of a SYN that was welcome, then the SYN-ACK that acknowledges it (`tcp_fastopen_add_skb`).
    fn take_data_of_syn(&mut self, ctx: &mut Ctx<'_>, segment: &Segment, payload: &[u8]) -> Fate {
        let first = Segment { seq: segment.seq + 1, flags: segment.flags.without(Flags::SYN), ..segment.clone() };
        self.syn_data_acked = segment.len > 0;
        // It says nothing about the ACKs that the peer wants (`tcp_fastopen_add_skb` is no `tcp_event_data_recv`).
        let policy = self.ack;
        let fate = if segment.len > 0 { self.take_data(ctx, &first, payload) } else { Fate::Lives };
        self.ack = policy;
        self.receive.wup = self.receive.nxt;
        self.receive.last_ack = self.receive.nxt;
        if fate == Fate::Lives {
            self.send_syn_ack(ctx);
        }
        fate
    }
}
