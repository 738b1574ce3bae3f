//! The configuration: one TOML file, typed, parsed once.
//!
//! Owns the types of every section (each field with unit, default and reason), the check of what they mean together
//! ([`check`]), the sentences of `xmitd --check` ([`explain`]) and what a reload may change ([`reload`]).
//! Called at start, by `--check`, and on SIGHUP.
//!
//! Invariants:
//! * a [`Config`] that [`Config::load`] returned is whole: every cross-reference in it holds on this machine;
//! * a mistake is told with file, line, column, what is wrong and what would be right, and nothing is changed by it;
//! * an unknown field is a mistake, never ignored.

pub mod check;
mod cidr;
pub mod client;
pub mod daemon;
pub mod error;
pub mod explain;
pub mod interface;
pub mod lane;
pub mod machine;
pub mod neighbor;
pub mod reload;
pub mod route;
pub mod tcp;
pub mod units;

pub use client::Client;
pub use daemon::Daemon;
pub use error::{ConfigError, Mistake};
pub use interface::{El3c501, Interface, Join, Kind, Peer, ReversePath, Timing, XdpMode, ZeroCopy};
pub use lane::Lane;
pub use machine::Machine;
pub use neighbor::Neighbor;
pub use route::Route;
pub use tcp::Tcp;
pub use units::{ByteSize, Span};

use serde::{Deserialize, Deserializer};
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[daemon]`: sockets and log.
    pub daemon: Daemon,
    /// `[[lane]]`: one per core that is to carry packets, numbered from 0 in the order of the file.
    #[serde(rename = "lane")]
    pub lanes: Vec<Lane>,
    /// `[[interface]]`: the NICs, real and emulated.
    #[serde(rename = "interface")]
    pub interfaces: Vec<Interface>,
    /// `[[route]]`: routes beside those that follow from addresses and gateways.
    #[serde(rename = "route")]
    pub routes: Vec<Route>,
    /// `[[neighbor]]`: neighbours that are known without ARP.
    #[serde(rename = "neighbor")]
    pub neighbors: Vec<Neighbor>,
    /// `[client]`: who may connect, and how much one client may take.
    pub client: Client,
    /// `[tcp]`: what holds for all connections.
    pub tcp: Tcp,
}

impl Config {
    /// Reads, parses and checks the file at `path` for use on `machine`.
    ///
    /// # Errors
    /// Every mistake with its line and cure, or that the file cannot be read.
    pub fn load(path: &Path, machine: &Machine) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::parse(&text, path, machine)
    }

    /// [`Config::load`] of a text that is already in memory; `path` is for the messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path, machine: &Machine) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        let findings = check::check(&config, machine);
        if findings.is_empty() { Ok(config) } else { Err(ConfigError::meaning(path, text, &findings)) }
    }

    /// The interface called `name`.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }
}

/// Reads a field through its `FromStr`, so that the error text of the type is the one the operator sees.
fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// [`from_text`] for a field that may be absent.
fn from_text_if_any<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    from_text(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
