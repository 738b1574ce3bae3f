//! The snapshot: sections of `table.txt`, compared with what was computed, or rewritten when `XMIT_BLESS` is set.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Tests run at once, and both may rewrite the file.
static FILE: Mutex<()> = Mutex::new(());

/// One line: a name and its figures.
pub(crate) fn row(name: &str, cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
    format!("{name:<24}{cells}\n")
}

/// The section `name` of the file is `computed`; with `XMIT_BLESS`, becomes so.
pub(crate) fn compare(name: &str, computed: &str) {
    let _one = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/throughput/table.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = text.find(&format!("== {name}")).unwrap_or_else(|| panic!("table.txt has no section `== {name}`"));
    // The heading and the lines of explanation end with the first empty line; the tables with the next heading.
    let from = begin + text[begin..].find("\n\n").map_or(text.len() - begin, |at| at + 2);
    let upto = text[from..].find("\n== ").map_or(text.len(), |at| from + at);
    let kept = &text[from..upto];
    if kept == computed {
        return;
    }
    if std::env::var_os("XMIT_BLESS").is_some() {
        std::fs::write(&path, format!("{}{computed}{}", &text[..from], &text[upto..])).unwrap();
        return;
    }
    panic!("{name} is not what table.txt says (XMIT_BLESS=1 rewrites it):\n{}", diff(kept, computed));
}

/// Lines that differ, the kept one before the computed one.
fn diff(kept: &str, computed: &str) -> String {
    let count = kept.lines().count().max(computed.lines().count());
    let line = |text: &str, n: usize| text.lines().nth(n).unwrap_or_default().to_owned();
    let pairs = (0..count).map(|n| (line(kept, n), line(computed, n)));
    pairs.map(|(old, new)| if old == new { format!("  {old}\n") } else { format!("- {old}\n+ {new}\n") }).collect()
}
