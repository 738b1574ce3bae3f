//! What can go wrong while a test arranges its network.

/// The failure of one step, with the command and what it said.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The program is not there or may not be run.
    #[error("cannot run `{command}`: {source}; install it (iproute2, ethtool) or run as root")]
    Start {
        /// The command line as it was tried.
        command: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The program ran and refused.
    #[error("`{command}` failed ({status}): {stderr}")]
    Refused {
        /// The command line as it ran.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// The last it said, trimmed.
        stderr: String,
    },
    /// A namespace could not be entered.
    #[error("cannot enter network namespace {name}: {source}; was it removed, or is CAP_SYS_ADMIN missing?")]
    Enter {
        /// The namespace's name.
        name: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The thread that works inside a namespace could not be made.
    #[error("cannot start a thread for network namespace {name}: {source}")]
    Thread {
        /// The namespace's name.
        name: String,
        /// What the system answered.
        source: std::io::Error,
    },
}
