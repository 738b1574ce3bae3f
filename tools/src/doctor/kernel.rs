//! What the kernel offers: its version, AF_XDP sockets, XDP programs, BTF, io_uring. Each is tried.

use std::fs;
use std::path::Path;

use aya::maps::MapType;
use aya::programs::ProgramType;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::doctor::Finding;

/// What a kernel version brings, newest first: major, minor, and what is lost below it.
const STEPS: [(u32, u32, &str); 4] = [
    (6, 6, "frames larger than a page (multi-buffer)"),
    (5, 11, "preferred busy polling"),
    (5, 9, "programs that detach by themselves when the daemon dies (bpf_link)"),
    (5, 4, "need-wakeup, so that the kernel is only called when it must be"),
];

/// The version and what is not in it.
pub fn version() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    version_of(release.trim())
}

fn version_of(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let lost: Vec<&str> = STEPS.iter().filter(|step| (major, minor) < (step.0, step.1)).map(|step| step.2).collect();
    if (major, minor) < (5, 9) {
        let found = format!("Linux {release} cannot detach an XDP program when the daemon dies.");
        return Finding::missing("kernel", found, "Use Linux 5.9 or newer; 6.6 has everything.");
    }
    if lost.is_empty() {
        return Finding::good("kernel", format!("Linux {release} has every part of AF_XDP that xmitd uses."));
    }
    let found = format!("Linux {release} works, without {}.", lost.join(" and "));
    Finding::lacking("kernel", found, "Use Linux 6.6 or newer if that matters to you.")
}

/// Whether a socket of the family can be opened.
pub fn af_xdp_socket() -> Finding {
    match socket(AddressFamily::from_raw(AF_XDP), SocketType::RAW, None) {
        Ok(_closed_at_once) => Finding::good("AF_XDP", "An AF_XDP socket can be opened."),
        Err(Errno::AFNOSUPPORT) => Finding::missing(
            "AF_XDP",
            "The kernel has no AF_XDP.",
            "Use a kernel built with CONFIG_XDP_SOCKETS=y (every current distribution's is), or interfaces of kind tap.",
        ),
        Err(Errno::PERM | Errno::ACCESS) => Finding::missing(
            "AF_XDP",
            "This user may not open an AF_XDP socket.",
            "Run as root, or give CAP_NET_RAW; inside a container, its seccomp profile must allow the family.",
        ),
        Err(errno) => {
            let found = format!("An AF_XDP socket could not be opened: {errno}.");
            Finding::missing("AF_XDP", found, "Look into the kernel's log (dmesg) for the reason.")
        }
    }
}

/// `AF_XDP` of linux/socket.h.
const AF_XDP: u16 = 44;

/// Whether an XDP program can be loaded and a map of AF_XDP sockets made.
pub fn xdp_program() -> Finding {
    let program = aya::sys::is_program_supported(ProgramType::Xdp).map_err(|error| error.to_string());
    let map = aya::sys::is_map_supported(MapType::XskMap).map_err(|error| error.to_string());
    match (program, map) {
        (Ok(true), Ok(true)) => Finding::good("bpf", "XDP programs can be loaded, and can steer to AF_XDP sockets."),
        (Ok(false), _) => Finding::missing(
            "bpf",
            "The kernel loads no XDP programs.",
            "Use a kernel built with CONFIG_BPF_SYSCALL=y.",
        ),
        (_, Ok(false)) => Finding::missing(
            "bpf",
            "The kernel has no maps of AF_XDP sockets.",
            "Use a kernel built with CONFIG_XDP_SOCKETS=y.",
        ),
        (Err(error), _) | (_, Err(error)) => Finding::missing(
            "bpf",
            format!("This user may not load an XDP program ({}).", error.trim_end_matches('.')),
            "Run as root, or give CAP_BPF and CAP_NET_ADMIN; kernel.unprivileged_bpf_disabled does not apply to them.",
        ),
    }
}

/// Whether the kernel describes its own types.
pub fn btf() -> Finding {
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Finding::good(
            "BTF",
            "The kernel describes its types, so tools like bpftool can show our maps by name.",
        );
    }
    let cure = "Nothing need be done for xmitd; a kernel with CONFIG_DEBUG_INFO_BTF=y makes bpftool say more.";
    Finding::lacking("BTF", "The kernel does not describe its types.", cure)
}

/// Whether a ring can be set up.
pub fn io_uring() -> Finding {
    match io_uring::IoUring::new(8) {
        Ok(_closed_at_once) => Finding::good("io_uring", "io_uring works; tap interfaces and captures use it."),
        Err(error) => Finding::lacking(
            "io_uring",
            format!("io_uring cannot be used ({error}), so neither can tap interfaces nor captures."),
            "Set the sysctl kernel.io_uring_disabled to 0; inside a container, allow it in the seccomp profile.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn version_decides_what_is_lost() {
        assert_eq!(version_of("6.18.44-generic").verdict, Verdict::Good);
        let bookworm = version_of("6.1.0-28-amd64");
        assert_eq!(bookworm.verdict, Verdict::Lacking);
        assert!(bookworm.found.contains("multi-buffer") && !bookworm.found.contains("busy"), "{bookworm:?}");
        assert_eq!(version_of("5.4.0").verdict, Verdict::Missing);
        assert_eq!(version_of("").verdict, Verdict::Missing);
    }
}
