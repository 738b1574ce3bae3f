//! The thread of one lane: reads the clock, turns, spins while there is work and sleeps when there is none.

use super::published::Publisher;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::BorrowedFd;
use tracing::{info, warn};
use xmit_dataplane::lane::{Lane, Sleep};
use xmit_nic::{Duration, Instant, Pool};
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

/// Runs `lane` until it is told to stop, then gives back its pool. To be called on the lane's own thread.
pub fn run(mut lane: Lane, pace: Pace, mut publisher: Publisher) -> Pool {
    pin(lane.id(), pace.core);
    let mut busy_until = clock::monotonic() + pace.spin;
    let mut publish_at = Instant::ZERO;
    loop {
        let now = clock::monotonic();
        let turn = lane.turn(now);
        if now >= publish_at {
            publisher.publish(now, &lane, false);
            publish_at = now + PUBLISH_PERIOD;
        }
        if turn.stop {
            break;
        }
        if turn.work > 0 {
            busy_until = now + pace.spin;
        } else if now < busy_until {
            // Whoever shares the core, perhaps the very program that this lane works for, goes first.
            rustix::thread::sched_yield();
        } else {
            sleep(&mut lane, now, &mut publisher);
            busy_until = clock::monotonic() + pace.spin;
        }
    }
    info!("lane {} ends", lane.id());
    lane.shutdown()
}

/// A lane on the wrong core is slow, not wrong: it runs on, and the operator is told.
fn pin(lane: u16, core: usize) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        warn!("lane {lane} could not be pinned to core {core}: it runs wherever the scheduler puts it");
    }
}

fn sleep(lane: &mut Lane, now: Instant, publisher: &mut Publisher) {
    if let Some(sleep) = lane.prepare_sleep(now) {
        publisher.publish(now, lane, true);
        wait(&sleep);
    }
    lane.awake();
}

/// Waits for a descriptor or the time; also ends for a signal, which is as good as any other reason to look.
fn wait(sleep: &Sleep) {
    let timeout = sleep.until.map(|until| until.saturating_since(clock::monotonic()));
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut fds: Vec<PollFd<'_>> = sleep
        .fds
        .iter()
        // SAFETY: the descriptors belong to the ports, mailboxes and sessions of the lane, which only this thread
        // changes, and it does nothing else until `poll` is over.
        .map(|fd| PollFd::from_borrowed_fd(unsafe { BorrowedFd::borrow_raw(*fd) }, PollFlags::IN))
        .collect();
    let _ = poll(&mut fds, timeout.as_ref());
}
