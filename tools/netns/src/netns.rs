//! One network namespace and its guard.

use std::fs::File;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{Process, output_of, words};
use crate::{NetnsError, stale};

/// Where `ip netns` keeps its names.
pub(crate) const NAMES: &str = "/run/netns";

static NEXT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A network namespace with its loopback up; dropping it removes the namespace and every interface in it.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace called `xt-PREFIX-PID-N`, after removing those that dead test programs left.
    pub fn new(prefix: &str) -> Result<Self, NetnsError> {
        SWEEP.call_once(stale::sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xt-{prefix}-{}-{number}", std::process::id());
        output_of(Command::new("ip").args(["netns", "add", &name]))?;
        let made = Self { name };
        made.command("ip link set lo up")?;
        Ok(made)
    }

    /// The name as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file whose descriptor stands for the namespace.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(NAMES).join(&self.name)
    }

    /// Runs `work` on a thread that entered the namespace: sockets it opens belong here. A panic of `work` goes on
    /// in the caller, so assertions inside count.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        let enter = |source| NetnsError::Enter { name: self.name.clone(), source };
        let file = File::open(self.path()).map_err(enter)?;
        std::thread::scope(|scope| {
            let inside = move || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            };
            let thread = std::thread::Builder::new()
                .name(self.name.clone())
                .spawn_scoped(scope, inside)
                .map_err(|source| NetnsError::Thread { name: self.name.clone(), source })?;
            let result: Result<T, rustix::io::Errno> = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            result.map_err(|errno| enter(errno.into()))
        })
    }

    /// Runs a command line (split at blanks, no shell) inside the namespace, waits, and gives what it printed.
    pub fn command(&self, line: &str) -> Result<String, NetnsError> {
        let mut all = words(line);
        let program = all.next().unwrap_or("true");
        output_of(self.program(program).args(all))
    }

    /// A program to be run inside the namespace, with `/sys` showing the namespace's own interfaces.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Starts a command line inside the namespace and leaves it running; the guard kills it.
    pub fn start(&self, line: &str) -> Result<Process, NetnsError> {
        let mut all = words(line);
        let program = all.next().unwrap_or("true");
        let mut command = self.program(program);
        command.args(all);
        Process::start(command)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        stale::remove(&self.name);
    }
}
