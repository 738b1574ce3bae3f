//! `xmit demo`: shows the whole thing at work, and says with numbers what was shown.
//!
//! As root ([`kernel`]): the kernel in one namespace pings xmitd in another, exchanges datagrams with a program on
//! its shared memory and connects with TCP, both ways, over AF_XDP and then over two 3C501s. Else ([`simulated`]): the same between two stacks in this
//! process, in virtual time.
//!
//! Invariants:
//! * what was made is removed however it ends: namespaces, processes, directory; a killed run's leftovers at the next start;
//! * every wait has a limit and ends at Ctrl-C;
//! * the exit code is 0 only if everything shown held.

pub mod child;
pub mod datagram;
pub mod echo;
pub mod exchange;
pub mod kernel;
pub mod narrator;
pub mod ping;
pub mod pinger;
pub mod place;
pub mod shown;
pub mod simulated;
pub mod stacks;
pub mod stream;
pub mod talk;
pub mod window;
pub mod xmitd;

use std::process::ExitCode;

use crate::Failure;
use crate::system::is_root;
use crate::view::print_json;
use crate::wait::Interrupt;
use narrator::{Narrator, go_on};
use place::Place;

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    /// In this process, also as root.
    pub simulated: bool,
    /// The lab's name.
    pub name: String,
    /// For programs.
    pub json: bool,
}

/// Shows it.
pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::catch().map_err(Failure::io("watch for Ctrl-C"))?;
    let narrator = Narrator::new(options.json);
    let place = if options.simulated || !is_root() { None } else { prepare(&options.name, &narrator, &interrupt)? };
    let shown = match place {
        Some(place) => kernel::run(place, &narrator, &interrupt)?,
        None => simulated::run(&narrator, &interrupt)?,
    };
    if options.json {
        print_json(&shown)?;
    }
    narrator.say("\nShown:")?;
    for shown in &shown {
        narrator.say(&shown.to_string())?;
    }
    let failed = shown.iter().filter(|shown| !shown.holds()).count();
    match failed {
        0 => narrator.say(&format!("All {} held.", shown.len()))?,
        failed => return Err(Failure::NotShown(format!("{failed} of {} did not hold", shown.len()))),
    }
    Ok(ExitCode::SUCCESS)
}

/// The place for the demo against the kernel; none where root is not allowed to make it, as in most containers.
fn prepare(name: &str, narrator: &Narrator, interrupt: &Interrupt) -> Result<Option<Place>, Failure> {
    match Place::prepare(name) {
        Ok(place) => Ok(Some(place)),
        Err(refused @ Failure::Refused { .. }) => {
            go_on(interrupt)?; // Ctrl-C ends the system's programs as well
            narrator.say(&format!("No network namespaces for the demo against the kernel here: {refused}"))?;
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// `text` as the failure of a demo.
fn not_shown(text: impl std::fmt::Display) -> Failure {
    Failure::NotShown(text.to_string())
}
