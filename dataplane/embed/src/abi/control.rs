//! Options, `fcntl` and `ioctl`.
#![allow(unsafe_code)]

use super::call_int;
use super::memory::{bytes, bytes_mut, read, write};
use crate::errno::fail;
use crate::file::{self, Argument, IoctlResult};
use libc::{c_int, c_long, c_ulong, c_void, socklen_t};

/// `fcntl(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn xm_fcntl(fd: c_int, cmd: c_int, arg: c_long) -> c_int {
    call_int(|process| file::fcntl(process, fd, cmd, arg))
}

/// `ioctl(2)`: every request here reads or writes an `int`.
///
/// # Safety
/// `arg` points to an `int`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_ioctl(fd: c_int, request: c_ulong, arg: *mut c_void) -> c_int {
    call_int(|process| {
        let file = process.files.get(fd)?;
        let place: *mut c_int = arg.cast();
        let argument = if file::reads_argument(request)? {
            // SAFETY: by this function's contract.
            Argument::In(unsafe { read(place.cast_const())? })
        } else {
            Argument::Out
        };
        if let IoctlResult::Value(value) = file::ioctl(&file, request, argument)? {
            // SAFETY: by this function's contract.
            unsafe { write(place, value)? };
        }
        Ok(0)
    })
}

/// `getsockopt(2)`: as much of the value as there is room for.
///
/// # Safety
/// `len` points to the room at `val`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    val: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    call_int(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        let room = unsafe { read(len.cast_const())? };
        let Ok(room) = usize::try_from(room.cast_signed()) else { return fail(libc::EINVAL) };
        let value = file::get_option(&file, level, name, room)?;
        // SAFETY: by this function's contract.
        let place = unsafe { bytes_mut(val, room.min(value.len()))? };
        place.iter_mut().zip(&value).for_each(|(to, from)| *to = *from);
        // SAFETY: by this function's contract.
        unsafe { write(len, place.len() as socklen_t)? };
        Ok(0)
    })
}

/// `setsockopt(2)`.
///
/// # Safety
/// `val` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    val: *const c_void,
    len: socklen_t,
) -> c_int {
    call_int(|process| {
        let file = process.files.get(fd)?;
        let Ok(len) = usize::try_from(len.cast_signed()) else { return fail(libc::EINVAL) };
        // SAFETY: by this function's contract.
        file::set_option(&file, level, name, unsafe { bytes(val, len)? }).map(|()| 0)
    })
}
