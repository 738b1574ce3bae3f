//! Sockets coming to be, finding their peer, and ending.
#![allow(unsafe_code)]

use super::call_int;
use super::memory::{address, put_address};
use crate::file;
use libc::{c_int, sockaddr, socklen_t};

/// `socket(2)`: a descriptor of the stack's own.
#[unsafe(no_mangle)]
pub extern "C" fn xm_socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    call_int(|process| file::socket(process, domain, kind, protocol))
}

/// `bind(2)`.
///
/// # Safety
/// `addr` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_bind(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    call_int(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        file::bind(&file, unsafe { address(addr, len)? }).map(|()| 0)
    })
}

/// `listen(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn xm_listen(fd: c_int, backlog: c_int) -> c_int {
    call_int(|process| file::listen(&*process.files.get(fd)?, backlog).map(|()| 0))
}

/// `accept(2)`.
///
/// # Safety
/// `addr` is null, or `len` points to the room at `addr`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_accept(fd: c_int, addr: *mut sockaddr, len: *mut socklen_t) -> c_int {
    call_int(|process| {
        let (accepted, peer) = file::accept(process, &*process.files.get(fd)?)?;
        // SAFETY: by this function's contract.
        if let Err(error) = unsafe { put_address(addr, len, Some(peer)) } {
            process.files.close(accepted)?;
            return Err(error);
        }
        Ok(accepted)
    })
}

/// `connect(2)`.
///
/// # Safety
/// `addr` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_connect(fd: c_int, addr: *const sockaddr, len: socklen_t) -> c_int {
    call_int(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        file::connect(&file, unsafe { address(addr, len)? }).map(|()| 0)
    })
}

/// `shutdown(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn xm_shutdown(fd: c_int, how: c_int) -> c_int {
    call_int(|process| file::shutdown(&*process.files.get(fd)?, how).map(|()| 0))
}

/// `close(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn xm_close(fd: c_int) -> c_int {
    call_int(|process| {
        process.files.close(fd)?;
        // Whoever waits for the other end of a pipe, or for this file among others, looks again.
        process.pulse.beat();
        Ok(0)
    })
}
