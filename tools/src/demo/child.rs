//! A program that the demo starts and ends, by its process id and no other way.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::Failure;

/// How long a program may take to end after SIGTERM.
const END_MAX: Timespec = Timespec { tv_sec: 3, tv_nsec: 0 };

/// A running program. Dropping it ends it and waits until it is gone.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts `command` in a process group of its own, so that Ctrl-C reaches only us and the order of ending is ours.
    pub fn start(command: &mut Command) -> Result<Self, Failure> {
        let line = format!("{command:?}");
        let child = command.process_group(0).spawn();
        Ok(Self { child: child.map_err(|source| Failure::Start { command: line, source })? })
    }

    /// The process itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, and answers how it did.
    pub fn stop(mut self) -> Option<ExitStatus> {
        self.end()
    }

    fn end(&mut self) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        end(Pid::from_child(&self.child), END_MAX);
        self.child.wait().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a process: SIGTERM, and SIGKILL if it is still there after [`END_MAX`].
pub fn end_process(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        end(pid, END_MAX);
    }
}

fn end(pid: Pid, limit: Timespec) {
    // Whatever fails here fails because the process is gone, which is what is wanted.
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let _ = kill_process(pid, Signal::TERM);
    if poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)) == Ok(0) {
        let _ = kill_process(pid, Signal::KILL);
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&END_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_when_asked_and_when_it_does_not_listen() {
        let mut sleep = Command::new("sleep");
        let status = Running::start(sleep.arg("60")).unwrap().stop().unwrap();
        assert!(!status.success(), "by SIGTERM");
        let mut deaf = Command::new("sh");
        deaf.args(["-c", "trap '' TERM; echo; exec sleep 60"]).stdout(std::process::Stdio::piped());
        let mut deaf = Running::start(&mut deaf).unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(deaf.child().stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        end(Pid::from_child(deaf.child()), Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
        assert!(deaf.ended().is_some());
    }
}
