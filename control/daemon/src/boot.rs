//! Starting and stopping: a table of steps, each with its undo.
//!
//! The table is the whole order of the daemon's start; reading it from the bottom is the order of its stop.
//!
//! Invariants:
//! * a step is undone exactly once if it was done, and never if it was not;
//! * undoing goes backwards, and a step that cannot be undone does not keep the others from being undone;
//! * a step that fails has left nothing behind itself.

use std::error::Error;
use tracing::{debug, error};

/// What a step says when it fails: one sentence with the cure.
pub type StepError = Box<dyn Error + Send + Sync>;

/// One step of the start. `C` is what the steps build up: the daemon.
#[derive(Debug)]
pub struct Step<C> {
    /// What it does, to follow "cannot": `attach the XDP program`.
    pub name: &'static str,
    /// Does it.
    pub start: fn(&mut C) -> Result<(), StepError>,
    /// Undoes it.
    pub stop: fn(&mut C) -> Result<(), StepError>,
}

/// A step failed; all before it are undone.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {error}")]
pub struct BootError {
    /// The step's name.
    pub step: &'static str,
    /// What it said.
    pub error: StepError,
}

/// Something on which all steps of a table were done. Dropping it undoes them, also while a panic unwinds.
#[derive(Debug)]
pub struct Booted<C: 'static> {
    /// What the steps built up.
    pub context: C,
    table: &'static [Step<C>],
    done: usize,
}

impl<C> Booted<C> {
    /// Does the steps of `table` in order. If one fails, those before it are undone in reverse order.
    pub fn start(table: &'static [Step<C>], context: C) -> Result<Self, BootError> {
        let mut booted = Self { context, table, done: 0 };
        for step in table {
            debug!("start: {}", step.name);
            (step.start)(&mut booted.context).map_err(|error| BootError { step: step.name, error })?;
            booted.done += 1;
        }
        Ok(booted)
    }

    /// Undoes all steps, the last one first; what could not be undone is the answer, one sentence each.
    pub fn stop(mut self) -> Vec<String> {
        self.undo()
    }

    /// Bounded by the table; takes each step off `done` before it is undone, so that a panic in it is not repeated.
    fn undo(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        while let Some(step) = self.done.checked_sub(1).and_then(|last| self.table.get(last)) {
            self.done -= 1;
            debug!("stop: {}", step.name);
            if let Err(error) = (step.stop)(&mut self.context) {
                error!("cannot undo `{}`: {error}", step.name);
                problems.push(format!("cannot undo `{}`: {error}", step.name));
            }
        }
        problems
    }
}

impl<C> Drop for Booted<C> {
    fn drop(&mut self) {
        self.undo();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What happened, in order, and which step is to fail.
    #[derive(Default)]
    struct Log {
        lines: Arc<Mutex<Vec<&'static str>>>,
        start_fails: Option<&'static str>,
        stop_fails: Option<&'static str>,
    }

    impl Log {
        fn note(&mut self, line: &'static str) -> Result<(), StepError> {
            if self.start_fails == Some(line) || self.stop_fails == Some(line) {
                return Err(format!("{line} was told to fail").into());
            }
            self.lines.lock().unwrap().push(line);
            Ok(())
        }
    }

    static TABLE: [Step<Log>; 3] = [
        Step { name: "a", start: |log| log.note("+a"), stop: |log| log.note("-a") },
        Step { name: "b", start: |log| log.note("+b"), stop: |log| log.note("-b") },
        Step { name: "c", start: |log| log.note("+c"), stop: |log| log.note("-c") },
    ];

    #[test]
    fn stops_in_reverse_order_once() {
        let log = Log::default();
        let lines = Arc::clone(&log.lines);
        let booted = Booted::start(&TABLE, log).unwrap();
        assert_eq!(*lines.lock().unwrap(), ["+a", "+b", "+c"]);
        assert!(booted.stop().is_empty());
        assert_eq!(*lines.lock().unwrap(), ["+a", "+b", "+c", "-c", "-b", "-a"]);
    }

    #[test]
    fn a_failure_at_each_step_undoes_what_was_done() {
        let cases: [(&str, &[&str]); 3] = [("+a", &[]), ("+b", &["+a", "-a"]), ("+c", &["+a", "+b", "-b", "-a"])];
        for (failing, expected) in cases {
            let log = Log { start_fails: Some(failing), ..Log::default() };
            let lines = Arc::clone(&log.lines);
            let error = Booted::start(&TABLE, log).err().unwrap();
            assert_eq!(error.to_string(), format!("cannot {}: {failing} was told to fail", &failing[1..]));
            assert_eq!(*lines.lock().unwrap(), expected);
        }
    }

    #[test]
    fn a_failure_while_stopping_keeps_nothing_else_from_stopping() {
        let log = Log { stop_fails: Some("-b"), ..Log::default() };
        let lines = Arc::clone(&log.lines);
        let problems = Booted::start(&TABLE, log).unwrap().stop();
        assert_eq!(problems, ["cannot undo `b`: -b was told to fail"]);
        assert_eq!(*lines.lock().unwrap(), ["+a", "+b", "+c", "-c", "-a"]);
    }

    #[test]
    fn a_panic_stops_everything() {
        let log = Log::default();
        let lines = Arc::clone(&log.lines);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _booted = Booted::start(&TABLE, log).unwrap();
            panic!("while running");
        }));
        assert!(outcome.is_err());
        assert_eq!(lines.lock().unwrap()[3..], ["-c", "-b", "-a"]);
    }
}
