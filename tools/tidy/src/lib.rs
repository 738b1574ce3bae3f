//! The house rules as code: what a reviewer should not have to look for.
//!
//! Owns the rules (one file each under `rules`), the reading of the tree, and the exceptions list. The rules run as
//! the tests in `tests/house.rs`, one test a rule.
//!
//! Invariants:
//! * a finding names file, line and cure;
//! * an exception names file, rule and reason, and one that excuses nothing is a finding itself;
//! * rules read Rust through its tokens, so that a word in a comment or a string is never taken for code.
//!
//! Called by `make test`.

#![forbid(unsafe_code)]

pub mod exceptions;
pub mod finding;
pub mod house;
pub mod rules;
pub mod source;
pub mod tree;

pub use exceptions::Exceptions;
pub use finding::{Finding, Rule};
pub use house::House;
pub use source::Source;
pub use tree::Tree;
