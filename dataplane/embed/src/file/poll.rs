//! How files stand, in the words of `poll`, and waiting for several of them.

use super::{File, Kind};
use crate::errno::Result;
use crate::stack::Process;
use std::sync::atomic::Ordering;
use xmit::{Marks, Readiness};
use xmit_nic::{Duration, Instant};

/// One file of a `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollEntry {
    pub(crate) fd: i32,
    pub(crate) events: i16,
    pub(crate) revents: i16,
}

// `poll` and `epoll` have the same bits (`include/uapi/linux/eventpoll.h`).
const IN: u32 = (libc::EPOLLIN | libc::EPOLLRDNORM).cast_unsigned();
const OUT: u32 = (libc::EPOLLOUT | libc::EPOLLWRNORM).cast_unsigned();
const PRI: u32 = libc::EPOLLPRI.cast_unsigned();
/// What is told whether it was asked for or not.
pub(super) const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned();

/// `poll`: answers how many entries have something to tell.
///
/// # Errors
/// `ENETDOWN` when the run ends meanwhile.
pub(crate) fn poll(process: &Process, entries: &mut [PollEntry], timeout_ms: i32) -> Result<usize> {
    let deadline = deadline(process, timeout_ms);
    let mut look = || {
        let mut ready = 0;
        for entry in &mut *entries {
            entry.revents = revents(process, entry);
            ready += usize::from(entry.revents != 0);
        }
        ready
    };
    process.run();
    let ready = look();
    if ready > 0 || timeout_ms == 0 {
        return Ok(ready);
    }
    let ready = process.wait_for(deadline, || {
        let ready = look();
        Ok((ready > 0).then_some(ready))
    })?;
    Ok(ready.unwrap_or(0))
}

/// When a wait of so many milliseconds is over; never if negative.
pub(super) fn deadline(process: &Process, timeout_ms: i32) -> Option<Instant> {
    let timeout = u64::try_from(timeout_ms).ok()?;
    Some(process.pulse.now() + Duration::from_millis(timeout))
}

fn revents(process: &Process, entry: &PollEntry) -> i16 {
    if entry.fd < 0 {
        return 0;
    }
    match process.files.get(entry.fd) {
        Ok(file) => {
            let wanted = u32::from(entry.events.cast_unsigned()) | ALWAYS;
            (file.mask(process) & wanted) as u16 as i16
        }
        Err(_) => libc::POLLNVAL,
    }
}

impl File {
    /// Everything that can be said of the file now.
    pub(super) fn mask(&self, process: &Process) -> u32 {
        match &self.kind {
            Kind::Tcp(tcp) => match tcp.listener() {
                Some(listener) => mask_of(listener.readiness()),
                None if tcp.errors.has_message() => mask_of(tcp.socket.readiness()) | libc::EPOLLERR.cast_unsigned(),
                None => mask_of(tcp.socket.readiness()),
            },
            Kind::Udp(udp) if udp.is_read_shut() => {
                mask_of(udp.socket.readiness()) | IN | libc::EPOLLRDHUP.cast_unsigned()
            }
            Kind::Udp(udp) => mask_of(udp.socket.readiness()),
            Kind::Epoll(epoll) => {
                if epoll.has_ready(process) {
                    IN
                } else {
                    0
                }
            }
            Kind::PipeRead(pipe) => pipe.read_mask(),
            Kind::PipeWrite(pipe) => pipe.write_mask(),
        }
    }

    /// Counts by which an edge is known. Files that have none are told by every change of their mask.
    pub(super) fn marks(&self) -> Marks {
        match &self.kind {
            Kind::Tcp(tcp) => {
                let mut marks = tcp.socket.marks();
                marks.changes[1] = marks.changes[1].wrapping_add(tcp.errors.count());
                marks
            }
            Kind::Udp(udp) => udp.socket.marks(),
            Kind::PipeRead(pipe) | Kind::PipeWrite(pipe) => Marks { received: pipe.len() as u32, ..Marks::default() },
            Kind::Epoll(epoll) => Marks { received: epoll.changes.load(Ordering::Relaxed), ..Marks::default() },
        }
    }
}

fn mask_of(ready: Readiness) -> u32 {
    let bits = [
        (ready.readable, IN),
        (ready.writable, OUT),
        (ready.priority, PRI),
        (ready.error, libc::EPOLLERR.cast_unsigned()),
        (ready.hup, libc::EPOLLHUP.cast_unsigned()),
        (ready.read_hup, libc::EPOLLRDHUP.cast_unsigned()),
    ];
    bits.into_iter().filter(|(is, _)| *is).fold(0, |mask, (_, bit)| mask | bit)
}
