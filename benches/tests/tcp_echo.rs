//! The TCP benchmark once, briefly, against the kernel and against xmitd, so that it does not rot: every scenario gives an answer.

#![allow(clippy::expect_used)] // helpers of tests

use std::path::Path;
use std::process::Command;
use xmit_netns::{report_skipped, require_root};

/// Runs every kind of scenario once against one contender, and answers the report's rows.
fn rows(kind: &str) -> Vec<serde_json::Value> {
    let report = std::env::temp_dir().join(format!("xmit-tcp-echo-{kind}-{}.json", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_tcp_echo"))
        .args(["--rounds", "1", "--seconds", "0.05", "--scenarios", "requests-1,requests-8,connects-4,in-1,out-1"])
        .args(["--variant", &format!("{kind}:kind={kind}"), "--json"])
        .arg(&report)
        // It takes the daemon that is there: a test builds nothing.
        .env_remove("CARGO")
        .output()
        .expect("the benchmark runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read(&report).expect("a report");
    let _ = std::fs::remove_file(&report);
    serde_json::from_slice(&text).expect("a report of rows")
}

fn assert_answers(kind: &str) {
    let rows = rows(kind);
    assert_eq!(rows.len(), 5, "{rows:?}");
    for row in rows {
        assert!(row["rate"]["median"].as_f64().is_some_and(|rate| rate > 0.0), "{row}");
        assert_eq!(row["lost"], 0, "{row}");
    }
}

#[test]
fn the_kernel_is_measured() {
    require_root!("the_kernel_is_measured", "ethtool", "setpriv");
    assert_answers("kernel");
}

#[test]
fn xmitd_is_measured() {
    require_root!("xmitd_is_measured", "ethtool", "setpriv");
    if !Path::new(env!("CARGO_BIN_EXE_tcp_echo")).with_file_name("xmitd").exists() {
        return report_skipped("xmitd_is_measured", "needs the daemon: cargo build -p xmitd");
    }
    assert_answers("xmitd");
}
