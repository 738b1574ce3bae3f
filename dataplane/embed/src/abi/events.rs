//! Readiness: `poll` and `epoll`.
#![allow(unsafe_code)]

use super::memory::{array, read, write};
use super::{call, call_int};
use crate::errno::fail;
use crate::file::{self, EpollEvent, PollEntry};
use libc::{c_int, epoll_event, nfds_t, pollfd};

/// Entries of a `poll`, at most (`RLIMIT_NOFILE` in Linux).
const ENTRIES_MAX: usize = 1 << 20;

/// `poll(2)`; the timeout is by the stack's clock.
///
/// # Safety
/// `fds` points to `n` entries.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_poll(fds: *mut pollfd, n: nfds_t, timeout_ms: c_int) -> c_int {
    call(|process| {
        let count = usize::try_from(n).unwrap_or(usize::MAX);
        if count > ENTRIES_MAX {
            return fail(libc::EINVAL);
        }
        // SAFETY: by this function's contract.
        let asked = unsafe { array(fds.cast_const(), count)? };
        let mut entries: Vec<_> =
            asked.iter().map(|entry| PollEntry { fd: entry.fd, events: entry.events, revents: 0 }).collect();
        let ready = file::poll(process, &mut entries, timeout_ms)?;
        for (i, (asked, entry)) in asked.into_iter().zip(entries).enumerate() {
            // SAFETY: by this function's contract, `i` being below `n`.
            unsafe { write(fds.add(i), pollfd { revents: entry.revents, ..asked })? };
        }
        Ok(ready)
    }) as c_int
}

/// `epoll_create(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn xm_epoll_create(size: c_int) -> c_int {
    call_int(|process| file::epoll_create(process, size))
}

/// `epoll_ctl(2)`.
///
/// # Safety
/// `ev` is null or points to an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_epoll_ctl(epfd: c_int, op: c_int, fd: c_int, ev: *mut epoll_event) -> c_int {
    call_int(|process| {
        let event = if ev.is_null() || op == libc::EPOLL_CTL_DEL {
            None
        } else {
            // SAFETY: by this function's contract.
            let event = unsafe { read(ev.cast_const())? };
            Some(EpollEvent { events: event.events, data: event.u64 })
        };
        file::epoll_ctl(process, epfd, op, fd, event).map(|()| 0)
    })
}

/// `epoll_wait(2)`; the timeout is by the stack's clock.
///
/// # Safety
/// `evs` points to room for `max` events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xm_epoll_wait(epfd: c_int, evs: *mut epoll_event, max: c_int, timeout_ms: c_int) -> c_int {
    call(|process| {
        let events = file::epoll_wait(process, epfd, max, timeout_ms)?;
        for (i, event) in events.iter().enumerate() {
            // SAFETY: by this function's contract, there being no more than `max`.
            unsafe { write(evs.add(i), epoll_event { events: event.events, u64: event.data })? };
        }
        Ok(events.len())
    }) as c_int
}
