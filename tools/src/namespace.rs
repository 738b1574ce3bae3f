//! Work inside a network namespace: sockets that it opens stay there.

use std::fs::File;
use std::io;
use std::panic::resume_unwind;
use std::process::Command;

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Failure;

/// Does `work` on a thread that entered the namespace.
pub fn inside<T: Send>(
    namespace: &str,
    doing: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Result<T, Failure> {
    let enter_and_work = || {
        let file = File::open(format!("/run/netns/{namespace}"))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    };
    enter_and_work().map_err(Failure::io(doing))
}

/// A program to be run inside the namespace.
pub fn program(namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("ip");
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).args(["netns", "exec", namespace]).arg(program);
    command
}
