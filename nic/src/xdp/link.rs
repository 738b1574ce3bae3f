//! The BPF link that holds the steering program on an interface.
//!
//! Invariant: the program is attached exactly as long as the link's descriptor is open in this process, so the kernel
//! detaches it on every exit, SIGKILL included. Attaching through netlink would not do that, which is why there is no
//! fallback to it. See `BPF_LINK_CREATE` in bpf(2) and `bpf_xdp_link_attach` in `net/core/dev.c` (Linux 5.9).

use super::steering::XdpMode;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Holds a program on an interface until dropped.
#[derive(Debug)]
pub(super) struct Link(#[allow(dead_code)] OwnedFd); // held for its Drop

/// The `link_create` part of `union bpf_attr`, and the zeros after it.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    rest: [u64; 4],
}

impl Link {
    /// Attaches `program` to the interface `index` in `mode`.
    pub(super) fn attach(program: BorrowedFd<'_>, index: u32, mode: XdpMode) -> io::Result<Self> {
        const BPF_LINK_CREATE: libc::c_long = 28;
        const BPF_XDP: u32 = 37;
        const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
        const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
        let mut attr = LinkCreate {
            prog_fd: program.as_raw_fd().unsigned_abs(),
            target_ifindex: index,
            attach_type: BPF_XDP,
            flags: if mode == XdpMode::Native { XDP_FLAGS_DRV_MODE } else { XDP_FLAGS_SKB_MODE },
            rest: [0; 4],
        };
        // SAFETY: bpf(BPF_LINK_CREATE) reads at most `size` bytes of `attr`, which lives over the call.
        let fd = unsafe {
            libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, std::ptr::from_mut(&mut attr), size_of::<LinkCreate>())
        };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel just made this descriptor (close-on-exec, as all of BPF's) and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}
