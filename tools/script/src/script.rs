//! A script: its set-up and its lines.

use crate::medium::Medium;
use crate::setup::Setup;
use crate::statement::Statement;
use crate::words::Words;
use std::path::Path;

/// A script, understood but not yet run.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file, for messages.
    pub name: String,
    pub(crate) setup: Setup,
    pub(crate) lines: Vec<Line>,
    skipped: Vec<(Medium, String)>,
}

/// A line after the set-up.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) statement: Statement,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct ScriptError {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Script {
    /// Reads the script in the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or a line is not understood.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&name, &text),
            Err(error) => Err(ScriptError { file: name, line: 0, what: error.to_string() }),
        }
    }

    /// Reads a script from `text`.
    ///
    /// # Errors
    /// If a line is not understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let mut script =
            Self { name: name.to_owned(), setup: Setup::default(), lines: Vec::new(), skipped: Vec::new() };
        let mut sockets = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let read = script.read(number, line, &mut sockets);
            read.map_err(|what| ScriptError { file: name.to_owned(), line: number, what })?;
        }
        Ok(script)
    }

    /// Why it does not run over `medium`, if it does not.
    pub fn skipped_on(&self, medium: Medium) -> Option<&str> {
        self.skipped.iter().find(|(m, _)| *m == medium).map(|(_, why)| why.as_str())
    }

    fn read(&mut self, number: usize, line: &str, sockets: &mut Vec<String>) -> Result<(), String> {
        if let Some(rest) = line.trim().strip_prefix("not over ") {
            return self.skip(rest);
        }
        let mut words = Words::split(line)?;
        if words.is_empty() || self.set_up(&mut words)? {
            return words.end();
        }
        let statement = Statement::read(&mut words, sockets)?;
        words.end()?;
        self.lines.push(Line { number, text: line.trim().to_owned(), statement });
        Ok(())
    }

    /// `not over 3c501: why`.
    fn skip(&mut self, rest: &str) -> Result<(), String> {
        let (medium, why) = rest.split_once(':').ok_or("write `not over MEDIUM: why`")?;
        let medium = medium.trim().parse().map_err(str::to_owned)?;
        self.skipped.push((medium, why.trim().to_owned()));
        Ok(())
    }

    /// True if the line belongs to the set-up, which ends with the first line that does not.
    fn set_up(&mut self, words: &mut Words) -> Result<bool, String> {
        if !self.lines.is_empty() {
            return Ok(false);
        }
        let is_change = |words: &Words| {
            let mut ahead = words.clone();
            ahead.bare("").is_ok() && ahead.bare("").is_ok() && ahead.take("goes")
        };
        if !is_change(words) && words.take("interface") {
            self.setup.interface(words)?;
        } else if words.take("route") {
            self.setup.route(words)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_carry_file_and_line() {
        let cases = [
            ("arrives udp 10.0.0.1:1 > 10.0.0.2 \"x\"", "an address with a port"),
            ("\nleaves nonsense", "`nonsense` is not a packet"),
            ("after soon", "`soon` is not a time"),
            ("s1 send \"x\"", "does not begin with `s1`"),
            ("socket s1 udp\ns1 error EWHAT", "EWHAT"),
            ("not over token ring: why", "the media are memory, wire and 3c501"),
            ("nothing leaves today", "did not understand `today`"),
            ("nothing leaves\nroute default via 10.0.0.1", "does not begin with `route`"),
        ];
        for (text, expected) in cases {
            let error = Script::parse("x.script", text).unwrap_err().to_string();
            let line = text.lines().count();
            assert!(error.starts_with(&format!("x.script:{line}: ")) && error.contains(expected), "{error}");
        }
    }
}
