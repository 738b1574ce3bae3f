//! Where a capture goes: a file through io_uring, a file or pipe through plain writes, or memory.
//!
//! Invariants: every chunk has its offset when it is submitted, so completions may come in any order; a chunk in
//! flight lives in `in_flight` until its completion is taken, also when the ring is dropped.

use io_uring::{IoUring, opcode, types};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Chunks in flight: enough for the disk to work while the next is filled.
const CHUNKS: usize = 8;

/// User data of the final fsync; chunks use their index.
const FSYNC: u64 = u64::MAX;

/// Where a capture goes, written from front to end.
pub struct CaptureFile {
    target: Target,
    bytes: u64,
    notice: Option<String>,
}

enum Target {
    Memory(Vec<u8>),
    Plain(File),
    Ring(Box<RingFile>),
}

impl CaptureFile {
    /// Makes or empties the file at `path` and writes it with io_uring; if that cannot be had, or the path is no regular
    /// file, with plain writes and a [`CaptureFile::notice`].
    ///
    /// # Errors
    /// The kernel's, with the path.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Readable by its owner only: it holds other people's traffic.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(|e| {
            io::Error::new(e.kind(), format!("the capture file {} cannot be made: {e}", path.display()))
        })?;
        Self::from_file(file)
    }

    /// Writes to an open file or pipe, from where it stands.
    ///
    /// # Errors
    /// The kernel's, if the file cannot be examined.
    pub fn from_file(mut file: File) -> io::Result<Self> {
        if !file.metadata()?.is_file() {
            return Ok(Self::plain(
                file,
                "the capture does not go to a regular file, so it is written without io_uring",
            ));
        }
        match IoUring::new(CHUNKS as u32 * 2) {
            Ok(ring) => {
                let offset = file.stream_position()?;
                Ok(Self { target: Target::Ring(Box::new(RingFile::new(ring, file, offset))), bytes: 0, notice: None })
            }
            Err(e) => {
                Ok(Self::plain(file, &format!("io_uring is not to be had ({e}), so the capture uses plain writes")))
            }
        }
    }

    /// Keeps the capture in memory.
    pub fn memory() -> Self {
        Self { target: Target::Memory(Vec::new()), bytes: 0, notice: None }
    }

    /// What the operator should know of how it is written, if anything.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    pub(super) fn plain(file: File, notice: &str) -> Self {
        Self { target: Target::Plain(file), bytes: 0, notice: Some(notice.to_owned()) }
    }

    /// Appends a chunk; waits only if all chunks are in flight.
    pub(super) fn write(&mut self, chunk: Vec<u8>) -> io::Result<()> {
        self.bytes += chunk.len() as u64;
        match &mut self.target {
            Target::Memory(all) => all.extend_from_slice(&chunk),
            Target::Plain(file) => file.write_all(&chunk)?,
            Target::Ring(ring) => ring.write(chunk)?,
        }
        Ok(())
    }

    /// An empty chunk that was written, to be filled again.
    pub(super) fn spare(&mut self) -> Option<Vec<u8>> {
        match &mut self.target {
            Target::Ring(ring) => ring.spare.pop(),
            _ => None,
        }
    }

    /// Waits until everything is on the disk and answers the length.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        match &mut self.target {
            Target::Memory(_) => {}
            Target::Plain(file) if file.metadata()?.is_file() => file.sync_all()?,
            Target::Plain(file) => file.flush()?,
            Target::Ring(ring) => ring.finish()?,
        }
        Ok(self.bytes)
    }

    pub(super) fn take_memory(&mut self) -> Vec<u8> {
        match &mut self.target {
            Target::Memory(all) => std::mem::take(all),
            _ => Vec::new(),
        }
    }
}

/// A chunk that the kernel is writing.
struct Chunk {
    bytes: Vec<u8>,
    written: usize,
    offset: u64,
}

struct RingFile {
    ring: IoUring,
    file: File,
    offset: u64,
    in_flight: [Option<Chunk>; CHUNKS],
    spare: Vec<Vec<u8>>,
    error: Option<io::Error>,
    synced: bool,
}

