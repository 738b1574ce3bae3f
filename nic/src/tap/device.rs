//! The character device behind a TAP interface.
//!
//! One function per request of `<linux/if_tun.h>` and `<linux/if.h>`, in the words of `tuntap.rst` and netdevice(7).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `_IOW('T', 202, int)`: attaches a descriptor of `/dev/net/tun` to an interface.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;

/// Why a TAP could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The name cannot be an interface's.
    #[error("`{0}` is no interface name: use 1 to 15 bytes without `/`, `%`, `:` or blanks")]
    Name(String),
    /// The depths are out of range.
    #[error("{reads} reads and {writes} writes in flight: each must be between 1 and 1,024")]
    Depth {
        /// What was asked for.
        reads: usize,
        /// What was asked for.
        writes: usize,
    },
    /// There is no TUN/TAP driver.
    #[error("/dev/net/tun does not exist: load the driver with `modprobe tun`")]
    NoDriver,
    /// The user may not.
    #[error(
        "no permission to open TAP `{0}`: run as root, give the program CAP_NET_ADMIN, or make the device yours with \
         `ip tuntap add dev {0} mode tap user $USER`"
    )]
    Permission(String),
    /// Another program has it open.
    #[error("TAP `{0}` is in use by another program: stop that program or choose another name")]
    InUse(String),
    /// The name belongs to an interface of another kind.
    #[error("`{0}` exists and is no TAP: choose another name, or remove it with `ip link del {0}`")]
    NotATap(String),
    /// Anything else that the kernel said to opening.
    #[error("TAP `{name}`: the kernel refused {step}: {source}")]
    Kernel {
        /// The interface.
        name: String,
        /// What was asked of the kernel.
        step: &'static str,
        /// What it answered.
        source: io::Error,
    },
    /// io_uring is not to be had.
    #[error(
        "io_uring could not be set up: {0}; see `sysctl kernel.io_uring_disabled` (0 allows it), `ulimit -l`, and the \
         container's seccomp profile"
    )]
    Ring(#[source] io::Error),
}

/// A descriptor attached to one queue of a TAP interface.
#[derive(Debug)]
pub(super) struct TapDevice {
    tun: File,
    control: OwnedFd,
    name: [u8; libc::IFNAMSIZ],
    mtu: u16,
}

impl TapDevice {
    /// Opens `/dev/net/tun` and attaches it to `name` with `IFF_TAP | IFF_NO_PI`.
    pub(super) fn open(name: &str) -> Result<Self, TapError> {
        let bytes = interface_name(name).ok_or_else(|| TapError::Name(name.to_owned()))?;
        // Blocking, because io_uring answers EAGAIN instead of waiting on a descriptor with O_NONBLOCK.
        let tun =
            OpenOptions::new().read(true).write(true).open("/dev/net/tun").map_err(|e| match e.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoDriver,
                Some(libc::EACCES | libc::EPERM) => TapError::Permission(name.to_owned()),
                _ => TapError::Kernel { name: name.to_owned(), step: "opening /dev/net/tun", source: e },
            })?;
        let mut request = ifreq(&bytes);
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        ioctl(tun.as_raw_fd(), TUNSETIFF, &mut request).map_err(|e| match e.raw_os_error() {
            Some(libc::EPERM) => TapError::Permission(name.to_owned()),
            Some(libc::EBUSY) => TapError::InUse(name.to_owned()),
            Some(libc::EINVAL) => TapError::NotATap(name.to_owned()),
            _ => TapError::Kernel { name: name.to_owned(), step: "TUNSETIFF", source: e },
        })?;
        let kernel = |step| move |source| TapError::Kernel { name: name.to_owned(), step, source };
        let control = control_socket().map_err(kernel("a socket for ioctls"))?;
        let mut request = ifreq(&bytes);
        ioctl(control.as_raw_fd(), libc::SIOCGIFMTU, &mut request).map_err(kernel("SIOCGIFMTU"))?;
        // SAFETY: SIOCGIFMTU succeeded, so the kernel wrote the `ifru_mtu` member.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(Self { tun, control, name: bytes, mtu: u16::try_from(mtu).unwrap_or(u16::MAX) })
    }

    /// The interface's MTU when it was opened.
    pub(super) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// True while the interface exists and is administratively up: down, the kernel takes no frames.
    pub(super) fn is_up(&self) -> bool {
        let mut request = ifreq(&self.name);
        let known = ioctl(self.control.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request).is_ok();
        // SAFETY: read only if SIOCGIFFLAGS succeeded, so the kernel wrote the `ifru_flags` member.
        known && i32::from(unsafe { request.ifr_ifru.ifru_flags }) & libc::IFF_UP != 0
    }
}

impl AsRawFd for TapDevice {
    fn as_raw_fd(&self) -> RawFd {
        self.tun.as_raw_fd()
    }
}

/// `name` as the kernel's NUL-terminated array (`dev_valid_name`; `%` would make it a pattern).
fn interface_name(name: &str) -> Option<[u8; libc::IFNAMSIZ]> {
    let bad = |b: u8| matches!(b, b'/' | b':' | b'%' | 0) || b.is_ascii_whitespace();
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || matches!(name, "." | "..") || name.bytes().any(bad) {
        return None;
    }
    let mut bytes = [0; libc::IFNAMSIZ];
    bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    Some(bytes)
}

fn ifreq(name: &[u8; libc::IFNAMSIZ]) -> libc::ifreq {
    // SAFETY: an ifreq is plain data for which all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request
}

fn ioctl(fd: RawFd, code: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: every code used here takes an ifreq, which `request` is, and the kernel keeps no pointer to it.
    match unsafe { libc::ioctl(fd, code as _, request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Any socket will do for the interface ioctls (netdevice(7)).
fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: a system call without pointers.
    match unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel just made this descriptor for us alone.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_refuse_or_expand_are_refused() {
        for bad in ["", ".", "..", "a/b", "tap%d", "with space", "a:1", "sixteen-bytes-xx"] {
            assert!(interface_name(bad).is_none(), "{bad}");
        }
        assert_eq!(interface_name("tap0").unwrap()[..5], *b"tap0\0");
    }
}
