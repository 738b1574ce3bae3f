//! The stack in a program's own process: one lane on raw IP datagrams and a clock that the program drives, behind a C ABI.
//!
//! `include/xm_abi.h` is the interface. A run begins with `xm_init` and ends with `xm_fini`; a process may do many in turn.
//!
//! * `stack`: the lane, its port, the control thread's part, the clock, the settings by their Linux names;
//! * `file`: descriptors and the calls of POSIX on them, over the sockets of the client crate;
//! * `abi`: the exported functions: pointers in, results and `errno` out.
//!
//! Invariants:
//! * a socket here is a client's socket: the same code, over a session region in this process's memory;
//! * a call lets the stack run before it returns, so what it causes has happened; a call that waits sleeps in the kernel;
//! * the stack is run by whoever calls, one at a time, and never while a call of this crate holds another lock.
#![deny(unsafe_code)]

mod abi;
mod errno;
mod file;
mod stack;

pub use abi::*;
