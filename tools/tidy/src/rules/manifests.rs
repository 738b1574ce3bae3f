//! Manifests: crates know only those below them, and every dependency has one home and one reason.

use crate::tree::TextFile;
use crate::{Finding, Rule, Tree};

/// What each crate may know of ours outside its tests. Tools and benchmarks may know everything and are not listed.
const MAY_KNOW: [(&str, &[&str]); 6] = [
    ("dataplane/shared", &[]),
    ("nic", &["xmit-shared"]),
    ("dataplane", &["xmit-shared", "xmit-nic"]),
    ("control/client", &["xmit-shared"]),
    ("control/preload", &["xmit-shared", "xmit"]),
    ("control/daemon", &["xmit-shared", "xmit-nic", "xmit-dataplane"]),
];

/// Dependencies that point up or sideways.
pub fn direction(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (directory, allowed) in MAY_KNOW {
        let Some(manifest) = tree.file(&format!("{directory}/Cargo.toml")) else { continue };
        for (line, section, name) in dependencies(manifest) {
            let ours = name == "xmit" || name == "xmitd" || name.starts_with("xmit-");
            if ours && !section.contains("dev-dependencies") && !allowed.contains(&name) {
                let message = format!("{directory} must not know {name}: arrows point down only");
                findings.push(Finding::new(Rule::CrateDirection, &manifest.path, line, message));
            }
        }
    }
    findings
}

/// Dependencies of the root manifest without a reason, and of other manifests that do not come from there.
pub fn reasons(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        for (line, section, name) in dependencies(manifest) {
            let text = manifest.text.lines().nth(line - 1).unwrap_or_default();
            let reason = text.rsplit_once('#').map_or("", |(_, reason)| reason);
            if section == "workspace.dependencies" && reason.split_whitespace().count() < 3 {
                let message = format!("{name} needs half a sentence of why: `{name} = .. # reason`");
                findings.push(Finding::new(Rule::DependencyReason, &manifest.path, line, message));
            } else if section != "workspace.dependencies" && !text.contains("workspace = true") {
                let message = format!("{name} must come from the root manifest: `{name}.workspace = true`");
                findings.push(Finding::new(Rule::DependencyReason, &manifest.path, line, message));
            }
        }
    }
    findings
}

/// Line, section and name of every dependency of a manifest.
fn dependencies(manifest: &TextFile) -> Vec<(usize, &str, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for (at, line) in manifest.text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default();
        } else if section.ends_with("dependencies") && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.push((at + 1, section, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, text: &str) -> Tree {
        Tree::from_files("".into(), vec![TextFile { path: path.to_owned(), text: text.to_owned() }]).unwrap()
    }

    #[test]
    fn nic_must_not_know_the_stack_but_its_tests_may() {
        let text = "[dependencies]\nxmit-dataplane.workspace = true\n[dev-dependencies]\nxmitd.workspace = true\n";
        let found = direction(&tree("nic/Cargo.toml", text));
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn dependency_needs_a_home_and_a_reason() {
        let root = "[workspace.dependencies]\nmio = \"1\" # the event loop\nlibc = \"0.2\"\n";
        assert_eq!(reasons(&tree("Cargo.toml", root))[0].line, 3);
        assert_eq!(reasons(&tree("nic/Cargo.toml", "[dependencies]\nlibc = \"0.2\"\n")).len(), 1);
    }
}
