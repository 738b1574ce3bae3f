//! Running the system's own programs.

use std::process::Command;

use crate::Failure;

/// Runs a command line (split at blanks, no shell) to its end and gives what it printed.
pub fn run(line: &str) -> Result<String, Failure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    run_words(&words)
}

/// Runs a command given word by word. The directories of administrators are searched too, since `su` and some shells
/// leave them out of PATH.
pub fn run_words(words: &[&str]) -> Result<String, Failure> {
    let line = words.join(" ");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(words.first().unwrap_or(&"true"));
    command.args(words.iter().skip(1)).env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let output = command.output().map_err(|source| Failure::Start { command: line.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Refused { command: line, stderr })
}

/// Whether this process may change the system's network, as far as its user tells.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
