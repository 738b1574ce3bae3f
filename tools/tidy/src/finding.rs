//! One thing that is not as the house wants it.

use std::fmt;

/// The rules, by the name that the exceptions list uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A file of at most 400 lines of code, tests not counted.
    FileLength,
    /// A function of at most 70 lines.
    FunctionLength,
    /// No clock, no sleep, no placeholder macros, no printing from the data path.
    BannedCall,
    /// `unsafe` only where the exceptions list gives it an address.
    Unsafe,
    /// Imports inside the stack point down only.
    Layer,
    /// Crates depend on those below them only.
    CrateDirection,
    /// Every dependency stands once in the root manifest, with its reason.
    DependencyReason,
    /// Every Rust file opens with its module header.
    Header,
    /// Nothing of one particular machine in committed text.
    Machine,
    /// Nothing left for later inside the text itself.
    Unfinished,
    /// Links between documents lead somewhere.
    Link,
    /// Every script is called by something.
    OrphanScript,
    /// The table of Linux names is complete and true.
    LinuxMap,
}

/// Where, which rule, what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the repository, with forward slashes.
    pub path: String,
    /// Line, counted from one; zero where the whole file is meant.
    pub line: usize,
    /// The rule that was broken.
    pub rule: Rule,
    /// What is wrong and the cure.
    pub message: String,
}

impl Finding {
    /// A finding of `rule` at a line of a file.
    pub fn new(rule: Rule, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {:?}: {}", self.path, self.line, self.rule, self.message)
    }
}
