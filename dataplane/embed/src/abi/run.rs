//! A run of the stack: its beginning and end, its wire, its clock, its settings.
#![allow(unsafe_code)]

use super::memory::{bytes, bytes_mut, write};
use super::{call, call_int, guard};
use crate::errno::{Result, fail};
use crate::stack;
use libc::{c_char, c_int, c_void, size_t, ssize_t};
use std::ffi::CStr;
use xmit_nic::Duration;

/// Begins a run with the configuration in `cfg`.
///
/// # Safety
/// `cfg` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_init(cfg: *const c_char) -> c_int {
    guard(|| {
        // SAFETY: by this function's contract.
        stack::begin(unsafe { string(cfg)? }).map(|()| 0)
    }) as c_int
}

/// Ends the run: everything is released.
#[unsafe(no_mangle)]
pub extern "C" fn xm_fini() {
    guard(|| {
        stack::end();
        Ok(0)
    });
}

/// A datagram arrives.
///
/// # Safety
/// `pkt` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_netdev_inject(pkt: *const c_void, len: size_t) -> c_int {
    call_int(|process| {
        // SAFETY: by this function's contract.
        process.inject(unsafe { bytes(pkt, len)? }).map(|()| 0)
    })
}

/// The oldest datagram that left, and when. Without room for it: `EMSGSIZE`, and it waits.
///
/// # Safety
/// `pkt` points to room for `cap` bytes, `time_usecs` is null or points to a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_netdev_collect(pkt: *mut c_void, cap: size_t, time_usecs: *mut i64) -> ssize_t {
    call(|process| {
        let Some((time, datagram)) = process.collect(cap)? else { return Ok(0) };
        // SAFETY: by this function's contract, the datagram being no longer than the room.
        let place = unsafe { bytes_mut(pkt, datagram.len())? };
        place.iter_mut().zip(&datagram).for_each(|(to, from)| *to = *from);
        if !time_usecs.is_null() {
            // SAFETY: by this function's contract.
            unsafe { write(time_usecs, time.as_micros().cast_signed())? };
        }
        Ok(datagram.len())
    })
}

/// Lets time pass until a datagram may be collected, at most `max_usecs`.
#[unsafe(no_mangle)]
pub extern "C" fn xm_netdev_wait(max_usecs: i64) {
    call(|process| {
        process.wait_for_datagram(process.pulse.now() + micros(max_usecs));
        Ok(0)
    });
}

/// Lets the stack do what there is to do now. That takes none of its time, so it is never more than the caller allows.
#[unsafe(no_mangle)]
pub extern "C" fn xm_service(_max_usecs: i64) {
    call(|process| {
        process.run();
        Ok(0)
    });
}

/// The stack's clock, which asking for moves on by one.
#[unsafe(no_mangle)]
pub extern "C" fn xm_clock_usecs() -> i64 {
    call(|process| Ok(process.tick().as_micros() as usize)) as i64
}

/// Lets time pass: a jump, with everything that happens on the way.
#[unsafe(no_mangle)]
pub extern "C" fn xm_clock_sleep(usecs: i64) {
    call(|process| {
        process.sleep(process.pulse.now() + micros(usecs));
        Ok(0)
    });
}

/// Gives the setting that Linux calls `name` another value.
///
/// # Safety
/// Both are strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_sysctl(name: *const c_char, value: *const c_char) -> c_int {
    call_int(|process| {
        if name.is_null() || value.is_null() {
            return fail(libc::EFAULT);
        }
        // SAFETY: by this function's contract.
        let (name, value) = unsafe { (string(name)?, string(value)?) };
        process.sysctl(name, value).map(|()| 0)
    })
}

fn micros(usecs: i64) -> Duration {
    Duration::from_micros(u64::try_from(usecs).unwrap_or(0))
}

/// The caller's text; empty for none.
///
/// # Safety
/// `at` is null or a string.
unsafe fn string<'a>(at: *const c_char) -> Result<&'a str> {
    if at.is_null() {
        return Ok("");
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(at) }.to_str().or(fail(libc::EINVAL))
}
