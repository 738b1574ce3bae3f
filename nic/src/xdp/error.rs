//! What can go wrong while AF_XDP is set up: each a sentence with its cure.
//!
//! Raised by opening only; once a port runs, trouble is counted in its statistics instead.

use std::io;

/// Why a UMEM, the steering program or a port could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// EPERM or EACCES.
    #[error(
        "no permission to {doing}: run as root, or give the program CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF (setcap)"
    )]
    NoPermission {
        /// The attempt that was refused.
        doing: &'static str,
    },
    /// ENODEV, or a name that no interface can have.
    #[error("there is no interface {interface} in this network namespace: `ip -brief link` lists those there are")]
    NoSuchInterface {
        /// The name asked for.
        interface: String,
    },
    /// ENETDOWN.
    #[error("interface {interface} is down: `ip link set {interface} up`")]
    InterfaceDown {
        /// The interface.
        interface: String,
    },
    /// The interface has fewer receive queues.
    #[error(
        "interface {interface} has {queues} queue(s), so there is no queue {queue}: choose a lower one, or `ethtool -L {interface} combined N`"
    )]
    NoSuchQueue {
        /// The interface.
        interface: String,
        /// The queue asked for, counted from 0.
        queue: u32,
        /// How many there are.
        queues: u32,
    },
    /// EBUSY for longer than an unclean exit explains.
    #[error(
        "queue {queue} of {interface} is taken by another AF_XDP socket: stop the program that holds it (`ss --xdp -p` names it), or choose another queue"
    )]
    QueueTaken {
        /// The interface.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// EAFNOSUPPORT.
    #[error(
        "this kernel has no AF_XDP: use one of 5.9 or later built with CONFIG_XDP_SOCKETS=y, or the tap port instead"
    )]
    NoAfXdp,
    /// EBUSY or EEXIST from BPF_LINK_CREATE.
    #[error(
        "another XDP program is attached to {interface}: stop the program that owns it, or `ip link set dev {interface} xdp off`, and try again"
    )]
    OtherProgram {
        /// The interface.
        interface: String,
    },
    /// The kernel knows no BPF link for XDP.
    #[error(
        "this kernel cannot attach XDP to {interface} by a BPF link (it needs 5.9 or later), and without one a crash would leave the program behind: use a newer kernel"
    )]
    NoBpfLink {
        /// The interface.
        interface: String,
    },
    /// The driver has no native XDP, and it was insisted on.
    #[error(
        "{interface} cannot run XDP in {mode} mode ({source}): allow the other mode, or lower its MTU below 3,500 bytes"
    )]
    ModeRefused {
        /// The interface.
        interface: String,
        /// `native` or `generic`.
        mode: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// RLIMIT_MEMLOCK is too small for the UMEM.
    #[error(
        "may not lock {bytes} bytes for the UMEM: raise the limit (`ulimit -l`, LimitMEMLOCK= in the unit) or give CAP_IPC_LOCK"
    )]
    Memlock {
        /// Size of the UMEM.
        bytes: usize,
    },
    /// No memory, or no huge pages where they were asked for.
    #[error(
        "no memory for a UMEM of {bytes} bytes ({source}): with hugepages set vm.nr_hugepages to at least {hugepages}, else use fewer frames"
    )]
    NoMemory {
        /// Size of the UMEM.
        bytes: usize,
        /// Pages of 2 MiB that it needs.
        hugepages: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Zero-copy was insisted on.
    #[error(
        "queue {queue} of {interface} cannot do zero-copy: allow copy mode, or open the NIC that can as the lane's first port"
    )]
    NoZeroCopy {
        /// The interface.
        interface: String,
        /// The queue.
        queue: u32,
    },
    /// A size that AF_XDP cannot have.
    #[error("{what} cannot be {got}: it must be {want}")]
    BadSize {
        /// The value's name.
        what: &'static str,
        /// What was asked for.
        got: u64,
        /// What is possible.
        want: &'static str,
    },
    /// The lane's first port was shut down, and the kernel shares a UMEM only through it.
    #[error("this lane's UMEM is closed to further ports because its first port was shut down: make a new LaneUmem")]
    UmemClosed,
    /// The lane's first socket is made with the UMEM, so an interface of another namespace means a wrong one to it.
    #[error(
        "the UMEM was made in another network namespace than that of {interface}: enter the interface's namespace before LaneUmem::new"
    )]
    OtherNamespace {
        /// The interface.
        interface: String,
    },
    /// The pool given is not the one over this UMEM.
    #[error("the pool does not belong to this UMEM: open the port with the pool that came with it")]
    ForeignPool,
    /// The steering program or one of its maps.
    #[error("the steering program: {0}; please report it with the kernel's version")]
    Program(String),
    /// The map of addresses or ports has no room.
    #[error("the steering map `{map}` is full: remove an entry first")]
    MapFull {
        /// Its name in `steer.bpf.c`.
        map: &'static str,
    },
    /// Anything else that the kernel answered.
    #[error("the kernel refused to {doing} ({source}): `xmit doctor` tells what works on this machine")]
    Kernel {
        /// The attempt.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl XdpError {
    /// The error for a system call that failed while `doing` something, where no more is known.
    pub(super) fn kernel(doing: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NoPermission { doing },
            Some(libc::EAFNOSUPPORT) => Self::NoAfXdp,
            _ => Self::Kernel { doing, source },
        }
    }

    /// The error for a map update that aya reports.
    pub(super) fn map(map: &'static str, error: &aya::maps::MapError) -> Self {
        use aya::maps::MapError;
        match error {
            MapError::SyscallError(e) if matches!(e.io_error.raw_os_error(), Some(libc::E2BIG | libc::ENOMEM)) => {
                Self::MapFull { map }
            }
            MapError::SyscallError(e) if matches!(e.io_error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {
                Self::NoPermission { doing: "change the steering maps" }
            }
            other => Self::Program(format!("map `{map}`: {}", chain(other))),
        }
    }
}

/// The text of an error and of its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The number of the system error somewhere among the causes of `error`.
pub(super) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(inner) = next {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        next = inner.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_become_sentences_with_a_cure() {
        let eperm = XdpError::kernel("load the steering program", io::Error::from_raw_os_error(libc::EPERM));
        assert!(eperm.to_string().contains("run as root"), "{eperm}");
        let none = XdpError::kernel("open a socket", io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
        assert!(none.to_string().contains("CONFIG_XDP_SOCKETS"), "{none}");
        let other = XdpError::kernel("open a socket", io::Error::from_raw_os_error(libc::EIO));
        assert!(other.to_string().contains("xmit doctor"), "{other}");
    }
}
