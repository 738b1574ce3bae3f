//! Network namespaces for end-to-end tests: made under a name of their own, removed by a guard.
//!
//! Owns the names `xt-PREFIX-PID-N` under `/run/netns`, and nothing else.
//!
//! Invariants:
//! * a name carries the process that made it, so two test programs never meet in one namespace;
//! * what a killed test left behind is removed by the next one (its process no longer exists);
//! * nothing here touches an interface of the namespace the test was started in.
//!
//! Called by tests only. A test begins with [`require_root!`], which skips it by name where namespaces cannot be made.

mod error;
mod netns;
mod process;
mod skip;
mod stale;
mod veth;

pub use error::NetnsError;
pub use netns::Netns;
pub use process::Process;
pub use skip::{report_skipped, why_not, why_program_missing};
pub use veth::{VethOptions, veth};
