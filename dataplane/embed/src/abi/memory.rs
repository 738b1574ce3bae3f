//! The caller's memory: the one place where its pointers are followed.
//!
//! Invariant: nothing is followed before its address was looked at; what cannot be an address is `EFAULT`.
#![allow(unsafe_code)]

use crate::errno::{Result, fail};
use crate::file::{Address, Ancillary};
use std::ffi::c_void;
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddrV4;
use std::os::fd::BorrowedFd;

/// The first address that a mapping can have (`vm.mmap_min_addr`).
const FIRST: usize = 65_536;
/// The end of the user's half (x86-64 and arm64 with 48-bit addresses).
const END: usize = 1 << 47;
/// The most bytes that Linux moves in one call (`MAX_RW_COUNT`).
const BYTES_MAX: usize = 0x7fff_f000;
/// `UIO_MAXIOV`.
const PARTS_MAX: usize = 1024;

const SOCKADDR_BYTES: usize = size_of::<libc::sockaddr_in>();

/// Sets the calling thread's `errno`.
pub(super) fn set_errno(number: i32) {
    // SAFETY: the C library gives each thread its own place, valid as long as the thread lives.
    unsafe { *libc::__errno_location() = number }
}

/// `EFAULT` unless `len` bytes at `at` may be memory.
fn check(at: usize, len: usize) -> Result<()> {
    if at < FIRST || at.checked_add(len).is_none_or(|end| end > END) { fail(libc::EFAULT) } else { Ok(()) }
}

/// The caller's bytes, to be read.
///
/// # Safety
/// If `at` is an address at all, `len` bytes there are the caller's to read for as long as the call lasts.
pub(super) unsafe fn bytes<'a>(at: *const c_void, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    let len = len.min(BYTES_MAX);
    check(at.addr(), len)?;
    // SAFETY: not null, and readable for `len` bytes by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(at.cast(), len) })
}

/// The caller's bytes, to be written.
///
/// # Safety
/// If `at` is an address at all, `len` bytes there are the caller's to write, and nobody else's, for as long as the call lasts.
pub(super) unsafe fn bytes_mut<'a>(at: *mut c_void, len: usize) -> Result<&'a mut [u8]> {
    if len == 0 {
        return Ok(&mut []);
    }
    let len = len.min(BYTES_MAX);
    check(at.addr(), len)?;
    // SAFETY: not null, and writable for `len` bytes by this function's contract.
    Ok(unsafe { std::slice::from_raw_parts_mut(at.cast(), len) })
}

/// A value of the caller's.
///
/// # Safety
/// As [`bytes`], for the size of a `T`, whose every bit pattern is a value.
pub(super) unsafe fn read<T: Copy>(at: *const T) -> Result<T> {
    check(at.addr(), size_of::<T>())?;
    // SAFETY: readable for a `T` by this function's contract; alignment is not asked for.
    Ok(unsafe { at.read_unaligned() })
}

/// A value for the caller.
///
/// # Safety
/// As [`bytes_mut`], for the size of a `T`.
pub(super) unsafe fn write<T: Copy>(at: *mut T, value: T) -> Result<()> {
    check(at.addr(), size_of::<T>())?;
    // SAFETY: writable for a `T` by this function's contract; alignment is not asked for.
    unsafe { at.write_unaligned(value) }
    Ok(())
}

/// Elements of an array of the caller's.
///
/// # Safety
/// As [`read`], for `count` elements.
pub(super) unsafe fn array<T: Copy>(at: *const T, count: usize) -> Result<Vec<T>> {
    let Some(len) = count.checked_mul(size_of::<T>()) else { return fail(libc::EFAULT) };
    if count > 0 {
        check(at.addr(), len)?;
    }
    // SAFETY: readable for `count` elements by this function's contract.
    (0..count).map(|i| unsafe { read(at.add(i)) }).collect()
}

/// The buffers to be sent of a vector. `too_many` is what more of them than Linux takes are.
///
/// # Safety
/// As [`array`], and as [`bytes`] for each buffer.
pub(super) unsafe fn slices<'a>(at: *const libc::iovec, count: usize, too_many: i32) -> Result<Vec<IoSlice<'a>>> {
    if count > PARTS_MAX {
        return fail(too_many);
    }
    // SAFETY: by this function's contract.
    let parts = unsafe { array(at, count)? };
    check_lengths(&parts)?;
    // SAFETY: by this function's contract.
    parts.iter().map(|part| unsafe { bytes(part.iov_base, part.iov_len) }.map(IoSlice::new)).collect()
}

