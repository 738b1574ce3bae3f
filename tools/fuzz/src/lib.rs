//! The bodies of the fuzz targets: what must hold for any bytes.
//!
//! Each takes raw bytes, must not panic, and asserts that what a parser accepts is written back as it was. The targets in
//! `fuzz_targets` run them under libFuzzer; `dataplane/tests/parsers.rs` runs them on stable with every `cargo test`.
#![forbid(unsafe_code)]

pub mod bodies;
pub mod connection;
pub mod stranger;
