//! A lane and a program on the client library in one thread: the cheapest way to run both that a user of the library has.
//!
//! Sockets are made while another thread turns the lane, because the library's calls wait for their answers. After that nothing waits:
//! the thread turns the lane, looks at the poller without waiting, and serves what is ready. No side ever sleeps, so no bell is rung.

use crate::host::{Ends, Host};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use xmit::Session;
use xmit_nic::Port;
use xmit_shared::clock;
use xmit_shared::session::SessionConfig;

/// A lane with one session of the client library.
#[derive(Debug)]
pub struct Node {
    /// The lane.
    pub host: Host,
    /// The program's session.
    pub session: Session,
    /// Open as long as the daemon of the session is alive.
    _alive: OwnedFd,
}

impl Node {
    /// A node on `port`, at its end of the wire.
    ///
    /// # Errors
    /// If the kernel has no memory, descriptors or threads.
    pub fn new(ends: Ends, port: Box<dyn Port>, config: &SessionConfig, cycles: fn() -> u64) -> io::Result<Self> {
        let mut host = Host::new(ends, port, clock::monotonic(), cycles)?;
        let client = host.attach(config)?;
        let (connection, alive) = rustix::pipe::pipe()?;
        Ok(Self { host, session: Session::new(client, connection)?, _alive: alive })
    }
}

/// Runs `work` while other threads turn all of `hosts`: socket calls of the library wait for their lanes.
///
/// # Errors
/// Those of `work`.
pub fn while_turning<T>(hosts: &mut [&mut Host], work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for host in &mut *hosts {
                    host.turn(clock::monotonic());
                    host.control();
                }
                // The threads may share a core.
                rustix::thread::sched_yield();
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}
