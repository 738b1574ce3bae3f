//! Opening and what comes before and after a connection.

use super::commons::{Commons, Ctx, Fate};
use super::config::Config;
use super::connection::Connection;
use super::flow::Flow;
use super::listener::Listener;
use super::segment::Segment;
use super::table::ConnectionId;
use super::transport::Tcp;
use crate::Instant;
use crate::icmp::IcmpNews;
use crate::ip::Packet;
use crate::net::Net;
use crate::owner::Owner;
use xmit_shared::session::LaneEnd;

impl Tcp {
    pub(super) fn on_syn(
        &mut self,
        _net: &mut Net,
        _now: Instant,
        _end: Option<&mut LaneEnd>,
        _listener: u32,
        _segment: &Segment,
        _packet: &Packet,
    ) {
    }
    pub(super) fn on_listener_ack(
        &mut self,
        _net: &mut Net,
        _now: Instant,
        _end: Option<&mut LaneEnd>,
        _listener: u32,
        _segment: &Segment,
        _packet: &Packet,
    ) {
    }
    pub(super) fn on_request_segment(
        &mut self,
        _net: &mut Net,
        _now: Instant,
        _end: Option<&mut LaneEnd>,
        _request: u32,
        _segment: &Segment,
        _packet: &Packet,
    ) {
    }
    pub(super) fn on_time_wait_segment(
        &mut self,
        _net: &mut Net,
        _now: Instant,
        _end: Option<&mut LaneEnd>,
        _time_wait: u32,
        _segment: &Segment,
        _packet: &Packet,
    ) {
    }
    pub(super) fn on_request_timer(&mut self, _net: &mut Net, _now: Instant, _index: u32) {}
    pub(super) fn enter_time_wait(&mut self, _now: Instant, _connection: &Connection, _fin_wait_2: bool) {}
    /// Opens actively (`tcp_v4_connect`).
    pub fn connect(
        &mut self,
        _net: &mut Net,
        _now: Instant,
        _end: Option<&mut LaneEnd>,
        _flow: Flow,
        _owner: Owner,
        _config: &Config,
    ) -> Result<ConnectionId, i32> {
        Err(0)
    }
}

impl Tcp {
    /// Begins to listen (`inet_csk_listen_start`).
    pub fn listen(&mut self, listener: Listener) -> u32 {
        self.listeners.insert(listener)
    }

    /// Ends listening (`inet_csk_listen_stop`): half-open connections are forgotten, waiting ones reset.
    pub fn unlisten(&mut self, _net: &mut Net, _now: Instant, index: u32) {
        self.listeners.remove(index);
    }

    /// The program granted `slot` to the listener at `index`: a waiting connection is placed there.
    pub fn grant(&mut self, _net: &mut Net, _now: Instant, _end: Option<&mut LaneEnd>, _index: u32, _slot: u32) {}

    /// An ICMP error quotes a segment of connection `id` (`tcp_v4_err`).
    pub fn on_icmp(
        &mut self,
        _net: &mut Net,
        _now: Instant,
        _end: Option<&mut LaneEnd>,
        _id: ConnectionId,
        _news: &IcmpNews,
    ) {
    }
}

impl Connection {
    pub(super) fn on_syn_sent(&mut self, _ctx: &mut Ctx<'_>, _segment: &Segment, _payload: &[u8]) -> Fate {
        Fate::Lives
    }
    pub(super) fn save_metrics(&mut self, _now: Instant, _commons: &mut Commons) {}
}

pub(super) fn reply_reset(_net: &mut Net, _now: Instant, _segment: &Segment) {}
