//! `unsafe` has an address: every file that holds it stands in the exceptions list with the invariant it keeps.

use crate::{Finding, Rule, Tree};

/// Every file with `unsafe` in its code, once, at its first line.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let lines: Vec<usize> = source.lines_with(&["unsafe"]).collect();
        if let Some(first) = lines.first() {
            let message = format!("{} uses of `unsafe` in a file that is not on the list", lines.len());
            findings.push(Finding::new(Rule::Unsafe, &source.path, *first, message));
        }
    }
    findings
}
