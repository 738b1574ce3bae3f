//! `fcntl` and `ioctl`.

use super::{File, Kind};
use crate::errno::{Result, fail};
use crate::stack::Process;
use std::io::IoSliceMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use xmit::MsgFlags;

/// What an `ioctl` reads from its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Nothing: the answer goes there.
    Out,
    /// An `int`.
    In(i32),
}

/// What it gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IoctlResult {
    Done,
    /// An `int` for the caller's place.
    Value(i32),
}

/// `SIOCINQ` is `FIONREAD`, `SIOCOUTQ` is `TIOCOUTQ` (`include/uapi/linux/sockios.h`).
const SIOCOUTQNSD: u64 = 0x894b;
const FIOSETOWN: u64 = 0x8901;
const SIOCSPGRP: u64 = 0x8902;
const FIOGETOWN: u64 = 0x8903;
const SIOCGPGRP: u64 = 0x8904;
const SIOCATMARK: u64 = 0x8905;

/// `fcntl`.
///
/// # Errors
/// `EINVAL` for a command that there is not, `EMFILE`.
pub(crate) fn fcntl(process: &Process, fd: i32, command: i32, argument: i64) -> Result<i32> {
    let file = process.files.get(fd)?;
    match command {
        libc::F_GETFL => Ok(access(&file) | file.flags.load(Ordering::Relaxed)),
        libc::F_SETFL => {
            file.set_flags(argument as i32);
            Ok(0)
        }
        libc::F_GETFD => Ok(i32::from(process.files.close_on_exec(fd))),
        libc::F_SETFD => {
            process.files.set_close_on_exec(fd, argument & i64::from(libc::FD_CLOEXEC) != 0);
            Ok(0)
        }
        libc::F_SETOWN => set_owner(&file, argument as i32).map(|()| 0),
        libc::F_GETOWN => Ok(file.owner.load(Ordering::Relaxed)),
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
            let Ok(first) = usize::try_from(argument) else { return fail(libc::EINVAL) };
            process.files.add_from(first, Arc::clone(&file), command == libc::F_DUPFD_CLOEXEC)
        }
        _ => fail(libc::EINVAL),
    }
}

/// Who gets `SIGURG`; of what is no stream it is kept for who asks.
fn set_owner(file: &File, owner: i32) -> Result<()> {
    file.owner.store(owner, Ordering::Relaxed);
    match &file.kind {
        Kind::Tcp(tcp) => Ok(tcp.socket.set_owner(owner)?),
        _ => Ok(()),
    }
}

fn access(file: &File) -> i32 {
    match file.kind {
        Kind::PipeRead(_) => libc::O_RDONLY,
        Kind::PipeWrite(_) => libc::O_WRONLY,
        _ => libc::O_RDWR,
    }
}

/// True if `request` reads an `int` of its caller; `ENOTTY` if there is no such request.
pub(crate) fn reads_argument(request: u64) -> Result<bool> {
    match request {
        libc::FIONBIO | libc::FIOASYNC | FIOSETOWN | SIOCSPGRP => Ok(true),
        libc::FIONREAD | libc::TIOCOUTQ | SIOCOUTQNSD | SIOCATMARK | FIOGETOWN | SIOCGPGRP => Ok(false),
        _ => fail(libc::ENOTTY),
    }
}

/// `ioctl`.
///
/// # Errors
/// `ENOTTY` for a request that this kind of file has not, `EINVAL` for one that its state does not allow.
pub(crate) fn ioctl(file: &File, request: u64, argument: Argument) -> Result<IoctlResult> {
    let value = |number: u32| Ok(IoctlResult::Value(i32::try_from(number).unwrap_or(i32::MAX)));
    match (request, argument) {
        (libc::FIONBIO, Argument::In(on)) => set_flag(file, libc::O_NONBLOCK, on != 0),
        (libc::FIOASYNC, Argument::In(on)) => set_flag(file, libc::O_ASYNC, on != 0),
        (FIOSETOWN | SIOCSPGRP, Argument::In(owner)) => set_owner(file, owner).map(|()| IoctlResult::Done),
        (FIOGETOWN | SIOCGPGRP, _) => Ok(IoctlResult::Value(file.owner.load(Ordering::Relaxed))),
        (libc::FIONREAD, _) => value(unread(file)?),
        (SIOCATMARK, _) => match &file.kind {
            Kind::Tcp(tcp) => Ok(IoctlResult::Value(tcp.socket.at_mark().into())),
            _ => fail(libc::ENOTTY),
        },
        (libc::TIOCOUTQ, _) => match &file.kind {
            Kind::Tcp(tcp) if tcp.is_listening() => fail(libc::EINVAL),
            Kind::Tcp(tcp) => value(tcp.socket.queued()?.1),
            // What was written has left: nothing holds datagrams back here.
            Kind::Udp(_) => value(0),
            _ => fail(libc::ENOTTY),
        },
        (SIOCOUTQNSD, _) => match &file.kind {
            Kind::Tcp(tcp) if tcp.is_listening() => fail(libc::EINVAL),
            Kind::Tcp(tcp) => value(tcp.socket.queued()?.2),
            _ => fail(libc::ENOTTY),
        },
        _ => fail(libc::ENOTTY),
    }
}

fn set_flag(file: &File, flag: i32, on: bool) -> Result<IoctlResult> {
    let flags = file.flags.load(Ordering::Relaxed);
    file.set_flags(if on { flags | flag } else { flags & !flag });
    Ok(IoctlResult::Done)
}

/// Bytes that the next read may take.
fn unread(file: &File) -> Result<u32> {
    match &file.kind {
        Kind::Tcp(tcp) if tcp.is_listening() => fail(libc::EINVAL),
        Kind::Tcp(tcp) => Ok(tcp.socket.queued()?.0),
        Kind::Udp(udp) => {
            let flags = MsgFlags { peek: true, dont_wait: true, ..MsgFlags::default() };
            let next = udp.socket.receive_with(&mut [IoSliceMut::new(&mut [])], flags);
            Ok(next.map_or(0, |datagram| datagram.len as u32))
        }
        Kind::PipeRead(pipe) | Kind::PipeWrite(pipe) => Ok(pipe.len() as u32),
        Kind::Epoll(_) => fail(libc::ENOTTY),
    }
}
