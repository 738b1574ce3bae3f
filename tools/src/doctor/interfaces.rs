//! Interface by interface: driver and queues, and the trap of veth pairs.

use std::fs;
use std::path::Path;

use crate::doctor::Finding;
use crate::system::run;

const INTERFACES: &str = "/sys/class/net";

/// One finding for each interface of this network namespace but the loopback.
pub fn examine() -> Vec<Finding> {
    let Ok(entries) = fs::read_dir(INTERFACES) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "lo" && name != "bonding_masters");
    names.sort();
    names.iter().map(|name| interface(name)).collect()
}

fn interface(name: &str) -> Finding {
    let driver = run(&format!("ethtool -i {name}")).ok().and_then(|text| field(&text, "driver"));
    let driver = driver.or_else(|| driver_of_device(name)).unwrap_or_else(|| "unknown".to_owned());
    let queues = queues(&Path::new(INTERFACES).join(name).join("queues"));
    let lanes = if queues == 1 {
        "one receive queue, so one lane".to_owned()
    } else {
        format!("{queues} receive queues, so up to {queues} lanes")
    };
    let found = format!("Driver {driver}, {lanes}.");
    let offload = run(&format!("ethtool -k {name}")).ok().and_then(|text| field(&text, "tx-checksumming"));
    if driver == "veth" && offload.is_none_or(|state| state.starts_with("on")) {
        let found =
            format!("{found} As a veth it sends unfinished checksums, which AF_XDP at the other end sees as wrong.");
        return Finding::lacking(name, found, format!("ethtool -K {name} tx off"));
    }
    Finding::good(name, found)
}

/// The value of a `name: value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// The driver behind a device, for when ethtool is not there.
fn driver_of_device(name: &str) -> Option<String> {
    let link = fs::read_link(Path::new(INTERFACES).join(name).join("device/driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

fn queues(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 1 };
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-")).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_is_found_by_its_whole_name() {
        let text = "driver: veth\ntx-checksumming: on [fixed]\n\ttx-checksum-ipv4: off\n";
        assert_eq!(field(text, "driver").as_deref(), Some("veth"));
        assert_eq!(field(text, "tx-checksumming").as_deref(), Some("on [fixed]"));
        assert_eq!(field(text, "tx"), None);
    }
}
