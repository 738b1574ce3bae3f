//! The one stack of this process, from `xm_init` to `xm_fini`: who may touch what, and how the clock moves.
//!
//! Invariants:
//! * the clock is the process's: it goes on over all runs, never back;
//! * it stops at every time at which the lane or a sleeping call wants to be woken, and does not move on before those who were woken
//!   have done what they do ([`Pulse::settle`]);
//! * no lock of this crate is held while the stack's is taken.

use super::config::Config;
use super::port::Wire;
use super::run::{DATAGRAM_MAX, Stack};
use super::sysctl;
use crate::errno::{Errno, Result, fail};
use crate::file::{ErrorQueues, Files};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use xmit::{Embedding, Pulse, Session};
use xmit_dataplane::tcp::Settings;
use xmit_nic::{Duration, Instant};

/// A run.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) session: Session,
    pub(crate) files: Files,
    pub(crate) error_queues: Arc<ErrorQueues>,
    stack: Arc<Mutex<Stack>>,
    wire: Wire,
    settings: Mutex<Settings>,
}

static PROCESS: RwLock<Option<Arc<Process>>> = RwLock::new(None);

/// When the last run ended, on the clock of all runs, in nanoseconds. Begins far from zero, so that no time before the first run is negative.
static CLOCK: AtomicU64 = AtomicU64::new(1_000_000 * 1_000_000_000);

/// The first and the longest step over a time at which the lane says that it has work and does none.
const STEP: Duration = Duration::from_micros(1);
const STEP_DOUBLINGS_MAX: u32 = 10;

/// Begins a run.
///
/// # Errors
/// `EINVAL` for a text that is no configuration, `EBUSY` if a run has begun, and the kernel's when memory or descriptors are short.
pub(crate) fn begin(text: &str) -> Result<()> {
    let config = Config::parse(text)?;
    let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    if process.is_some() {
        return fail(libc::EBUSY);
    }
    *process = Some(Arc::new(Process::new(&config)?));
    Ok(())
}

/// The run that has begun; one with the default configuration if none has.
///
/// # Errors
/// As [`begin`].
pub(crate) fn current() -> Result<Arc<Process>> {
    if let Some(process) = &*PROCESS.read().unwrap_or_else(PoisonError::into_inner) {
        return Ok(Arc::clone(process));
    }
    let mut process = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    match &*process {
        Some(process) => Ok(Arc::clone(process)),
        None => Ok(Arc::clone(process.insert(Arc::new(Process::new(&Config::default())?)))),
    }
}

/// Ends the run: calls that wait give `ENETDOWN`, and everything is released as soon as they have returned.
pub(crate) fn end() {
    let process = PROCESS.write().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(process) = process {
        process.session.end();
        process.files.clear();
        process.pulse.settle();
        CLOCK.fetch_max(process.pulse.now().as_nanos(), Ordering::Relaxed);
    }
}

impl Process {
    fn new(config: &Config) -> Result<Self> {
        let pulse = Arc::new(Pulse::new(Instant::from_nanos(CLOCK.load(Ordering::Relaxed))));
        let seed = config.seed.map_or_else(random, Ok)?;
        let wire = Wire::default();
        let error_queues = Arc::new(ErrorQueues::default());
        let (stack, end) = Stack::new(config, pulse.clone(), wire.clone(), seed, error_queues.clone())?;
        let stack = Arc::new(Mutex::new(stack));
        let (runner, clock) = (stack.clone(), pulse.clone());
        let run = Box::new(move || lock(&runner).run());
        let session = Session::embedded(end, Embedding { pulse: clock, run });
        let settings = Mutex::new(Settings::default());
        Ok(Self { pulse, session, files: Files::default(), error_queues, stack, wire, settings })
    }

