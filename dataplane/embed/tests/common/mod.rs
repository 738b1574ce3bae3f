//! What the tests of the embedded stack share: the calls without their pointers, packets, and one run at a time.
#![allow(dead_code)] // each test binary uses a part

mod calls;
mod packet;

pub(crate) use calls::*;
pub(crate) use packet::*;

use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Our address in the default configuration, and a peer's.
pub(crate) const HOST: &str = "192.168.0.2";
pub(crate) const PEER: &str = "192.0.2.1";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A run of the stack. A process has one at a time.
pub(crate) struct Run(#[allow(dead_code)] MutexGuard<'static, ()>);

impl Run {
    /// Begins a run with the default addresses, repeatable.
    pub(crate) fn begin() -> Self {
        Self::with("seed=1")
    }

    pub(crate) fn with(config: &str) -> Self {
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let text = CString::new(config).unwrap();
        assert_eq!(init(&text), 0, "{config}");
        Self(guard)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        xmit_embed::xm_fini();
    }
}

/// The error number that the last call of this thread left.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Waits until `thread` (its kernel number) sleeps in the kernel.
pub(crate) fn wait_until_asleep(thread: i32) {
    for _ in 0..10_000_000 {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        // The state follows the name, which stands in parentheses.
        if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')) {
            return;
        }
        std::thread::yield_now();
    }
    unreachable!("thread {thread} does not sleep");
}

/// Runs `call` in a thread, and goes on when it sleeps.
pub(crate) fn blocked<R: Send + 'static>(call: impl FnOnce() -> R + Send + 'static) -> std::thread::JoinHandle<R> {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        call()
    });
    wait_until_asleep(told.recv().unwrap());
    thread
}
