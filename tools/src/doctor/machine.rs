//! What this user and this machine bring: capabilities, memory, cores, programs.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::doctor::Finding;

/// The capabilities that matter: bit (linux/capability.h), name, and what for.
const CAPABILITIES: [(u32, &str, &str); 3] = [
    (12, "CAP_NET_ADMIN", "to attach the XDP program"),
    (13, "CAP_NET_RAW", "to open AF_XDP sockets"),
    (CAP_BPF, "CAP_BPF", "to load the XDP program"),
];
/// Includes what CAP_BPF allows, for kernels that do not know it.
const CAP_SYS_ADMIN: u32 = 21;
/// Lifts the limit on locked memory.
const CAP_IPC_LOCK: u32 = 14;
const CAP_BPF: u32 = 39;

/// What one lane locks with default settings, with room to spare: 16,384 frames of 2 KiB, and the rings.
const LOCKED_BYTES: u64 = 64 << 20;

/// Whether this user may do what the daemon must.
pub fn capabilities() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = effective(&status).unwrap_or(0);
    let lacks: Vec<String> = CAPABILITIES
        .iter()
        .filter(|(bit, ..)| !(has(effective, *bit) || *bit == CAP_BPF && has(effective, CAP_SYS_ADMIN)))
        .map(|(_, name, purpose)| format!("{name} {purpose}"))
        .collect();
    if lacks.is_empty() {
        return Finding::good("privileges", "This user may do all that xmitd must.");
    }
    let cure = "Run as root, or give the daemon these: setcap cap_net_admin,cap_net_raw,cap_bpf,cap_ipc_lock+ep xmitd";
    Finding::missing("privileges", format!("This user lacks {}.", lacks.join("; ")), cure)
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn has(effective: u64, bit: u32) -> bool {
    effective >> bit & 1 == 1
}

/// Whether the packet memory may be locked.
pub fn locked_memory() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limit = getrlimit(Resource::Memlock).current;
    match limit {
        _ if has(effective(&status).unwrap_or(0), CAP_IPC_LOCK) => {
            Finding::good("memory lock", "No limit on locked memory applies to this user.")
        }
        None => Finding::good("memory lock", "There is no limit on locked memory."),
        Some(bytes) if bytes >= LOCKED_BYTES => {
            Finding::good("memory lock", format!("{} MiB may be locked, which is enough for a lane.", bytes >> 20))
        }
        Some(bytes) => Finding::missing(
            "memory lock",
            format!("Only {} KiB may be locked; a lane locks up to {} MiB.", bytes >> 10, LOCKED_BYTES >> 20),
            "Set LimitMEMLOCK=infinity in the systemd unit, or `ulimit -l unlimited` in the shell.",
        ),
    }
}

/// Huge pages: fewer TLB misses, never a condition.
pub fn huge_pages() -> Finding {
    let free = fs::read_to_string("/proc/meminfo").ok().and_then(|meminfo| huge_pages_free(&meminfo)).unwrap_or(0);
    if free > 0 {
        return Finding::good("huge pages", format!("{free} huge pages are free."));
    }
    Finding::good("huge pages", "None are reserved, and none are needed.")
}

fn huge_pages_free(meminfo: &str) -> Option<u64> {
    meminfo.lines().find_map(|line| line.strip_prefix("HugePages_Free:"))?.trim().parse().ok()
}

/// How many lanes fit, and whether they have cores of their own.
pub fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let isolated = fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default();
    match (cores, isolated.trim()) {
        (1, _) => Finding::lacking(
            "cores",
            "There is one core, which the lane and the programs must share.",
            "Set the lane's spin time to 0, so that it sleeps as soon as it has nothing to do.",
        ),
        (cores, "") => Finding::lacking(
            "cores",
            format!("There are {cores} cores, none set apart, so lanes and programs get in each other's way."),
            "For steady latencies set cores apart (kernel parameter isolcpus=) and place the lanes there.",
        ),
        (cores, isolated) => Finding::good("cores", format!("There are {cores} cores; {isolated} are set apart.")),
    }
}

/// What the lab runs.
pub fn programs() -> Finding {
    let lacks: Vec<&str> = [("ip -V", "iproute2"), ("ethtool --version", "ethtool")]
        .into_iter()
        .filter(|(command, _)| crate::system::run(command).is_err())
        .map(|(_, package)| package)
        .collect();
    if lacks.is_empty() {
        return Finding::good("programs", "ip and ethtool are there for the lab.");
    }
    let cure = format!("apt-get install {}", lacks.join(" "));
    Finding::lacking("programs", format!("The lab needs {}, not installed here.", lacks.join(" and ")), cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_as_bits() {
        let bits = effective("Name:\tx\nCapEff:\t0000000000003000\n").unwrap();
        assert!(has(bits, 12) && has(bits, 13) && !has(bits, 39));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn free_huge_pages_are_counted() {
        assert_eq!(huge_pages_free("HugePages_Total:  16\nHugePages_Free:     7\n"), Some(7));
    }
}
