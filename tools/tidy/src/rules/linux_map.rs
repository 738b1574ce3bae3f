//! `docs/linux-map.md`: for every Linux function that the project answers, where xmit does it and which test shows it.
//!
//! A row is `| names | place | test |`. Names are in code marks, as are places (`xmit_nic::pool::Pool::acquire`, a Rust
//! path) and tests (the name of a test function, or a packet script as `scripts/arp/reply.script`). A place or test that
//! does not exist yet says `later` or `later: issue N`; a row without a function of its own may say `none: why`. Every
//! name of `tools/tidy/linux-names.txt` has a row. `docs/rfc-coverage.md` names tests in the same way, in its last cells.

use std::collections::BTreeSet;

use crate::{Finding, Rule, Source, Tree};

const MAP: &str = "docs/linux-map.md";
const COVERAGE: &str = "docs/rfc-coverage.md";
const NAMES: &str = "tools/tidy/linux-names.txt";

/// Where the packet scripts stand: a test runs all that are there.
const SCRIPTS: &str = "dataplane/tests";

/// Where each crate's root stands.
const CRATES: [(&str, &str); 6] = [
    ("xmit_nic", "nic/src"),
    ("xmit_dataplane", "dataplane/src"),
    ("xmit_shared", "dataplane/shared/src"),
    ("xmit_embed", "dataplane/embed/src"),
    ("xmitd", "control/daemon/src"),
    ("xmit", "control/client/src"),
];

/// Names without a row, places and tests that do not exist.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(map), Some(names)) = (tree.file(MAP), tree.file(NAMES)) else {
        return vec![Finding::new(Rule::LinuxMap, MAP, 0, format!("{MAP} and {NAMES} must exist"))];
    };
    let mut findings = Vec::new();
    let mut mapped = BTreeSet::new();
    for (at, line) in map.text.lines().enumerate().filter(|(_, line)| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [linux, place, test] = cells[..] else {
            findings.push(Finding::new(Rule::LinuxMap, MAP, at + 1, "a row has three cells: names, place, test"));
            continue;
        };
        mapped.extend(marked(linux));
        let wrong = check_cell(place, "place", |path| place_exists(tree, path));
        let wrong = wrong.into_iter().chain(check_cell(test, "test", |name| test_exists(tree, name)));
        findings.extend(wrong.map(|message| Finding::new(Rule::LinuxMap, MAP, at + 1, message)));
    }
    for name in names.text.split_whitespace().filter(|name| !name.ends_with(':') && !mapped.contains(name)) {
        findings.push(Finding::new(Rule::LinuxMap, MAP, 0, format!("`{name}` has no row")));
    }
    findings.extend(check_coverage(tree));
    findings
}

/// Tests that the table of standards names and that do not exist.
fn check_coverage(tree: &Tree) -> Vec<Finding> {
    let rows = tree.file(COVERAGE).into_iter().flat_map(|file| file.text.lines().enumerate());
    let tests = rows.filter_map(|(at, line)| Some((at + 1, line.strip_suffix('|')?.rsplit('|').next()?)));
    let missing = |(line, cell)| {
        let absent = marked(cell).filter(|name| !test_exists(tree, name));
        absent.map(move |name| Finding::new(Rule::LinuxMap, COVERAGE, line, format!("test `{name}` does not exist")))
    };
    tests.flat_map(missing).collect()
}

/// A cell either postpones or names things that exist.
fn check_cell(cell: &str, kind: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let postponed = cell == "later" || cell.starts_with("later: issue ") || cell.starts_with("none: ");
    let names: Vec<&str> = marked(cell).collect();
    if names.is_empty() && !postponed {
        return vec![format!("the {kind} `{cell}` is neither in code marks nor `later`")];
    }
    names.into_iter().filter(|name| !exists(name)).map(|name| format!("{kind} `{name}` does not exist")).collect()
}