impl RingFile {
    fn new(ring: IoUring, file: File, offset: u64) -> Self {
        let in_flight = std::array::from_fn(|_| None);
        Self { ring, file, offset, in_flight, spare: Vec::with_capacity(CHUNKS), error: None, synced: false }
    }

    fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.reap();
        while self.in_flight.iter().all(Option::is_some) {
            self.wait()?;
        }
        self.check()?;
        let Some(index) = self.in_flight.iter().position(Option::is_none) else { return Ok(()) };
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        self.in_flight[index] = Some(Chunk { bytes, written: 0, offset });
        self.submit_rest(index);
        self.ring.submit().map(drop)
    }

    /// Queues the part of a chunk that is not written yet.
    fn submit_rest(&mut self, index: usize) {
        let Some(chunk) = &self.in_flight[index] else { return };
        let rest = chunk.bytes.get(chunk.written..).unwrap_or_default();
        let entry = opcode::Write::new(types::Fd(self.file.as_raw_fd()), rest.as_ptr(), rest.len() as u32)
            .offset(chunk.offset + chunk.written as u64)
            .build()
            .user_data(index as u64);
        // SAFETY: `rest` is heap memory of a chunk that stays untouched in `in_flight` until its completion is taken.
        let queued = unsafe { self.ring.submission().push(&entry) };
        if queued.is_err() {
            // Cannot be: the ring has room for twice the chunks.
            self.fail(index, io::Error::other("the submission queue is full"));
        }
    }

    fn reap(&mut self) {
        loop {
            let Some(entry) = self.ring.completion().next() else { return };
            let (data, result) = (entry.user_data(), entry.result());
            if data == FSYNC {
                self.synced = true;
                if result < 0 {
                    self.error.get_or_insert(io::Error::from_raw_os_error(-result));
                }
                continue;
            }
            self.written(data as usize, result);
        }
    }

    fn written(&mut self, index: usize, result: i32) {
        let Some(Some(chunk)) = self.in_flight.get_mut(index) else { return };
        match usize::try_from(result) {
            Ok(0) => self.fail(index, io::ErrorKind::WriteZero.into()),
            Ok(n) if chunk.written + n < chunk.bytes.len() => {
                chunk.written += n;
                self.submit_rest(index);
            }
            Ok(_) => self.retire(index),
            Err(_) if matches!(-result, libc::EINTR | libc::EAGAIN) => self.submit_rest(index),
            Err(_) => self.fail(index, io::Error::from_raw_os_error(-result)),
        }
    }

    fn fail(&mut self, index: usize, error: io::Error) {
        self.error.get_or_insert(error);
        self.retire(index);
    }

    fn retire(&mut self, index: usize) {
        if let Some(mut chunk) = self.in_flight[index].take() {
            chunk.bytes.clear();
            self.spare.push(chunk.bytes);
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.ring.submit_and_wait(1) {
            Err(e) if e.raw_os_error() != Some(libc::EINTR) => return Err(e),
            _ => {}
        }
        self.reap();
        Ok(())
    }

    fn wait_all(&mut self) -> io::Result<()> {
        while self.in_flight.iter().any(Option::is_some) {
            self.wait()?;
        }
        Ok(())
    }

    fn check(&mut self) -> io::Result<()> {
        let failed = |e: io::Error| io::Error::new(e.kind(), format!("writing the capture failed: {e}"));
        self.error.take().map_or(Ok(()), |e| Err(failed(e)))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.wait_all()?;
        self.check()?;
        let entry = opcode::Fsync::new(types::Fd(self.file.as_raw_fd())).build().user_data(FSYNC);
        // SAFETY: an fsync refers to no memory.
        unsafe { self.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        while !self.synced {
            self.wait()?;
        }
        self.check()
    }
}

impl Drop for RingFile {
    fn drop(&mut self) {
        if self.wait_all().is_err() {
            // The kernel may still read the chunks: better lost than freed.
            std::mem::forget(std::mem::take(&mut self.in_flight));
        }
    }
}
