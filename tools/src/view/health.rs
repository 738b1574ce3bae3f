//! Whether the daemon does its work, and having it read its configuration again.

use std::fmt::Write;
use std::process::ExitCode;

use xmitd::api::{Client, Health, Reloaded};

use crate::Failure;
use crate::table::Table;
use crate::view::print_as;

/// Prints the lanes and what is wrong. Exit code 1 if something is.
pub fn run(mut client: Client, json: bool) -> Result<ExitCode, Failure> {
    let health = client.health()?;
    print_as(json, &health, text)?;
    Ok(if health.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has the configuration read again and prints what changed.
pub fn reload(mut client: Client, json: bool) -> Result<ExitCode, Failure> {
    print_as(json, &client.reload()?, changes)?;
    Ok(ExitCode::SUCCESS)
}

fn changes(reloaded: &Reloaded) -> String {
    if reloaded.applied.is_empty() {
        return "The configuration was read again; nothing in it changed.\n".to_owned();
    }
    reloaded.applied.join("\n") + "\n"
}

fn text(health: &Health) -> String {
    let mut table = Table::new(&["lane", "core", "state", "last-turn-ms"]);
    for lane in &health.lanes {
        let state = match (lane.alive, lane.sleeping) {
            (false, _) => "ended",
            (true, true) => "sleeping",
            (true, false) => "turning",
        };
        table.row(&[&lane.lane, &lane.core, &state, &format!("{:.1}", lane.last_turn_ns as f64 / 1e6)]);
    }
    let mut text = table.to_string();
    for problem in &health.problems {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{problem}");
    }
    text
}
