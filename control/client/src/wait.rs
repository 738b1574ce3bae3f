//! How the threads of one client sleep on the one bell that lanes ring for it.
//!
//! One sleeping thread, the leader, polls the bell; the others, the followers, poll a descriptor of their own. A leader that
//! wakes, for whatever reason, wakes all followers; each looks for what it waits for, and one becomes the new leader.
//!
//! Invariants, why no wake-up is lost:
//! * each thread announces sleep (word and fence) and then looks once more, so later work rings the bell;
//! * the word is cleared only when nobody waits, or by a lane that then rings; a ring always reaches the leader;
//! * `generation` changes before a ring's consumer lets go: who looked before it looks again instead of sleeping.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xmit_shared::session::ClientShared;
use xmit_shared::{Instant, clock};

/// The sleeping threads of one session.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Threads between `enter` and `leave`.
    count: usize,
    leader: bool,
    generation: u64,
    followers: Vec<Arc<OwnedFd>>,
}

thread_local! {
    /// What this thread sleeps on as a follower; made when it first does.
    static FOLLOWER_BELL: std::cell::OnceCell<Arc<OwnedFd>> = const { std::cell::OnceCell::new() };
}

/// Takes a lock whose holder may have panicked: what it guards is valid between any two statements here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiters {
    /// Sleeps until something happened in the session, on `connection` or on one of `fds`, or until `deadline`; not at all if
    /// `ready` says so. The caller looks again afterwards.
    pub(crate) fn sleep(
        &self,
        shared: &ClientShared,
        connection: BorrowedFd<'_>,
        fds: &[PollFd<'_>],
        deadline: Option<Instant>,
        ready: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let generation = {
            let mut state = lock(&self.0);
            state.count += 1;
            shared.sleeper().prepare();
            state.generation
        };
        let result = if ready() { Ok(()) } else { self.sleep_as_role(shared, connection, fds, deadline, generation) };
        let mut state = lock(&self.0);
        state.count -= 1;
        if state.count == 0 {
            shared.sleeper().awake();
        }
        result
    }

    fn sleep_as_role(
        &self,
        shared: &ClientShared,
        connection: BorrowedFd<'_>,
        fds: &[PollFd<'_>],
        deadline: Option<Instant>,
        generation: u64,
    ) -> io::Result<()> {
        let mut state = lock(&self.0);
        if state.generation != generation {
            return Ok(());
        }
        if !state.leader {
            state.leader = true;
            drop(state);
            let rang = poll_with(shared.sleeper().fd(), connection, fds, deadline);
            self.hand_over(shared, matches!(rang, Ok(true)));
            return rang.map(drop);
        }
        let bell = follower_bell()?;
        state.followers.push(bell.clone());
        drop(state);
        let rang = poll_with(bell.as_fd(), connection, fds, deadline);
        lock(&self.0).followers.retain(|other| !Arc::ptr_eq(other, &bell));
        // No longer among the followers, so nobody rings it after this.
        let _ = rustix::io::read(&bell, &mut [0; 8]);
        rang.map(drop)
    }

    /// The leader is awake: everybody else has to look, and one of them to lead.
    fn hand_over(&self, shared: &ClientShared, rang: bool) {
        let mut state = lock(&self.0);
        if rang {
            shared.sleeper().silence();
        }
        state.leader = false;
        state.generation += 1;
        for follower in state.followers.drain(..) {
            // An eventfd of this process alone; it cannot be full.
            let _ = rustix::io::write(&follower, &1u64.to_ne_bytes());
        }
    }
}

/// Polls until `deadline`. True if `bell` rang. An interrupting signal counts as a wake.
fn poll_with(
    bell: BorrowedFd<'_>,
    connection: BorrowedFd<'_>,
    fds: &[PollFd<'_>],
    deadline: Option<Instant>,
) -> io::Result<bool> {
    let timeout = deadline.map(|deadline| deadline.saturating_since(clock::monotonic()));
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let ours = [PollFd::from_borrowed_fd(bell, PollFlags::IN), PollFd::from_borrowed_fd(connection, PollFlags::IN)];
    let mut all: Vec<_> = ours.into_iter().chain(fds.iter().cloned()).collect();
    match poll(&mut all, timeout.as_ref()) {
        Ok(_) => Ok(all.first().is_some_and(|bell| !bell.revents().is_empty())),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn follower_bell() -> io::Result<Arc<OwnedFd>> {
    FOLLOWER_BELL.with(|cell| match cell.get() {
        Some(bell) => Ok(bell.clone()),
        None => {
            let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
            Ok(cell.get_or_init(|| bell).clone())
        }
    })
}
