//! The tools' end of the operator API: blocking, one question at a time.

use super::{Interface, Neighbor, Qdisc, Request, Response, Route, Socket, Stages, Stat, Version};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a question may take: a busy control thread answers in milliseconds, a hung one never.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// A connection to a running daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// A question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no xmitd answers at {0}: start one (`xmitd --config xmit.toml`), or name the socket of the one that runs")]
    NotRunning(PathBuf),
    /// The socket is another user's.
    #[error("{0} belongs to another user: run this command as the user that started xmitd (usually root)")]
    NotPermitted(PathBuf),
    /// The daemon went away or took longer than [`ANSWER_TIME_MAX`].
    #[error("xmitd at {path} did not answer: {error}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The daemon says no and why.
    #[error("{0}")]
    Refused(String),
    /// Tool and daemon are of different versions.
    #[error("xmitd answered `{0}`, which this tool does not understand: use tools and daemon of the same version")]
    NotUnderstood(String),
}

impl Client {
    /// Connects to the daemon whose operator socket is `path`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`], [`ClientError::NotPermitted`], or the kernel's.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning(path.into()),
            io::ErrorKind::PermissionDenied => ClientError::NotPermitted(path.into()),
            _ => ClientError::Io { path: path.into(), error },
        })?;
        let limits =
            stream.set_read_timeout(Some(ANSWER_TIME_MAX)).and(stream.set_write_timeout(Some(ANSWER_TIME_MAX)));
        limits.map_err(|error| ClientError::Io { path: path.into(), error })?;
        Ok(Self { stream: BufReader::new(stream), path: path.into() })
    }

    /// Asks and waits for the answer. An answer of [`Response::Error`] is an `Err`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the daemon's words, [`ClientError::Io`] if it went away,
    /// [`ClientError::NotUnderstood`] if it is of another version.
    pub fn request(&mut self, request: &Request) -> Result<Response, ClientError> {
        let line = self.exchange(request).map_err(|error| ClientError::Io { path: self.path.clone(), error })?;
        match serde_json::from_str(&line) {
            Ok(Response::Error(message)) => Err(ClientError::Refused(message)),
            Ok(response) => Ok(response),
            Err(_) => Err(ClientError::NotUnderstood(line.chars().take(80).collect())),
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<String> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        line.clear();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
        }
        Ok(line)
    }

    /// [`Request::Version`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn version(&mut self) -> Result<Version, ClientError> {
        match self.request(&Request::Version)? {
            Response::Version(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Stat`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stat(&mut self) -> Result<Stat, ClientError> {
        match self.request(&Request::Stat)? {
            Response::Stat(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Stages`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stages(&mut self) -> Result<Stages, ClientError> {
        match self.request(&Request::Stages)? {
            Response::Stages(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Interfaces`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn interfaces(&mut self) -> Result<Vec<Interface>, ClientError> {
        match self.request(&Request::Interfaces)? {
            Response::Interfaces(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Sockets`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn sockets(&mut self) -> Result<Vec<Socket>, ClientError> {
        match self.request(&Request::Sockets)? {
            Response::Sockets(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Routes`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn routes(&mut self) -> Result<Vec<Route>, ClientError> {
        match self.request(&Request::Routes)? {
            Response::Routes(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Neighbors`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn neighbors(&mut self) -> Result<Vec<Neighbor>, ClientError> {
        match self.request(&Request::Neighbors)? {
            Response::Neighbors(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }

    /// [`Request::Qdisc`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn qdisc(&mut self) -> Result<Vec<Qdisc>, ClientError> {
        match self.request(&Request::Qdisc)? {
            Response::Qdisc(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    }
}

/// The error for a well-formed answer to another question.
pub fn unexpected(response: &Response) -> ClientError {
    ClientError::NotUnderstood(response.kind().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    #[test]
    fn a_daemon_that_is_not_there_is_one_sentence() {
        let directory = Directory::new("client");
        let missing = directory.path("operator.sock");
        assert!(matches!(Client::connect(&missing), Err(ClientError::NotRunning(_))));
        drop(std::os::unix::net::UnixListener::bind(&missing).unwrap());
        assert!(matches!(Client::connect(&missing), Err(ClientError::NotRunning(_))), "a stale socket is nobody");
    }
}