/// The buffers to be filled of a vector.
///
/// # Safety
/// As [`array`], and as [`bytes_mut`] for each buffer; no two of them overlap.
pub(super) unsafe fn slices_mut<'a>(
    at: *const libc::iovec,
    count: usize,
    too_many: i32,
) -> Result<Vec<IoSliceMut<'a>>> {
    if count > PARTS_MAX {
        return fail(too_many);
    }
    // SAFETY: by this function's contract.
    let parts = unsafe { array(at, count)? };
    check_lengths(&parts)?;
    // SAFETY: by this function's contract.
    parts.iter().map(|part| unsafe { bytes_mut(part.iov_base, part.iov_len) }.map(IoSliceMut::new)).collect()
}

fn check_lengths(parts: &[libc::iovec]) -> Result<()> {
    if parts.iter().any(|part| isize::try_from(part.iov_len).is_err()) { fail(libc::EINVAL) } else { Ok(()) }
}

/// A `sockaddr` of the caller's.
///
/// # Safety
/// As [`bytes`], for `len` bytes.
pub(super) unsafe fn address(at: *const libc::sockaddr, len: libc::socklen_t) -> Result<Address> {
    let len = len as usize;
    if len < size_of::<libc::sa_family_t>() || len > size_of::<libc::sockaddr_storage>() {
        return fail(libc::EINVAL);
    }
    // SAFETY: by this function's contract.
    let bytes = unsafe { bytes(at.cast(), len)? };
    let family = bytes.first_chunk().map_or(0, |family| u16::from_ne_bytes(*family));
    let field = |from: usize| bytes.get(from..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    let port = bytes.get(2..).and_then(|rest| rest.first_chunk()).map_or(0, |port| u16::from_be_bytes(*port));
    let meant = SocketAddrV4::new(field(4).into(), port);
    match i32::from(family) {
        libc::AF_UNSPEC => Ok(Address::Unspecified(meant)),
        libc::AF_INET if len < SOCKADDR_BYTES => fail(libc::EINVAL),
        libc::AF_INET => Ok(Address::V4(meant)),
        _ => fail(libc::EAFNOSUPPORT),
    }
}

/// Leaves `address` at the caller's place, cut to its room, and its whole length beside it. Nothing, if the caller has no place.
///
/// # Safety
/// As [`write`] for the length, and as [`bytes_mut`] for as many bytes as it says.
pub(super) unsafe fn put_address(
    at: *mut libc::sockaddr,
    len: *mut libc::socklen_t,
    address: Option<SocketAddrV4>,
) -> Result<()> {
    if at.is_null() {
        return Ok(());
    }
    // SAFETY: by this function's contract.
    let room = unsafe { read(len)? } as usize;
    if i32::try_from(room).is_err() {
        return fail(libc::EINVAL);
    }
    let bytes = address.map(sockaddr).unwrap_or_default();
    let len_whole = if address.is_some() { SOCKADDR_BYTES } else { 0 };
    // SAFETY: by this function's contract.
    let place = unsafe { bytes_mut(at.cast(), room.min(len_whole))? };
    place.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    // SAFETY: by this function's contract.
    unsafe { write(len, len_whole as libc::socklen_t) }
}

/// The bytes of a `sockaddr_in`.
fn sockaddr(address: SocketAddrV4) -> [u8; SOCKADDR_BYTES] {
    let mut bytes = [0; SOCKADDR_BYTES];
    let family = (libc::AF_INET as u16).to_ne_bytes();
    let all = family.into_iter().chain(address.port().to_be_bytes()).chain(address.ip().octets());
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    bytes
}

/// Writes control messages into `room` as `CMSG_NXTHDR` reads them; answers the bytes used, and whether some found no place.
pub(super) fn put_control(room: &mut [u8], messages: &[Ancillary]) -> (usize, bool) {
    let mut used = 0;
    for message in messages {
        let len = size_of::<libc::cmsghdr>() + message.data.len();
        let Some(place) = room.get_mut(used..used + len) else { return (used, true) };
        let head = len.to_ne_bytes().into_iter().chain(message.level.to_ne_bytes()).chain(message.kind.to_ne_bytes());
        let all = head.chain(message.data.iter().copied());
        place.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        used = (used + len).next_multiple_of(align_of::<libc::cmsghdr>()).min(room.len());
    }
    (used, false)
}

/// The caller's kernel descriptor.
///
/// # Safety
/// `fd` stays open for as long as the call lasts.
pub(super) unsafe fn kernel_fd<'a>(fd: i32) -> Result<BorrowedFd<'a>> {
    if fd < 0 {
        return fail(libc::EBADF);
    }
    // SAFETY: not -1, and open by this function's contract; a number that is none is refused by the kernel.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
