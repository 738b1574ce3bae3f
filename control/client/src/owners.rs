//! Who is told of urgent data by a signal: `F_SETOWN` and `SIGURG` (`sk_send_sigurg`).
//!
//! Nobody in this process looks at a socket while its program computes. So the first socket with an owner starts a thread that waits in
//! the session like any other and signals; it ends with the last one. Where the stack is embedded in this process its runs do it.
//!
//! Invariant: an owner gets one signal for each mark that a look finds new.

use crate::session::Inner;
use crate::wait::lock;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// The sockets of a session that have an owner.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    list: Mutex<Vec<Owned>>,
    /// The list is not empty.
    any: AtomicBool,
    /// A thread looks. Guarded by the list's lock.
    watched: AtomicBool,
}

#[derive(Debug)]
struct Owned {
    slot: u32,
    /// A process, or a group of them if negative.
    owner: i32,
    /// The count of the last mark that was told of.
    told: u32,
}

/// A session that nobody has any more is noticed so soon.
const LOOK: Duration = Duration::from_secs(1);
const WATCH_STACK_BYTES: usize = 128 << 10;

impl Inner {
    /// Gives `slot`'s socket an owner; 0 is none.
    pub(crate) fn set_owner(self: &Arc<Self>, slot: u32, owner: i32) -> io::Result<()> {
        let mut list = lock(&self.owners.list);
        list.retain(|owned| owned.slot != slot);
        if owner != 0 {
            list.push(Owned { slot, owner, told: self.urgent_count(slot) });
        }
        self.owners.any.store(!list.is_empty(), Ordering::Relaxed);
        let watch = owner != 0 && !self.is_embedded() && !self.owners.watched.load(Ordering::Relaxed);
        if watch {
            let session = Arc::downgrade(self);
            let thread = std::thread::Builder::new().name("xmit-urgent".into()).stack_size(WATCH_STACK_BYTES);
            thread.spawn(move || watch_session(&session))?;
            self.owners.watched.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The owner of `slot`'s socket.
    pub(crate) fn owner(&self, slot: u32) -> i32 {
        lock(&self.owners.list).iter().find(|owned| owned.slot == slot).map_or(0, |owned| owned.owner)
    }

    /// Forgets the owner of a socket that is closed.
    pub(crate) fn disown(&self, slot: u32) {
        if self.owners.any.load(Ordering::Relaxed) {
            let mut list = lock(&self.owners.list);
            list.retain(|owned| owned.slot != slot);
            self.owners.any.store(!list.is_empty(), Ordering::Relaxed);
        }
    }

    /// Signals the owners of sockets with a new mark. False if there is no owner at all. Bounded by the sockets with one.
    pub(crate) fn tell_owners(&self) -> bool {
        if !self.owners.any.load(Ordering::Relaxed) {
            return false;
        }
        for owned in lock(&self.owners.list).iter_mut() {
            let count = self.urgent_count(owned.slot);
            if std::mem::replace(&mut owned.told, count) != count {
                signal(owned.owner);
            }
        }
        true
    }

    fn urgent_count(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |slot| lock(&slot.stream_rx).urgent().0)
    }

    /// True if there is nothing to look after any more; the thread is gone then.
    fn ends_watch(&self) -> bool {
        let list = lock(&self.owners.list);
        if list.is_empty() {
            self.owners.watched.store(false, Ordering::Relaxed);
        }
        list.is_empty()
    }
}

/// Waits in a session until it has no socket with an owner, or is over.
fn watch_session(session: &Weak<Inner>) {
    while let Some(session) = session.upgrade() {
        let deadline = Some(session.now() + LOOK);
        let over = session.wait_for(deadline, || {
            session.check_up()?;
            Ok((!session.tell_owners()).then_some(()))
        });
        let down = over.as_ref().is_err_and(|error| error.raw_os_error() != Some(libc::EAGAIN));
        if down || session.ends_watch() {
            return;
        }
    }
}

/// An owner that is gone, or another user's, hears nothing, as in Linux. Group 1 neither: kill(2) takes its number for everybody.
fn signal(owner: i32) {
    let _ = match Pid::from_raw(owner.saturating_abs()) {
        Some(pid) if owner > 0 => kill_process(pid, Signal::URG),
        Some(group) if group != Pid::INIT => kill_process_group(group, Signal::URG),
        _ => Ok(()),
    };
}
