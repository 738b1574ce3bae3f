//! Data that does not pass through the program: pipes, `splice`, `sendfile`.
#![allow(unsafe_code)]

use super::memory::{kernel_fd, read, write};
use super::{call, call_int};
use crate::errno::{Errno, fail};
use crate::file;
use libc::{c_int, c_uint, size_t, ssize_t};
use rustix::fs::SeekFrom;

/// `pipe(2)`, for `xm_splice`.
///
/// # Safety
/// `fds` points to two numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_pipe(fds: *mut c_int) -> c_int {
    call_int(|process| {
        let made = file::pipe(process)?;
        // SAFETY: by this function's contract.
        if let Err(error) = unsafe { write(fds.cast::<[c_int; 2]>(), made) } {
            made.into_iter().try_for_each(|fd| process.files.close(fd))?;
            return Err(error);
        }
        Ok(0)
    })
}

/// `splice(2)`; neither sockets nor pipes have offsets.
///
/// # Safety
/// None: the offsets are not followed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_splice(
    fd_in: c_int,
    off_in: *mut i64,
    fd_out: c_int,
    off_out: *mut i64,
    len: size_t,
    flags: c_uint,
) -> ssize_t {
    call(|process| {
        let (from, to) = (process.files.get(fd_in)?, process.files.get(fd_out)?);
        if !off_in.is_null() || !off_out.is_null() {
            return fail(libc::ESPIPE);
        }
        file::splice(process, &from, &to, len, flags)
    })
}

/// `sendfile(2)` from a kernel descriptor.
///
/// # Safety
/// `in_fd` stays open, and `off` is null or points to an offset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_sendfile(out_fd: c_int, in_fd: c_int, off: *mut i64, n: size_t) -> ssize_t {
    call(|process| {
        let file = process.files.get(out_fd)?;
        // SAFETY: by this function's contract.
        let source = unsafe { kernel_fd(in_fd)? };
        let start = if off.is_null() {
            rustix::fs::tell(source)?
        } else {
            // SAFETY: by this function's contract.
            let start = unsafe { read(off.cast_const())? };
            u64::try_from(start).or(fail(libc::EINVAL))?
        };
        let sent = file::send_file(process, &file, n, |place, done| {
            rustix::io::pread(source, place, start + done as u64).map_err(Errno::from)
        })?;
        let end = start + sent as u64;
        if off.is_null() {
            rustix::fs::seek(source, SeekFrom::Start(end))?;
        } else {
            // SAFETY: by this function's contract.
            unsafe { write(off, end.cast_signed())? };
        }
        Ok(sent)
    })
}
