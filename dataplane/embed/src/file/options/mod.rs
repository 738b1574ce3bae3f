//! `getsockopt` and `setsockopt`: one file per level.
//!
//! An option is known by its number; one that would be taken without effect is refused with `ENOPROTOOPT`.

mod ip;
mod socket;
mod tcp;

use super::{File, Kind};
use crate::errno::{Result, fail};

/// `setsockopt`.
///
/// # Errors
/// `ENOTSOCK`, `ENOPROTOOPT`, `EINVAL`, and those of the option.
pub(crate) fn set_option(file: &File, level: i32, name: i32, value: &[u8]) -> Result<()> {
    match (level, &file.kind) {
        (_, Kind::Epoll(_) | Kind::PipeRead(_) | Kind::PipeWrite(_)) => fail(libc::ENOTSOCK),
        (libc::SOL_SOCKET, _) => socket::set(file, name, value),
        (libc::IPPROTO_IP, _) => ip::set(file, name, value),
        (libc::IPPROTO_TCP, Kind::Tcp(tcp)) => tcp::set(tcp, name, value),
        (libc::IPPROTO_UDP, Kind::Udp(udp)) => ip::set_udp(udp, name, value),
        _ => fail(libc::ENOPROTOOPT),
    }
}

/// `getsockopt`: the value, of which the caller takes as much as it has room for. `room` is that room: some options depend on it.
///
/// # Errors
/// As [`set_option`].
pub(crate) fn get_option(file: &File, level: i32, name: i32, room: usize) -> Result<Vec<u8>> {
    match (level, &file.kind) {
        (_, Kind::Epoll(_) | Kind::PipeRead(_) | Kind::PipeWrite(_)) => fail(libc::ENOTSOCK),
        (libc::SOL_SOCKET, _) => socket::get(file, name, room),
        (libc::IPPROTO_IP, _) => ip::get(file, name, room),
        (libc::IPPROTO_TCP, Kind::Tcp(tcp)) => tcp::get(tcp, name),
        (libc::IPPROTO_UDP, Kind::Udp(udp)) => ip::get_udp(udp, name),
        _ => fail(libc::ENOPROTOOPT),
    }
}

/// An `int`, as most options are.
fn int(value: &[u8]) -> Result<i32> {
    value.first_chunk().map_or(fail(libc::EINVAL), |bytes| Ok(i32::from_ne_bytes(*bytes)))
}

/// An `int` for the caller.
fn answer(value: impl Into<i32>) -> Result<Vec<u8>> {
    Ok(value.into().to_ne_bytes().to_vec())
}
