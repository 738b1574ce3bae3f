//! The send and the receive family: all calls of each meet in one function.

use super::{File, Kind};
use crate::errno::{Errno, Result, fail};
use crate::stack::Process;
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddrV4;
use std::sync::atomic::Ordering;
use xmit::{Datagram, MsgFlags};

/// What a receiving call gives beside the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// The call's result.
    pub(crate) len: usize,
    /// Who sent it; streams do not say.
    pub(crate) peer: Option<SocketAddrV4>,
    /// `msg_flags`.
    pub(crate) flags: i32,
    /// Control messages.
    pub(crate) ancillary: Vec<Ancillary>,
}

/// One control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ancillary {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    pub(crate) data: Vec<u8>,
}

/// `MAX_SKB_FRAGS`.
const BUFFER_FRAGMENTS: usize = 17;
/// Bytes that a read with `MSG_TRUNC` throws away at a time.
const DISCARD_BYTES: usize = 65_536;

/// `sendmsg` and all that stands for it.
///
/// # Errors
/// Those of the socket; `EOPNOTSUPP` for a flag that would be taken without effect.
pub(crate) fn send(
    process: &Process,
    file: &File,
    parts: &[IoSlice<'_>],
    to: Option<SocketAddrV4>,
    flags: i32,
) -> Result<usize> {
    let msg = msg_flags(flags);
    match &file.kind {
        Kind::Tcp(tcp) => {
            if flags & libc::MSG_FASTOPEN != 0 {
                let Some(to) = to.or_else(|| tcp.socket.peer_wanted()) else { return fail(libc::EINVAL) };
                return sent(process, tcp, tcp.socket.send_fast_open(parts, to, msg)?, flags);
            }
            let len = if flags & libc::MSG_ZEROCOPY != 0 && tcp.errors.zerocopy() {
                send_fragments(tcp, parts, msg)?
            } else {
                tcp.socket.send_with(parts, msg)?
            };
            sent(process, tcp, len, flags)
        }
        Kind::Udp(udp) => udp.send(parts, to, msg),
        Kind::PipeWrite(pipe) => {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            write_pipe(process, file, pipe, &bytes)
        }
        Kind::PipeRead(_) => fail(libc::EBADF),
        Kind::Epoll(_) => fail(libc::EINVAL),
    }
}

/// `MSG_ZEROCOPY`: in Linux each part is a fragment of a buffer, which has room for so many of them (`MAX_SKB_FRAGS`). The bytes are copied here
/// all the same; their borders are Linux's.
fn send_fragments(tcp: &super::Tcp, parts: &[IoSlice<'_>], msg: MsgFlags) -> Result<usize> {
    let parts: Vec<IoSlice<'_>> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    let (mut total, mut left) = (0, parts.len().div_ceil(BUFFER_FRAGMENTS).max(1));
    for buffer in parts.chunks(BUFFER_FRAGMENTS) {
        left -= 1;
        let wanted: usize = buffer.iter().map(|part| part.len()).sum();
        let step = MsgFlags { end_of_record: msg.end_of_record || left > 0, ..msg };
        match tcp.socket.send_with(buffer, step) {
            Ok(len) => {
                total += len;
                if len < wanted {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(total)
}

/// A stream has taken `len` bytes: who wants to know what becomes of them will be told.
fn sent(process: &Process, tcp: &super::Tcp, len: usize, flags: i32) -> Result<usize> {
    if len > 0 {
        tcp.errors.on_sent(&process.error_queues, process.pulse.now(), flags & libc::MSG_ZEROCOPY != 0);
    }
    Ok(len)
}

fn write_pipe(process: &Process, file: &File, pipe: &super::Pipe, bytes: &[u8]) -> Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        let rest = bytes.get(written..).unwrap_or_default();
        let step = match pipe.write(rest) {
            Ok(Some(len)) => len,
            Ok(None) if file.is_nonblocking() => break,
            Ok(None) => process.wait_for(None, || pipe.write(rest))?.unwrap_or(0),
            Err(error) if written == 0 => return Err(error),
            Err(_) => break,
        };
        written += step;
        process.pulse.beat();
    }
    if written == 0 && !bytes.is_empty() { fail(libc::EAGAIN) } else { Ok(written) }
}

/// `recvmsg` and all that stands for it.
///
/// # Errors
/// Those of the socket; `EAGAIN` for `MSG_ERRQUEUE` without a message: errors are not queued there, each is told by the next call.
pub(crate) fn receive(process: &Process, file: &File, parts: &mut [IoSliceMut<'_>], flags: i32) -> Result<Received> {
    if flags & libc::MSG_ERRQUEUE != 0 {
        return match &file.kind {
            Kind::Tcp(tcp) => tcp.errors.take().map_or(fail(libc::EAGAIN), Ok),
            Kind::Udp(_) => fail(libc::EAGAIN),
            _ => fail(libc::ENOTSOCK),
        };
    }
    match &file.kind {
        Kind::Tcp(_) if flags & libc::MSG_TRUNC != 0 => discard(file, parts, flags),
        Kind::Tcp(tcp) => {
            let len = tcp.socket.receive_with(parts, msg_flags(flags))?;
            let mut ancillary = Vec::new();
            if tcp.inq.load(Ordering::Relaxed) {
                let unread = i32::try_from(tcp.socket.queued()?.0).unwrap_or(i32::MAX);
                // The end counts as a byte, so that the program comes for it (`tcp_inq_hint`).
                let unread = unread.max(tcp.socket.readiness().read_hup.into());
                ancillary.push(Ancillary { level: libc::SOL_TCP, kind: TCP_INQ, data: unread.to_ne_bytes().to_vec() });
            }
            Ok(Received { len, peer: None, flags: flags & libc::MSG_OOB, ancillary })
        }
        Kind::Udp(udp) => {
            let asked =
                MsgFlags { dont_wait: flags & libc::MSG_DONTWAIT != 0 || udp.is_read_shut(), ..msg_flags(flags) };
            match udp.socket.receive_with(parts, asked).map_err(Errno::from) {
                Err(Errno(libc::EAGAIN)) if udp.is_read_shut() => Ok(Received::default()),
                Err(error) => Err(error),
                Ok(datagram) => Ok(received(udp, &datagram, flags)),
            }
        }
        Kind::PipeRead(pipe) => {
            let mut bytes = vec![0; parts.iter().map(|part| part.len()).sum()];
            let len = match pipe.read(&mut bytes) {
                Some(len) => len,
                None if file.is_nonblocking() => return fail(libc::EAGAIN),
                None => process.wait_for(None, || Ok(pipe.read(&mut bytes)))?.unwrap_or(0),
            };
            scatter(bytes.get(..len).unwrap_or_default(), parts);
            process.pulse.beat();
            Ok(Received { len, ..Received::default() })
        }
        Kind::PipeWrite(_) => fail(libc::EBADF),
        Kind::Epoll(_) => fail(libc::EINVAL),
    }
}

/// `TCP_INQ`, `TCP_CM_INQ` (`include/uapi/linux/tcp.h`).
pub(super) const TCP_INQ: i32 = 36;

/// A stream's `MSG_TRUNC`: bytes are counted and thrown away, the buffer is not touched (tcp(7)).
fn discard(file: &File, parts: &[IoSliceMut<'_>], flags: i32) -> Result<Received> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut waste = vec![0; total.min(DISCARD_BYTES)];
    let asked = msg_flags(flags);
    let mut len = 0;
    while len < total {
        let room = waste.len().min(total - len);
        let place = waste.get_mut(..room).unwrap_or_default();
        // Only the first read may wait, unless all are asked for.
        let step = MsgFlags { dont_wait: asked.dont_wait || (len > 0 && !asked.wait_all), ..asked };
        match file.tcp()?.socket.receive_with(&mut [IoSliceMut::new(place)], step) {
            Ok(0) => break,
            Ok(step) => len += step,
            Err(_) if len > 0 => break,
            Err(error) => return Err(error.into()),
        }
        if asked.peek {
            break;
        }
    }
    Ok(Received { len, ..Received::default() })
}

fn received(udp: &super::Udp, datagram: &Datagram, flags: i32) -> Received {
    let truncated = datagram.copied < datagram.len;
    let len = if flags & libc::MSG_TRUNC != 0 { datagram.len } else { datagram.copied };
    let mut ancillary = Vec::new();
    let mut add = |wanted: bool, kind: i32, data: Vec<u8>| {
        if wanted {
            ancillary.push(Ancillary { level: libc::IPPROTO_IP, kind, data });
        }
    };
    let address = datagram.local.octets();
    // struct in_pktinfo: interface, the address of the route, the address in the header.
    let pktinfo = datagram.interface.to_ne_bytes().into_iter().chain(address).chain(address).collect();
    add(udp.wants_pktinfo.load(Ordering::Relaxed), libc::IP_PKTINFO, pktinfo);
    let ttl = i32::from(datagram.ttl).to_ne_bytes().to_vec();
    add(udp.wants_ttl.load(Ordering::Relaxed), libc::IP_TTL, ttl);
    add(udp.wants_tos.load(Ordering::Relaxed), libc::IP_TOS, vec![datagram.tos]);
    let flags = if truncated { libc::MSG_TRUNC } else { 0 };
    Received { len, peer: Some(datagram.peer), flags, ancillary }
}

fn msg_flags(flags: i32) -> MsgFlags {
    MsgFlags {
        peek: flags & libc::MSG_PEEK != 0,
        oob: flags & libc::MSG_OOB != 0,
        more: flags & libc::MSG_MORE != 0,
        end_of_record: flags & libc::MSG_EOR != 0,
        dont_wait: flags & libc::MSG_DONTWAIT != 0,
        wait_all: flags & libc::MSG_WAITALL != 0,
    }
}

fn scatter(mut bytes: &[u8], parts: &mut [IoSliceMut<'_>]) {
    for part in parts {
        let (now, later) = bytes.split_at(part.len().min(bytes.len()));
        part.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        bytes = later;
    }
}
