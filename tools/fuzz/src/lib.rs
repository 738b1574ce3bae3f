//! The bodies of the fuzz targets: what must hold for any bytes.
//!
//! Each takes raw bytes, must not panic, and asserts that what a parser accepts is written back as it was. The targets in
//! `fuzz_targets` run them under libFuzzer; `dataplane/tests/parsers.rs` runs them on stable with every `cargo test`.
#![forbid(unsafe_code)]

pub mod bodies;
pub mod connection;
pub mod pair;
pub mod stranger;

// What the simulations do to a pair, and what must hold of it. They use more of it.
#[path = "../../../dataplane/tests/streams/bounds.rs"]
mod bounds;
#[path = "../../../dataplane/tests/streams/ends.rs"]
mod ends;
#[path = "../../../dataplane/tests/streams/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "../../../dataplane/tests/streams/world.rs"]
#[allow(dead_code)]
mod world;
