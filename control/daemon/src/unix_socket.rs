//! A listening Unix stream socket with its place in the file system.
//!
//! Invariants:
//! * nobody can connect before the mode is set: the socket is made under another name and renamed into place;
//! * a socket file left by a dead daemon is replaced; that its daemon *is* dead is the business of [`crate::lock`];
//! * dropping it removes the file, unless another socket has taken the place meanwhile.

use mio::net::UnixListener;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A listening socket that owns its path.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// The socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// Something else stands where the socket should.
    #[error("{0} exists and is not a socket: move it away, or name another path in [daemon] of the configuration")]
    NotASocket(PathBuf),
    /// The kernel refused.
    #[error("cannot {doing} the socket {path}: {error}; the directory must exist or be creatable and be writable")]
    Io {
        /// The step that failed.
        doing: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl UnixSocket {
    /// Listens at `path` with the file's mode set to `mode` (0o600: the daemon's user only). Makes missing directories.
    ///
    /// # Errors
    /// What the file system says, or that a file stands there which is no socket.
    pub fn listen(path: &Path, mode: u32) -> Result<Self, UnixSocketError> {
        let fail = |doing| move |error| UnixSocketError::Io { doing, path: path.to_path_buf(), error };
        if let Ok(meta) = std::fs::symlink_metadata(path)
            && !meta.file_type().is_socket()
        {
            return Err(UnixSocketError::NotASocket(path.to_path_buf()));
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(fail("make the directory of"))?;
        }
        let mut unready = path.as_os_str().to_owned();
        unready.push(".new");
        let unready = PathBuf::from(unready);
        _ = std::fs::remove_file(&unready); // left over only if a daemon died between the next two lines
        let listener = UnixListener::bind(&unready).map_err(fail("make"))?;
        let place = || {
            std::fs::set_permissions(&unready, std::fs::Permissions::from_mode(mode))?;
            let inode = std::fs::symlink_metadata(&unready)?.ino();
            std::fs::rename(&unready, path)?;
            Ok(inode)
        };
        let inode = place().map_err(|error| {
            _ = std::fs::remove_file(&unready);
            fail("place")(error)
        })?;
        Ok(Self { listener, path: path.to_path_buf(), inode })
    }

    /// The next waiting connection, or nothing.
    ///
    /// # Errors
    /// The kernel's, such as no descriptor left.
    pub fn accept(&self) -> io::Result<Option<mio::net::UnixStream>> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl mio::event::Source for UnixSocket {
    fn register(&mut self, to: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        self.listener.register(to, token, interests)
    }

    fn reregister(&mut self, to: &mio::Registry, token: mio::Token, interests: mio::Interest) -> io::Result<()> {
        self.listener.reregister(to, token, interests)
    }

    fn deregister(&mut self, from: &mio::Registry) -> io::Result<()> {
        self.listener.deregister(from)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    #[test]
    fn is_private_replaces_a_stale_socket_and_leaves_nothing() {
        let directory = Directory::new("unix-socket");
        let path = directory.path("deep/operator.sock");
        let stale = UnixSocket::listen(&path, 0o600).unwrap();
        let fresh = UnixSocket::listen(&path, 0o600).unwrap();
        drop(stale);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert!(fresh.accept().unwrap().is_some());
        assert!(fresh.accept().unwrap().is_none());
        drop(fresh);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn never_deletes_a_file() {
        let directory = Directory::new("unix-socket-file");
        let path = directory.path("precious");
        std::fs::write(&path, "data").unwrap();
        let error = UnixSocket::listen(&path, 0o600).unwrap_err().to_string();
        assert!(error.contains("is not a socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }
}