/// What stands between code marks.
fn marked(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Follows a Rust path into files as far as they go; the names that remain must be declared in the last one.
fn place_exists(tree: &Tree, path: &str) -> bool {
    let mut segments = path.split("::").peekable();
    let krate = segments.next().unwrap_or_default();
    let Some((_, root)) = CRATES.iter().find(|(name, _)| *name == krate) else { return false };
    let mut directory = (*root).to_owned();
    let mut file = tree.sources.iter().find(|s| s.path == format!("{directory}/lib.rs"));
    while let Some(segment) = segments.peek() {
        let below = format!("{directory}/{segment}");
        let found =
            tree.sources.iter().find(|s| s.path == format!("{below}.rs") || s.path == format!("{below}/mod.rs"));
        if found.is_none() {
            break;
        }
        (file, directory) = (found, below);
        segments.next();
    }
    file.is_some_and(|file| segments.all(|name| declares(file, name)))
}

/// Whether a file declares a name: an item, a method, a variant or a field.
fn declares(source: &Source, name: &str) -> bool {
    const KEYWORDS: [&str; 9] = ["impl", "fn", "struct", "enum", "trait", "const", "static", "type", "mod"];
    source.tokens.windows(2).any(|pair| {
        let item = KEYWORDS.contains(&pair[0].text.as_str()) && pair[1].text == name;
        let member = matches!(pair[0].text.as_str(), "," | "{" | "]" | "pub") && pair[1].text == name;
        (item || member) && !source.is_test(pair[1].line)
    })
}

/// A packet script by its path, else a test function by its name.
fn test_exists(tree: &Tree, name: &str) -> bool {
    if name.ends_with(".script") {
        return tree.file(&format!("{SCRIPTS}/{name}")).is_some();
    }
    let function = ["fn", name];
    tree.sources.iter().any(|source| source.lines_with(&function).any(|line| source.is_test(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TextFile;

    fn findings(row: &str) -> Vec<String> {
        findings_with(row, "")
    }

    fn findings_with(row: &str, coverage: &str) -> Vec<String> {
        let file = |path: &str, text: &str| TextFile { path: path.to_owned(), text: text.to_owned() };
        let code = "impl Ip { pub fn input() {} }\n#[cfg(test)] mod tests { #[test] fn ttl_is_checked() {} }";
        let files = vec![
            file(MAP, row),
            file(NAMES, "P5: ip_rcv"),
            file(COVERAGE, coverage),
            file("dataplane/src/lib.rs", "pub mod ip;"),
            file("dataplane/src/ip/mod.rs", "pub mod input;"),
            file("dataplane/src/ip/input.rs", code),
            file("dataplane/tests/scripts/ip/ttl.script", "nothing leaves"),
        ];
        let tree = Tree::from_files("".into(), files).unwrap();
        check(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn true_rows_pass() {
        assert!(findings("| `ip_rcv` | `xmit_dataplane::ip::input::Ip::input` | `ttl_is_checked` |").is_empty());
        assert!(findings("| `ip_rcv` | later: issue 3 | later |").is_empty());
    }

    #[test]
    fn missing_names_places_and_tests_are_told() {
        assert_eq!(findings("| `ip_rcv` | `xmit_dataplane::ip::output` | `no_such_test` |").len(), 2);
        assert_eq!(findings("| `ip_forward` | later | later |"), ["`ip_rcv` has no row"]);
        assert_eq!(findings("| `ip_rcv` | soon | later |").len(), 1);
    }

    #[test]
    fn packet_script_is_a_test_if_it_exists() {
        assert!(findings("| `ip_rcv` | `xmit_dataplane::ip::input` | `scripts/ip/ttl.script` |").is_empty());
        let missing =
            findings("| `ip_rcv` | `xmit_dataplane::ip::input` | `scripts/ip/tos.script`, `ttl_is_checked` |");
        assert_eq!(missing, ["test `scripts/ip/tos.script` does not exist"]);
    }

    #[test]
    fn coverage_names_tests_that_exist() {
        let map = "| `ip_rcv` | later | later |";
        let rows = "| 3.1 | `ip/input.rs` | `ttl_is_checked`, `scripts/ip/ttl.script` |\n| 3.2 | not done | |";
        assert!(findings_with(map, rows).is_empty());
        assert_eq!(findings_with(map, "| 3.1 | here | `gone` |"), ["test `gone` does not exist"]);
    }

    #[test]
    fn test_must_be_a_test() {
        assert_eq!(findings("| `ip_rcv` | `xmit_dataplane::ip` | `input` |"), ["test `input` does not exist"]);
    }
}
