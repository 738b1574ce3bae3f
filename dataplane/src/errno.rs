//! Linux's error numbers, which programs see as they are (`asm-generic/errno-base.h`, `asm-generic/errno.h`).

/// Declares a constant for each number, and all of them by name.
macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)+) => {
        $($(#[$doc])* pub const $name: i32 = $number;)+

        /// Every number with its name.
        const NAMES: &[(&str, i32)] = &[$((stringify!($name), $number),)+];
    };
}

errors! {
    /// Not permitted.
    EPERM = 1;
    /// No such thing; of `TCP_CONGESTION`: no such algorithm.
    ENOENT = 2;
    /// Interrupted by a signal.
    EINTR = 4;
    /// No such socket.
    EBADF = 9;
    /// Not now; of a socket that does not wait.
    EAGAIN = 11;
    /// No memory.
    ENOMEM = 12;
    /// Not allowed: a port below 1024, a broadcast without `SO_BROADCAST`.
    EACCES = 13;
    /// In use already.
    EBUSY = 16;
    /// Not a value, or not in this state.
    EINVAL = 22;
    /// A table is full.
    ENFILE = 23;
    /// Too many are open.
    EMFILE = 24;
    /// No room left; of binds: a steering program is full.
    ENOSPC = 28;
    /// Nobody reads any more.
    EPIPE = 32;
    /// `ICMP_UNREACH` host unknown.
    ENONET = 64;
    /// Parameter problem.
    EPROTO = 71;
    /// No destination given.
    EDESTADDRREQ = 89;
    /// Longer than a datagram may be.
    EMSGSIZE = 90;
    /// No such option; protocol unreachable.
    ENOPROTOOPT = 92;
    /// Source route failed, or not a call of this kind of socket.
    EOPNOTSUPP = 95;
    /// Another socket has the address.
    EADDRINUSE = 98;
    /// Not an address of this host, or no port is left.
    EADDRNOTAVAIL = 99;
    /// The interface is down.
    ENETDOWN = 100;
    /// No route.
    ENETUNREACH = 101;
    /// The program, or its limits, ended the connection.
    ECONNABORTED = 103;
    /// The peer reset the connection.
    ECONNRESET = 104;
    /// No memory.
    ENOBUFS = 105;
    /// Connected already.
    EISCONN = 106;
    /// Not connected.
    ENOTCONN = 107;
    /// The peer did not answer.
    ETIMEDOUT = 110;
    /// Nobody listens there.
    ECONNREFUSED = 111;
    /// The host is down.
    EHOSTDOWN = 112;
    /// No way to the host.
    EHOSTUNREACH = 113;
    /// A connect or bind is under way.
    EALREADY = 114;
    /// A connect has begun.
    EINPROGRESS = 115;
}

/// The number called `name`, if it is one of these.
pub fn number(name: &str) -> Option<i32> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// What `number` is called, if it is one of these.
pub fn name(number: i32) -> Option<&'static str> {
    NAMES.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_to_each_other() {
        assert_eq!((number("ECONNREFUSED"), name(ECONNREFUSED)), (Some(111), Some("ECONNREFUSED")));
        assert_eq!((number("ENOTHING"), name(0)), (None, None));
        assert!(NAMES.iter().all(|(known, of)| name(*of) == Some(known)), "a number stands here twice");
    }
}
