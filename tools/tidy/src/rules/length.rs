//! Files of at most 400 lines of code and functions of at most 70 lines: trip-wires that start a thought.

use crate::{Finding, Rule, Tree};

/// A file that is longer tells more than one story.
const FILE_LINES_MAX: usize = 400;
/// A function that is longer does not fit a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Files over the limit; blank lines, comments and tests are not counted.
pub fn files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        let lines = source.code_lines();
        if lines > FILE_LINES_MAX {
            let message = format!("{lines} lines of code, more than {FILE_LINES_MAX}; split by noun or give a reason");
            findings.push(Finding::new(Rule::FileLength, &source.path, 0, message));
        }
    }
    findings
}

/// Functions over the limit, tests not counted.
pub fn functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources.iter().filter(|source| !source.all_tests) {
        for function in source.functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
            let message = format!(
                "`{}` has {} lines, more than {FUNCTION_LINES_MAX}; extract a piece that has a name in the domain",
                function.name, function.lines
            );
            findings.push(Finding::new(Rule::FunctionLength, &source.path, function.line, message));
        }
    }
    findings
}
