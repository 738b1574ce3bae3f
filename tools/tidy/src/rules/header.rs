//! Every Rust file but the tests beside a module opens with `//!`: what it owns, its invariants, what to have open, who calls it.

use crate::{Finding, Rule, Tree};

/// Files that open with anything else.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let opens = |text: &str| {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
        first.is_some_and(|line| line.starts_with("//! ") && line.len() > "//! x".len())
    };
    tree.sources
        .iter()
        .filter(|source| !source.all_tests && !opens(&source.text))
        .map(|source| Finding::new(Rule::Header, &source.path, 1, "open with `//!` and what this file owns"))
        .collect()
}
