//! The `xmit` command: the lab, the doctor, and the operator's view of a running daemon.
//!
//! Owns no state of its own. The lab ([`lab`]) drives `ip` and `ethtool`; the doctor ([`doctor`]) tries what the daemon
//! would need; the demo ([`demo`]) shows all of it at work; everything else asks the daemon over its operator API and prints the answer ([`view`], [`capture`]).
//!
//! Invariants:
//! * every command undoes what it made when it fails half-way;
//! * a failure is a sentence with the cure, and its kind is the exit code ([`Failure::exit_code`]);
//! * `--json` prints what a program can read, and nothing else.

#![forbid(unsafe_code)]

pub mod capture;
pub mod cli;
pub mod demo;
pub mod doctor;
pub mod failure;
pub mod impair;
pub mod lab;
pub mod namespace;
pub mod system;
pub mod table;
pub mod view;
pub mod wait;

pub use cli::Cli;
pub use failure::Failure;
