//! `IPPROTO_IP` (`do_ip_setsockopt`, `do_ip_getsockopt`), and the little there is of `IPPROTO_UDP`.

use super::super::udp::Udp;
use super::super::{File, Kind};
use super::{answer, int};
use crate::errno::{Errno, Result, fail};
use std::sync::atomic::{AtomicBool, Ordering};
use xmit::SocketOption;

/// `UDP_CORK` (`include/uapi/linux/udp.h`).
const UDP_CORK: i32 = 1;
/// Not in every C library's headers (`include/uapi/linux/in.h`).
const IP_LOCAL_PORT_RANGE: i32 = 51;

pub(super) fn set(file: &File, name: i32, value: &[u8]) -> Result<()> {
    // A single byte is taken as well as an `int`.
    let number = match value {
        [byte] => i32::from(*byte),
        value => int(value)?,
    };
    match (name, &file.kind) {
        (libc::IP_TOS, _) => set_in_lane(file, SocketOption::Tos, number),
        (libc::IP_TTL, _) => set_in_lane(file, SocketOption::Ttl, number),
        (libc::IP_PKTINFO | libc::IP_RECVTTL | libc::IP_RECVTOS, Kind::Udp(udp)) => {
            wish(udp, name).map_or(fail(libc::ENOPROTOOPT), |wish| {
                wish.store(number != 0, Ordering::Relaxed);
                Ok(())
            })
        }
        // Off is what it is: errors are told by the next call, none is queued.
        (libc::IP_RECVERR, _) if number == 0 => Ok(()),
        (libc::IP_FREEBIND | libc::IP_BIND_ADDRESS_NO_PORT, Kind::Tcp(_)) => {
            set_in_lane(file, stream_option(name)?, (number != 0).into())
        }
        (libc::IP_MTU_DISCOVER | IP_LOCAL_PORT_RANGE, Kind::Tcp(_)) => set_in_lane(file, stream_option(name)?, number),
        (libc::IP_MTU_DISCOVER, _) if number == libc::IP_PMTUDISC_WANT => Ok(()),
        _ => fail(libc::ENOPROTOOPT),
    }
}

/// With room for less than an `int`, a small value comes as one byte.
pub(super) fn get(file: &File, name: i32, room: usize) -> Result<Vec<u8>> {
    let value = match (name, &file.kind) {
        (libc::IP_TOS, _) => get_from_lane(file, SocketOption::Tos)?,
        (libc::IP_TTL, _) => get_from_lane(file, SocketOption::Ttl)?,
        (libc::IP_PKTINFO | libc::IP_RECVTTL | libc::IP_RECVTOS, Kind::Udp(udp)) => {
            wish(udp, name).map_or(0, |wish| wish.load(Ordering::Relaxed).into())
        }
        (libc::IP_RECVERR, _) => 0,
        (
            libc::IP_FREEBIND | libc::IP_BIND_ADDRESS_NO_PORT | libc::IP_MTU_DISCOVER | IP_LOCAL_PORT_RANGE,
            Kind::Tcp(_),
        ) => get_from_lane(file, stream_option(name)?)?,
        (libc::IP_MTU_DISCOVER, _) => libc::IP_PMTUDISC_WANT,
        (libc::IP_MTU, Kind::Tcp(tcp)) => {
            tcp.socket.peer_addr()?;
            i32::try_from(tcp.socket.info()?.pmtu).unwrap_or(i32::MAX)
        }
        _ => return fail(libc::ENOPROTOOPT),
    };
    match u8::try_from(value) {
        Ok(byte) if (1..4).contains(&room) => Ok(vec![byte]),
        _ => answer(value),
    }
}

pub(super) fn set_udp(udp: &Udp, name: i32, value: &[u8]) -> Result<()> {
    let cork = int(value)? != 0;
    if name != UDP_CORK {
        return fail(libc::ENOPROTOOPT);
    }
    udp.cork.store(cork, Ordering::Relaxed);
    if cork { Ok(()) } else { udp.uncork() }
}

pub(super) fn get_udp(udp: &Udp, name: i32) -> Result<Vec<u8>> {
    if name == UDP_CORK { answer(udp.cork.load(Ordering::Relaxed)) } else { fail(libc::ENOPROTOOPT) }
}

/// Options of IP that streams have.
fn stream_option(name: i32) -> Result<SocketOption> {
    Ok(match name {
        libc::IP_FREEBIND => SocketOption::FreeBind,
        libc::IP_BIND_ADDRESS_NO_PORT => SocketOption::BindAddressNoPort,
        libc::IP_MTU_DISCOVER => SocketOption::MtuDiscover,
        IP_LOCAL_PORT_RANGE => SocketOption::LocalPortRange,
        _ => return fail(libc::ENOPROTOOPT),
    })
}

/// Where a wish for control messages is kept.
fn wish(udp: &Udp, name: i32) -> Option<&AtomicBool> {
    match name {
        libc::IP_PKTINFO => Some(&udp.wants_pktinfo),
        libc::IP_RECVTTL => Some(&udp.wants_ttl),
        libc::IP_RECVTOS => Some(&udp.wants_tos),
        _ => None,
    }
}

fn set_in_lane(file: &File, option: SocketOption, value: i32) -> Result<()> {
    match &file.kind {
        Kind::Tcp(tcp) => tcp.set_option(option, value),
        Kind::Udp(udp) => udp.socket.set_option(option, value).map_err(Errno::from),
        _ => fail(libc::ENOTSOCK),
    }
}

fn get_from_lane(file: &File, option: SocketOption) -> Result<i32> {
    match &file.kind {
        Kind::Tcp(tcp) => Ok(tcp.socket.option(option)?),
        Kind::Udp(udp) => Ok(udp.socket.option(option)?),
        _ => fail(libc::ENOTSOCK),
    }
}
