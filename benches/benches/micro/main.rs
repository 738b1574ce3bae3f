//! Micro-benchmarks of single steps of a packet: `cargo bench -p xmit-benches --bench micro [filter]`.
//!
//! Run as a test (`cargo test`, or `cargo bench -- --test`) each body runs once, with tables small enough to take no time.

mod el3c501;
mod lane;
mod qdisc;
mod rings;
mod route;
mod timers;
mod wake;
mod wire;

use criterion::{Criterion, criterion_group, criterion_main};

/// True if this run only shows that the benchmarks work. Cargo passes `--bench` when it wants figures.
fn is_test() -> bool {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    !asked("--bench") || asked("--test")
}

fn all(c: &mut Criterion) {
    wire::bench(c);
    route::bench(c);
    qdisc::bench(c);
    rings::bench(c);
    wake::bench(c);
    timers::bench(c);
    el3c501::bench(c);
    lane::bench(c);
}

criterion_group!(micro, all);
criterion_main!(micro);
