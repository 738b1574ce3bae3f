//! `epoll`: level-triggered, edge-triggered and one-shot.
//!
//! What is watched is looked at when somebody asks; an edge is known by the counts that a file keeps ([`xmit::Marks`]), so none is missed
//! between two looks. A look is bounded by what is watched.

use super::poll::{ALWAYS, deadline};
use super::{File, Kind};
use crate::errno::{Errno, Result, fail};
use crate::stack::Process;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use xmit::Marks;

/// An `epoll` file.
#[derive(Debug, Default)]
pub(super) struct Epoll {
    watched: Mutex<Watched>,
    /// Grows with every change of what is watched.
    pub(super) changes: AtomicU32,
}

#[derive(Debug, Default)]
struct Watched {
    by_fd: BTreeMap<i32, Watch>,
    /// Where the next look begins, so that each descriptor has its turn.
    next: i32,
}

#[derive(Debug)]
struct Watch {
    file: Weak<File>,
    events: u32,
    data: u64,
    /// What was last told; `None` before the first time, and after a change of what is wanted.
    told: Option<(u32, Marks)>,
    /// A one-shot that has told once.
    spent: bool,
}

/// `struct epoll_event`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpollEvent {
    pub(crate) events: u32,
    pub(crate) data: u64,
}

const ET: u32 = libc::EPOLLET.cast_unsigned();
const ONESHOT: u32 = libc::EPOLLONESHOT.cast_unsigned();
const READ: u32 =
    (libc::EPOLLIN | libc::EPOLLRDNORM | libc::EPOLLRDBAND | libc::EPOLLPRI | libc::EPOLLRDHUP).cast_unsigned();
const WRITE: u32 = (libc::EPOLLOUT | libc::EPOLLWRNORM | libc::EPOLLWRBAND).cast_unsigned();

/// `epoll` files in `epoll` files, at most (`EP_MAX_NESTS`).
const NESTING_MAX: usize = 4;

/// `epoll_create`.
///
/// # Errors
/// `EINVAL` unless `size` is positive, `EMFILE`.
pub(crate) fn epoll_create(process: &Process, size: i32) -> Result<i32> {
    if size <= 0 {
        return fail(libc::EINVAL);
    }
    process.files.add(File::new(Kind::Epoll(Epoll::default()), false), false)
}

/// `epoll_ctl`.
///
/// # Errors
/// `EBADF`, `EINVAL`, `EEXIST`, `ENOENT`, `ELOOP`; `EFAULT` if `event` is needed and missing.
pub(crate) fn epoll_ctl(process: &Process, epfd: i32, op: i32, fd: i32, event: Option<EpollEvent>) -> Result<()> {
    let (holder, file) = (process.files.get(epfd)?, process.files.get(fd)?);
    let Kind::Epoll(epoll) = &holder.kind else { return fail(libc::EINVAL) };
    if Arc::ptr_eq(&holder, &file) {
        return fail(libc::EINVAL);
    }
    if op == libc::EPOLL_CTL_ADD && file.contains(&holder, 1) {
        return fail(libc::ELOOP);
    }
    epoll.changes.fetch_add(1, Ordering::Relaxed);
    let result = epoll.change(op, fd, &file, event);
    // Somebody may be waiting for what is watched from now on.
    process.pulse.beat();
    result
}

/// `epoll_wait`: up to `max` events.
///
/// # Errors
/// `EINVAL` for a file that is no `epoll`, or a `max` that is not positive.
pub(crate) fn epoll_wait(process: &Process, epfd: i32, max: i32, timeout_ms: i32) -> Result<Vec<EpollEvent>> {
    let holder = process.files.get(epfd)?;
    let Kind::Epoll(epoll) = &holder.kind else { return fail(libc::EINVAL) };
    let max = usize::try_from(max).ok().filter(|max| *max > 0).ok_or(Errno(libc::EINVAL))?;
    let deadline = deadline(process, timeout_ms);
    process.run();
    let events = epoll.collect(process, max);
    if !events.is_empty() || timeout_ms == 0 {
        return Ok(events);
    }
    let events = process.wait_for(deadline, || {
        let events = epoll.collect(process, max);
        Ok((!events.is_empty()).then_some(events))
    })?;
    Ok(events.unwrap_or_default())
}

