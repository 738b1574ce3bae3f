//! Every packet script of `tests/scripts`, over every medium; what left must be the same on all of them.
//!
//! `XMIT_SCRIPT=icmp/echo cargo test -p xmit-dataplane --test scripts` runs only the scripts whose path contains that.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::fs;
use std::path::{Path, PathBuf};
use xmit_script::packet::{comparable, describe};
use xmit_script::{Medium, Script, Trace, run};

/// Decides reachable times and identifications: the same for all media, so that traces can be compared.
const SEED: u64 = 20_240_501;
/// Other seeds, 0 and up, over memory.
const SEEDS: u64 = 5;

#[test]
fn scripts_hold_over_every_medium_and_leave_the_same_trace() {
    let wanted = std::env::var("XMIT_SCRIPT").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.retain(|path| path.to_string_lossy().contains(&wanted));
    assert!(!paths.is_empty(), "no script in {} matches `{wanted}`", root.display());
    let failures: Vec<String> = paths.iter().filter_map(|path| check(&root, path).err()).collect();
    assert!(failures.is_empty(), "{} of {} scripts fail:\n{}", failures.len(), paths.len(), failures.join("\n"));
    println!("{} scripts hold over memory, the simulated wire and the 3C501", paths.len());
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "script") {
            paths.push(path);
        }
    }
}

/// Runs one script over all media and compares what left; then with other seeds, on which it must not depend.
fn check(root: &Path, path: &Path) -> Result<(), String> {
    let mut script = Script::load(path).map_err(|error| error.to_string())?;
    script.name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    check_media(&script)?;
    let run = |seed| run(&script, Medium::Memory, seed).map_err(|failure| format!("seed {seed}: {failure}"));
    (0..SEEDS).try_for_each(|seed| run(seed).map(|_| ()))
}

fn check_media(script: &Script) -> Result<(), String> {
    let mut first: Option<(Medium, Trace)> = None;
    for medium in Medium::ALL {
        if let Some(why) = script.skipped_on(medium) {
            println!("SKIPPED {} over {medium}: {why}", script.name);
            continue;
        }
        let trace = run(script, medium, SEED).map_err(|failure| failure.to_string())?;
        match &first {
            None => first = Some((medium, trace)),
            Some((before, expected)) => same(&script.name, (*before, expected), (medium, &trace))?,
        }
    }
    first.map(|_| ()).ok_or_else(|| format!("{}: runs over no medium", script.name))
}

/// What left in which order, without padding and what depends on the time of departure.
fn same(name: &str, (before, expected): (Medium, &Trace), (medium, trace): (Medium, &Trace)) -> Result<(), String> {
    let bytes = |trace: &Trace| comparable(trace.0.iter().map(|left| left.bytes.as_slice()));
    if bytes(expected) == bytes(trace) {
        return Ok(());
    }
    let shown = |trace: &Trace| trace.0.iter().map(|left| describe(&left.bytes)).collect::<Vec<_>>().join("\n    ");
    Err(format!("{name}: traces differ\n  {before}:\n    {}\n  {medium}:\n    {}", shown(expected), shown(trace)))
}
