//! Programs that a test runs: to their end, or beside it under a guard.

use std::process::{Child, Command};

use crate::NetnsError;

/// A running program; dropping it kills it, so that nothing keeps a removed namespace alive.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, which may have its pipes set up already.
    pub fn start(mut command: Command) -> Result<Self, NetnsError> {
        match command.spawn() {
            Ok(child) => Ok(Self { child }),
            Err(source) => Err(NetnsError::Start { command: line_of(&command), source }),
        }
    }

    /// The process itself, to wait for it, to read its pipes or to ask for its id.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the program has already ended and was waited for, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and gives its standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<String, NetnsError> {
    let output = command.output().map_err(|source| NetnsError::Start { command: line_of(command), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(NetnsError::Refused { command: line_of(command), status: output.status, stderr })
}

/// The words of a command line.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace()
}

fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
