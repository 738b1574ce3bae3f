//! The daemon against the Linux kernel, end to end: packets on veth pairs, taps and emulated cards in network namespaces
//! of their own, kernel sockets at one end, clients over shared memory at the other.
//!
//! Each file is one subject. What they share is `harness`: a lab (namespaces, wires, directory), a daemon process, client
//! processes, and waiting with a limit. Everything that a test makes is removed by a guard, also when it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod adopted;
mod death;
mod exchange;
mod faults;
mod lanes;
mod operator;
mod quotas;
mod readiness;
mod refusals;
mod steering;
mod tcp;

/// Not a test: what client processes of the tests run.
#[test]
#[ignore = "runs in client processes that other tests start"]
fn child() {
    harness::run_as_child();
}
