//! Tells the person what is going on: lines on the output, a moving bar where there is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Failure;
use crate::demo::not_shown;
use crate::view::print;
use crate::wait::{Interrupt, Waited};
use xmit_shared::clock;

/// Where the story goes. Silent when the output is for programs.
#[derive(Debug)]
pub struct Narrator {
    silent: bool,
}

/// How long [`until`] waits between two looks.
const LOOK: Duration = Duration::from_millis(10);

impl Narrator {
    /// A narrator; a silent one tells nothing.
    pub fn new(silent: bool) -> Self {
        Self { silent }
    }

    /// One line, or several.
    pub fn say(&self, text: &str) -> Result<(), Failure> {
        if self.silent { Ok(()) } else { print(&format!("{}\n", text.trim_end())) }
    }

    /// A bar of `length` steps on standard error; invisible where that is no terminal.
    pub fn bar(&self, what: &'static str, length: u32) -> ProgressBar {
        if self.silent {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("  {msg:<10} {wide_bar} {pos}/{len}");
        let bar = ProgressBar::new(length.into()).with_message(what);
        // The template is a constant; should it not parse, indicatif's own is as good.
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }
}

/// Looks again and again until there is a value, at most for `limit`. Ctrl-C ends it.
pub fn until<T>(
    interrupt: &Interrupt,
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let end = clock::monotonic() + limit;
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        if interrupt.wait(Some(LOOK)).map_err(Failure::io("wait"))? == Waited::Interrupted {
            return Err(Failure::Interrupted);
        }
        if clock::monotonic() >= end {
            return Err(not_shown(format!("{what}: not within {} s", limit.as_secs())));
        }
    }
}

/// Ends what runs if the person wants to stop.
pub fn go_on(interrupt: &Interrupt) -> Result<(), Failure> {
    match interrupt.wait(Some(Duration::ZERO)).map_err(Failure::io("wait"))? {
        Waited::Elapsed => Ok(()),
        Waited::Interrupted => Err(Failure::Interrupted),
    }
}