impl Epoll {
    fn change(&self, op: i32, fd: i32, file: &Arc<File>, event: Option<EpollEvent>) -> Result<()> {
        let mut watched = self.lock();
        let known = watched.by_fd.get(&fd).is_some_and(|watch| watch.is_on(file));
        match op {
            libc::EPOLL_CTL_DEL if known => {
                watched.by_fd.remove(&fd);
                Ok(())
            }
            libc::EPOLL_CTL_ADD if known => fail(libc::EEXIST),
            libc::EPOLL_CTL_DEL | libc::EPOLL_CTL_MOD if !known => fail(libc::ENOENT),
            libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD => {
                let EpollEvent { events, data } = event.ok_or(Errno(libc::EFAULT))?;
                let file = Arc::downgrade(file);
                watched.by_fd.insert(fd, Watch { file, events, data, told: None, spent: false });
                Ok(())
            }
            _ => fail(libc::EINVAL),
        }
    }

    /// What there is to tell, from where the last look stopped.
    fn collect(&self, process: &Process, max: usize) -> Vec<EpollEvent> {
        let mut watched = self.lock();
        watched.by_fd.retain(|_, watch| watch.file.strong_count() > 0);
        let Watched { by_fd, next } = &mut *watched;
        let later = by_fd.range(*next..).map(|(fd, _)| *fd);
        let order: Vec<i32> = later.chain(by_fd.range(..*next).map(|(fd, _)| *fd)).collect();
        let mut events = Vec::new();
        for fd in order {
            let Some(event) = by_fd.get_mut(&fd).and_then(|watch| watch.look(process, true)) else { continue };
            events.push(event);
            *next = fd.saturating_add(1);
            if events.len() == max {
                break;
            }
        }
        events
    }

    /// True if a wait would end at once. Tells nobody, so an edge remains one.
    pub(super) fn has_ready(&self, process: &Process) -> bool {
        self.lock().by_fd.values_mut().any(|watch| watch.look(process, false).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    fn is_on(&self, file: &Arc<File>) -> bool {
        std::ptr::eq(self.file.as_ptr(), Arc::as_ptr(file))
    }

    /// What there is to tell; `telling` remembers that it was told.
    fn look(&mut self, process: &Process, telling: bool) -> Option<EpollEvent> {
        let file = self.file.upgrade().filter(|_| !self.spent)?;
        let mask = file.mask(process);
        // After the mask: looking at it notes that a writer found room.
        let marks = file.marks();
        let ready = mask & (self.events | ALWAYS);
        let tell = ready != 0 && (self.events & ET == 0 || self.is_edge(mask, marks));
        if telling {
            if tell || self.told.is_some() {
                // What ceased to be is an edge when it comes back.
                let before = self.told.map_or(marks, |(_, marks)| marks);
                self.told = Some((mask, if tell { marks } else { before }));
            }
            self.spent |= tell && self.events & ONESHOT != 0;
        }
        tell.then_some(EpollEvent { events: ready, data: self.data })
    }

    /// True if something happened since it was last told that this watch wants to hear of (`ep_poll_callback`).
    fn is_edge(&self, mask: u32, marks: Marks) -> bool {
        let Some((told, before)) = self.told else { return true };
        let risen = mask & !told & (self.events | ALWAYS) & !WRITE;
        let read = marks.received != before.received && self.events & READ != 0;
        let write = marks.refilled != before.refilled && self.events & WRITE != 0;
        risen != 0 || read || write || marks.changes != before.changes
    }
}

impl File {
    /// True if this is an `epoll` that watches `other`, or one that does, or one that is nested too deep.
    fn contains(&self, other: &Arc<Self>, depth: usize) -> bool {
        let Kind::Epoll(epoll) = &self.kind else { return false };
        let inner: Vec<_> = epoll.lock().by_fd.values().filter_map(|watch| watch.file.upgrade()).collect();
        depth > NESTING_MAX || inner.iter().any(|file| Arc::ptr_eq(file, other) || file.contains(other, depth + 1))
    }
}
