//! The error numbers that scripts know by name (`asm-generic/errno.h`).

const NAMES: &[(&str, u16)] = &[
    ("EPIPE", 32),
    ("EINTR", 4),
    ("EAGAIN", 11),
    ("ECONNABORTED", 103),
    ("ECONNRESET", 104),
    ("EISCONN", 106),
    ("ENOTCONN", 107),
    ("ETIMEDOUT", 110),
    ("EALREADY", 114),
    ("EINPROGRESS", 115),
    ("EOPNOTSUPP", 95),
    ("ENOENT", 2),
    ("EPERM", 1),
    ("EBADF", 9),
    ("EACCES", 13),
    ("EBUSY", 16),
    ("EINVAL", 22),
    ("EPROTO", 71),
    ("EDESTADDRREQ", 89),
    ("EMSGSIZE", 90),
    ("ENOPROTOOPT", 92),
    ("EADDRINUSE", 98),
    ("EADDRNOTAVAIL", 99),
    ("ENETDOWN", 100),
    ("ENETUNREACH", 101),
    ("ENOBUFS", 105),
    ("ECONNREFUSED", 111),
    ("EHOSTDOWN", 112),
    ("EHOSTUNREACH", 113),
];

/// The number of `name`.
pub(crate) fn number(name: &str) -> Result<u16, String> {
    let found = NAMES.iter().find(|(n, _)| *n == name);
    found.map(|(_, number)| *number).ok_or_else(|| format!("`{name}` is not an error number that scripts know"))
}

/// The name of `number`.
pub(crate) fn name(number: u16) -> String {
    let found = NAMES.iter().find(|(_, n)| *n == number);
    found.map_or_else(|| format!("error {number}"), |(name, _)| (*name).to_owned())
}
