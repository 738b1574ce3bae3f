//! What the load does, as the command line and the report name it: `requests-64`, `connects-64`, `in-1`, `out-1`.

use crate::contender::Load;
use crate::outcome::{BITS, CONNECTIONS, REQUESTS, Unit};
use std::fmt;
use std::str::FromStr;

/// What the load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// On each of so many connections a request, its answer, the next request, and so on.
    Requests(usize),
    /// So many at once connect, ask, hear the answer and close.
    Connects(usize),
    /// The contender receives as much as it can, on so many connections.
    In(usize),
    /// The contender sends as much as it can, on so many connections.
    Out(usize),
}

/// The text is no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scenario: write requests-N, connects-N, in-N or out-N with a number of connections")]
pub struct BadScenario(String);

impl Scenario {
    /// The issue's: what a server is asked for.
    pub const DEFAULT: [Self; 6] =
        [Self::Requests(1), Self::Requests(64), Self::Requests(1024), Self::Connects(64), Self::In(1), Self::Out(1)];

    /// Connections at once.
    pub fn connections(self) -> usize {
        match self {
            Self::Requests(count) | Self::Connects(count) | Self::In(count) | Self::Out(count) => count,
        }
    }

    /// As a contender is put under it.
    pub fn load(self) -> Load {
        let arguments = vec!["--scenario".into(), self.to_string()];
        Load { name: self.to_string(), unit: self.unit(), arguments }
    }

    fn unit(self) -> Unit {
        match self {
            Self::Requests(_) => REQUESTS,
            Self::Connects(_) => CONNECTIONS,
            Self::In(_) | Self::Out(_) => BITS,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Requests(_) => "requests",
            Self::Connects(_) => "connects",
            Self::In(_) => "in",
            Self::Out(_) => "out",
        };
        write!(f, "{name}-{}", self.connections())
    }
}

impl FromStr for Scenario {
    type Err = BadScenario;

    fn from_str(text: &str) -> Result<Self, BadScenario> {
        let bad = || BadScenario(text.into());
        let (name, count) = text.split_once('-').ok_or_else(bad)?;
        let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
        match name {
            "requests" => Ok(Self::Requests(count)),
            "connects" => Ok(Self::Connects(count)),
            "in" => Ok(Self::In(count)),
            "out" => Ok(Self::Out(count)),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written() {
        for scenario in Scenario::DEFAULT {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        for wrong in ["requests", "requests-0", "requests-x", "udp-1"] {
            assert!(wrong.parse::<Scenario>().is_err(), "{wrong}");
        }
    }
}
