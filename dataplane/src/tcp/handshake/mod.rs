//! Opening and what comes before and after a connection.

use super::commons::{Commons, Ctx, Fate};
use super::config::Config;
use super::connection::Connection;
use super::flow::Flow;
use super::segment::Segment;
use super::table::ConnectionId;
use super::transport::Tcp;
use crate::Instant;
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

impl Connection {
    pub(super) fn on_syn_sent(
        &mut self,
        _ctx: &mut Ctx<'_>,
        _segment: &Segment,
        _payload: &[u8],
        _packet: &Packet,
    ) -> Fate {
        Fate::Lives
    }
    pub(super) fn save_metrics(&mut self, _now: Instant, _commons: &mut Commons) {}
}

pub(super) fn reply_reset(_net: &mut Net, _now: Instant, _segment: &Segment) {}
