//! Whom a segment is for (`tcp_v4_rcv`, `__inet_lookup`).

use crate::Instant;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::ip::{Cast, Packet};
use crate::net::Net;
use crate::owner::Owner;
use crate::tcp::flow::Flow;
use crate::tcp::handshake;
use crate::tcp::segment::{Incoming, Segment};
use crate::tcp::table::{ConnectionId, Place};
use crate::tcp::transport::Tcp;
use crate::wire::checksum::{Sum, Verdict};
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::{Flags, Tcp as View};
use xmit_nic::Frame;
use xmit_nic::frame::FrameFlags;
use xmit_shared::session::LaneEnd;

/// What the lane's secret is used for here.
const GROUP: u8 = 7;

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
    /// Another lane has the port.
    Elsewhere(u16),
    /// Nobody: answered with a reset.
    Nobody,
}

/// Counts and drops what [`tcp_v4_rcv`] did not let pass.
#[cold]
pub fn refuse(net: &mut Net, frame: Frame, reason: DropReason) {
    if reason != DropReason::TcpNotUnicast {
        net.counters.inc(Snmp::TcpInErrs);
    }
    if reason == DropReason::TcpChecksum {
        net.counters.inc(Snmp::TcpInCsumErrors);
    }
    net.drop_frame(frame, reason);
}

/// Checks a segment (`tcp_v4_rcv`): its checksum is verified before anything is believed. `TcpInSegs` is the caller's to count: a
/// segment that is handed over to another lane comes here twice.
///
/// # Errors
/// Why it is not a segment; to be given to [`refuse`].
#[inline]
pub fn tcp_v4_rcv<'p>(net: &Net, packet: &'p Packet) -> Result<View<'p>, DropReason> {
    if packet.cast != Cast::Unicast {
        return Err(DropReason::TcpNotUnicast);
    }
    let bytes = packet.payload();
    let view = View::parse(bytes).map_err(|_| DropReason::TcpMalformed)?;
    if packet.frame.flags.contains(FrameFlags::CHECKSUM_VERIFIED) {
        return Ok(view);
    }
    let pseudo = Sum::pseudo_header(packet.source, packet.destination, Protocol::TCP.0, bytes.len() as u16);
    match view.verify(pseudo) {
        Verdict::Good => Ok(view),
        Verdict::Bad => Err(DropReason::TcpChecksum),
        Verdict::PseudoOnly if net.accepts_unfinished(packet.input) => Ok(view),
        Verdict::PseudoOnly => Err(DropReason::TcpChecksumUnfinished),
    }
}

impl Tcp {
    /// Established before listeners; of those the most specific (`__inet_lookup`).
    #[inline]
    pub fn lookup(&self, segment: &Segment) -> Target {
        match self.table.lookup(&segment.flow) {
            Some(Place::Connection(index)) => {
                self.table.connections.get(index).map_or(Target::Nobody, |c| Target::Connection(c.id))
            }
            Some(Place::Request(index)) => Target::Request(index),
            Some(Place::TimeWait(index)) => Target::TimeWait(index),
            None => match self.listener_for(&segment.flow) {
                Some(index) => Target::Listener(index),
                None => self.lane_of(segment.flow.local).map_or(Target::Nobody, Target::Elsewhere),
            },
        }
    }

    /// As [`Tcp::lookup`], if the connection in place `expected` is not the one already: its flow tells.
    #[inline]
    pub fn lookup_expected(&self, segment: &Segment, expected: Option<u32>) -> Target {
        let connection = expected.and_then(|place| self.table.connections.get(place));
        match connection.filter(|connection| connection.flow == segment.flow) {
            Some(connection) => Target::Connection(connection.id),
            None => self.lookup(segment),
        }
    }

    /// The listener that a SYN of `flow` is for; of a group always the same one for one flow, and no peer can tell which.
    pub(in crate::tcp) fn listener_for(&self, flow: &Flow) -> Option<u32> {
        self.listeners.lookup(flow.local, || self.commons.secret.hash(GROUP, flow))
    }

