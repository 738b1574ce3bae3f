//! Pipes, for `splice`: bytes between a socket and a socket that the program never sees.

use super::{File, Kind};
use crate::errno::{Result, fail};
use crate::stack::Process;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes on their way, bounded.
#[derive(Debug)]
pub(super) struct Pipe(Mutex<Content>);

#[derive(Debug)]
struct Content {
    bytes: VecDeque<u8>,
    reader: bool,
    writer: bool,
}

/// What a pipe holds, as in Linux: sixteen pages.
const CAPACITY: usize = 65_536;
/// A write of up to this is taken whole, or waits (`PIPE_BUF`).
const ATOMIC: usize = 4096;

/// `pipe`: the reading end, then the writing end.
///
/// # Errors
/// `EMFILE`.
pub(crate) fn pipe(process: &Process) -> Result<[i32; 2]> {
    let content = Content { bytes: VecDeque::new(), reader: true, writer: true };
    let pipe = Arc::new(Pipe(Mutex::new(content)));
    let read = process.files.add(File::new(Kind::PipeRead(pipe.clone()), false), false)?;
    let write = process.files.add(File::new(Kind::PipeWrite(pipe), false), false);
    if write.is_err() {
        process.files.close(read)?;
    }
    Ok([read, write?])
}

impl Pipe {
    /// Takes as much of `bytes` as there is room for; `None` if it must wait.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<Option<usize>> {
        let mut content = self.lock();
        if !content.reader {
            return fail(libc::EPIPE);
        }
        let room = CAPACITY - content.bytes.len();
        if room < bytes.len().min(ATOMIC) {
            return Ok(None);
        }
        let len = room.min(bytes.len());
        content.bytes.extend(bytes.iter().take(len));
        Ok(Some(len))
    }

    /// Gives as much as fits into `out`; zero at the end, `None` if it must wait.
    pub(super) fn read(&self, out: &mut [u8]) -> Option<usize> {
        let len = self.peek(out)?;
        self.consume(len);
        Some(len)
    }

    /// As [`Pipe::read`], leaving the bytes.
    pub(super) fn peek(&self, out: &mut [u8]) -> Option<usize> {
        let content = self.lock();
        if content.bytes.is_empty() && content.writer {
            return None;
        }
        Some(out.iter_mut().zip(&content.bytes).map(|(to, from)| *to = *from).count())
    }

    /// Drops the oldest `len` bytes.
    pub(super) fn consume(&self, len: usize) {
        let mut content = self.lock();
        let len = len.min(content.bytes.len());
        content.bytes.drain(..len);
    }

    /// Bytes that fit now; `EPIPE` without a reader.
    pub(super) fn room(&self) -> Result<usize> {
        let content = self.lock();
        if content.reader { Ok(CAPACITY - content.bytes.len()) } else { fail(libc::EPIPE) }
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().bytes.len()
    }

    /// How the reading end stands, in the words of `poll`.
    pub(super) fn read_mask(&self) -> u32 {
        let content = self.lock();
        let data = if content.bytes.is_empty() { 0 } else { libc::EPOLLIN | libc::EPOLLRDNORM };
        let end = if content.writer { 0 } else { libc::EPOLLHUP };
        (data | end).cast_unsigned()
    }

    /// How the writing end stands.
    pub(super) fn write_mask(&self) -> u32 {
        let content = self.lock();
        let room = CAPACITY - content.bytes.len() >= ATOMIC;
        let room = if room { libc::EPOLLOUT | libc::EPOLLWRNORM } else { 0 };
        let broken = if content.reader { 0 } else { libc::EPOLLERR };
        (room | broken).cast_unsigned()
    }

    /// The reading end is closed.
    pub(super) fn end_reading(&self) {
        self.lock().reader = false;
    }

    /// The writing end is closed.
    pub(super) fn end_writing(&self) {
        self.lock().writer = false;
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
