//! The `xmit` command: reads the command line, does it, and turns a failure into a sentence and an exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use xmit_tools::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xmit: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
