//! A configuration that cannot be used: where, what, and the cure.

use super::check::Finding;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Every mistake that was found in one file. Prints as one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong, in the order of the file; at least one.
    pub mistakes: Vec<Mistake>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub cure: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.file.display())?;
            if mistake.line > 0 {
                write!(f, ":{}:{}", mistake.line, mistake.column)?;
            }
            write!(f, ": {}", mistake.what)?;
            if !mistake.cure.is_empty() {
                write!(f, "; {}", mistake.cure)?;
            }
        }
        Ok(())
    }
}

impl ConfigError {
    /// The file could not be read.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let what = format!("cannot be read: {error}");
        let cure = "name the configuration with --config (an example is docs/xmit.toml)".to_owned();
        Self { file: file.into(), mistakes: vec![Mistake { line: 0, column: 0, what, cure }] }
    }

    /// The text is not TOML, or a field has the wrong name or type.
    pub(super) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
        let (what, cure) = with_suggestion(error.message());
        Self { file: file.into(), mistakes: vec![Mistake { line, column, what, cure }] }
    }

    /// The fields are right one by one and wrong together.
    pub(super) fn meaning(file: &Path, text: &str, findings: &[Finding]) -> Self {
        let mut mistakes: Vec<_> = findings
            .iter()
            .map(|finding| {
                let (line, column) = line_and_column(text, offset_of(text, &finding.place));
                Mistake { line, column, what: finding.what.clone(), cure: finding.cure.clone() }
            })
            .collect();
        mistakes.sort();
        Self { file: file.into(), mistakes }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The byte where the value at `place` (such as `interface[1].mtu`) stands; if absent, its table.
fn offset_of(text: &str, place: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 0 };
    let mut table = document.get_ref();
    let mut offset = 0;
    for step in place.split('.') {
        let (key, index) = match step.split_once('[') {
            Some((key, index)) => (key, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let Some(mut value) = table.get(key) else { break };
        offset = value.span().start;
        if let (Some(index), DeValue::Array(array)) = (index, value.get_ref()) {
            let Some(element) = array.get(index) else { break };
            value = element;
            offset = value.span().start;
        }
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    offset
}

/// Splits serde's "unknown field `cor`, expected one of `core`, `spin`" into what is wrong and what would be right.
fn with_suggestion(message: &str) -> (String, String) {
    let quoted: Vec<_> = message.split('`').skip(1).step_by(2).collect();
    let unknown = ["unknown field", "unknown variant"].iter().any(|kind| message.starts_with(kind));
    let (true, Some((wrong, known))) = (unknown, quoted.split_first()) else {
        return (message.to_owned(), String::new());
    };
    let what = message.split(", ").next().unwrap_or(message).to_owned();
    let choice = format!("known here: {}", known.join(", "));
    let cure = match nearest(wrong, known) {
        Some(name) => format!("did you mean `{name}`? ({choice})"),
        None => choice,
    };
    (what, cure)
}

/// The known name that is at most a third of its length away from `wrong`.
pub(super) fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let ranked = known.iter().map(|name| (distance(wrong, name), *name));
    ranked.min().filter(|(distance, name)| *distance <= name.len().div_ceil(3)).map(|(_, name)| name)
}

/// Levenshtein's distance: insertions, deletions and replacements of one byte.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_if_it_is_near() {
        assert_eq!(nearest("adresses", &["name", "addresses"]), Some("addresses"));
        assert_eq!(nearest("cor", &["core", "spin"]), Some("core"));
        assert_eq!(nearest("colour", &["core", "spin"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn places_are_found_or_the_nearest_around_them() {
        let text = "[daemon]\nlog = \"info\"\n\n[[lane]]\ncore = 0\n[[lane]]\ncore = 7\n";
        let at = |place| line_and_column(text, offset_of(text, place));
        assert_eq!(at("daemon.log"), (2, 7));
        assert_eq!(at("lane[1].core"), (7, 8));
        assert_eq!(at("lane[1].spin").0, 6);
        assert_eq!(at("interface[0].name"), (1, 1));
    }
}
