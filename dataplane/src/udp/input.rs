//! Received datagrams and errors (`udp_rcv`, `__udp4_lib_mcast_deliver`, `udp_err`).

use super::table::{UdpSocketId, UdpTable};
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::icmp::{IcmpNews, icmp_send};
use crate::ip::{Cast, Packet};
use crate::net::Net;
use crate::wire::checksum::Verdict;
use crate::wire::icmp::{Kind, unreachable};
use crate::wire::udp::Udp;
use arrayvec::ArrayVec;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use xmit_nic::Instant;
use xmit_nic::frame::FrameFlags;

/// The most sockets that get a copy of one broadcast: one bound to its address, one to the port alone.
pub(super) const RECEIVERS_MAX: usize = 2;

/// Who gets a datagram.
#[derive(Debug)]
pub enum UdpVerdict {
    /// These sockets get the bytes `payload` of the packet's frame.
    Deliver {
        /// At least one.
        sockets: ArrayVec<UdpSocketId, RECEIVERS_MAX>,
        /// The sender.
        source: SocketAddrV4,
        /// As it was addressed.
        destination: SocketAddrV4,
        /// Where in the frame the payload stands.
        payload: Range<usize>,
        /// Holds the datagram.
        packet: Packet,
    },
    /// The socket is on another lane.
    Handover {
        /// That lane.
        lane: u16,
        /// Holds the datagram.
        packet: Packet,
    },
    /// Dropped and counted.
    Dropped,
}

/// Finds the receivers of a UDP packet (`udp_rcv`).
pub fn udp_rcv(net: &mut Net, table: &UdpTable, now: Instant, packet: Packet) -> UdpVerdict {
    let facts = match check(net, &packet) {
        Ok(facts) => facts,
        Err(reason) => {
            net.counters.inc(Snmp::UdpInErrors);
            if reason == DropReason::UdpChecksum {
                net.counters.inc(Snmp::UdpInCsumErrors);
            }
            net.drop_frame(packet.frame, reason);
            return UdpVerdict::Dropped;
        }
    };
    let sockets = receivers(table, packet.cast, facts.destination, facts.source);
    if !sockets.is_empty() {
        let Facts { source, destination, payload } = facts;
        return UdpVerdict::Deliver { sockets, source, destination, payload, packet };
    }
    match table.owner_elsewhere(facts.destination) {
        Some(lane) => UdpVerdict::Handover { lane, packet },
        None => {
            no_port(net, now, packet);
            UdpVerdict::Dropped
        }
    }
}

struct Facts {
    source: SocketAddrV4,
    destination: SocketAddrV4,
    payload: Range<usize>,
}

/// The checksum is verified before a program sees a byte.
fn check(net: &Net, packet: &Packet) -> Result<Facts, DropReason> {
    let udp = Udp::parse(packet.payload()).map_err(|_| DropReason::UdpMalformed)?;
    if !packet.frame.flags.contains(FrameFlags::CHECKSUM_VERIFIED) {
        match udp.verify(packet.source, packet.destination) {
            None | Some(Verdict::Good) => {}
            Some(Verdict::Bad) => return Err(DropReason::UdpChecksum),
            Some(Verdict::PseudoOnly) if net.accepts_unfinished(packet.input) => {}
            Some(Verdict::PseudoOnly) => return Err(DropReason::UdpChecksumUnfinished),
        }
    }
    let start = usize::from(packet.header_len) + crate::wire::udp::LEN;
    Ok(Facts {
        source: SocketAddrV4::new(packet.source, udp.source_port()),
        destination: SocketAddrV4::new(packet.destination, udp.destination_port()),
        payload: start..start + udp.payload().len(),
    })
}

fn receivers(
    table: &UdpTable,
    cast: Cast,
    destination: SocketAddrV4,
    source: SocketAddrV4,
) -> ArrayVec<UdpSocketId, RECEIVERS_MAX> {
    let mut sockets = ArrayVec::new();
    sockets.extend(table.lookup(destination, source));
    if cast != Cast::Unicast {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, destination.port());
        let other = table.lookup(any, source).filter(|id| !sockets.contains(id));
        sockets.extend(other);
    }
    sockets
}

/// Nobody listens: the sender is told, unless it spoke to many (RFC 1122 4.1.3.1).
fn no_port(net: &mut Net, now: Instant, packet: Packet) {
    net.counters.inc(Snmp::UdpNoPorts);
    icmp_send(net, now, &packet, Kind::UNREACHABLE, unreachable::PORT, [0; 4]);
    net.drop_frame(packet.frame, DropReason::UdpNoPort);
}

/// The socket that must hear of an error, and the error's number (`__udp4_lib_err`): only connected sockets are told,
/// and only of fatal errors. The packet-too-big error also reaches them, because they send with DF.
pub fn udp_err(table: &UdpTable, news: &IcmpNews) -> Option<(UdpSocketId, i32)> {
    let id = table.lookup_sender(news.quote.source, news.quote.destination)?;
    let connected = table.get(id)?.remote == Some(news.quote.destination);
    let hard = news.fatal || news.next_hop_mtu.is_some();
    (connected && hard).then_some((id, news.errno))
}
