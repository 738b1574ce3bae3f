//! The demo as a person runs it: whole, interrupted, and after one that was killed.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of a test fail as the test does

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use xmit_netns::{report_skipped, require_root};

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xmit"));
    command.arg("demo").args(arguments);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What stands behind the last `Shown:`.
fn shown(output: &Output) -> String {
    let text = text(output);
    let (_, shown) = text.rsplit_once("Shown:\n").unwrap_or_else(|| panic!("nothing was shown:\n{text}"));
    shown.to_owned()
}

/// Ends the test by name where the demo against the kernel cannot run.
fn can_not(test: &str) -> bool {
    let why = if !Path::new(env!("CARGO_BIN_EXE_xmit")).with_file_name("xmitd").exists() {
        Some("xmitd is not built beside xmit: cargo build -p xmitd")
    } else {
        let doctor = Command::new(env!("CARGO_BIN_EXE_xmit")).arg("doctor").output().unwrap();
        (!doctor.status.success()).then_some("`xmit doctor` finds that AF_XDP cannot be used here")
    };
    why.inspect(|why| report_skipped(test, why)).is_some()
}

#[test]
fn without_root_two_stacks_show_the_same_at_every_run() {
    let [first, second] = [(); 2].map(|()| demo(&["--simulated"]).output().unwrap());
    assert!(first.status.success(), "{}", text(&first));
    let lines = shown(&first);
    assert_eq!(lines, shown(&second), "virtual time");
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("  two stacks on a simulated wire"), "{lines:#?}");
    assert!(lines[1].starts_with("    ping  20 of 20 answered"), "{lines:#?}");
    assert!(lines[2].starts_with("    UDP   20000 of 20000 datagrams echoed"), "{lines:#?}");
    assert!(lines[2].ends_with("0 sent again, 0 wrong"), "a perfect wire loses nothing: {lines:#?}");
    assert_eq!(lines[3], "    pool  0 frames lost");
    assert_eq!(lines[4], "  two stacks on two 3C501s (3C501, wire timing, 10 Mbit/s)");
    assert!(lines[5].starts_with("    ping  20 of 20 answered"), "{lines:#?}");
    assert!(lines[6].starts_with("    UDP   2000 of 2000 datagrams echoed"), "{lines:#?}");
    assert!(lines[7].ends_with(" collisions") && lines[7] != "    coax  0 collisions", "{lines:#?}");
    assert_eq!(lines[9], "All 2 held.");
}

#[test]
fn for_programs_it_is_one_line_of_json() {
    let output = demo(&["--simulated", "--json"]).output().unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text(&output)).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 2);
    assert_eq!(shown[0]["pings"]["answered"], 20);
    assert_eq!(shown[0]["frames_lost"], 0);
    assert_eq!(text(&output).lines().count(), 1);
}

/// A demo of its own name, started and read up to a line with `word`.
fn started(name: &str, word: &str) -> (Child, BufReader<impl Read>) {
    let mut child = demo(&["--name", name]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.lines().last().is_some_and(|line| line.contains(word)) {
        assert!(output.read_line(&mut said).unwrap() > 0, "it ended before it said `{word}`:\n{said}");
    }
    (child, output)
}

/// What is left of a demo.
fn left(name: &str) -> [&'static str; 3] {
    let directory = format!("/run/xmit-demo-{name}");
    let namespaces = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let is_there = |there: bool, what| if there { what } else { "" };
    [
        is_there(text(&namespaces).contains(&format!("{name}-")), "namespaces"),
        is_there(Path::new(&directory).exists(), "directory"),
        is_there(is_in_a_command_line(&directory), "processes"),
    ]
}

fn is_in_a_command_line(what: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(what))
}

#[test]
fn interrupted_it_removes_what_it_made() {
    require_root!("interrupted_it_removes_what_it_made", "ping");
    if can_not("interrupted_it_removes_what_it_made") {
        return;
    }
    for (signal, word) in [(Signal::INT, "goes on from here"), (Signal::TERM, "The echo has a socket")] {
        let name = format!("xdi{}", std::process::id());
        let (mut child, mut output) = started(&name, word);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
        assert_eq!(left(&name), [""; 3], "after {signal:?} at `{word}`");
    }
}

#[test]
fn as_root_the_kernel_is_answered_also_after_a_demo_that_was_killed() {
    let test = "as_root_the_kernel_is_answered_also_after_a_demo_that_was_killed";
    require_root!(test, "ping");
    if can_not(test) {
        return;
    }
    let name = format!("xdk{}", std::process::id());
    let (mut killed, output) = started(&name, "The echo has a socket");
    killed.kill().unwrap();
    killed.wait().unwrap();
    drop(output);
    assert_eq!(left(&name), ["namespaces", "directory", "processes"], "a killed demo cleans nothing up");

    let output = demo(&["--name", &name]).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("What a killed demo had left was removed."), "{said}");
    let lines = shown(&output);
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("  xmitd on AF_XDP (AF_XDP "), "{lines:#?}");
    assert!(lines[1].starts_with("    ping  20 of "), "{lines:#?}");
    assert!(lines[2].starts_with("    UDP   20000 of 20000 datagrams echoed"), "{lines:#?}");
    assert!(lines[3].starts_with("    TCP   kernel to xmit, 16777216 of 16777216 bytes came back, "), "{lines:#?}");
    assert!(lines[4].starts_with("    TCP   xmit to kernel, 16777216 of 16777216 bytes came back, "), "{lines:#?}");
    assert!(lines[5].contains("lines on the kernel's connection"), "{lines:#?}");
    assert!(lines[6].starts_with("  xmitd on two 3C501s (3C501, wire timing, 10 Mbit/s)"), "{lines:#?}");
    assert!(lines[7].starts_with("    ping  20 of "), "cards may be deaf for a moment: {lines:#?}");
    assert!(lines[8].starts_with("    UDP   500 of 500 datagrams echoed"), "{lines:#?}");
    assert!(lines[9].starts_with("    TCP   kernel to xmit, 131072 of 131072 bytes came back, "), "{lines:#?}");
    assert!(lines[10].starts_with("    TCP   xmit to kernel, 131072 of 131072 bytes came back, "), "{lines:#?}");
    assert_eq!(*lines.last().unwrap(), "All 2 held.");
    assert_eq!(left(&name), [""; 3]);
}
