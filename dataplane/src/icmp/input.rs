//! Received ICMP (`icmp_rcv` and its table).

use super::quote::Quote;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::errno::{
    ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT, EOPNOTSUPP, EPROTO,
};
use crate::ip::{Cast, Outgoing, Packet, PathKey, ip_queue_xmit, ip_route_output};
use crate::net::Net;
use crate::qdisc::Priority;
use crate::wire::checksum;
use crate::wire::icmp::{self, Icmp, Kind, Message};
use crate::wire::ipv4::Protocol;
use std::net::Ipv4Addr;
use xmit_nic::Instant;
use xmit_nic::frame::FrameFlags;

/// News for the protocol whose packet an error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpNews {
    /// Whose packet it is.
    pub quote: Quote,
    /// The error number of Linux (`icmp_err_convert`).
    pub errno: i32,
    /// The error ends what the packet tried; others are hints (`icmp_err_convert.fatal`).
    pub fatal: bool,
    /// The MTU of the next hop, where the error tells one (RFC 1191).
    pub next_hop_mtu: Option<u16>,
    /// Who sent the error.
    pub reporter: Ipv4Addr,
}

/// Takes a received ICMP packet (`icmp_rcv`); answers what the transport protocols must be told, and the packet, which
/// may have to go on to the lane of the socket.
pub fn icmp_rcv(net: &mut Net, now: Instant, packet: Packet) -> Option<(IcmpNews, Packet)> {
    net.counters.inc(Snmp::IcmpInMsgs);
    let verdict = classify(net, &packet);
    match verdict {
        Ok(Action::Echo) => {
            icmp_echo(net, now, packet);
            None
        }
        Ok(Action::Discard) => {
            net.pool.release(packet.frame);
            None
        }
        Ok(Action::Tell(news)) => Some((news, packet)),
        Err(reason) => {
            net.counters.inc(Snmp::IcmpInErrors);
            if reason == DropReason::IcmpChecksum {
                net.counters.inc(Snmp::IcmpInCsumErrors);
            }
            net.drop_frame(packet.frame, reason);
            None
        }
    }
}

enum Action {
    Echo,
    /// An answer to nobody here, taken note of in the counters (`icmp_discard`).
    Discard,
    Tell(IcmpNews),
}

fn classify(net: &mut Net, packet: &Packet) -> Result<Action, DropReason> {
    let icmp = Icmp::parse(packet.payload()).map_err(|_| DropReason::IcmpMalformed)?;
    if !packet.frame.flags.contains(FrameFlags::CHECKSUM_VERIFIED) && !icmp.checksum_ok() {
        return Err(DropReason::IcmpChecksum);
    }
    count(net, icmp.kind());
    action(packet, &icmp)
}

/// The news in an error that another lane received, checked and counted.
pub fn news_of(packet: &Packet) -> Option<IcmpNews> {
    let icmp = Icmp::parse(packet.payload()).ok()?;
    match action(packet, &icmp) {
        Ok(Action::Tell(news)) => Some(news),
        _ => None,
    }
}

/// `icmp_pointers`.
fn action(packet: &Packet, icmp: &Icmp<'_>) -> Result<Action, DropReason> {
    match icmp.message() {
        Message::EchoRequest(_) if packet.cast == Cast::Unicast => Ok(Action::Echo),
        Message::EchoRequest(_) => Err(DropReason::IcmpEchoBroadcast),
        Message::EchoReply(_) | Message::TimestampReply(_) | Message::AddressMaskReply(_) => Ok(Action::Discard),
        // What was sent to many is no answer to one of ours (RFC 1122 3.2.2; `icmp_rcv`).
        _ if packet.cast != Cast::Unicast => Err(DropReason::IcmpUnhandled),
        Message::Unreachable { code, .. } if code > UNREACHABLE_CODE_MAX => Err(DropReason::IcmpUnhandled),
        Message::Unreachable { code, next_hop_mtu, quote } => {
            let (errno, fatal) = unreachable_errno(code);
            let mtu = (code == icmp::unreachable::FRAGMENTATION_NEEDED).then_some(next_hop_mtu);
            tell(packet, quote, errno, fatal, mtu)
        }
        Message::TimeExceeded { quote, .. } => tell(packet, quote, EHOSTUNREACH, false, None),
        Message::ParameterProblem { quote, .. } => tell(packet, quote, EPROTO, true, None),
        _ => Err(DropReason::IcmpUnhandled),
    }
}

