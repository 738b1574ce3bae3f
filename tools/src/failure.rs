//! Why a command failed, as a sentence with the cure, and as an exit code.

use std::io;

use xmit_nic::packet::PacketError;
use xmitd::api::ClientError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A program of the system could not be started.
    #[error(
        "cannot run `{command}`: {source}; install iproute2, ethtool and iputils-ping, or add their directory to PATH"
    )]
    Start {
        /// The command line.
        command: String,
        /// What the system answered.
        source: io::Error,
    },
    /// A program of the system refused.
    #[error("`{command}` failed: {stderr}")]
    Refused {
        /// The command line.
        command: String,
        /// The last it said.
        stderr: String,
    },
    /// The command changes the system's network.
    #[error("{0} needs root: run it with sudo")]
    NeedsRoot(&'static str),
    /// The daemon did not answer, or refused.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// An interface could not be opened.
    #[error("{0}: {1}")]
    Interface(String, PacketError),
    /// Both ends of a wire are the same.
    #[error("{0} is given twice: a wire needs two interfaces")]
    JoinedTwice(String),
    /// An interface was removed while it was in use.
    #[error("{0} was removed: start again when it is back")]
    InterfaceGone(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; what was made is removed")]
    Interrupted,
    /// Something that the demo wants to show does not hold here.
    #[error("{0}")]
    NotShown(String),
    /// Reading the system or writing the result failed.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system answered.
        source: io::Error,
    },
}

impl Failure {
    /// 1: it failed. 3: no daemon. 4: not permitted. 130: interrupted. (2 is a mistake in the command line.)
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Daemon(ClientError::NotRunning(_)) => 3,
            Self::NeedsRoot(_) | Self::Daemon(ClientError::NotPermitted(_)) => 4,
            Self::Interrupted => 130,
            _ => 1,
        }
    }

    /// For `map_err`: an I/O error while doing something.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
