//! Errors that this host sends (`icmp_send`).

use super::input::DEFAULT_TTL;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::ip::{Cast, Outgoing, Packet, PathKey, ip_queue_xmit, ip_route_output, reserve};
use crate::net::Net;
use crate::wire::icmp::{self, Kind};
use crate::wire::ipv4::{Ipv4, Protocol};
use xmit_nic::Instant;

/// The largest error in bytes, IP header included (RFC 1812 4.3.2.3).
const ERROR_LEN_MAX: usize = 576;

/// Internetwork control, the type of service of errors (RFC 1812 4.3.2.5).
const TOS_ERROR: u8 = 0xc0;

/// Tells the sender of `offender` what is wrong with it, if the RFCs allow: never about a broadcast, an ICMP error, a
/// later fragment or a sender that is no single host (RFC 1122 3.2.2), and not too often.
pub fn icmp_send(net: &mut Net, now: Instant, offender: &Packet, kind: Kind, code: u8, rest: [u8; 4]) {
    if !may_answer(offender) {
        return;
    }
    // What never left this host is not limited (`icmpv4_global_allow`, `icmpv4_xrlim_allow`).
    if !offender.looped && !net.icmp_limit.allow(now, offender.source) {
        net.counters.inc(Snmp::IcmpOutRateLimited);
        return;
    }
    let key =
        PathKey { destination: offender.source, source: Some(offender.destination), tos: TOS_ERROR, interface: None };
    let Ok(path) = ip_route_output(net, now, &key).copied() else {
        net.counters.inc(Snmp::IcmpOutErrors);
        net.counters.dropped(DropReason::IpNoRoute);
        return;
    };
    let Some(mut frame) = reserve(net, &path) else {
        net.counters.inc(Snmp::IcmpOutErrors);
        net.counters.dropped(DropReason::NoFrame);
        return;
    };
    let quote = offender.datagram();
    let room = ERROR_LEN_MAX.min(usize::from(path.mtu)).min(frame.capacity() + 20);
    let quoted = quote.len().min(room.saturating_sub(20 + icmp::LEN));
    // It fits: `quoted` was cut to the frame's room.
    frame.set_len(icmp::LEN + quoted);
    let bytes = frame.bytes_mut();
    bytes[icmp::LEN..].copy_from_slice(&quote[..quoted]);
    icmp::Header { kind, code, rest }.emit(quoted, bytes);
    let out = Outgoing {
        source: offender.destination,
        destination: offender.source,
        protocol: Protocol::ICMP,
        tos: TOS_ERROR,
        ttl: DEFAULT_TTL,
        ident: None,
        dont_fragment: false,
        priority: crate::qdisc::Priority::CONTROL,
    };
    count(net, kind);
    // Counted where it is dropped; there is nobody to tell.
    let _ = ip_queue_xmit(net, now, &path, &out, frame);
}

fn may_answer(offender: &Packet) -> bool {
    let one_sender =
        !offender.source.is_unspecified() && !offender.source.is_multicast() && !offender.source.is_broadcast();
    let first_fragment = Ipv4::parse(offender.datagram()).is_ok_and(|ip| ip.fragment_offset() == 0);
    let is_error = offender.protocol == Protocol::ICMP && !is_query(offender.payload());
    offender.cast == Cast::Unicast && one_sender && first_fragment && !is_error
}

/// True for ICMP types that are requests or their answers; unknown ones count as errors, to be safe.
fn is_query(payload: &[u8]) -> bool {
    let kind = payload.first().copied().map(Kind);
    matches!(
        kind,
        Some(
            Kind::ECHO_REQUEST
                | Kind::ECHO_REPLY
                | Kind::TIMESTAMP_REQUEST
                | Kind::TIMESTAMP_REPLY
                | Kind::ADDRESS_MASK_REQUEST
                | Kind::ADDRESS_MASK_REPLY
        )
    )
}

fn count(net: &mut Net, kind: Kind) {
    net.counters.inc(Snmp::IcmpOutMsgs);
    match kind {
        Kind::UNREACHABLE => net.counters.inc(Snmp::IcmpOutDestUnreachs),
        Kind::TIME_EXCEEDED => net.counters.inc(Snmp::IcmpOutTimeExcds),
        Kind::PARAMETER_PROBLEM => net.counters.inc(Snmp::IcmpOutParmProbs),
        _ => {}
    }
}
