//! The tools' end of the operator API: blocking, one question at a time.

use super::{
    CaptureStarted, CaptureStopped, Health, Interface, Neighbor, Qdisc, Reloaded, Request, Response, Route, Socket,
    Stages, Stat, Version,
};
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
        self.ask(&Request::Version, |answer| if let Response::Version(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Health`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn health(&mut self) -> Result<Health, ClientError> {
        self.ask(&Request::Health, |answer| if let Response::Health(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Stat`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stat(&mut self) -> Result<Stat, ClientError> {
        self.ask(&Request::Stat, |answer| if let Response::Stat(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Stages`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stages(&mut self) -> Result<Stages, ClientError> {
        self.ask(&Request::Stages, |answer| if let Response::Stages(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Interfaces`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn interfaces(&mut self) -> Result<Vec<Interface>, ClientError> {
        self.ask(
            &Request::Interfaces,
            |answer| if let Response::Interfaces(value) = answer { Some(value) } else { None },
        )
    }

    /// [`Request::Sockets`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn sockets(&mut self) -> Result<Vec<Socket>, ClientError> {
        self.ask(&Request::Sockets, |answer| if let Response::Sockets(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Routes`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn routes(&mut self) -> Result<Vec<Route>, ClientError> {
        self.ask(&Request::Routes, |answer| if let Response::Routes(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Neighbors`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn neighbors(&mut self) -> Result<Vec<Neighbor>, ClientError> {
        self.ask(&Request::Neighbors, |answer| if let Response::Neighbors(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Qdisc`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn qdisc(&mut self) -> Result<Vec<Qdisc>, ClientError> {
        self.ask(&Request::Qdisc, |answer| if let Response::Qdisc(value) = answer { Some(value) } else { None })
    }

    /// [`Request::Reload`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn reload(&mut self) -> Result<Reloaded, ClientError> {
        self.ask(&Request::Reload, |answer| if let Response::Reloaded(value) = answer { Some(value) } else { None })
    }

    /// [`Request::CaptureStart`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn start_capture(
        &mut self,
        interface: Option<String>,
        path: Option<PathBuf>,
        snaplen: u32,
    ) -> Result<CaptureStarted, ClientError> {
        let request = Request::CaptureStart { interface, path, snaplen };
        self.ask(&request, |answer| if let Response::CaptureStarted(value) = answer { Some(value) } else { None })
    }

    /// [`Request::CaptureStop`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stop_capture(&mut self, id: u64) -> Result<CaptureStopped, ClientError> {
        self.ask(&Request::CaptureStop { id }, |answer| {
            if let Response::CaptureStopped(value) = answer { Some(value) } else { None }
        })
    }

    /// Asks, and has `take` take its value out of an answer of the right kind.
    fn ask<T>(&mut self, request: &Request, take: fn(Response) -> Option<T>) -> Result<T, ClientError> {
        let answer = self.request(request)?;
        let kind = answer.kind();
        take(answer).ok_or_else(|| ClientError::NotUnderstood(kind.to_owned()))
    }
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
