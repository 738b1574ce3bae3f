//! Calls that have no place in the house, or only one.

use crate::{Finding, Rule, Source, Tree};

/// Nowhere, not even in tests: they take time from a clock that is passed in and wait for conditions.
const EVERYWHERE: [(&[&str], &str); 8] = [
    (&["Instant", ":", ":", "now"], "time is an argument; xmit_shared::clock reads it"),
    (&["SystemTime", ":", ":", "now"], "time is an argument; xmit_shared::clock reads it"),
    (&["clock_gettime", "("], "time is an argument; xmit_shared::clock reads it"),
    (&["thread", ":", ":", "sleep"], "wait for a condition with a limit instead"),
    (&["todo", "!"], "write it, or a row in a table that says it is not done"),
    (&["unimplemented", "!"], "write it, or a row in a table that says it is not done"),
    (&["dbg", "!"], "assert it in a test or trace it on the control side"),
    (&["process", ":", ":", "exit"], "return from main, so that guards run"),
];

/// Not in what runs on a lane or inside a client's program.
const DATA_PATH: [&[&str]; 4] = [&["println", "!"], &["eprintln", "!"], &["print", "!"], &["eprint", "!"]];
const DATA_PATH_CRATES: [&str; 3] = ["nic/src/", "dataplane/", "control/client/src/"];

/// Every banned call of the tree.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources.iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let found = |run: &[&str], line, why: &str| {
        Finding::new(Rule::BannedCall, &source.path, line, format!("`{}` is banned: {why}", run.concat()))
    };
    let mut findings = Vec::new();
    for (run, why) in EVERYWHERE {
        findings.extend(source.lines_with(run).map(|line| found(run, line, why)));
    }
    if DATA_PATH_CRATES.iter().any(|prefix| source.path.starts_with(prefix)) {
        for run in DATA_PATH {
            let lines = source.lines_with(run).filter(|line| !source.is_test(*line));
            findings.extend(lines.map(|line| found(run, line, "count it or return it; a lane does not print")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(path: &str, text: &str) -> usize {
        check_source(&Source::parse(path, text).unwrap()).len()
    }

    #[test]
    fn calls_are_found_in_code_and_in_macros_only() {
        assert_eq!(banned("nic/src/a.rs", "fn f() { let t = std::time::Instant::now(); }"), 1);
        assert_eq!(banned("nic/src/a.rs", "fn f() { assert!(Instant::now() > t); }"), 1);
        assert_eq!(banned("nic/src/a.rs", "// Instant::now\nfn f() { g(\"Instant::now\"); }"), 0);
    }

    #[test]
    fn printing_is_for_tools_and_tests() {
        assert_eq!(banned("dataplane/src/a.rs", "fn f() { println!(); }"), 1);
        assert_eq!(banned("dataplane/src/a.rs", "#[cfg(test)] mod tests { fn f() { println!(); } }"), 0);
        assert_eq!(banned("tools/src/a.rs", "fn f() { println!(); }"), 0);
    }
}
