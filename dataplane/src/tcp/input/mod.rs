//! Receiving.

use super::commons::{Ctx, Fate};
use super::connection::Connection;
use super::flow::Flow;
use super::segment::Segment;
use super::table::ConnectionId;
use super::transport::Tcp;
use crate::Instant;
use crate::drop::DropReason;
use crate::ip::Packet;
use crate::net::Net;
use crate::owner::Owner;
use xmit_shared::session::LaneEnd;

/// Who a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A connection.
    Connection(ConnectionId),
    /// A half-open one.
    Request(u32),
    /// One in TIME_WAIT.
    TimeWait(u32),
    /// Nobody has the flow; somebody listens.
    Listener(u32),
    /// Another lane.
    Elsewhere(u16),
    /// Nobody: answered with a reset.
    Nobody,
}

/// A segment whose target was found.
#[derive(Debug)]
pub struct Found {
    /// For whom.
    pub target: Target,
    /// Whose rings are needed: those of the connection's, or listener's, session.
    pub owner: Option<Owner>,
    /// What it says.
    pub segment: Segment,
    /// Holds it.
    pub packet: Packet,
}

/// Checks a segment and finds whom it is for (`tcp_v4_rcv`, `__inet_lookup`). `None`: dropped and counted.
pub fn tcp_v4_rcv(net: &mut Net, _tcp: &Tcp, _now: Instant, packet: Packet) -> Option<Found> {
    net.drop_frame(packet.frame, DropReason::IpUnknownProtocol);
    None
}

impl Tcp {
    /// Takes a segment to its target; the frame is given back.
    pub fn dispatch(&mut self, net: &mut Net, _now: Instant, _end: Option<&mut LaneEnd>, found: Found) {
        net.pool.release(found.packet.frame);
    }
}

impl Connection {
    /// Takes a segment in any state but SYN_SENT (`tcp_rcv_established`, `tcp_rcv_state_process`).
    pub(super) fn receive(&mut self, _ctx: &mut Ctx<'_>, _segment: &Segment, _payload: &[u8]) -> Fate {
        Fate::Lives
    }
}

const _: Option<Flow> = None;
