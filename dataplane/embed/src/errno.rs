//! Error numbers as Linux has them: how every call here fails.

use std::io;

/// Linux's number of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// What a call gives.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        let by_kind = match error.kind() {
            io::ErrorKind::OutOfMemory => libc::ENOMEM,
            io::ErrorKind::Unsupported => libc::EOPNOTSUPP,
            _ => libc::EINVAL,
        };
        Self(error.raw_os_error().unwrap_or(by_kind))
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        Self(error.raw_os_error())
    }
}

/// The failure with `number`.
pub(crate) fn fail<T>(number: i32) -> Result<T> {
    Err(Errno(number))
}
