//! A script that nothing calls rots: every one is named by the Makefile, by `.ci/run`, by another script or by a test.

use crate::{Finding, Rule, Tree};

/// Scripts without a caller.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let is_script = |path: &str, text: &str| path.ends_with(".sh") || path.ends_with(".awk") || text.starts_with("#!/");
    let mut findings = Vec::new();
    for script in tree.files.iter().filter(|file| file.path != ".ci/run" && is_script(&file.path, &file.text)) {
        let name = script.path.rsplit('/').next().unwrap_or(&script.path);
        let calls = |path: &str| path == "Makefile" || path == ".ci/run" || path.ends_with(".rs");
        let called = tree.files.iter().any(|file| {
            file.path != script.path
                && (calls(&file.path) || is_script(&file.path, &file.text))
                && file.text.contains(name)
        });
        if !called {
            findings.push(Finding::new(Rule::OrphanScript, &script.path, 0, "nothing calls it; call it or remove it"));
        }
    }
    findings
}
