//! The house rules over the whole repository, one test a rule.

use xmit_tidy::{House, Rule};

fn check(house: &House, rule: Rule) {
    let findings = house.findings(rule);
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{}\n(exceptions: tools/tidy/exceptions.toml)\n", list.join("\n"));
}

macro_rules! rules {
    ($($test:ident: $rule:ident,)*) => {
        $(#[test] fn $test() { check(&House::open().unwrap(), Rule::$rule); })*
    };
}

rules! {
    files_are_short: FileLength,
    functions_are_short: FunctionLength,
    banned_calls_are_absent: BannedCall,
    unsafe_has_an_address: Unsafe,
    layers_point_down: Layer,
    crates_point_down: CrateDirection,
    dependencies_have_reasons: DependencyReason,
    files_open_with_a_header: Header,
    text_is_of_no_machine: Machine,
    text_is_finished: Unfinished,
    links_lead_somewhere: Link,
    scripts_have_callers: OrphanScript,
    linux_map_is_true: LinuxMap,
}
