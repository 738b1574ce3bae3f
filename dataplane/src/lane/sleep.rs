//! Going to sleep: announce, look once more, say what to wait for (`napi_complete_done` and its re-check).
//!
//! Invariant: everything that could wake the lane was told that it sleeps before it is looked at a last time.

use super::Lane;
use crate::limits;
use arrayvec::ArrayVec;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use xmit_nic::{BURST_FRAMES_MAX, Instant};

/// What ends a lane's sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sleep {
    /// Readable when there is work.
    pub fds: ArrayVec<RawFd, { limits::SLEEP_FDS_MAX }>,
    /// The latest time to wake up; `None` for no limit.
    pub until: Option<Instant>,
}

impl Sleep {
    /// Wakes up at `at` at the latest, if there is such a time.
    pub fn not_after(&mut self, at: Option<Instant>) {
        self.until = match (self.until, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

impl Lane {
    /// Announces sleep to everyone who could bring work. If work came meanwhile the answer is `None` and the lane must
    /// turn again; else what to wait for. [`Lane::awake`] follows either way.
    pub fn prepare_sleep(&mut self, now: Instant) -> Option<Sleep> {
        self.announce();
        if self.has_work() {
            return None;
        }
        let mut sleep = Sleep { fds: ArrayVec::new(), until: self.stack.net.timers.next_deadline() };
        sleep.not_after(self.stack.tcp.next_deadline());
        if !self.stack.tcp.commons.blocked.is_empty() {
            // The way out was full.
            sleep.not_after(Some(now + limits::BUSY_PORT_RETRY));
        }
        sleep.not_after(self.stack.sockets.retry_at());
        for (port, device) in self.ports.iter_mut().zip(&self.stack.net.devices) {
            let wakeup = port.sleep(now);
            sleep.fds.extend(wakeup.fds);
            sleep.not_after(wakeup.at);
            if !device.queue.is_empty() {
                // The port was busy: its completions wake us, or this does.
                sleep.not_after(Some(now + limits::BUSY_PORT_RETRY));
            }
        }
        if self.stack.net.pool.foreign() > 0 {
            // The lane that they belong to was behind.
            sleep.not_after(Some(now + limits::BUSY_PORT_RETRY));
        }
        if sleep.until.is_some_and(|until| until <= now) {
            return None;
        }
        sleep.fds.push(self.mail.commands.sleeper().fd().as_raw_fd());
        sleep.fds.push(self.mail.packets.sleeper().fd().as_raw_fd());
        if self.starving {
            sleep.fds.push(self.mail.returns.sleeper().fd().as_raw_fd());
        }
        sleep.fds.extend(self.stack.sockets.bells());
        self.turns.sleeps += 1;
        Some(sleep)
    }

    /// When the lane needs the CPU next, `now` if it does at once: for whoever runs it and does not sleep himself.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let sleep = self.prepare_sleep(now);
        self.awake();
        sleep.map_or(Some(now), |sleep| sleep.until)
    }

    /// The lane does not sleep, or no longer.
    pub fn awake(&mut self) {
        self.mail.commands.sleeper().awake();
        self.mail.packets.sleeper().awake();
        if std::mem::take(&mut self.starving) {
            self.mail.returns.sleeper().awake();
        }
        self.stack.sockets.awake();
    }

    fn announce(&mut self) {
        self.mail.commands.sleeper().prepare();
        self.mail.packets.sleeper().prepare();
        // Frames that come home wake a lane only if it cannot receive without them.
        self.starving = self.stack.net.pool.available() < BURST_FRAMES_MAX;
        if self.starving {
            self.mail.returns.sleeper().prepare();
        }
        self.stack.sockets.prepare_sleep();
    }

    fn has_work(&mut self) -> bool {
        // Who publishes a snapshot rings the bell of the commands, which was silent until we announced.
        !Arc::ptr_eq(self.snapshot.load(), &self.stack.net.snapshot)
            || self.mail.commands.has_mail()
            || self.mail.packets.has_mail()
            || (self.starving && self.mail.returns.has_mail())
            || !self.unsent.is_empty()
            || !self.stack.net.loopback.is_empty()
            || !self.stack.tcp.commons.ready.is_empty()
            || self.stack.sockets.has_work()
    }
}
