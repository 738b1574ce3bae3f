//! Whether the daemon does its work, and having it read its configuration again.

use std::fmt::Write;
use std::process::ExitCode;

use xmitd::api::client::unexpected;
use xmitd::api::{Client, Health, Request, Response};

use crate::Failure;
use crate::table::Table;
use crate::view::{print, print_json};

/// Prints the lanes and what is wrong. Exit code 1 if something is.
pub fn run(mut client: Client, json: bool) -> Result<ExitCode, Failure> {
    let health = match client.request(&Request::Health)? {
        Response::Health(health) => health,
        other => return Err(unexpected(&other).into()),
    };
    if json {
        print_json(&health)?
    } else {
        print(&text(&health))?
    }
    Ok(if health.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has the configuration read again and prints what changed.
pub fn reload(mut client: Client, json: bool) -> Result<ExitCode, Failure> {
    let reloaded = match client.request(&Request::Reload)? {
        Response::Reloaded(reloaded) => reloaded,
        other => return Err(unexpected(&other).into()),
    };
    if json {
        print_json(&reloaded)?;
    } else if reloaded.applied.is_empty() {
        print("The configuration was read again; nothing in it changed.\n")?;
    } else {
        print(&(reloaded.applied.join("\n") + "\n"))?;
    }
    Ok(ExitCode::SUCCESS)
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
