//! What the sockets' work is done with.

use super::ports::Ports;
use super::session::Report;
use crate::net::Net;
use crate::tcp::Tcp;
use crate::udp::UdpTable;
use xmit_nic::Instant;

/// The layers below the sockets, lent by the stack.
#[derive(Debug)]
pub struct Layers<'a> {
    /// The turn's time.
    pub now: Instant,
    /// What the lower layers share.
    pub net: &'a mut Net,
    /// UDP sockets.
    pub udp: &'a mut UdpTable,
    /// TCP.
    pub tcp: &'a mut Tcp,
}

/// What one session's call works with: the layers, and what the sessions of a lane share.
#[derive(Debug)]
pub(super) struct Ctx<'a> {
    pub(super) now: Instant,
    pub(super) net: &'a mut Net,
    pub(super) udp: &'a mut UdpTable,
    pub(super) tcp: &'a mut Tcp,
    pub(super) ports: &'a mut Ports,
    pub(super) reports: &'a mut Vec<Report>,
}

impl<'a> Layers<'a> {
    pub(super) fn with(self, ports: &'a mut Ports, reports: &'a mut Vec<Report>) -> Ctx<'a> {
        let Self { now, net, udp, tcp } = self;
        Ctx { now, net, udp, tcp, ports, reports }
    }
}
