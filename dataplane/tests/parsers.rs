//! Runs the bodies of the fuzz targets on stable: over the seeds, and over inputs made from them and from nothing.
//!
//! A failure prints the input; put it into `tools/fuzz/seeds/<target>` and it stays a test.

#![allow(clippy::unwrap_used, clippy::panic)] // a test: what goes wrong shall be loud

#[path = "../../tools/fuzz/src/bodies.rs"]
#[allow(unreachable_pub)] // public in the crate of the fuzz targets
mod bodies;
#[path = "../../tools/fuzz/src/connection.rs"]
#[allow(unreachable_pub)] // public in the crate of the fuzz targets
mod connection;
#[path = "../../tools/fuzz/src/pair.rs"]
#[allow(unreachable_pub)] // public in the crate of the fuzz targets
mod pair;
#[path = "../../tools/fuzz/src/stranger.rs"]
#[allow(unreachable_pub, dead_code)] // the same, and attacks use more of it
mod stranger;

// What `pair` does is what the simulations do, which use more of it.
#[path = "streams/bounds.rs"]
mod bounds;
#[path = "streams/ends.rs"]
mod ends;
#[path = "streams/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "streams/world.rs"]
#[allow(dead_code)]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const INPUTS_PER_TARGET: usize = 100_000;
/// A script on a connection takes a host of its own.
const SCRIPTS: usize = 2_000;
/// One on a pair takes two, and ends with whole transfers.
const PAIR_SCRIPTS: usize = 500;
const SEED: u64 = 0x6d69_7478;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds in {}", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Every second input is a seed with a few bytes changed and another length; the others are noise.
fn input(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    if random.below(2) == 0 {
        let len = random.below(96);
        return (0..len).map(|_| random.next() as u8).collect();
    }
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(5) {
        let at = random.below(bytes.len());
        let value = [random.next() as u8, 0, 0xff, bytes.get(at).map_or(0, |b| b.wrapping_add(1))][random.below(4)];
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => bytes.extend((0..random.below(40)).map(|at| at as u8)),
        _ => (),
    }
    bytes
}

fn run(target: &str, body: fn(&[u8]), bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(bytes))) {
        eprintln!("target {target}, input {bytes:02x?}");
        std::panic::resume_unwind(panic);
    }
}

fn survives(target: &str, body: fn(&[u8]), inputs: usize) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| run(target, body, seed));
    let mut random = Random(SEED);
    for _ in 0..inputs {
        run(target, body, &input(&mut random, &seeds));
    }
}

#[test]
fn every_parser_survives_seeds_and_random_inputs() {
    for (target, body) in bodies::TARGETS {
        survives(target, body, INPUTS_PER_TARGET);
    }
}

#[test]
fn a_connection_survives_seeds_and_random_scripts() {
    survives("tcp_connection", connection::tcp_connection, SCRIPTS);
}

#[test]
fn a_pair_keeps_to_the_model_over_seeds_and_random_scripts() {
    survives("tcp_pair", pair::tcp_pair, PAIR_SCRIPTS);
}
