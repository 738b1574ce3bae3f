//! The exported functions: pointers become slices and values, results become numbers and `errno`.
//!
//! * `memory`: everything that touches the caller's memory; `sockets`, `transfer`, `control`, `events`, `bulk`: the calls; `run`: the wire,
//!   the clock and the run itself.
//!
//! Invariants:
//! * every call passes [`call`]: a panic becomes `EIO` and goes no further;
//! * a pointer that cannot be one (the first page, beyond the user's half) is `EFAULT`, as from the kernel. Any other is believed: it is the
//!   caller's own memory.

mod bulk;
mod control;
mod events;
mod memory;
mod run;
mod sockets;
mod transfer;

pub use bulk::*;
pub use control::*;
pub use events::*;
pub use run::*;
pub use sockets::*;
pub use transfer::*;

use crate::errno::{Errno, Result, fail};
use crate::stack::{Process, current};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Makes a call on the run that has begun; its result as C wants it.
fn call(body: impl FnOnce(&Process) -> Result<usize>) -> isize {
    guard(|| {
        let process = current()?;
        let result = body(&process);
        process.pulse.leave();
        result
    })
}

/// The same for calls whose result is an `int`.
fn call_int(body: impl FnOnce(&Process) -> Result<i32>) -> i32 {
    call(|process| body(process).map(|value| value as usize)) as i32
}

/// The edge: no panic passes, and errors become `errno`.
fn guard(body: impl FnOnce() -> Result<usize>) -> isize {
    match catch_unwind(AssertUnwindSafe(body)).unwrap_or(fail(libc::EIO)) {
        Ok(value) => value as isize,
        Err(Errno(number)) => {
            memory::set_errno(number);
            -1
        }
    }
}
