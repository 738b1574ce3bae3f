//! The lab is made, made again, used, and undone; driven as a person would, through the `xmit` command.

#![allow(clippy::unwrap_used)] // helpers of a test fail as the test does

use std::process::{Command, Output};

use xmit_netns::require_root;

/// The command with a lab of its own name, so that a person's lab is left alone.
fn xmit(arguments: &[&str]) -> Output {
    let name = format!("xlt{}", std::process::id());
    Command::new(env!("CARGO_BIN_EXE_xmit")).args(arguments).args(["--name", &name]).output().unwrap()
}

/// Takes the lab down however the test ends.
struct Undo;

impl Drop for Undo {
    fn drop(&mut self) {
        xmit(&["lab", "down"]);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn lab_comes_up_twice_carries_packets_and_goes_without_trace() {
    require_root!("lab_comes_up_twice_carries_packets_and_goes_without_trace", "ping");
    let _undo = Undo;
    for _ in 0..2 {
        let up = xmit(&["lab", "up", "--queues", "2", "--json"]);
        assert!(up.status.success(), "{}", text(&up.stderr));
        assert!(text(&up.stdout).contains("\"up\":true"), "{}", text(&up.stdout));
    }
    let a = format!("xlt{}-a", std::process::id());
    let ping =
        Command::new("ip").args(["netns", "exec", &a, "ping", "-c", "1", "-W", "2", "10.77.0.3"]).output().unwrap();
    assert!(ping.status.success(), "{}", text(&ping.stdout));
    let offload = Command::new("ip").args(["netns", "exec", &a, "ethtool", "-k", "xa0"]).output().unwrap();
    assert!(text(&offload.stdout).contains("tx-checksumming: off"));

    for _ in 0..2 {
        let down = xmit(&["lab", "down", "--json"]);
        assert!(down.status.success(), "{}", text(&down.stderr));
        assert!(text(&down.stdout).contains("\"up\":false"));
    }
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!text(&left.stdout).contains(&a));
}

#[test]
fn half_made_lab_is_replaced() {
    require_root!("half_made_lab_is_replaced");
    // A second lab in the same process needs a second name.
    let name = format!("xlh{}", std::process::id());
    let lab = |action: &str| {
        Command::new(env!("CARGO_BIN_EXE_xmit")).args(["lab", action, "--json", "--name", &name]).output().unwrap()
    };
    assert!(Command::new("ip").args(["netns", "add", &format!("{name}-b")]).status().unwrap().success());
    let up = lab("up");
    let down = lab("down");
    assert!(text(&up.stdout).contains("\"up\":true"), "{}", text(&up.stderr));
    assert!(down.status.success());
}

#[test]
fn without_a_daemon_the_sentence_says_so_and_the_exit_code_is_three() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xmit")).args(["stat", "--socket", "/nonexistent/op.sock"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("xmitd --config"), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}