fn count(net: &mut Net, kind: Kind) {
    let counter = match kind {
        Kind::ECHO_REQUEST => Snmp::IcmpInEchos,
        Kind::ECHO_REPLY => Snmp::IcmpInEchoReps,
        Kind::UNREACHABLE => Snmp::IcmpInDestUnreachs,
        Kind::TIME_EXCEEDED => Snmp::IcmpInTimeExcds,
        Kind::PARAMETER_PROBLEM => Snmp::IcmpInParmProbs,
        Kind::SOURCE_QUENCH => Snmp::IcmpInSrcQuenchs,
        Kind::REDIRECT => Snmp::IcmpInRedirects,
        Kind::TIMESTAMP_REQUEST => Snmp::IcmpInTimestamps,
        Kind::TIMESTAMP_REPLY => Snmp::IcmpInTimestampReps,
        Kind::ADDRESS_MASK_REQUEST => Snmp::IcmpInAddrMasks,
        Kind::ADDRESS_MASK_REPLY => Snmp::IcmpInAddrMaskReps,
        _ => return,
    };
    net.counters.inc(counter);
}

fn tell(
    packet: &Packet,
    quote: &[u8],
    errno: i32,
    fatal: bool,
    next_hop_mtu: Option<u16>,
) -> Result<Action, DropReason> {
    let quote = Quote::parse(quote).ok_or(DropReason::IcmpErrorUnmatched)?;
    Ok(Action::Tell(IcmpNews { quote, errno, fatal, next_hop_mtu, reporter: packet.source }))
}

/// The highest code of an unreachable that is defined (`NR_ICMP_UNREACH`).
const UNREACHABLE_CODE_MAX: u8 = 15;

/// `icmp_err_convert`: the error number of an unreachable's code, and whether it is fatal.
fn unreachable_errno(code: u8) -> (i32, bool) {
    match code {
        0 | 11 => (ENETUNREACH, false),
        1 | 12 => (EHOSTUNREACH, false),
        2 => (ENOPROTOOPT, true),
        3 => (ECONNREFUSED, true),
        4 => (EMSGSIZE, false),
        5 => (EOPNOTSUPP, false),
        6 | 9 => (ENETUNREACH, true),
        7 => (EHOSTDOWN, true),
        8 => (ENONET, true),
        _ => (EHOSTUNREACH, true),
    }
}

/// Turns the request into its reply in place and sends it back (`icmp_echo`, `icmp_reply`).
fn icmp_echo(net: &mut Net, now: Instant, packet: Packet) {
    let key =
        PathKey { destination: packet.source, source: Some(packet.destination), tos: packet.tos, interface: None };
    let path = match ip_route_output(net, now, &key).copied() {
        Ok(path) => path,
        Err(reason) => {
            net.counters.inc(Snmp::IpOutNoRoutes);
            return net.drop_frame(packet.frame, reason);
        }
    };
    let out = Outgoing {
        source: packet.destination,
        destination: packet.source,
        protocol: Protocol::ICMP,
        tos: packet.tos,
        ttl: DEFAULT_TTL,
        ident: None,
        dont_fragment: false,
        priority: Priority::from_tos(packet.tos),
    };
    // A header with options shrinks to a plain one, which only leaves more room before the packet.
    let mut frame = packet.frame;
    frame.flags = FrameFlags::NONE;
    frame.trim_front(usize::from(packet.header_len));
    let bytes = frame.bytes_mut();
    let old = u16::from_be_bytes([bytes[0], bytes[1]]);
    bytes[0] = Kind::ECHO_REPLY.0;
    let new = u16::from_be_bytes([bytes[0], bytes[1]]);
    let sum = u16::from_be_bytes([bytes[2], bytes[3]]);
    let sum = match checksum::update(sum, old, new) {
        // Zero is minus zero; the sum of a message of nothing but zeros is plus zero (RFC 1624 section 3).
        0 if bytes[..2] == [0; 2] && bytes[4..].iter().all(|byte| *byte == 0) => 0xffff,
        sum => sum,
    };
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    net.counters.inc(Snmp::IcmpOutMsgs);
    net.counters.inc(Snmp::IcmpOutEchoReps);
    // Counted where it is dropped; there is nobody to tell.
    let _ = ip_queue_xmit(net, now, &path, &out, frame);
}

/// Hops a packet of ours may take (`IPDEFTTL`).
pub(super) const DEFAULT_TTL: u8 = 64;
