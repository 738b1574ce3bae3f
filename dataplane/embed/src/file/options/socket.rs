//! `SOL_SOCKET` (`sk_setsockopt`, `sk_getsockopt`).

use super::super::error_queue::bits;
use super::super::{File, Kind};
use super::{answer, int};
use crate::errno::{Errno, Result, fail};
use std::io;
use std::sync::atomic::Ordering;
use xmit::SocketOption;
use xmit_nic::Duration;

/// `SO_RCVTIMEO` and `SO_SNDTIMEO` with 64-bit times, where the numbers differ from the old ones.
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;
/// The same for `SO_TIMESTAMPING`.
const SO_TIMESTAMPING_NEW: i32 = 65;

pub(super) fn set(file: &File, name: i32, value: &[u8]) -> Result<()> {
    match name {
        libc::SO_LINGER => return set_linger(file, value),
        libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => return set_timeout(file, value, true),
        libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => return set_timeout(file, value, false),
        libc::SO_MAX_PACING_RATE => return set_max_pacing_rate(file, value),
        _ => {}
    }
    let number = int(value)?;
    let flag = i32::from(number != 0);
    match name {
        libc::SO_REUSEADDR => set_in_lane(file, SocketOption::ReuseAddr, flag),
        libc::SO_REUSEPORT => set_in_lane(file, SocketOption::ReusePort, flag),
        libc::SO_BROADCAST => match &file.kind {
            Kind::Udp(_) => set_in_lane(file, SocketOption::Broadcast, flag),
            _ => Ok(()),
        },
        libc::SO_PRIORITY => set_in_lane(file, SocketOption::Priority, number),
        libc::SO_KEEPALIVE => match &file.kind {
            Kind::Tcp(tcp) => tcp.set_option(SocketOption::KeepAlive, flag),
            _ => Ok(()),
        },
        libc::SO_OOBINLINE => {
            if let Kind::Tcp(tcp) = &file.kind {
                tcp.socket.set_oob_inline(number != 0);
            }
            Ok(())
        }
        libc::SO_SNDBUF | libc::SO_SNDBUFFORCE => set_in_lane(file, SocketOption::SendBuffer, buffer(number)),
        libc::SO_RCVBUF | libc::SO_RCVBUFFORCE => set_in_lane(file, SocketOption::ReceiveBuffer, buffer(number)),
        libc::SO_RCVLOWAT => {
            let Kind::Tcp(tcp) = &file.kind else { return fail(libc::ENOPROTOOPT) };
            // Linux takes a negative number for the largest, and zero for one.
            tcp.socket.set_receive_lowat(u32::try_from(number).unwrap_or(i32::MAX as u32));
            Ok(())
        }
        libc::SO_ZEROCOPY => match &file.kind {
            Kind::Tcp(_) if !(0..=1).contains(&number) => fail(libc::EINVAL),
            Kind::Tcp(tcp) => {
                tcp.errors.set_zerocopy(number == 1);
                Ok(())
            }
            _ => fail(libc::EOPNOTSUPP),
        },
        libc::SO_TIMESTAMPING | SO_TIMESTAMPING_NEW => set_stamping(file, number.cast_unsigned()),
        libc::SO_MARK => {
            file.mark.store(number, Ordering::Relaxed);
            Ok(())
        }
        libc::SO_DONTROUTE => {
            // There is one way out, with or without routes.
            dont_route(file).store(flag, Ordering::Relaxed);
            Ok(())
        }
        libc::SO_TYPE | libc::SO_PROTOCOL | libc::SO_DOMAIN | libc::SO_ERROR | libc::SO_ACCEPTCONN => {
            fail(libc::ENOPROTOOPT)
        }
        _ => fail(libc::ENOPROTOOPT),
    }
}

