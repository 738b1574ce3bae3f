//! Links between the repository's documents lead to a file, and where they name a heading, to that heading.

use crate::{Finding, Rule, Tree};

/// Links that lead nowhere.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let directory = document.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for (at, line) in document.text.lines().enumerate() {
            for target in targets(line).filter(|target| !target.contains("://")) {
                let (path, heading) = target.split_once('#').unwrap_or((target, ""));
                let path = if path.is_empty() { document.path.clone() } else { join(directory, path) };
                if !leads_somewhere(tree, &path, heading) {
                    let message = format!("link `{target}` leads nowhere");
                    findings.push(Finding::new(Rule::Link, &document.path, at + 1, message));
                }
            }
        }
    }
    findings
}

fn leads_somewhere(tree: &Tree, path: &str, heading: &str) -> bool {
    match tree.file(path) {
        Some(file) => heading.is_empty() || file.text.lines().filter_map(slug).any(|slug| slug == heading),
        None => heading.is_empty() && tree.root.join(path).exists(),
    }
}

/// The targets of a line's `[text](target)` links.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, sign)| line[at + sign.len()..].split(')').next())
}

/// `a/b` and `../c` give `a/c`.
fn join(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The name by which a heading is linked: lower case, signs dropped, blanks as hyphens.
fn slug(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TextFile;

    #[test]
    fn links_to_files_and_headings() {
        let file = |path: &str, text: &str| TextFile { path: path.to_owned(), text: text.to_owned() };
        let linked = "[a](../README.md) [b](../README.md#what-it-is) [c](#own)\n# Own\n";
        let broken = "[a](README.md) [b](../README.md#why)\n";
        let files = vec![file("README.md", "## What it is\n"), file("docs/a.md", linked), file("docs/b.md", broken)];
        let found = check(&Tree::from_files("/nonexistent".into(), files).unwrap());
        assert_eq!(found.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["docs/b.md", "docs/b.md"]);
    }
}
