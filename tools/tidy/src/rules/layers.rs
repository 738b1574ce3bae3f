//! Inside the stack arrows point down only:
//! `lane -> stack -> socket -> {tcp, udp, icmp, igmp, raw, packet} -> ip -> {route, link, hooks} -> device -> qdisc -> wire`,
//! with the modules that everyone uses (time, limits, counters, ..) at the very bottom.
//!
//! Neighbours on one step may know each other in one direction, never in both.

use std::collections::BTreeMap;

use crate::source::Token;
use crate::{Finding, Rule, Source, Tree};

const STACK: &str = "dataplane/src/";

/// The steps, highest first. A new module of the stack gets its place here.
const STEPS: [&[&str]; 10] = [
    &["lane"],
    &["stack"],
    &["socket"],
    &["tcp", "udp", "icmp", "igmp", "raw", "packet"],
    &["ip"],
    &["route", "link", "hooks"],
    &["device"],
    &["qdisc"],
    &["wire"],
    &["errno", "owner", "time", "timers", "limits", "counters", "drop", "trace", "named", "rate"],
];

/// What all layers share, and so know of each other through: the state of one lane as plain fields, and the published
/// configuration. Both name the layers' types and are named by the layers; they stand on no step.
const SHARED: [&str; 2] = ["net", "snapshot"];

/// Modules that exist for tests and stand above everything.
const TESTING: [&str; 3] = ["testing", "script", "pair"];

/// Every reference that points up, every module without a place, every two modules that know each other on one step.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut level: BTreeMap<(String, String), (String, usize)> = BTreeMap::new();
    for source in tree.sources_under(STACK) {
        let module = module_of(&source.path);
        if module == "lib" || SHARED.contains(&module) || TESTING.contains(&module) {
            continue;
        }
        let Some(own) = step(module) else {
            let message = format!("module `{module}` has no place in the order; give it one in rules/layers.rs");
            findings.push(Finding::new(Rule::Layer, &source.path, 1, message));
            continue;
        };
        for (target, line) in references(source).filter(|(_, line)| !source.is_test(*line)) {
            let known = step(&target);
            if TESTING.contains(&target.as_str()) || known.is_some_and(|target| target < own) {
                let message = format!("`{module}` uses `{target}`, which is above it");
                findings.push(Finding::new(Rule::Layer, &source.path, line, message));
            } else if known == Some(own) && target != module {
                level.insert((module.to_owned(), target), (source.path.clone(), line));
            }
        }
    }
    for ((from, to), (path, line)) in &level {
        if from < to && level.contains_key(&(to.clone(), from.clone())) {
            let message = format!("`{from}` and `{to}` use each other; let one of them know the other");
            findings.push(Finding::new(Rule::Layer, path, *line, message));
        }
    }
    findings
}

/// The top module a file of the stack belongs to: `ip` for `ip/input.rs` and `ip.rs`.
fn module_of(path: &str) -> &str {
    let rest = path.strip_prefix(STACK).unwrap_or(path);
    rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")
}

fn step(module: &str) -> Option<usize> {
    STEPS.iter().position(|step| step.contains(&module))
}

/// The modules named after `crate::`, the names inside `crate::{..}` included.
fn references(source: &Source) -> impl Iterator<Item = (String, usize)> + '_ {
    let heads = source.tokens.windows(4).enumerate();
    heads.filter(|(_, window)| window[0].text == "crate" && window[1].text == ":" && window[2].text == ":").flat_map(
        |(at, window)| match window[3].text.as_str() {
            "{" => group(&source.tokens[at + 4..]),
            name => vec![(name.to_owned(), window[3].line)],
        },
    )
}

/// The first names of a brace group: `a` and `c` of `{a::b, c}`.
fn group(tokens: &[Token]) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    let (mut depth, mut at_start) = (1, true);
    for token in tokens {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => at_start = true,
            name if at_start => {
                names.push((name.to_owned(), token.line));
                at_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::TextFile;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(path, text)| TextFile { path: path.to_string(), text: text.to_string() });
        let tree = Tree::from_files("".into(), files.collect()).unwrap();
        check(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn down_is_allowed_and_up_is_not() {
        assert!(findings(&[("dataplane/src/ip/input.rs", "use crate::{wire::ipv4, counters};")]).is_empty());
        let up = findings(&[("dataplane/src/wire/ipv4.rs", "use crate::{counters, ip::input};")]);
        assert_eq!(up, ["`wire` uses `ip`, which is above it"]);
        let inline = findings(&[("dataplane/src/qdisc/mod.rs", "fn f() { crate::device::up(); }")]);
        assert_eq!(inline.len(), 1);
    }

    #[test]
    fn neighbours_know_each_other_in_one_direction() {
        let (there, back) = ("use crate::link::arp;", "use crate::route::fib;");
        assert!(findings(&[("dataplane/src/route/fib.rs", there)]).is_empty());
        assert_eq!(findings(&[("dataplane/src/route/fib.rs", there), ("dataplane/src/link/arp.rs", back)]).len(), 1);
    }

    #[test]
    fn module_without_a_place_is_told() {
        assert_eq!(findings(&[("dataplane/src/novelty.rs", "")]).len(), 1);
    }
}
