//! The embedded stack: a lane with everything that the daemon would put around it.
//!
//! * `config`: the text of `xm_init`; `port`: the wire of raw IP datagrams;
//! * `run`: the lane and its clock; `sysctl`: settings by the names that Linux gives them; `process`: the one stack of this process.

mod config;
mod port;
mod process;
mod run;
mod sysctl;

pub(crate) use process::{Process, begin, current, end};
