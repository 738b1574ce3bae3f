//! Committed text speaks of the project alone: nothing of one machine, nothing left for later.

use crate::{Finding, Rule, Tree};

/// Directories that exist on somebody's machine and not in the repository.
const MACHINE: [&str; 4] = ["/work/", "/root/", "/home/", "registry/src/"];

/// Where links of this project lead. Another host is added here when a document needs it.
const HOSTS: [&str; 13] = [
    "crates.io",
    "datatracker.ietf.org",
    "doc.rust-lang.org",
    "docs.kernel.org",
    "docs.rs",
    "embarkstudios.github.io",
    "github.com",
    "keepachangelog.com",
    "man7.org",
    "rustup.rs",
    "semver.org",
    "www.kernel.org",
    "www.rfc-editor.org",
];

/// What a person would otherwise search for and find too late.
const LATER: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Paths of one machine, and links to hosts that are not on the list.
pub fn machine(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, number, line) in lines(tree) {
        for part in MACHINE.iter().filter(|part| line.contains(*part)) {
            let message = format!("`{part}` is a path of one machine; write it relative to the repository");
            findings.push(Finding::new(Rule::Machine, path, number, message));
        }
        for host in hosts(line).filter(|host| !HOSTS.contains(host)) {
            let message = format!("host `{host}` is not on the list in rules/text.rs");
            findings.push(Finding::new(Rule::Machine, path, number, message));
        }
    }
    findings
}

/// Marks of unfinished work.
pub fn unfinished(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, number, line) in lines(tree) {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(mark) = words.find(|word| LATER.contains(word)) {
            let message = format!("`{mark}`: finish it, or say \"not done\" in a table of docs");
            findings.push(Finding::new(Rule::Unfinished, path, number, message));
        }
    }
    findings
}

fn lines(tree: &Tree) -> impl Iterator<Item = (&str, usize, &str)> {
    let files = tree.files.iter().filter(|file| !file.path.ends_with("Cargo.lock"));
    files.flat_map(|file| file.text.lines().enumerate().map(|(at, line)| (file.path.as_str(), at + 1, line)))
}

/// The hosts of the links in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    let links = line.match_indices("://").map(|(at, sign)| &line[at + sign.len()..]);
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-');
    links.map(move |link| link.split(ends).next().unwrap_or_default()).filter(|host| host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TextFile;

    fn tree(text: &str) -> Tree {
        Tree::from_files("".into(), vec![TextFile { path: "docs/x.md".to_owned(), text: text.to_owned() }]).unwrap()
    }

    #[test]
    fn machine_paths_and_strange_hosts_are_found() {
        assert_eq!(machine(&tree("see /home/someone/x")).len(), 1);
        assert_eq!(machine(&tree("<https://mirror.example.net/crates>")).len(), 1);
        assert!(machine(&tree("<https://www.rfc-editor.org/rfc/rfc826>, tcp://, 10.0.0.1")).is_empty());
    }

    #[test]
    fn marks_are_words_of_their_own() {
        assert_eq!(unfinished(&tree("// TODO: later")).len(), 1);
        assert!(unfinished(&tree("mktemp x.XXXXXX, AUTODOC")).is_empty());
    }
}