    /// Repeats `attempt` until it gives a value or an error, sleeping in between. `None` after `deadline`.
    pub(crate) fn wait_for<R>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        loop {
            let mut found = None;
            self.pulse.sleep(deadline, &mut || {
                found = attempt().transpose();
                found.is_some()
            });
            if let Some(found) = found {
                return found.map(Some);
            }
            if self.session.is_down() {
                return fail(libc::ENETDOWN);
            }
            if deadline.is_some_and(|deadline| self.pulse.now() >= deadline) {
                return attempt();
            }
        }
    }

    /// Lets the stack do what there is to do now.
    pub(crate) fn run(&self) {
        lock(&self.stack).run();
    }

    /// A datagram arrives, and everything follows from it that happens at once, also in calls that waited for it.
    ///
    /// # Errors
    /// `EMSGSIZE` if it is longer than a frame.
    pub(crate) fn inject(&self, datagram: &[u8]) -> Result<()> {
        if datagram.len() > DATAGRAM_MAX {
            return fail(libc::EMSGSIZE);
        }
        self.wire.arrive(datagram);
        self.run();
        self.session.tell_owners();
        self.pulse.settle();
        Ok(())
    }

    /// The oldest datagram that left.
    ///
    /// # Errors
    /// `EMSGSIZE` if it is longer than `room`; it can still be taken.
    pub(crate) fn collect(&self, room: usize) -> Result<Option<(Instant, Vec<u8>)>> {
        self.run();
        self.wire.take(room)
    }

    /// The time, which asking for moves on by a microsecond.
    pub(crate) fn tick(&self) -> Instant {
        let mut stack = lock(&self.stack);
        let now = self.pulse.now() + STEP;
        self.reach(&mut stack, now);
        now
    }

    /// Lets time pass up to `until`.
    pub(crate) fn sleep(&self, until: Instant) {
        self.pass(until, || false);
    }

    /// Lets time pass until a datagram waits to be taken, up to `until` at most.
    pub(crate) fn wait_for_datagram(&self, until: Instant) {
        self.pass(until, || self.wire.has_left());
    }

    /// Jumps from one time at which something happens to the next.
    fn pass(&self, until: Instant, enough: impl Fn() -> bool) {
        let mut stuck = 0;
        loop {
            self.run();
            self.pulse.settle();
            let mut stack = lock(&self.stack);
            let now = self.pulse.now();
            if enough() || now >= until {
                return;
            }
            let next = [stack.next_deadline(), self.pulse.next_deadline()].into_iter().flatten().min();
            let to = match next {
                Some(at) if at > now => {
                    stuck = 0;
                    at
                }
                // It says that there is work at once; the turns that have just ended did not find it.
                Some(_) => {
                    stuck = (stuck + 1).min(STEP_DOUBLINGS_MAX);
                    now + STEP * (1 << stuck)
                }
                None => until,
            };
            self.reach(&mut stack, to.min(until));
        }
    }

    /// It is `now`: what is due happens, and sleepers whose time has come are woken.
    fn reach(&self, stack: &mut Stack, now: Instant) {
        self.pulse.advance(now);
        stack.run();
        if self.pulse.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.pulse.beat();
        }
    }

    /// `net.ipv4.tcp_notsent_lowat`, which the client's side of a socket looks at.
    pub(crate) fn notsent_lowat(&self) -> u32 {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).notsent_lowat
    }

    /// Gives a setting another value.
    ///
    /// # Errors
    /// `ENOENT` for a name that is none, `EINVAL` for a value that it cannot have.
    pub(crate) fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        if let Some(keys) = sysctl::keys(name, value)? {
            lock(&self.stack).set_keys(keys);
            return Ok(());
        }
        let settings = {
            let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            sysctl::set(&mut settings, name, value)?;
            *settings
        };
        lock(&self.stack).set(&settings);
        Ok(())
    }
}

fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => Ok(u64::from_ne_bytes(bytes)),
        Ok(_) => fail(libc::EAGAIN),
        Err(error) => Err(Errno::from(error)),
    }
}

fn lock(stack: &Mutex<Stack>) -> MutexGuard<'_, Stack> {
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}
