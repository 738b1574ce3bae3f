//! Instructions for each packet of fixed traces, counted by callgrind, against `budget.toml`.
//!
//! Counts repeat exactly, so a change of a hundred instructions shows although no clock could see it. They depend on the
//! compiler, and through libc's `memcpy` on the processor's vectors: new ones may need new figures. Only optimised builds are measured
//! (`make bench-budget`, and a step of CI), so others have no such tests.

#![cfg(not(debug_assertions))]
#![allow(clippy::expect_used)] // helpers of tests

use std::collections::BTreeMap;
use std::process::Command;
use xmit_netns::{report_skipped, why_program_missing};

/// Packets of the short and the long run; their difference leaves out what starting costs.
const SHORT: u64 = 2_000;
const LONG: u64 = 6_000;

/// As in `budget.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    tolerance_percent: f64,
    instructions_per_packet: BTreeMap<String, f64>,
}

/// Instructions of one run, as callgrind reports them on its last lines.
fn instructions(trace: &str, packets: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", env!("CARGO_BIN_EXE_trace"), trace])
        .arg(packets.to_string())
        .output()
        .expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind's count");
    collected.1.trim().parse().expect("a number")
}

fn per_packet(trace: &str) -> f64 {
    (instructions(trace, LONG) - instructions(trace, SHORT)) as f64 / (LONG - SHORT) as f64
}

#[test]
fn budget_of_instructions() {
    if let Some(why) = why_program_missing("valgrind") {
        return report_skipped("budget_of_instructions", &why);
    }
    let budget: Budget = toml::from_str(include_str!("../budget.toml")).expect("budget.toml");
    let mut over = Vec::new();
    for (trace, allowed) in &budget.instructions_per_packet {
        let found = per_packet(trace);
        let change = (found / allowed - 1.0) * 100.0;
        println!("{trace}: {found:.1} instructions a packet, budget {allowed}, {change:+.2} %");
        if change.abs() > budget.tolerance_percent {
            over.push(format!("{trace}: {found:.1} instead of {allowed}"));
        }
    }
    assert!(over.is_empty(), "{over:?}: make it cheaper, or change benches/budget.toml in the same commit and say why");
}

#[test]
fn counts_repeat_exactly() {
    if let Some(why) = why_program_missing("valgrind") {
        return report_skipped("counts_repeat_exactly", &why);
    }
    assert_eq!(instructions("mixture", SHORT), instructions("mixture", SHORT));
}
