//! The thread of one lane: reads the clock, turns, spins while there is work and sleeps when there is none.

use super::published::Publisher;
use arrayvec::ArrayVec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use tracing::{info, warn};
use xmit_dataplane::lane::{Lane, Remains, Sleep};
use xmit_dataplane::limits::SLEEP_FDS_MAX;
use xmit_nic::{Duration, Instant};
use xmit_shared::clock;

/// Between two publications of the counters, at least: operators look once a second.
const PUBLISH_PERIOD: Duration = Duration::from_millis(5);

/// How a lane's thread behaves.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The core it is pinned to.
    pub core: usize,
    /// How long it looks for work before it sleeps.
    pub spin: Duration,
}

/// Runs `lane` until it is told to stop; answers what is left of it. To be called on the lane's own thread.
pub fn run(mut lane: Lane, pace: Pace, publisher: Publisher) -> Remains {
    pin(lane.id(), pace.core);
    let mut counters = Due { publisher, at: Instant::ZERO, changed: true };
    let mut busy_until = clock::monotonic() + pace.spin;
    loop {
        let now = clock::monotonic();
        let turn = lane.turn(now);
        counters.after_turn(now, &lane, turn.work > 0);
        if turn.stop {
            break;
        }
        if turn.work > 0 {
            busy_until = now + pace.spin;
        } else if now < busy_until {
            // Whoever shares the core, perhaps the very program that this lane works for, goes first.
            rustix::thread::sched_yield();
        } else {
            sleep(&mut lane, now, &mut counters);
            busy_until = clock::monotonic() + pace.spin;
        }
    }
    info!("lane {} ends", lane.id());
    lane.shutdown()
}

/// When counters are published: not for every sleep, since reading a port's costs a system call, and not never, since
/// an operator wants to see the last packet of a lane that sleeps.
struct Due {
    publisher: Publisher,
    /// Not before.
    at: Instant,
    /// Something was counted since.
    changed: bool,
}

impl Due {
    fn after_turn(&mut self, now: Instant, lane: &Lane, worked: bool) {
        self.changed |= worked;
        if self.changed && now >= self.at {
            self.publish(now, lane, false);
        }
    }

    /// Before a sleep: the latest time to wake up for publishing; `None` if all is published.
    fn before_sleep(&mut self, now: Instant, lane: &Lane) -> Option<Instant> {
        if now < self.at && self.changed {
            return Some(self.at);
        }
        self.publish(now, lane, true);
        None
    }

    fn publish(&mut self, now: Instant, lane: &Lane, sleeping: bool) {
        self.publisher.publish(now, lane, sleeping);
        (self.at, self.changed) = (now + PUBLISH_PERIOD, false);
    }
}

/// A lane on the wrong core is slow, not wrong: it runs on, and the operator is told.
fn pin(lane: u16, core: usize) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        warn!("lane {lane} could not be pinned to core {core}: it runs wherever the scheduler puts it");
    }
}

fn sleep(lane: &mut Lane, now: Instant, counters: &mut Due) {
    if let Some(mut sleep) = lane.prepare_sleep(now) {
        let publish_at = counters.before_sleep(now, lane);
        sleep.not_after(publish_at);
        wait(&sleep);
    }
    lane.awake();
}

/// Waits for a descriptor or the time; also ends for a signal, which is as good as any other reason to look.
fn wait(sleep: &Sleep) {
    let timeout = sleep.until.map(|until| until.saturating_since(clock::monotonic()));
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut fds: ArrayVec<PollFd<'_>, { SLEEP_FDS_MAX }> = sleep
        .fds
        .iter()
        // SAFETY: the descriptors belong to the ports, mailboxes and sessions of the lane, which only this thread
        // changes, and it does nothing else until `poll` is over.
        .map(|fd| PollFd::from_borrowed_fd(unsafe { BorrowedFd::borrow_raw(*fd) }, PollFlags::IN))
        .collect();
    let _ = poll(&mut fds, timeout.as_ref());
}
