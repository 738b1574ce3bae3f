//! Numbers and the files that they stand for.
//!
//! Invariants: the lowest free number is given, as POSIX wants it; the table's lock is not held while a file is closed.

use super::File;
use crate::errno::{Errno, Result, fail};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The descriptors of a run.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<Vec<Entry>>);

/// One number.
#[derive(Debug, Default)]
struct Entry {
    file: Option<Arc<File>>,
    /// `FD_CLOEXEC`: kept for who asks.
    close_on_exec: bool,
}

/// Numbers below belong to standard input, output and error everywhere: a descriptor that is one of them is a mistake.
const FIRST: usize = 3;
/// Descriptors at one time, as many as `RLIMIT_NOFILE` commonly allows.
const FILES_MAX: usize = 1024 * 1024;

impl Files {
    /// A number for `file`.
    pub(super) fn add(&self, file: Arc<File>, close_on_exec: bool) -> Result<i32> {
        self.add_from(FIRST, file, close_on_exec)
    }

    /// The lowest number for `file` that is not below `first`.
    pub(super) fn add_from(&self, first: usize, file: Arc<File>, close_on_exec: bool) -> Result<i32> {
        let first = first.max(FIRST);
        if first >= FILES_MAX {
            return fail(libc::EINVAL);
        }
        let mut entries = self.lock();
        let free = entries.iter().skip(first).position(|entry| entry.file.is_none());
        let at = free.map_or(entries.len().max(first), |at| at + first);
        if at >= FILES_MAX {
            return fail(libc::EMFILE);
        }
        if at >= entries.len() {
            entries.resize_with(at + 1, Entry::default);
        }
        if let Some(entry) = entries.get_mut(at) {
            *entry = Entry { file: Some(file), close_on_exec };
        }
        Ok(at as i32)
    }

    /// The file behind `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn get(&self, fd: i32) -> Result<Arc<File>> {
        let entries = self.lock();
        let entry = usize::try_from(fd).ok().and_then(|at| entries.get(at));
        entry.and_then(|entry| entry.file.clone()).ok_or(Errno(libc::EBADF))
    }

    /// Forgets `fd`; its file is closed with the last number and the last call on it.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn close(&self, fd: i32) -> Result<()> {
        let taken = usize::try_from(fd).ok().and_then(|at| self.lock().get_mut(at).and_then(|entry| entry.file.take()));
        match taken {
            Some(file) => {
                // Not under the lock: closing may wait.
                drop(file);
                Ok(())
            }
            None => fail(libc::EBADF),
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.lock());
        drop(entries);
    }

    pub(super) fn close_on_exec(&self, fd: i32) -> bool {
        usize::try_from(fd).ok().and_then(|at| self.lock().get(at).map(|entry| entry.close_on_exec)).unwrap_or(false)
    }

    pub(super) fn set_close_on_exec(&self, fd: i32, close_on_exec: bool) {
        let mut entries = self.lock();
        if let Some(entry) = usize::try_from(fd).ok().and_then(|at| entries.get_mut(at)) {
            entry.close_on_exec = close_on_exec;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