pub(super) fn get(file: &File, name: i32, room: usize) -> Result<Vec<u8>> {
    let is_tcp = matches!(file.kind, Kind::Tcp(_));
    match name {
        libc::SO_TYPE => answer(if is_tcp { libc::SOCK_STREAM } else { libc::SOCK_DGRAM }),
        libc::SO_DOMAIN => answer(libc::AF_INET),
        libc::SO_PROTOCOL => answer(if is_tcp { libc::IPPROTO_TCP } else { libc::IPPROTO_UDP }),
        libc::SO_ACCEPTCONN => answer(matches!(&file.kind, Kind::Tcp(tcp) if tcp.is_listening())),
        libc::SO_ERROR => answer(pending_error(file)?),
        libc::SO_REUSEADDR => get_from_lane(file, SocketOption::ReuseAddr),
        libc::SO_REUSEPORT => get_from_lane(file, SocketOption::ReusePort),
        libc::SO_BROADCAST if is_tcp => answer(0),
        libc::SO_BROADCAST => get_from_lane(file, SocketOption::Broadcast),
        libc::SO_PRIORITY => get_from_lane(file, SocketOption::Priority),
        libc::SO_KEEPALIVE if !is_tcp => answer(0),
        libc::SO_KEEPALIVE => get_from_lane(file, SocketOption::KeepAlive),
        libc::SO_SNDBUF => get_from_lane(file, SocketOption::SendBuffer),
        libc::SO_RCVBUF => get_from_lane(file, SocketOption::ReceiveBuffer),
        libc::SO_SNDLOWAT => answer(1),
        libc::SO_MARK => answer(file.mark.load(Ordering::Relaxed)),
        libc::SO_DONTROUTE => answer(dont_route(file).load(Ordering::Relaxed)),
        libc::SO_DEBUG => answer(0),
        libc::SO_OOBINLINE => answer(matches!(&file.kind, Kind::Tcp(tcp) if tcp.socket.oob_inline())),
        libc::SO_RCVLOWAT => match &file.kind {
            Kind::Tcp(tcp) => answer(tcp.socket.receive_lowat().cast_signed()),
            _ => answer(1),
        },
        libc::SO_ZEROCOPY => answer(matches!(&file.kind, Kind::Tcp(tcp) if tcp.errors.zerocopy())),
        libc::SO_TIMESTAMPING | SO_TIMESTAMPING_NEW => match &file.kind {
            Kind::Tcp(tcp) => answer(tcp.errors.stamping().cast_signed()),
            _ => answer(0),
        },
        libc::SO_LINGER => Ok(linger(file)),
        libc::SO_MAX_PACING_RATE => max_pacing_rate(file, room),
        libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => timeout(file, true),
        libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => timeout(file, false),
        _ => fail(libc::ENOPROTOOPT),
    }
}

/// Bytes a second, in 4 or 8 bytes; all ones are no limit (`sk_setsockopt`).
fn set_max_pacing_rate(file: &File, value: &[u8]) -> Result<()> {
    let short = int(value)?.cast_unsigned();
    let rate = match value.first_chunk() {
        Some(long) => u64::from_ne_bytes(*long),
        None if short == u32::MAX => u64::MAX,
        None => short.into(),
    };
    match &file.kind {
        Kind::Tcp(tcp) => match tcp.listener() {
            Some(listener) => Ok(listener.set_max_pacing_rate(rate)?),
            None => Ok(tcp.socket.set_max_pacing_rate(rate)?),
        },
        Kind::Udp(udp) => {
            // Only the fq discipline paces datagrams, and there is none.
            udp.max_pacing_rate.store(rate, Ordering::Relaxed);
            Ok(())
        }
        _ => fail(libc::ENOTSOCK),
    }
}

fn max_pacing_rate(file: &File, room: usize) -> Result<Vec<u8>> {
    let rate = match &file.kind {
        Kind::Tcp(tcp) => tcp.socket.max_pacing_rate()?,
        Kind::Udp(udp) => udp.max_pacing_rate.load(Ordering::Relaxed),
        _ => return fail(libc::ENOTSOCK),
    };
    if room >= size_of::<u64>() {
        return Ok(rate.to_ne_bytes().to_vec());
    }
    Ok(u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes().to_vec())
}

/// Stamps of what a stream sends. What cannot be had is refused (`sock_set_timestamping`).
fn set_stamping(file: &File, wanted: u32) -> Result<()> {
    let Kind::Tcp(tcp) = &file.kind else { return fail(libc::ENOPROTOOPT) };
    let needs_id = wanted & bits::OPT_ID_TCP != 0 && wanted & bits::OPT_ID == 0;
    let has_position = tcp.socket.peer_addr().is_ok();
    if wanted & !bits::KNOWN != 0 || needs_id || (wanted & bits::OPT_ID != 0 && !has_position) {
        return fail(libc::EINVAL);
    }
    tcp.errors.set_stamping(wanted);
    Ok(())
}

/// The lane bounds and doubles it as Linux does; zero, which is the least there, would let the buffer grow by itself.
fn buffer(bytes: i32) -> i32 {
    if bytes < 0 { i32::MAX } else { bytes.max(1) }
}

