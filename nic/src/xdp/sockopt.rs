//! Socket options of AF_XDP, one function each. Numbers and minimum versions are Linux's.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `SO_BUSY_POLL` (3.11): microseconds that a system call on the socket may poll the NIC.
pub(super) fn busy_poll(fd: BorrowedFd<'_>, micros: u32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, micros)
}

/// `SO_PREFER_BUSY_POLL` (5.11): the socket's calls drive the NIC's queue, interrupts only step in when they cease.
pub(super) fn prefer_busy_poll(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    const SO_PREFER_BUSY_POLL: libc::c_int = 69;
    set(fd, libc::SOL_SOCKET, SO_PREFER_BUSY_POLL, u32::from(on))
}

/// `SO_BUSY_POLL_BUDGET` (5.11): packets that one such call handles at most.
pub(super) fn busy_poll_budget(fd: BorrowedFd<'_>, packets: u32) -> io::Result<()> {
    const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
    set(fd, libc::SOL_SOCKET, SO_BUSY_POLL_BUDGET, packets)
}

/// `XDP_MAX_TX_SKB_BUDGET` (6.17): frames that one sendto() transmits in copy mode; 32 without it.
pub(super) fn tx_budget(fd: BorrowedFd<'_>, frames: u32) -> io::Result<()> {
    const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;
    set(fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, frames)
}

/// `XDP_OPTIONS` (5.3): true if the socket was bound in zero-copy mode.
pub(super) fn is_zero_copy(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut flags: u32 = 0;
    let mut len = size_of::<u32>() as libc::socklen_t;
    // SAFETY: getsockopt writes at most `len` bytes into `flags`, and both live over the call.
    let answer = unsafe {
        let value = std::ptr::from_mut(&mut flags).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, libc::XDP_OPTIONS, value, &mut len)
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(flags & libc::XDP_OPTIONS_ZEROCOPY != 0) }
}

/// `SO_NETNS_COOKIE` (5.14): names the network namespace that the socket was made in. `None` on older kernels.
pub(super) fn netns_cookie(fd: BorrowedFd<'_>) -> Option<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let mut cookie: u64 = 0;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: getsockopt writes at most `len` bytes into `cookie`, and both live over the call.
    let answer = unsafe {
        let value = std::ptr::from_mut(&mut cookie).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, value, &mut len)
    };
    (answer == 0).then_some(cookie)
}

fn set(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: u32) -> io::Result<()> {
    let len = size_of::<u32>() as libc::socklen_t;
    // SAFETY: setsockopt reads `len` bytes of `value`, which lives over the call.
    let answer = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), len) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