    /// Whose rings a segment for `target` needs: those of the connection's, or listener's, session.
    #[inline]
    pub fn owner_of(&self, target: Target) -> Option<Owner> {
        match target {
            Target::Connection(id) => self.owner(id),
            Target::Listener(index) => Some(self.listeners.get(index)?.owner),
            Target::Request(index) => Some(self.listeners.get(self.table.requests.get(index)?.listener)?.owner),
            // A SYN may reopen it, for the listener.
            Target::TimeWait(index) => {
                let flow = self.table.time_waits.get(index)?.flow;
                Some(self.listeners.get(self.listener_for(&flow)?)?.owner)
            }
            Target::Elsewhere(_) | Target::Nobody => None,
        }
    }

    /// Takes a segment to its target.
    #[inline]
    pub fn dispatch(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        target: Target,
        segment: &Segment,
        packet: &Packet,
    ) {
        let incoming = Incoming { segment, packet };
        match target {
            Target::Connection(id) => {
                let payload = segment.payload_in(packet);
                self.with(net, now, end, id, |connection, ctx| connection.input(ctx, segment, payload, packet));
            }
            Target::Request(index) => self.on_request_segment(net, now, end, index, incoming),
            Target::TimeWait(index) => self.on_time_wait_segment(net, now, end, index, incoming),
            Target::Listener(index) => self.listener_input(net, now, end, index, incoming),
            // One that was handed over already goes no further.
            Target::Elsewhere(_) | Target::Nobody => nobody(net, now, segment),
        }
    }

    /// What LISTEN does with a segment (RFC 9293 section 3.10.7.2).
    fn listener_input(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        listener: u32,
        incoming: Incoming<'_>,
    ) {
        let flags = incoming.segment.flags;
        if flags.contains(Flags::RST) {
            net.counters.dropped(DropReason::TcpReset);
        } else if flags.contains(Flags::ACK) {
            self.on_listener_ack(net, now, end, listener, incoming);
        } else if flags.contains(Flags::SYN) && !flags.contains(Flags::FIN) {
            self.on_syn(net, now, end, listener, incoming, None);
        } else {
            net.counters.dropped(DropReason::TcpFlags);
        }
    }
}

/// CLOSED (RFC 9293 section 3.10.7.1).
fn nobody(net: &mut Net, now: Instant, segment: &Segment) {
    if segment.flags.contains(Flags::RST) {
        net.counters.dropped(DropReason::TcpReset);
    } else {
        net.counters.dropped(DropReason::TcpNoSocket);
        handshake::reply_reset(net, now, segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::commons::Capacity;
    use crate::tcp::config::Config;
    use crate::tcp::listener::Listener;
    use crate::tcp::settings::Settings;
    use std::net::{Ipv4Addr, SocketAddrV4};
    use std::sync::Arc;
    use xmit_nic::rng::Rng;

    /// Whom of a group of four each of 64 peers falls on, in a lane of this seed.
    fn choices(seed: u64) -> Vec<u32> {
        let (settings, local) = (Settings::default(), SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 80));
        let mut tcp = Tcp::new(Instant::ZERO, &Capacity::SMALL, settings, &mut Rng::new(seed));
        for slot in 0..4 {
            let config = Arc::new(Config::new(&settings));
            tcp.listeners.insert(Listener::new(local, Owner { session: 0, slot }, 1, config));
        }
        let peer = |port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port);
        (0..64).map(|port| tcp.listener_for(&Flow { local, remote: peer(port) }).unwrap()).collect()
    }

    #[test]
    fn whom_of_a_group_a_peer_falls_on_is_the_lane_s_secret() {
        assert_eq!(choices(1), choices(1));
        assert_ne!(choices(1), choices(2));
        assert!((0..4).all(|listener| choices(1).contains(&listener)), "all have a share");
    }
}
