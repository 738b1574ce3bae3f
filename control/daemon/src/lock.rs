//! The right to be the one daemon of a socket.
//!
//! A lock file stands beside each socket (`operator.sock.lock`), locked by `flock` for as long as its daemon lives and
//! holding its process id. The kernel releases it with the process, however that ends; the file itself stays, because
//! removing it while another daemon waits for it would give the lock to two.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held as long as the daemon lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon holds it.
    #[error("another xmitd (process {pid}) serves {socket}: stop it, or give this one other sockets in [daemon]")]
    Taken {
        /// The socket.
        socket: PathBuf,
        /// Who, as it said itself.
        pid: String,
    },
    /// The file system refused.
    #[error(
        "cannot lock {file}: {error}; run xmitd as root, or name sockets in a directory it may write to in [daemon]"
    )]
    Io {
        /// The lock file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Lock {
    /// Takes the lock of `socket`, making its directory if that is missing.
    ///
    /// # Errors
    /// [`LockError::Taken`] with the process that has it, or what the file system says.
    pub fn acquire(socket: &Path) -> Result<Self, LockError> {
        let mut name = socket.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let failed = |error| LockError::Io { file: path.clone(), error };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(LockError::Taken { socket: socket.into(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let note = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    #[test]
    fn a_second_daemon_is_told_who_the_first_is() {
        let directory = Directory::new("lock");
        let socket = directory.path("run/operator.sock");
        let first = Lock::acquire(&socket).unwrap();
        let error = Lock::acquire(&socket).unwrap_err().to_string();
        let expected = format!("another xmitd (process {}) serves {}", std::process::id(), socket.display());
        assert!(error.starts_with(&expected), "{error}");
        Lock::acquire(&directory.path("run/other.sock")).unwrap();
        drop(first);
        Lock::acquire(&socket).unwrap();
    }
}
