//! The tree, the exceptions, and the rules run over them.

use std::path::Path;

use crate::{Exceptions, Finding, Rule, Tree, rules};

/// Where the exceptions stand.
const EXCEPTIONS: &str = "tools/tidy/exceptions.toml";

/// The repository, ready to be judged.
#[derive(Debug)]
pub struct House {
    tree: Tree,
    exceptions: Exceptions,
}

impl House {
    /// Reads the repository that this crate was built in. The error is a sentence for the person who runs the tests.
    pub fn open() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let tree = Tree::read(&root).map_err(|error| error.to_string())?;
        let list = tree.file(EXCEPTIONS).ok_or_else(|| format!("{EXCEPTIONS} is missing"))?;
        let exceptions = Exceptions::parse(&list.text).map_err(|error| format!("{EXCEPTIONS}: {error}"))?;
        Ok(Self { tree, exceptions })
    }

    /// What a rule finds, less what is excused.
    pub fn findings(&self, rule: Rule) -> Vec<Finding> {
        let check = match rule {
            Rule::FileLength => rules::length::files,
            Rule::FunctionLength => rules::length::functions,
            Rule::BannedCall => rules::calls::check,
            Rule::Unsafe => rules::unsafety::check,
            Rule::Layer => rules::layers::check,
            Rule::CrateDirection => rules::manifests::direction,
            Rule::DependencyReason => rules::manifests::reasons,
            Rule::Header => rules::header::check,
            Rule::Machine => rules::text::machine,
            Rule::Unfinished => rules::text::unfinished,
            Rule::Link => rules::links::check,
            Rule::OrphanScript => rules::scripts::check,
            Rule::LinuxMap => rules::linux_map::check,
        };
        let mut findings = self.exceptions.apply(rule, check(&self.tree));
        findings.sort();
        findings
    }
}
