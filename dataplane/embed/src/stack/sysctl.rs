//! Settings of the stack by the names that Linux gives them, with C's error numbers. The table is
//! `xmit_dataplane::tcp::sysctl`'s; keys stand beside it, because they are no part of [`Settings`].

use crate::errno::{Result, fail};
use xmit_dataplane::tcp::fastopen::FastOpenKeys;
use xmit_dataplane::tcp::settings::Settings;
use xmit_dataplane::tcp::sysctl::{self, SysctlError};

/// Keys stand beside the settings: `FastOpenKeys`.
const KEYS: &str = "net.ipv4.tcp_fastopen_key";

/// The keys of Fast Open, if `name` is theirs.
///
/// # Errors
/// `EINVAL`: `text` is no key.
pub(super) fn keys(name: &str, text: &str) -> Result<Option<FastOpenKeys>> {
    if sysctl::dotted(name) != KEYS {
        return Ok(None);
    }
    FastOpenKeys::parse(text).map_or(fail(libc::EINVAL), |keys| Ok(Some(keys)))
}

/// Gives the setting `name` the value that `text` stands for.
///
/// # Errors
/// `ENOENT`: there is no such setting here. `EINVAL`: not a value of it.
pub(super) fn set(settings: &mut Settings, name: &str, text: &str) -> Result<()> {
    match sysctl::set(settings, name, text) {
        Ok(()) => Ok(()),
        Err(SysctlError::Unknown) => fail(libc::ENOENT),
        Err(SysctlError::Invalid) => fail(libc::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::Errno;

    #[test]
    fn settings_keys_and_errors() {
        let mut settings = Settings::default();
        assert_eq!(set(&mut settings, "/proc/sys/net/ipv4/tcp_timestamps", "0"), Ok(()));
        assert!(!settings.timestamps);
        assert_eq!(set(&mut settings, "net.ipv4.tcp_color", "1"), fail(libc::ENOENT));
        assert_eq!(set(&mut settings, "net.ipv4.tcp_rmem", "1 2"), fail(libc::EINVAL));
        assert!(keys(KEYS, "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4").is_ok_and(|keys| keys.is_some()));
        assert_eq!(keys(KEYS, "a1a1a1a1").err(), Some(Errno(libc::EINVAL)));
        assert!(keys("net.ipv4.tcp_rmem", "1 2 3").is_ok_and(|keys| keys.is_none()));
    }
}
