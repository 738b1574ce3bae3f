//! The list of exceptions: each with its reason, none unused.

use serde::Deserialize;

use crate::{Finding, Rule};

/// One excused file, or a directory if the path ends with a slash.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Path from the root of the repository.
    pub path: String,
    /// The rule that does not hold there.
    pub rule: Rule,
    /// Why it does not.
    pub reason: String,
}

impl Exception {
    fn excuses(&self, finding: &Finding) -> bool {
        self.rule == finding.rule
            && (self.path == finding.path || (self.path.ends_with('/') && finding.path.starts_with(&self.path)))
    }
}

/// The whole list, as it stands in `exceptions.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceptions {
    #[serde(default, rename = "exception")]
    list: Vec<Exception>,
}

impl Exceptions {
    /// Reads the list. The error carries line and column.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What remains of a rule's findings after the excused ones, with the exceptions of that rule that excused nothing
    /// or give no reason.
    pub fn apply(&self, rule: Rule, findings: Vec<Finding>) -> Vec<Finding> {
        let mut rest: Vec<Finding> =
            findings.iter().filter(|finding| !self.list.iter().any(|e| e.excuses(finding))).cloned().collect();
        for exception in self.list.iter().filter(|e| e.rule == rule) {
            if !findings.iter().any(|finding| exception.excuses(finding)) {
                rest.push(Finding::new(rule, &exception.path, 0, "the exception excuses nothing; remove it"));
            }
            if exception.reason.split_whitespace().count() < 3 {
                rest.push(Finding::new(rule, &exception.path, 0, "the exception needs a reason in words"));
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(path: &str, reason: &str) -> Exceptions {
        let text = format!("[[exception]]\npath = \"{path}\"\nrule = \"unsafe\"\nreason = \"{reason}\"\n");
        Exceptions::parse(&text).unwrap()
    }

    #[test]
    fn excused_findings_disappear_and_others_stay() {
        let found = ["nic/src/pool.rs", "nic/src/xdp/ring.rs", "dataplane/src/lane.rs"]
            .map(|path| Finding::new(Rule::Unsafe, path, 3, "unsafe"));
        let rest = list("nic/src/", "owns the packet memory").apply(Rule::Unsafe, found.to_vec());
        assert_eq!(rest, [found[2].clone()]);
    }

    #[test]
    fn unused_and_unreasoned_exceptions_are_findings() {
        let rest = list("nic/src/gone.rs", "short").apply(Rule::Unsafe, Vec::new());
        assert_eq!(rest.len(), 2);
    }

    #[test]
    fn mistake_in_the_list_is_told_with_its_line() {
        let error =
            Exceptions::parse("[[exception]]\npath = \"x\"\nrule = \"nosuch\"\nreason = \"a b c\"\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
