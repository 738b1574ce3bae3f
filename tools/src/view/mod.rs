//! What the daemon answers, printed: as aligned tables for people, as JSON for programs.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use xmitd::api::Client;

use crate::Failure;

pub mod health;
pub mod lists;
pub mod stat;

/// The lists that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Interfaces and their ports.
    Interfaces,
    /// Open sockets.
    Sockets,
    /// The forwarding table.
    Routes,
    /// The neighbour tables.
    Neighbors,
    /// The queueing disciplines.
    Qdisc,
}

/// Asks for one list and prints it.
pub fn show(mut client: Client, what: Show, json: bool) -> Result<ExitCode, Failure> {
    match what {
        Show::Interfaces => list(&client.interfaces()?, lists::interfaces, json),
        Show::Sockets => list(&client.sockets()?, lists::sockets, json),
        Show::Routes => list(&client.routes()?, lists::routes, json),
        Show::Neighbors => list(&client.neighbors()?, lists::neighbors, json),
        Show::Qdisc => list(&client.qdisc()?, lists::qdisc, json),
    }
}

fn list<T: Serialize>(rows: &[T], table: fn(&[T]) -> crate::table::Table, json: bool) -> Result<ExitCode, Failure> {
    print_as(json, rows, |rows| table(rows).to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a value: as JSON for programs, or as `text` tells it to people.
pub fn print_as<T: Serialize + ?Sized>(json: bool, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    if json { print_json(value) } else { print(&text(value)) }
}

/// Prints text. That the reader has gone (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("write the result")(error)),
        _ => Ok(()),
    }
}

/// Prints a value as one line of JSON.
pub fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::io("write the result")(error.into()))?;
    print(&(text + "\n"))
}
