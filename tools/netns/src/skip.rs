//! When an end-to-end test cannot run here, it says so by name and counts as skipped, never as passed.

use std::io::Write;
use std::process::Command;

use crate::Netns;

/// Ends the test with a `SKIPPED name: why` line where network namespaces cannot be made. Further arguments name programs
/// that the test needs as well: `require_root!("ping_answers", "ping")`.
#[macro_export]
macro_rules! require_root {
    ($name:expr $(, $program:expr)* $(,)?) => {
        let missing = $crate::why_not()$(.or_else(|| $crate::why_program_missing($program)))*;
        if let Some(why) = missing {
            $crate::report_skipped($name, &why);
            return;
        }
    };
}

/// Why namespaces cannot be made here; `None` if they can. Settled by making one.
pub fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root to make network namespaces".to_owned());
    }
    if let Some(why) = why_program_missing("ip").or_else(|| why_program_missing("ethtool")) {
        return Some(why);
    }
    Netns::new("probe").err().map(|error| error.to_string())
}

/// Why `program` cannot be run; `None` if it is found on the path.
pub fn why_program_missing(program: &str) -> Option<String> {
    let found = Command::new("sh").args(["-c", &format!("command -v {program} >/dev/null")]).status();
    match found {
        Ok(status) if status.success() => None,
        _ => Some(format!("needs the program {program}")),
    }
}

/// Writes the line past the test harness's capture, so that it is seen although the test "passes".
pub fn report_skipped(name: &str, why: &str) {
    let line = format!("SKIPPED {name}: {why}\n");
    // A closed standard error takes the line with it; there is nowhere else to say it.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
