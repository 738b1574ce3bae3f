//! The log: lines on standard error, with a filter that can change while the daemon runs.

use std::io::IsTerminal;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// The running log.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// The filter is not one, or a log runs already.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot use `{filter}`: {why}; write error, warn, info, debug, trace, or `info,xmitd::netlink=debug`")]
pub struct LogError {
    filter: String,
    why: String,
}

impl Log {
    /// Starts the log of this process; once.
    ///
    /// # Errors
    /// The filter is none, or a log runs already.
    pub fn start(filter: &str) -> Result<Self, LogError> {
        let (layer, handle) = reload::Layer::new(parse(filter)?);
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        let started = tracing_subscriber::registry().with(layer).with(lines).try_init();
        started.map_err(|error| LogError { filter: filter.into(), why: error.to_string() })?;
        Ok(Self { filter: handle })
    }

    /// Changes what is logged from now on.
    ///
    /// # Errors
    /// The filter is none; the former one stays.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        let wanted = parse(filter)?;
        self.filter.reload(wanted).map_err(|error| LogError { filter: filter.into(), why: error.to_string() })
    }
}

/// `netlink-packet-route` warns of every attribute that a newer kernel made longer, which is no news to an operator.
const QUIET: &str = "netlink_packet_route=error";

/// A directive of `filter` for the same crate stands behind [`QUIET`] and wins.
fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| LogError { filter: filter.into(), why: error.to_string() })
}
