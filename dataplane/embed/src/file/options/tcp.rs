//! `IPPROTO_TCP` (`do_tcp_setsockopt`, `do_tcp_getsockopt`).

use super::super::tcp::Tcp;
use super::super::transfer::TCP_INQ;
use super::{answer, int};
use crate::errno::{Errno, Result, fail};
use std::sync::atomic::Ordering;
use xmit::{CongestionName, SocketOption};

/// The longest name of a congestion control, with its zero (`TCP_CA_NAME_MAX`).
const NAME_BYTES: usize = 16;

/// Not in every C library's headers (`include/uapi/linux/tcp.h`).
const TCP_FASTOPEN_KEY: i32 = 33;
const TCP_FASTOPEN_NO_COOKIE: i32 = 34;
const TCP_RTO_MAX_MS: i32 = 44;

pub(super) fn set(tcp: &Tcp, name: i32, value: &[u8]) -> Result<()> {
    if name == libc::TCP_CONGESTION {
        return set_congestion(tcp, value);
    }
    if name == TCP_FASTOPEN_KEY {
        return match tcp.listener() {
            Some(listener) => listener.set_fast_open_keys(value).map_err(Errno::from),
            None => tcp.socket.set_fast_open_keys(value).map_err(Errno::from),
        };
    }
    let number = int(value)?;
    match name {
        libc::TCP_NODELAY => match tcp.listener() {
            Some(listener) => listener.set_nodelay(number != 0).map_err(Errno::from),
            None => tcp.socket.set_nodelay(number != 0).map_err(Errno::from),
        },
        libc::TCP_CORK => tcp.socket.set_cork(number != 0).map_err(Errno::from),
        TCP_INQ if (0..=1).contains(&number) => {
            tcp.inq.store(number == 1, Ordering::Relaxed);
            Ok(())
        }
        TCP_INQ => fail(libc::EINVAL),
        _ => tcp.set_option(in_lane(name)?, number),
    }
}

pub(super) fn get(tcp: &Tcp, name: i32) -> Result<Vec<u8>> {
    match name {
        libc::TCP_NODELAY => answer(tcp.socket.nodelay()),
        libc::TCP_CORK => answer(tcp.socket.cork()),
        TCP_INQ => answer(tcp.inq.load(Ordering::Relaxed)),
        TCP_FASTOPEN_KEY => Ok(tcp.socket.fast_open_keys()),
        libc::TCP_INFO => Ok(tcp.socket.info()?.encode().to_vec()),
        libc::TCP_CONGESTION => {
            let number = tcp.socket.option(SocketOption::Congestion)?;
            let name = CongestionName::of(number).map_or("", CongestionName::name);
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(NAME_BYTES, 0);
            Ok(bytes)
        }
        _ => answer(tcp.socket.option(in_lane(name)?)?),
    }
}

/// Options that are a number for the lane.
fn in_lane(name: i32) -> Result<SocketOption> {
    Ok(match name {
        libc::TCP_MAXSEG => SocketOption::MaxSegment,
        libc::TCP_KEEPIDLE => SocketOption::KeepIdle,
        libc::TCP_KEEPINTVL => SocketOption::KeepInterval,
        libc::TCP_KEEPCNT => SocketOption::KeepCount,
        libc::TCP_SYNCNT => SocketOption::SynCount,
        libc::TCP_LINGER2 => SocketOption::Linger2,
        libc::TCP_DEFER_ACCEPT => SocketOption::DeferAccept,
        libc::TCP_WINDOW_CLAMP => SocketOption::WindowClamp,
        libc::TCP_QUICKACK => SocketOption::QuickAck,
        libc::TCP_USER_TIMEOUT => SocketOption::UserTimeout,
        libc::TCP_FASTOPEN => SocketOption::FastOpen,
        libc::TCP_FASTOPEN_CONNECT => SocketOption::FastOpenConnect,
        TCP_FASTOPEN_NO_COOKIE => SocketOption::FastOpenNoCookie,
        libc::TCP_NOTSENT_LOWAT => SocketOption::NotSentLowat,
        TCP_RTO_MAX_MS => SocketOption::RtoMax,
        _ => return fail(libc::ENOPROTOOPT),
    })
}

/// A name, with or without a zero at its end.
fn set_congestion(tcp: &Tcp, value: &[u8]) -> Result<()> {
    if value.is_empty() {
        return fail(libc::EINVAL);
    }
    let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = name.get(..NAME_BYTES - 1).unwrap_or(name);
    match std::str::from_utf8(name).ok().and_then(CongestionName::named) {
        Some(name) => tcp.set_option(SocketOption::Congestion, name.number()),
        None => fail(libc::ENOENT),
    }
}
