//! `splice` and `sendfile`: data from one file to another.

use super::transfer::{receive, send};
use super::{File, Kind, Pipe};
use crate::errno::{Errno, Result, fail};
use crate::stack::Process;
use std::io::{IoSlice, IoSliceMut};

/// Bytes moved at a time: what a pipe holds.
const CHUNK: usize = 65_536;

/// `splice`; one of the two must be a pipe.
///
/// # Errors
/// `EINVAL` without a pipe or for unknown flags, `EAGAIN`, and those of the two files.
pub(crate) fn splice(process: &Process, from: &File, to: &File, len: usize, flags: u32) -> Result<usize> {
    let known = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MORE | libc::SPLICE_F_GIFT;
    if flags & !known != 0 {
        return fail(libc::EINVAL);
    }
    let dont_wait = flags & libc::SPLICE_F_NONBLOCK != 0;
    match (&from.kind, &to.kind) {
        (_, _) if len == 0 => Ok(0),
        (_, Kind::PipeWrite(pipe)) => into_pipe(process, from, pipe, len, dont_wait),
        (Kind::PipeRead(pipe), _) => {
            let more = if flags & libc::SPLICE_F_MORE != 0 { libc::MSG_MORE } else { 0 };
            out_of_pipe(process, pipe, to, len, dont_wait, more)
        }
        (Kind::PipeWrite(_), _) | (_, Kind::PipeRead(_)) => fail(libc::EBADF),
        _ => fail(libc::EINVAL),
    }
}

fn into_pipe(process: &Process, from: &File, pipe: &Pipe, len: usize, dont_wait: bool) -> Result<usize> {
    let room = || pipe.room().map(|room| (room > 0).then_some(room));
    let room = match room()? {
        Some(room) => room,
        None if dont_wait => return fail(libc::EAGAIN),
        None => process.wait_for(None, room)?.unwrap_or(0),
    };
    if let Kind::Tcp(tcp) = &from.kind
        && tcp.socket.at_mark()
        && tcp.socket.queued()?.0 > 0
    {
        // The urgent byte cannot go this way, and nothing passes it (`tcp_splice_read`).
        return Ok(0);
    }
    let mut bytes = vec![0; len.min(room)];
    let flags = if dont_wait { libc::MSG_DONTWAIT } else { 0 };
    let read = receive(process, from, &mut [IoSliceMut::new(&mut bytes)], flags)?.len;
    // A pipe takes small pieces even when there is no room for a whole write.
    let mut written = 0;
    while written < read {
        match pipe.write(bytes.get(written..read).unwrap_or_default())? {
            Some(step) => written += step,
            None => break,
        }
    }
    process.pulse.beat();
    Ok(read)
}

fn out_of_pipe(process: &Process, pipe: &Pipe, to: &File, len: usize, dont_wait: bool, more: i32) -> Result<usize> {
    let mut bytes = vec![0; len.min(CHUNK)];
    let found = match pipe.peek(&mut bytes) {
        Some(found) => found,
        None if dont_wait => return fail(libc::EAGAIN),
        None => process.wait_for(None, || Ok(pipe.peek(&mut bytes)))?.unwrap_or(0),
    };
    let flags = more | if dont_wait { libc::MSG_DONTWAIT } else { 0 };
    let sent = send(process, to, &[IoSlice::new(bytes.get(..found).unwrap_or_default())], None, flags)?;
    pipe.consume(sent);
    process.pulse.beat();
    Ok(sent)
}

/// `sendfile`: `read` gives the bytes of the other file, as many as it is asked for, fewer at its end.
///
/// # Errors
/// Those of reading and of the socket, if nothing was sent before.
pub(crate) fn send_file(
    process: &Process,
    to: &File,
    mut len: usize,
    mut read: impl FnMut(&mut [u8], usize) -> Result<usize>,
) -> Result<usize> {
    let mut bytes = vec![0; len.min(CHUNK)];
    let mut sent = 0;
    while len > 0 {
        let room = bytes.len().min(len);
        let found = read(bytes.get_mut(..room).unwrap_or_default(), sent)?;
        if found == 0 {
            break;
        }
        let more = if found == room && len > found { libc::MSG_MORE } else { 0 };
        let step = match send(process, to, &[IoSlice::new(bytes.get(..found).unwrap_or_default())], None, more) {
            Ok(step) => step,
            Err(Errno(errno)) if sent == 0 => return fail(errno),
            Err(_) => break,
        };
        (sent, len) = (sent + step, len - step);
        if step < found {
            break;
        }
    }
    Ok(sent)
}
