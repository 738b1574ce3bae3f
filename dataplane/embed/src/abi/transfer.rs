//! Sending and receiving: thirteen ways into two functions.
#![allow(unsafe_code)]

use super::call;
use super::memory::{address, bytes, bytes_mut, put_address, put_control, read, slices, slices_mut, write};
use crate::errno::{Result, fail};
use crate::file::{self, Address, File};
use crate::stack::Process;
use libc::{c_int, c_void, iovec, msghdr, size_t, sockaddr, socklen_t, ssize_t};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddrV4;
use std::ptr::null;

/// `read(2)`.
///
/// # Safety
/// `buf` points to `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_read(fd: c_int, buf: *mut c_void, n: size_t) -> ssize_t {
    // SAFETY: by this function's contract.
    unsafe { xm_recv(fd, buf, n, 0) }
}

/// `readv(2)`.
///
/// # Safety
/// `iov` points to `iovcnt` buffers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_readv(fd: c_int, iov: *const iovec, iovcnt: c_int) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        let Ok(count) = usize::try_from(iovcnt) else { return fail(libc::EINVAL) };
        // SAFETY: by this function's contract.
        let mut parts = unsafe { slices_mut(iov, count, libc::EINVAL)? };
        Ok(file::receive(process, &file, &mut parts, 0)?.len)
    })
}

/// `recv(2)`.
///
/// # Safety
/// `buf` points to `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_recv(fd: c_int, buf: *mut c_void, n: size_t, flags: c_int) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        let buffer = unsafe { bytes_mut(buf, n)? };
        Ok(file::receive(process, &file, &mut [IoSliceMut::new(buffer)], flags)?.len)
    })
}

/// `recvfrom(2)`.
///
/// # Safety
/// `buf` points to `n` bytes; `src` is null, or `srclen` points to the room at `src`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_recvfrom(
    fd: c_int,
    buf: *mut c_void,
    n: size_t,
    flags: c_int,
    src: *mut sockaddr,
    srclen: *mut socklen_t,
) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        let buffer = unsafe { bytes_mut(buf, n)? };
        let received = file::receive(process, &file, &mut [IoSliceMut::new(buffer)], flags)?;
        // SAFETY: by this function's contract.
        unsafe { put_address(src, srclen, received.peer)? };
        Ok(received.len)
    })
}

/// `recvmsg(2)`.
///
/// # Safety
/// `msg` points to a message whose buffers are what it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_recvmsg(fd: c_int, msg: *mut msghdr, flags: c_int) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        let mut header = unsafe { read(msg.cast_const())? };
        // SAFETY: by this function's contract.
        let mut parts = unsafe { slices_mut(header.msg_iov, header.msg_iovlen, libc::EMSGSIZE)? };
        let received = file::receive(process, &file, &mut parts, flags)?;
        header.msg_flags = received.flags;
        let name_room = &raw mut header.msg_namelen;
        // SAFETY: the name's room is the message's own, its length is our copy.
        unsafe { put_address(header.msg_name.cast(), name_room, received.peer)? };
        let room = if received.ancillary.is_empty() { 0 } else { header.msg_controllen };
        // SAFETY: by this function's contract.
        let (used, cut) = put_control(unsafe { bytes_mut(header.msg_control, room)? }, &received.ancillary);
        header.msg_controllen = used;
        header.msg_flags |= if cut { libc::MSG_CTRUNC } else { 0 };
        // SAFETY: by this function's contract.
        unsafe { write(msg, header)? };
        Ok(received.len)
    })
}

/// `write(2)`.
///
/// # Safety
/// `buf` points to `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_write(fd: c_int, buf: *const c_void, n: size_t) -> ssize_t {
    // SAFETY: by this function's contract.
    unsafe { xm_send(fd, buf, n, 0) }
}

/// `writev(2)`.
///
/// # Safety
/// `iov` points to `iovcnt` buffers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_writev(fd: c_int, iov: *const iovec, iovcnt: c_int) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        let Ok(count) = usize::try_from(iovcnt) else { return fail(libc::EINVAL) };
        // SAFETY: by this function's contract.
        let parts = unsafe { slices(iov, count, libc::EINVAL)? };
        file::send(process, &file, &parts, None, 0)
    })
}

/// `send(2)`.
///
/// # Safety
/// `buf` points to `n` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_send(fd: c_int, buf: *const c_void, n: size_t, flags: c_int) -> ssize_t {
    // SAFETY: by this function's contract; no address needs no room.
    unsafe { xm_sendto(fd, buf, n, flags, null(), 0) }
}

/// `sendto(2)`.
///
/// # Safety
/// `buf` points to `n` bytes; `dst` is null, or points to `dstlen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_sendto(
    fd: c_int,
    buf: *const c_void,
    n: size_t,
    flags: c_int,
    dst: *const sockaddr,
    dstlen: socklen_t,
) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        let (data, to) = unsafe { (bytes(buf, n)?, destination(dst, dstlen)?) };
        send_to(process, &file, &[IoSlice::new(data)], to, flags)
    })
}

/// `sendmsg(2)`.
///
/// # Safety
/// `msg` points to a message whose buffers are what it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_sendmsg(fd: c_int, msg: *const msghdr, flags: c_int) -> ssize_t {
    call(|process| {
        let file = process.files.get(fd)?;
        // SAFETY: by this function's contract.
        let header = unsafe { read(msg)? };
        if header.msg_controllen > 0 {
            // No control message has an effect here: better refused than taken without one.
            return fail(libc::EINVAL);
        }
        // SAFETY: by this function's contract.
        let parts = unsafe { slices(header.msg_iov, header.msg_iovlen, libc::EMSGSIZE)? };
        // SAFETY: by this function's contract.
        let to = unsafe { destination(header.msg_name.cast_const().cast(), header.msg_namelen)? };
        send_to(process, &file, &parts, to, flags)
    })
}

/// Where to; nowhere in particular if there is no address.
///
/// # Safety
/// `at` is null, or points to `len` bytes.
unsafe fn destination(at: *const sockaddr, len: socklen_t) -> Result<Option<Address>> {
    if at.is_null() || len == 0 {
        return Ok(None);
    }
    // SAFETY: by this function's contract.
    unsafe { address(at, len) }.map(Some)
}

fn send_to(process: &Process, file: &File, parts: &[IoSlice<'_>], to: Option<Address>, flags: i32) -> Result<usize> {
    if matches!(to, Some(Address::Unspecified(_))) && flags & libc::MSG_FASTOPEN != 0 {
        return fail(libc::EOPNOTSUPP);
    }
    let to: Option<SocketAddrV4> = match to {
        Some(Address::Unspecified(_)) if flags & libc::MSG_FASTOPEN != 0 => return fail(libc::EOPNOTSUPP),
        Some(Address::V4(to) | Address::Unspecified(to)) => Some(to),
        None => None,
    };
    file::send(process, file, parts, to, flags)
}
