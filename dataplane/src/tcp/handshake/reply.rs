//! Segments without a connection: resets, ACKs of half-open connections and of TIME_WAIT, SYN-ACKs
//! (`ip_send_unicast_reply`, `ip_build_and_send_pkt`).
//!
//! They are never fragmented and have no identification, as Linux's.

use crate::Instant;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::ip::{Outgoing, PathKey, ip_queue_xmit, ip_route_output, reserve};
use crate::net::Net;
use crate::qdisc::Priority;
use crate::tcp::flow::Flow;
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNum;
use crate::wire::ipv4::{ECN_MASK, Protocol};
use crate::wire::tcp::{self, Flags, Header};
use crate::wire::tcp_options::{Options, Timestamps};

/// Hops of an answer without a socket (`IPDEFTTL`).
const TTL: u8 = 64;

/// What the IP header of a reply says beside its addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    /// Type of service.
    pub(super) tos: u8,
    /// Hops.
    pub(super) ttl: u8,
    /// The queueing priority.
    pub(super) priority: Priority,
}

impl Envelope {
    /// Of an answer to a segment with `tos`: segments without data are not marked (RFC 3168 section 6.1.4).
    pub(super) fn answering(tos: u8) -> Self {
        Self { tos: tos & !ECN_MASK, ttl: TTL, priority: Priority::from_tos(tos) }
    }
}

/// An ACK without a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyAck {
    /// Between whom; `local` is ours.
    pub(super) flow: Flow,
    /// `SEG.SEQ`.
    pub(super) seq: SeqNum,
    /// `SEG.ACK`.
    pub(super) ack: SeqNum,
    /// `SEG.WND` as it stands in the header.
    pub(super) window: u16,
    /// Timestamps, if the peer sends them.
    pub(super) timestamps: Option<Timestamps>,
}

/// Resets what `segment` belongs to, as if nothing were here (RFC 9293 section 3.10.7.1; `tcp_v4_send_reset`). Never an
/// answer to a reset.
pub(in crate::tcp) fn reply_reset(net: &mut Net, now: Instant, segment: &Segment) {
    if segment.flags.contains(Flags::RST) {
        return;
    }
    let answered = segment.flags.contains(Flags::ACK);
    let header = Header {
        seq: if answered { segment.ack.number() } else { 0 },
        ack: if answered { 0 } else { segment.end().number() },
        flags: if answered { Flags::RST } else { Flags::RST | Flags::ACK },
        ..ports(&segment.flow)
    };
    if send(net, now, &segment.flow, &header, &Envelope::answering(segment.tos)) {
        net.counters.inc(Snmp::TcpOutRsts);
    }
}

/// Sends an ACK without a connection (`tcp_v4_send_ack`).
pub(super) fn reply_ack(net: &mut Net, now: Instant, ack: &ReplyAck, tos: u8) {
    let header = Header {
        seq: ack.seq.number(),
        ack: ack.ack.number(),
        flags: Flags::ACK,
        window: ack.window,
        options: Options { timestamps: ack.timestamps, ..Options::NONE },
        ..ports(&ack.flow)
    };
    send(net, now, &ack.flow, &header, &Envelope::answering(tos));
}

/// A header with the ports of `flow`.
pub(super) fn ports(flow: &Flow) -> Header<'static> {
    Header { source_port: flow.local.port(), destination_port: flow.remote.port(), ..Header::default() }
}

/// Builds and sends a segment without data. False if it did not get as far as IP.
pub(super) fn send(net: &mut Net, now: Instant, flow: &Flow, header: &Header<'_>, envelope: &Envelope) -> bool {
    let (source, destination) = (*flow.local.ip(), *flow.remote.ip());
    let key = PathKey { destination, source: Some(source), tos: envelope.tos, interface: None };
    let path = match ip_route_output(net, now, &key).copied() {
        Ok(path) => path,
        Err(reason) => {
            net.counters.inc(Snmp::IpOutNoRoutes);
            net.counters.dropped(reason);
            return false;
        }
    };
    let Some(mut frame) = reserve(net, &path) else {
        net.counters.dropped(DropReason::NoFrame);
        return false;
    };
    let fits = frame.set_len(header.len());
    let bytes = frame.bytes_mut();
    if !fits || header.emit(bytes) == 0 {
        net.drop_frame(frame, DropReason::NoFrame);
        return false;
    }
    let pseudo = flow.pseudo_header(bytes.len());
    tcp::fill_checksum(pseudo, bytes);
    let out = Outgoing {
        source,
        destination,
        protocol: Protocol::TCP,
        tos: envelope.tos,
        ttl: envelope.ttl,
        ident: Some(0),
        dont_fragment: true,
        priority: envelope.priority,
    };
    net.counters.inc(Snmp::TcpOutSegs);
    // Counted where it is dropped; the peer asks again.
    let _ = ip_queue_xmit(net, now, &path, &out, frame);
    true
}
