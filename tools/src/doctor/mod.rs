//! The doctor: what this machine offers for AF_XDP and what it lacks, in sentences with the cure.
//!
//! Owns the list of examinations and its printing. Each examination tries the thing itself (opens the socket, loads a
//! program, sets up a ring) and only reads a file where trying is not possible, since what a kernel was configured
//! with says little about what this user may do with it. Nothing is left behind. An interface is tried only when it is
//! named, since attaching an XDP program is felt by some cards.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use crate::Failure;
use crate::view::print_as;

pub mod interfaces;
pub mod kernel;
pub mod machine;
pub mod modes;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// xmitd works without it, less well.
    Lacking,
    /// xmitd cannot run on AF_XDP without it.
    Missing,
}

/// One sentence of the doctor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was examined, in one or two words.
    pub subject: String,
    /// How much it matters.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Finding {
    /// All is well with the subject.
    pub fn good(subject: &str, found: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), verdict: Verdict::Good, found: found.into(), cure: None }
    }

    /// It could be better, and so.
    pub fn lacking(subject: &str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        let (found, cure) = (found.into(), Some(cure.into()));
        Self { subject: subject.to_owned(), verdict: Verdict::Lacking, found, cure }
    }

    /// It will not do, and the cure.
    pub fn missing(subject: &str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { verdict: Verdict::Missing, ..Self::lacking(subject, found, cure) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Good => "ok      ",
            Verdict::Lacking => "lacking ",
            Verdict::Missing => "MISSING ",
        };
        writeln!(f, "{mark} {:<12} {}", self.subject, self.found)?;
        match &self.cure {
            Some(cure) => writeln!(f, "{:22}cure: {cure}", ""),
            None => Ok(()),
        }
    }
}

/// Examines this machine as this user and prints the findings. Exit code 1 if AF_XDP cannot be had.
pub fn run(interfaces: &[String], json: bool) -> Result<ExitCode, Failure> {
    let mut findings = examine();
    findings.extend(interfaces.iter().flat_map(|name| modes::examine(name)));
    print_as(json, &findings, |findings| text(findings))?;
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Ok(if worst == Some(Verdict::Missing) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All examinations, the kernel first.
pub fn examine() -> Vec<Finding> {
    let mut findings = vec![
        kernel::version(),
        kernel::af_xdp_socket(),
        kernel::xdp_program(),
        kernel::btf(),
        kernel::io_uring(),
        machine::capabilities(),
        machine::locked_memory(),
        machine::huge_pages(),
        machine::cores(),
        machine::programs(),
    ];
    findings.extend(interfaces::examine());
    findings
}

fn text(findings: &[Finding]) -> String {
    let mut text: String = findings.iter().map(ToString::to_string).collect();
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (missing, lacking) = (count(Verdict::Missing), count(Verdict::Lacking));
    text.push_str(&match (missing, lacking) {
        (0, 0) => "\nThis machine has all that xmitd wants.\n".to_owned(),
        (0, lacking) => format!("\nxmitd runs here on AF_XDP. Could be better: {lacking}.\n"),
        (missing, _) => format!("\nxmitd cannot run here on AF_XDP as this user. Missing: {missing}.\n"),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cure_stands_under_what_was_found() {
        let findings = [Finding::good("a", "It is there."), Finding::missing("b", "It is not.", "Install it.")];
        let text = text(&findings);
        assert!(text.contains("MISSING  b            It is not.\n                      cure: Install it.\n"), "{text}");
        assert!(text.ends_with("Missing: 1.\n"));
    }

    #[test]
    fn every_examination_ends_in_sentences_on_any_machine() {
        for finding in examine() {
            assert!(finding.found.ends_with('.') || finding.found.ends_with('!'), "{finding:?}");
            assert_eq!(finding.cure.is_some(), finding.verdict != Verdict::Good, "{finding:?}");
        }
    }
}
