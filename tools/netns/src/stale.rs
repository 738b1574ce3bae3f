//! Removing namespaces, also those whose test was killed before its guard could.

use std::path::Path;
use std::process::Command;

use crate::netns::NAMES;
use crate::process::output_of;

/// Removes every namespace whose maker no longer runs. Races with another sweep are harmless: one of them removes it.
pub(crate) fn sweep() {
    let Ok(entries) = std::fs::read_dir(NAMES) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = maker(&name)
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            remove(&name);
        }
    }
}

/// Removes one namespace; one that is already gone is as good as removed.
pub(crate) fn remove(name: &str) {
    let _ = output_of(Command::new("ip").args(["netns", "del", name]));
}

/// The process in a name `xt-PREFIX-PID-N`; `None` for a name that is not of this form and so not ours.
fn maker(name: &str) -> Option<u32> {
    let (rest, number) = name.strip_prefix("xt-")?.rsplit_once('-')?;
    let (_, pid) = rest.rsplit_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::maker;

    #[test]
    fn only_own_names_have_a_maker() {
        assert_eq!(maker("xt-arp-417-0"), Some(417));
        assert_eq!(maker("xt-two-words-417-12"), Some(417));
        for foreign in ["xmit-a", "xt-arp-417", "xt-arp-x-0", "arp-417-0", ""] {
            assert_eq!(maker(foreign), None, "{foreign}");
        }
    }
}