fn set_in_lane(file: &File, option: SocketOption, value: i32) -> Result<()> {
    match &file.kind {
        Kind::Tcp(tcp) => tcp.set_option(option, value),
        Kind::Udp(udp) => udp.socket.set_option(option, value).map_err(Errno::from),
        _ => fail(libc::ENOTSOCK),
    }
}

fn get_from_lane(file: &File, option: SocketOption) -> Result<Vec<u8>> {
    match &file.kind {
        Kind::Tcp(tcp) => answer(tcp.socket.option(option)?),
        Kind::Udp(udp) => answer(udp.socket.option(option)?),
        _ => fail(libc::ENOTSOCK),
    }
}

fn dont_route(file: &File) -> &std::sync::atomic::AtomicI32 {
    static NONE: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);
    match &file.kind {
        Kind::Tcp(tcp) => &tcp.dont_route,
        Kind::Udp(udp) => &udp.dont_route,
        _ => &NONE,
    }
}

fn pending_error(file: &File) -> Result<i32> {
    let error = match &file.kind {
        Kind::Tcp(tcp) => tcp.socket.take_error()?,
        Kind::Udp(udp) => udp.socket.take_error()?,
        _ => None,
    };
    Ok(error.as_ref().and_then(io::Error::raw_os_error).unwrap_or(0))
}

/// `struct linger`: on or off, then seconds.
fn set_linger(file: &File, value: &[u8]) -> Result<()> {
    let (on, seconds) = (int(value)?, value.get(4..).map_or(fail(libc::EINVAL), int)?);
    let Kind::Tcp(tcp) = &file.kind else { return Ok(()) };
    let linger = (on != 0).then(|| Duration::from_secs(seconds.max(0).unsigned_abs().into()));
    match tcp.listener() {
        Some(listener) => {
            let seconds = linger.map_or(-1, |linger| i32::try_from(linger.as_secs()).unwrap_or(i32::MAX));
            Ok(listener.set_option(SocketOption::Linger, seconds)?)
        }
        None => Ok(tcp.socket.set_linger(linger)?),
    }
}

fn linger(file: &File) -> Vec<u8> {
    let linger = match &file.kind {
        Kind::Tcp(tcp) => tcp.socket.linger(),
        _ => None,
    };
    let seconds = linger.map_or(0, |linger| i32::try_from(linger.as_secs()).unwrap_or(i32::MAX));
    let on = i32::from(linger.is_some());
    [on.to_ne_bytes(), seconds.to_ne_bytes()].concat()
}

/// `struct timeval` of a 64-bit machine; zero waits for ever (`sock_set_timeout`).
fn set_timeout(file: &File, value: &[u8], reading: bool) -> Result<()> {
    let field = |at: usize| value.get(at..).and_then(|rest| rest.first_chunk()).map(|bytes| i64::from_ne_bytes(*bytes));
    let (Some(seconds), Some(micros)) = (field(0), field(8)) else { return fail(libc::EINVAL) };
    if !(0..1_000_000).contains(&micros) {
        return fail(libc::EDOM);
    }
    // A negative time does not wait at all.
    let timeout = match u64::try_from(seconds) {
        Ok(seconds) => Duration::from_secs(seconds) + Duration::from_micros(micros.unsigned_abs()),
        Err(_) => Duration::from_nanos(1),
    };
    let timeout = (!timeout.is_zero()).then_some(timeout);
    match (&file.kind, reading) {
        (Kind::Tcp(tcp), true) => Ok(tcp.stream().set_read_timeout(timeout)?),
        (Kind::Tcp(tcp), false) => Ok(tcp.stream().set_write_timeout(timeout)?),
        (Kind::Udp(udp), true) => Ok(udp.socket.set_read_timeout(timeout)?),
        (Kind::Udp(udp), false) => Ok(udp.socket.set_write_timeout(timeout)?),
        _ => fail(libc::ENOTSOCK),
    }
}

fn timeout(file: &File, reading: bool) -> Result<Vec<u8>> {
    let timeout = match (&file.kind, reading) {
        (Kind::Tcp(tcp), true) => tcp.stream().read_timeout()?,
        (Kind::Tcp(tcp), false) => tcp.stream().write_timeout()?,
        (Kind::Udp(udp), true) => udp.socket.read_timeout()?,
        (Kind::Udp(udp), false) => udp.socket.write_timeout()?,
        _ => None,
    };
    let timeout = timeout.unwrap_or_default();
    let fields = [i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX), i64::from(timeout.subsec_micros())];
    Ok(fields.map(i64::to_ne_bytes).concat())
}
