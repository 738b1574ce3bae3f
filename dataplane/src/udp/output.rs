//! Sending a datagram (`udp_sendmsg`, `udp_send_skb`).

use super::table::UdpSocket;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::errno::{EACCES, EDESTADDRREQ, EINVAL, EMSGSIZE};
use crate::ip::{Outgoing, Path, PathKey, PathKind, has_room, ip_queue_xmit, ip_route_output, reserve};
use crate::net::Net;
use crate::wire::ipv4::Protocol;
use crate::wire::udp;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_nic::Instant;
use xmit_nic::frame::FrameFlags;

/// The longest UDP payload in bytes: 65,535 less the IP and UDP headers.
pub(super) const PAYLOAD_MAX: usize = 65_507;

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// Not connected, and no destination given (`EDESTADDRREQ`).
    NoDestination,
    /// Port 0 is nobody's (`EINVAL`).
    BadPort,
    /// A broadcast without `SO_BROADCAST` (`EACCES`).
    BroadcastNotAllowed,
    /// Longer than a datagram can be, or than the way takes (`EMSGSIZE`).
    TooLong,
    /// No memory or no room in the queue just now; the datagram is still the caller's.
    Busy,
    /// Dropped on the way down, counted.
    Dropped(DropReason),
}

impl SendError {
    /// Linux's error number for it; `None` where Linux tells the sender nothing.
    pub fn errno(self) -> Option<i32> {
        match self {
            Self::NoDestination => Some(EDESTADDRREQ),
            Self::BadPort => Some(EINVAL),
            Self::BroadcastNotAllowed => Some(EACCES),
            Self::TooLong => Some(EMSGSIZE),
            Self::Busy => None,
            Self::Dropped(reason) => reason.errno(),
        }
    }
}

/// Sends `len` bytes that `fill` writes, from `socket` to `destination` or its peer (`udp_sendmsg`).
///
/// # Errors
/// [`SendError::Busy`] leaves everything as it was; the others are final for this datagram.
#[inline]
pub fn udp_sendmsg(
    net: &mut Net,
    now: Instant,
    socket: &mut UdpSocket,
    destination: Option<SocketAddrV4>,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Result<(), SendError> {
    let to = this_host(destination.or(socket.remote).ok_or(SendError::NoDestination)?);
    let path = route(net, now, socket, to, len)?;
    if !has_room(net, &path) {
        return Err(SendError::Busy);
    }
    let mut frame = reserve(net, &path).ok_or(SendError::Busy)?;
    if !frame.set_len(udp::LEN + len) {
        net.pool.release(frame);
        return Err(SendError::TooLong);
    }
    let from = path.source;
    let bytes = frame.bytes_mut();
    fill(&mut bytes[udp::LEN..]);
    udp::Header { source_port: socket.local.port(), destination_port: to.port() }.emit(len, bytes);
    if path.kind == PathKind::Local {
        frame.flags = FrameFlags::CHECKSUM_VERIFIED;
    } else {
        udp::fill_checksum(from, *to.ip(), frame.bytes_mut());
    }
    socket.ident = socket.ident.wrapping_add(1);
    let out = Outgoing {
        source: from,
        destination: *to.ip(),
        protocol: Protocol::UDP,
        tos: socket.tos,
        ttl: if path.kind == PathKind::Multicast { MULTICAST_TTL } else { socket.ttl },
        // IP_PMTUDISC_WANT is Linux's default: DF is set, and the identification then has no meaning (RFC 6864).
        ident: Some(if socket.remote.is_some() { socket.ident } else { 0 }),
        dont_fragment: true,
        priority: socket.priority,
    };
    net.counters.inc(Snmp::UdpOutDatagrams);
    ip_queue_xmit(net, now, &path, &out, frame).map_err(SendError::Dropped)
}

/// The unspecified address as a destination means this host (`ip_route_output_key_hash_rcu`).
fn this_host(to: SocketAddrV4) -> SocketAddrV4 {
    if to.ip().is_unspecified() { SocketAddrV4::new(Ipv4Addr::LOCALHOST, to.port()) } else { to }
}

/// `IP_MULTICAST_TTL`'s default.
const MULTICAST_TTL: u8 = 1;

fn route(net: &mut Net, now: Instant, socket: &UdpSocket, to: SocketAddrV4, len: usize) -> Result<Path, SendError> {
    if to.port() == 0 {
        return Err(SendError::BadPort);
    }
    if len > PAYLOAD_MAX {
        return Err(SendError::TooLong);
    }
    let local = *socket.local.ip();
    let key = PathKey {
        destination: *to.ip(),
        source: (!local.is_unspecified()).then_some(local),
        tos: socket.tos,
        interface: socket.interface,
    };
    let path = ip_route_output(net, now, &key).copied().map_err(|reason| {
        net.counters.inc(Snmp::IpOutNoRoutes);
        net.counters.dropped(reason);
        SendError::Dropped(reason)
    })?;
    if path.kind == PathKind::Broadcast && !socket.broadcast {
        return Err(SendError::BroadcastNotAllowed);
    }
    Ok(path)
}
