//! The time and the sleeping threads of a stack that runs in this process, on a clock that its driver moves.
//!
//! A call that has to wait sleeps here, in the kernel, until the next beat: the driver's word that something happened or that time
//! passed. Before the driver moves the clock on, it lets every thread that it woke come to rest ([`Pulse::settle`]), so that what a
//! thread does because of an event happens at the time of that event, however the kernel schedules it.
//!
//! Invariants:
//! * time never runs backwards;
//! * a thread is in one of three sets at most: asleep, stirred (woken, still in its call), landed (its call has returned);
//! * no wake-up is lost: a sleeper compares the number of the beat that it looked at, under the lock that every beat takes.

use crate::wait::lock;
use core::time::Duration;
use rustix::thread::{Pid, gettid};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use xmit_shared::Instant;

/// The time, and who sleeps.
#[derive(Debug)]
pub struct Pulse {
    now: AtomicU64,
    state: Mutex<State>,
    beat: Condvar,
    rest: Condvar,
}

#[derive(Debug, Default)]
struct State {
    beats: u64,
    /// Until when, if not for ever.
    asleep: HashMap<Pid, Option<Instant>>,
    stirred: HashSet<Pid>,
    landed: HashSet<Pid>,
}

/// How long the driver waits for threads that it woke and that are still in their calls. They only look and sleep again, so this ends
/// early unless one was stopped.
const STIRRED_MAX: Duration = Duration::from_secs(1);
/// How long it waits at a time for the next call of a thread whose waiting call has returned: time enough to ask for the time, which is
/// what such threads do next. It waits again while one of them has work and no core, but not for those that sleep elsewhere.
const LANDED: Duration = Duration::from_millis(10);
/// So often: little enough to lose if they are busy with something else.
const LANDED_ROUNDS: u32 = 50;

impl Pulse {
    /// A clock that shows `now`.
    pub fn new(now: Instant) -> Self {
        let (state, beat, rest) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { now: now.as_nanos().into(), state, beat, rest }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        // Relaxed, here and below: the stack's own lock orders what happens at which time.
        Instant::from_nanos(self.now.load(Ordering::Relaxed))
    }

    /// Lets time pass up to `to`; a time in the past changes nothing. [`Pulse::beat`] tells the sleepers.
    pub fn advance(&self, to: Instant) {
        self.now.fetch_max(to.as_nanos(), Ordering::Relaxed);
    }

    /// Something happened, or time passed: whoever sleeps looks again.
    pub fn beat(&self) {
        let mut state = lock(&self.state);
        state.beats += 1;
        let State { asleep, stirred, .. } = &mut *state;
        if !asleep.is_empty() {
            stirred.extend(asleep.drain().map(|(thread, _)| thread));
            self.beat.notify_all();
        }
    }

    /// Waits until every thread that a beat woke sleeps again, or has returned from its call and made its next one; not for ever.
    pub fn settle(&self) {
        let state = lock(&self.state);
        let stirs = |state: &mut State| !state.stirred.is_empty();
        let (state, _) =
            self.rest.wait_timeout_while(state, STIRRED_MAX, stirs).unwrap_or_else(PoisonError::into_inner);
        let lands = |state: &mut State| !state.stirred.is_empty() || !state.landed.is_empty();
        let mut state = state;
        for _ in 0..LANDED_ROUNDS {
            (state, _) = self.rest.wait_timeout_while(state, LANDED, lands).unwrap_or_else(PoisonError::into_inner);
            state.landed.retain(|thread| is_runnable(*thread));
            if state.landed.is_empty() {
                break;
            }
        }
        state.stirred.clear();
        state.landed.clear();
    }

    /// The calling thread is about to return from a call of the stack, by which every call ends.
    pub fn leave(&self) {
        let mut state = lock(&self.state);
        if state.stirred.is_empty() && state.landed.is_empty() {
            return;
        }
        let thread = gettid();
        if state.stirred.remove(&thread) {
            state.landed.insert(thread);
            self.rest.notify_all();
        } else if state.landed.remove(&thread) {
            self.rest.notify_all();
        }
    }

    /// When the first sleeper has waited long enough: a beat is due then.
    pub fn next_deadline(&self) -> Option<Instant> {
        lock(&self.state).asleep.values().flatten().min().copied()
    }

    /// Sleeps until the next beat, unless `ready` says that there is no need to or it is later than `deadline`. The caller looks again.
    pub fn sleep(&self, deadline: Option<Instant>, ready: &mut dyn FnMut() -> bool) {
        let seen = lock(&self.state).beats;
        if ready() || deadline.is_some_and(|deadline| self.now() >= deadline) {
            return;
        }
        let mut state = lock(&self.state);
        if state.beats != seen {
            return;
        }
        let thread = gettid();
        state.stirred.remove(&thread);
        state.landed.remove(&thread);
        state.asleep.insert(thread, deadline);
        self.rest.notify_all();
        while state.beats == seen {
            state = self.beat.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// True if the kernel would run `thread` if it had a core for it.
fn is_runnable(thread: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", thread.as_raw_nonzero()));
    // The state follows the name, which stands in parentheses (proc(5)). A thread that is gone has no file.
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('R')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    #[test]
    fn time_never_runs_backwards() {
        let pulse = Pulse::new(Instant::from_micros(5));
        pulse.advance(Instant::from_micros(3));
        assert_eq!(pulse.now(), Instant::from_micros(5));
        pulse.advance(Instant::from_micros(9));
        assert_eq!(pulse.now(), Instant::from_micros(9));
    }

    #[test]
    fn a_beat_wakes_and_settling_waits_for_what_the_woken_do() {
        let (pulse, done) = (Arc::new(Pulse::new(Instant::ZERO)), Arc::new(AtomicU32::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (pulse, done) = (pulse.clone(), done.clone());
                thread::spawn(move || {
                    for round in 1..=50 {
                        while pulse.now() < Instant::from_micros(round) {
                            pulse.sleep(None, &mut || pulse.now() >= Instant::from_micros(round));
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                        pulse.leave();
                        // What a program does next: it asks for the time.
                        pulse.leave();
                    }
                })
            })
            .collect();
        for round in 1..=50 {
            while lock(&pulse.state).asleep.len() < 4 {
                thread::yield_now();
            }
            assert_eq!(done.load(Ordering::Relaxed), 4 * (round as u32 - 1));
            pulse.advance(Instant::from_micros(round));
            pulse.beat();
            if round < 50 {
                pulse.settle();
                assert_eq!(done.load(Ordering::Relaxed), 4 * round as u32, "all went on at the time that woke them");
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn a_thread_that_never_calls_again_is_not_waited_for() {
        let pulse = Arc::new(Pulse::new(Instant::ZERO));
        let sleeper = pulse.clone();
        let thread = thread::spawn(move || {
            sleeper.sleep(None, &mut || false);
            sleeper.leave();
        });
        while lock(&pulse.state).asleep.is_empty() {
            thread::yield_now();
        }
        pulse.beat();
        pulse.settle();
        pulse.settle();
        thread.join().unwrap();
        assert!(lock(&pulse.state).landed.is_empty());
    }
}
