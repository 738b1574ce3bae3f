//! Sockets coming to be, finding their peer, and ending.

use super::tcp::Tcp;
use super::udp::Udp;
use super::{File, Kind};
use crate::errno::{Result, fail};
use crate::stack::Process;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use xmit::{TcpSocket, UdpSocket};

/// A `sockaddr` that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `AF_INET`.
    V4(SocketAddrV4),
    /// `AF_UNSPEC`, with what its bytes would say as `AF_INET`.
    Unspecified(SocketAddrV4),
}

const SOCK_TYPE_MASK: i32 = 0xf;

/// `socket`.
///
/// # Errors
/// `EAFNOSUPPORT`, `EINVAL`, `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`, `EMFILE`.
pub(crate) fn socket(process: &Process, domain: i32, kind: i32, protocol: i32) -> Result<i32> {
    let (flags, kind) = (kind & !SOCK_TYPE_MASK, kind & SOCK_TYPE_MASK);
    if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
        return fail(libc::EINVAL);
    }
    if domain != libc::AF_INET {
        return fail(libc::EAFNOSUPPORT);
    }
    let kind = match (kind, protocol) {
        (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => {
            let socket = TcpSocket::new(&process.session)?;
            socket.set_system_notsent_lowat(process.notsent_lowat());
            Kind::Tcp(Tcp::new(Arc::new(socket)))
        }
        (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => Kind::Udp(Udp::new(UdpSocket::new(&process.session)?)),
        (libc::SOCK_STREAM | libc::SOCK_DGRAM, _) => return fail(libc::EPROTONOSUPPORT),
        _ => return fail(libc::ESOCKTNOSUPPORT),
    };
    let file = File::new(kind, flags & libc::SOCK_NONBLOCK != 0);
    process.files.add(file, flags & libc::SOCK_CLOEXEC != 0)
}

/// `bind`.
///
/// # Errors
/// `EADDRINUSE`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`, `EINVAL` if it has an address.
pub(crate) fn bind(file: &File, address: Address) -> Result<()> {
    let address = match address {
        Address::V4(address) => address,
        // Linux lets programs of old times have their way.
        Address::Unspecified(address) if address.ip().is_unspecified() => address,
        Address::Unspecified(_) => return fail(libc::EAFNOSUPPORT),
    };
    match &file.kind {
        Kind::Tcp(tcp) => Ok(tcp.socket.bind(address)?),
        Kind::Udp(udp) => {
            udp.socket.bind_to(address)?;
            udp.bound.store(true, Ordering::Relaxed);
            Ok(())
        }
        _ => fail(libc::ENOTSOCK),
    }
}

/// `listen`. Linux takes a negative number for a large one.
///
/// # Errors
/// `EOPNOTSUPP`, `EINVAL` if it is connected, `EADDRINUSE`.
pub(crate) fn listen(file: &File, backlog: i32) -> Result<()> {
    file.tcp()?.listen(backlog.cast_unsigned(), file.is_nonblocking())
}

/// `accept`: the new descriptor, and who connected.
///
/// # Errors
/// `EAGAIN`, `EINVAL` if it does not listen, `EMFILE`.
pub(crate) fn accept(process: &Process, file: &File) -> Result<(i32, SocketAddrV4)> {
    let tcp = file.tcp()?;
    let Some(listener) = tcp.listener() else { return fail(libc::EINVAL) };
    let (stream, peer) = listener.accept()?;
    let accepted = File::new(Kind::Tcp(tcp.accepted(&stream)?), false);
    drop(stream);
    let peer = match peer {
        SocketAddr::V4(peer) => peer,
        SocketAddr::V6(_) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
    };
    Ok((process.files.add(accepted, false)?, peer))
}

/// `connect`; to `AF_UNSPEC` it ends a connection or forgets a peer.
///
/// # Errors
/// `EINPROGRESS`, `EALREADY`, `EISCONN`, `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EAFNOSUPPORT`.
pub(crate) fn connect(file: &File, address: Address) -> Result<()> {
    match (&file.kind, address) {
        (Kind::Tcp(tcp), Address::V4(_)) if tcp.is_listening() => fail(libc::EISCONN),
        (Kind::Tcp(tcp), Address::V4(peer)) => Ok(tcp.socket.connect(peer)?),
        (Kind::Tcp(tcp), Address::Unspecified(_)) => {
            tcp.end_listening();
            Ok(tcp.socket.disconnect()?)
        }
        (Kind::Udp(udp), Address::V4(peer)) => Ok(udp.socket.connect(peer)?),
        (Kind::Udp(udp), Address::Unspecified(_)) => Ok(udp.socket.disconnect()?),
        _ => fail(libc::ENOTSOCK),
    }
}

/// `shutdown`.
///
/// # Errors
/// `EINVAL`, `ENOTCONN`.
pub(crate) fn shutdown(file: &File, how: i32) -> Result<()> {
    let how = match how {
        libc::SHUT_RD => Shutdown::Read,
        libc::SHUT_WR => Shutdown::Write,
        libc::SHUT_RDWR => Shutdown::Both,
        _ => return fail(libc::EINVAL),
    };
    match &file.kind {
        Kind::Tcp(tcp) if tcp.is_listening() => {
            // A listener has no other half (`inet_shutdown`).
            if how != Shutdown::Write {
                tcp.end_listening();
            }
            Ok(())
        }
        Kind::Tcp(tcp) => Ok(tcp.socket.shutdown(how)?),
        Kind::Udp(udp) => udp.shutdown(how),
        _ => fail(libc::ENOTSOCK),
    }
}
