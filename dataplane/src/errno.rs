//! Linux's error numbers, which programs see as they are (`asm-generic/errno-base.h`, `asm-generic/errno.h`).

/// Not permitted.
pub const EPERM: i32 = 1;
/// No such thing; of `TCP_CONGESTION`: no such algorithm.
pub const ENOENT: i32 = 2;
/// No such socket.
pub const EBADF: i32 = 9;
/// Not allowed: a port below 1024, a broadcast without `SO_BROADCAST`.
pub const EACCES: i32 = 13;
/// In use already.
pub const EBUSY: i32 = 16;
/// Not a value, or not in this state.
pub const EINVAL: i32 = 22;
/// A table is full.
pub const ENFILE: i32 = 23;
/// No room left; of binds: a steering program is full.
pub const ENOSPC: i32 = 28;
/// Nobody reads any more.
pub const EPIPE: i32 = 32;
/// `ICMP_UNREACH` host unknown.
pub const ENONET: i32 = 64;
/// Parameter problem.
pub const EPROTO: i32 = 71;
/// No destination given.
pub const EDESTADDRREQ: i32 = 89;
/// Longer than a datagram may be.
pub const EMSGSIZE: i32 = 90;
/// No such option; protocol unreachable.
pub const ENOPROTOOPT: i32 = 92;
/// Source route failed, or not a call of this kind of socket.
pub const EOPNOTSUPP: i32 = 95;
/// Another socket has the address.
pub const EADDRINUSE: i32 = 98;
/// Not an address of this host, or no port is left.
pub const EADDRNOTAVAIL: i32 = 99;
/// The interface is down.
pub const ENETDOWN: i32 = 100;
/// No route.
pub const ENETUNREACH: i32 = 101;
/// The program, or its limits, ended the connection.
pub const ECONNABORTED: i32 = 103;
/// The peer reset the connection.
pub const ECONNRESET: i32 = 104;
/// No memory.
pub const ENOBUFS: i32 = 105;
/// Connected already.
pub const EISCONN: i32 = 106;
/// Not connected.
pub const ENOTCONN: i32 = 107;
/// The peer did not answer.
pub const ETIMEDOUT: i32 = 110;
/// Nobody listens there.
pub const ECONNREFUSED: i32 = 111;
/// The host is down.
pub const EHOSTDOWN: i32 = 112;
/// No way to the host.
pub const EHOSTUNREACH: i32 = 113;
/// A connect or bind is under way.
pub const EALREADY: i32 = 114;
