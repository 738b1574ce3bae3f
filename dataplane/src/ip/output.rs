//! The one way out for local packets (`ip_queue_xmit`, `__ip_local_out`, `ip_output`, `ip_finish_output2`).

use super::path::{Path, PathKind};
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::hooks::{HookPacket, Point};
use crate::link::{self, LINK_HEADER_ROOM};
use crate::net::Net;
use crate::qdisc::Priority;
use crate::wire::ipv4::{self, Protocol};
use std::net::Ipv4Addr;
use xmit_nic::frame::{FRAME_HOME, FrameFlags};
use xmit_nic::{Frame, Instant};

/// What the IP header of a packet to be sent says, beside its path.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// From.
    pub source: Ipv4Addr,
    /// To.
    pub destination: Ipv4Addr,
    /// What it carries.
    pub protocol: Protocol,
    /// Type of service.
    pub tos: u8,
    /// Hops it may take.
    pub ttl: u8,
    /// Identification; chosen here if `None`.
    pub ident: Option<u16>,
    /// It must not be fragmented.
    pub dont_fragment: bool,
    /// The queueing priority (`skb->priority`).
    pub priority: Priority,
}

/// Bytes of an IP header without options.
const IP_HEADER: usize = 20;

/// A frame whose start leaves exactly the room that link and IP headers of `path` will take, so that the finished
/// frame starts at `FRAME_HOME`. `None` when the pool is empty.
#[inline]
pub fn reserve(net: &mut Net, path: &Path) -> Option<Frame> {
    let tagged = net.snapshot.interface(path.interface).is_some_and(|i| i.vlan.is_some());
    let link = if tagged { LINK_HEADER_ROOM + 4 } else { LINK_HEADER_ROOM };
    let mut frame = net.pool.acquire()?;
    frame.reset(FRAME_HOME + (link + IP_HEADER) as u16);
    Some(frame)
}

/// False while the queue of the way out is nearly full: what is to be sent then waits in its socket, where the
/// program feels the back pressure, as `sk_wmem_alloc` makes it feel in Linux.
#[inline]
pub fn has_room(net: &Net, path: &Path) -> bool {
    match path.kind {
        PathKind::Local => net.loopback.len() < crate::limits::LOOPBACK_FRAMES_MAX,
        _ => net.devices.iter().find(|d| d.interface == path.interface).is_none_or(|d| !d.queue.is_nearly_full()),
    }
}

/// Puts the IP header before the payload in `frame` and sends it by `path` (`ip_queue_xmit`). The frame is gone
/// either way.
///
/// # Errors
/// Why it was dropped, already counted.
#[inline]
pub fn ip_queue_xmit(
    net: &mut Net,
    now: Instant,
    path: &Path,
    out: &Outgoing,
    mut frame: Frame,
) -> Result<(), DropReason> {
    net.counters.inc(Snmp::IpOutRequests);
    let payload_len = frame.len();
    if payload_len + IP_HEADER > usize::from(path.mtu) {
        net.counters.inc(Snmp::IpFragFails);
        return discard(net, frame, DropReason::IpTooBig);
    }
    let ident = match out.ident {
        Some(ident) => ident,
        None => net.idents.next(out.source, out.destination, out.protocol.0),
    };
    let header = ipv4::Header {
        tos: out.tos,
        ident,
        dont_fragment: out.dont_fragment,
        more_fragments: false,
        fragment_offset: 0,
        ttl: out.ttl,
        protocol: out.protocol,
        source: out.source,
        destination: out.destination,
        options: &[],
    };
    match frame.push_front(IP_HEADER) {
        Some(room) => header.emit(payload_len, room),
        None => return discard(net, frame, DropReason::NoFrame),
    };
    let seen = HookPacket { datagram: frame.bytes(), input: None, output: Some(path.interface) };
    match net.hooks.run(Point::LocalOut, &seen) {
        Ok(()) => dst_output(net, now, path, out, frame),
        Err(reason) => discard(net, frame, reason),
    }
}

/// To this host, to all, or to one (`dst_output`).
#[inline]
fn dst_output(net: &mut Net, now: Instant, path: &Path, out: &Outgoing, frame: Frame) -> Result<(), DropReason> {
    match path.kind {
        PathKind::Unicast => ip_output(net, now, path, out, frame),
        PathKind::Local => {
            loop_frame(net, path, frame);
            Ok(())
        }
        PathKind::Broadcast => {
            net.counters.inc(Snmp::IpOutBcastPkts);
            loop_copy(net, path, &frame);
            ip_output(net, now, path, out, frame)
        }
        PathKind::Multicast => {
            net.counters.inc(Snmp::IpOutMcastPkts);
            ip_output(net, now, path, out, frame)
        }
    }
}

/// `ip_output` and `ip_finish_output2`.
#[inline]
fn ip_output(net: &mut Net, now: Instant, path: &Path, out: &Outgoing, frame: Frame) -> Result<(), DropReason> {
    let seen = HookPacket { datagram: frame.bytes(), input: None, output: Some(path.interface) };
    if let Err(reason) = net.hooks.run(Point::PostRouting, &seen) {
        return discard(net, frame, reason);
    }
    match (path.kind, path.neighbour) {
        (PathKind::Unicast, Some(id)) => link::neigh_resolve_output(net, now, id, frame, out.priority),
        (PathKind::Broadcast, _) => link::broadcast_output(net, path.interface, frame, out.priority),
        (PathKind::Multicast, _) => link::multicast_output(net, path.interface, out.destination, frame, out.priority),
        (PathKind::Unicast | PathKind::Local, _) => discard(net, frame, DropReason::IpNoRoute),
    }
}

fn loop_frame(net: &mut Net, path: &Path, mut frame: Frame) {
    frame.port = path.interface.0;
    frame.flags = FrameFlags::LOOPED.with(FrameFlags::CHECKSUM_VERIFIED);
    net.loop_back(frame);
}

/// A broadcast is also received by the host that sends it (`ip_loopback` of the older code).
fn loop_copy(net: &mut Net, path: &Path, frame: &Frame) {
    let Some(mut copy) = net.pool.acquire() else {
        net.counters.dropped(DropReason::NoFrame);
        return;
    };
    copy.fill(frame.bytes());
    loop_frame(net, path, copy);
}

#[cold]
fn discard(net: &mut Net, frame: Frame, reason: DropReason) -> Result<(), DropReason> {
    net.counters.inc(Snmp::IpOutDiscards);
    net.drop_frame(frame, reason);
    Err(reason)
}
