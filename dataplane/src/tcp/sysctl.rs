//! Settings of the stack by the names that Linux gives them (`Documentation/networking/ip-sysctl.rst`).
//!
//! One row per name: which field, and what it takes. Numbers are read as `/proc/sys` reads them, in any base.

use super::congestion::Kind;
use super::rtt::{RTO_MAX, RTO_MAX_MIN};
use super::settings::{BufferSizes, EcnMode, MtuProbing, Settings};
use crate::Duration;
use std::str::FromStr;

/// Why a setting was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// There is no such setting (`ENOENT`).
    #[error("there is no setting of this name")]
    Unknown,
    /// Not a value of it (`EINVAL`).
    #[error("this is not a value of the setting")]
    Invalid,
}

type Result<T> = std::result::Result<T, SysctlError>;

/// An error as a result of any kind.
fn fail<T>(error: SysctlError) -> Result<T> {
    Err(error)
}

type Field<T> = fn(&mut Settings) -> &mut T;

/// What a name stands for.
enum Knob {
    Flag(Field<bool>),
    /// A number between bounds.
    Small(u8, u8, Field<u8>),
    Signed(i8, Field<i8>),
    Short(u16, u16, Field<u16>),
    /// A number between bounds.
    Number(u32, u32, Field<u32>),
    /// A number of some unit, between bounds.
    Time(Duration, u32, u32, Field<Duration>),
    Buffer(Field<BufferSizes>),
    Ports(Field<(u16, u16)>),
    Ecn(Field<EcnMode>),
    Probing(Field<MtuProbing>),
    Congestion(Field<Kind>),
    /// 0: none; 1: with an offset for each pair of hosts; more: without.
    Timestamps,
    /// The number that the stack is built by: there is no other.
    Built(u8),
    /// Without effect, in Linux too.
    Legacy,
}

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const MICROSECOND: Duration = Duration::from_micros(1);

/// Whole milliseconds.
const fn millis(time: Duration) -> u32 {
    time.as_millis() as u32
}

const KNOBS: &[(&str, Knob)] = &[
    ("net.core.somaxconn", Knob::Number(0, u32::MAX, |s| &mut s.somaxconn)),
    ("net.ipv4.ip_default_ttl", Knob::Small(1, 255, |s| &mut s.ip_default_ttl)),
    ("net.ipv4.ip_local_port_range", Knob::Ports(|s| &mut s.ip_local_port_range)),
    ("net.ipv4.ip_no_pmtu_disc", Knob::Flag(|s| &mut s.ip_no_pmtu_disc)),
    ("net.ipv4.route.min_adv_mss", Knob::Short(0, u16::MAX, |s| &mut s.min_adv_mss)),
    ("net.ipv4.route.min_pmtu", Knob::Short(68, u16::MAX, |s| &mut s.min_pmtu)),
    ("net.ipv4.tcp_abort_on_overflow", Knob::Flag(|s| &mut s.abort_on_overflow)),
    ("net.ipv4.tcp_adv_win_scale", Knob::Signed(31, |s| &mut s.adv_win_scale)),
    ("net.ipv4.tcp_app_win", Knob::Small(0, 31, |s| &mut s.app_win)),
    // Small writes are not gathered while others wait in the device's queue.
    ("net.ipv4.tcp_autocorking", Knob::Built(0)),
    ("net.ipv4.tcp_base_mss", Knob::Short(0, u16::MAX, |s| &mut s.base_mss)),
    ("net.ipv4.tcp_challenge_ack_limit", Knob::Number(0, u32::MAX, |s| &mut s.challenge_ack_limit)),
    ("net.ipv4.tcp_congestion_control", Knob::Congestion(|s| &mut s.congestion_control)),
    ("net.ipv4.tcp_dsack", Knob::Flag(|s| &mut s.dsack)),
    ("net.ipv4.tcp_early_retrans", Knob::Small(0, 4, |s| &mut s.early_retrans)),
    ("net.ipv4.tcp_ecn", Knob::Ecn(|s| &mut s.ecn)),
    ("net.ipv4.tcp_ecn_fallback", Knob::Flag(|s| &mut s.ecn_fallback)),
    ("net.ipv4.tcp_fack", Knob::Legacy),
    ("net.ipv4.tcp_fastopen", Knob::Number(0, u32::MAX, |s| &mut s.fastopen)),
    (
        "net.ipv4.tcp_fastopen_blackhole_timeout_sec",
        Knob::Time(SECOND, 0, u32::MAX, |s| &mut s.fastopen_blackhole_timeout),
    ),
    ("net.ipv4.tcp_fin_timeout", Knob::Time(SECOND, 0, u32::MAX, |s| &mut s.fin_timeout)),
    ("net.ipv4.tcp_frto", Knob::Flag(|s| &mut s.frto)),
    ("net.ipv4.tcp_invalid_ratelimit", Knob::Time(MILLISECOND, 0, u32::MAX, |s| &mut s.invalid_ratelimit)),
    ("net.ipv4.tcp_keepalive_intvl", Knob::Time(SECOND, 1, u32::MAX, |s| &mut s.keepalive_intvl)),
    ("net.ipv4.tcp_keepalive_probes", Knob::Small(0, 255, |s| &mut s.keepalive_probes)),
    ("net.ipv4.tcp_keepalive_time", Knob::Time(SECOND, 1, u32::MAX, |s| &mut s.keepalive_time)),
    ("net.ipv4.tcp_max_orphans", Knob::Number(0, u32::MAX, |s| &mut s.max_orphans)),
    ("net.ipv4.tcp_max_reordering", Knob::Number(0, u32::MAX, |s| &mut s.max_reordering)),
    ("net.ipv4.tcp_max_syn_backlog", Knob::Number(0, u32::MAX, |s| &mut s.max_syn_backlog)),
    ("net.ipv4.tcp_max_tw_buckets", Knob::Number(0, u32::MAX, |s| &mut s.max_tw_buckets)),
    ("net.ipv4.tcp_min_rtt_wlen", Knob::Time(SECOND, 0, 86_400, |s| &mut s.min_rtt_wlen)),
    ("net.ipv4.tcp_min_snd_mss", Knob::Short(48, u16::MAX, |s| &mut s.min_snd_mss)),
    ("net.ipv4.tcp_min_tso_segs", Knob::Small(1, 255, |s| &mut s.rows.min_segs)),
    ("net.ipv4.tcp_moderate_rcvbuf", Knob::Flag(|s| &mut s.moderate_rcvbuf)),
    ("net.ipv4.tcp_mtu_probe_floor", Knob::Short(48, u16::MAX, |s| &mut s.mtu_probe_floor)),
    ("net.ipv4.tcp_mtu_probing", Knob::Probing(|s| &mut s.mtu_probing)),
    ("net.ipv4.tcp_no_metrics_save", Knob::Flag(|s| &mut s.no_metrics_save)),
    ("net.ipv4.tcp_notsent_lowat", Knob::Number(0, u32::MAX, |s| &mut s.notsent_lowat)),
    ("net.ipv4.tcp_orphan_retries", Knob::Small(0, 255, |s| &mut s.orphan_retries)),
    ("net.ipv4.tcp_pacing_ca_ratio", Knob::Number(0, 1000, |s| &mut s.pacing_ca_ratio)),
    ("net.ipv4.tcp_pacing_ss_ratio", Knob::Number(0, 1000, |s| &mut s.pacing_ss_ratio)),
    ("net.ipv4.tcp_pingpong_thresh", Knob::Small(1, 255, |s| &mut s.pingpong_thresh)),
    ("net.ipv4.tcp_probe_interval", Knob::Time(SECOND, 0, u32::MAX, |s| &mut s.probe_interval)),
    ("net.ipv4.tcp_probe_threshold", Knob::Short(0, u16::MAX, |s| &mut s.probe_threshold)),
    // RACK, its window by the round trip, and three duplicate ACKs while nothing was seen out of order.
    ("net.ipv4.tcp_recovery", Knob::Built(1)),
    ("net.ipv4.tcp_reflect_tos", Knob::Flag(|s| &mut s.reflect_tos)),
    ("net.ipv4.tcp_reordering", Knob::Number(1, 300, |s| &mut s.reordering)),
    ("net.ipv4.tcp_retries1", Knob::Small(0, 255, |s| &mut s.retries1)),
    ("net.ipv4.tcp_retries2", Knob::Small(0, 255, |s| &mut s.retries2)),
    ("net.ipv4.tcp_rfc1337", Knob::Flag(|s| &mut s.rfc1337)),
    ("net.ipv4.tcp_rmem", Knob::Buffer(|s| &mut s.rmem)),
    ("net.ipv4.tcp_rto_max_ms", Knob::Time(MILLISECOND, millis(RTO_MAX_MIN), millis(RTO_MAX), |s| &mut s.rto_max)),
    ("net.ipv4.tcp_rto_min_us", Knob::Time(MICROSECOND, 1, u32::MAX, |s| &mut s.rto_min)),
    ("net.ipv4.tcp_sack", Knob::Flag(|s| &mut s.sack)),
    // A window that was announced is not taken back.
    ("net.ipv4.tcp_shrink_window", Knob::Built(0)),
    ("net.ipv4.tcp_slow_start_after_idle", Knob::Flag(|s| &mut s.slow_start_after_idle)),
    ("net.ipv4.tcp_stdurg", Knob::Flag(|s| &mut s.stdurg)),
    ("net.ipv4.tcp_syn_linear_timeouts", Knob::Small(0, 127, |s| &mut s.syn_linear_timeouts)),
    ("net.ipv4.tcp_syn_retries", Knob::Small(1, 127, |s| &mut s.syn_retries)),
    ("net.ipv4.tcp_synack_retries", Knob::Small(0, 255, |s| &mut s.synack_retries)),
    ("net.ipv4.tcp_syncookies", Knob::Small(0, 2, |s| &mut s.syncookies)),
    ("net.ipv4.tcp_timestamps", Knob::Timestamps),
    ("net.ipv4.tcp_tso_rtt_log", Knob::Small(0, 31, |s| &mut s.rows.rtt_log)),
    // A row does not wait for a larger part of the window (`tcp_tso_should_defer`); Linux's default is for those who set it to that.
    ("net.ipv4.tcp_tso_win_divisor", Knob::Built(3)),
    ("net.ipv4.tcp_tw_reuse", Knob::Small(0, 2, |s| &mut s.tw_reuse)),
    ("net.ipv4.tcp_tw_reuse_delay", Knob::Time(MILLISECOND, 0, u32::MAX, |s| &mut s.tw_reuse_delay)),
    ("net.ipv4.tcp_window_scaling", Knob::Flag(|s| &mut s.window_scaling)),
    ("net.ipv4.tcp_wmem", Knob::Buffer(|s| &mut s.wmem)),
    ("net.ipv4.tcp_workaround_signed_windows", Knob::Flag(|s| &mut s.workaround_signed_windows)),
];

/// `/proc/sys/net/ipv4/x` is `net.ipv4.x`.
pub fn dotted(name: &str) -> String {
    name.strip_prefix("/proc/sys/").unwrap_or(name).replace('/', ".")
}

/// Gives the setting `name` the value that `text` stands for.
///
/// # Errors
/// There is no such setting here, or this is not a value of it.
pub fn set(settings: &mut Settings, name: &str, text: &str) -> Result<()> {
    let name = dotted(name);
    match KNOBS.binary_search_by(|(known, _)| known.cmp(&name.as_str())) {
        Ok(at) => KNOBS.get(at).map_or(fail(SysctlError::Unknown), |(_, knob)| knob.set(settings, text)),
        Err(_) => fail(SysctlError::Unknown),
    }
}

impl Knob {
    fn set(&self, settings: &mut Settings, text: &str) -> Result<()> {
        match self {
            Self::Flag(field) => *field(settings) = bounded(text, 0, 255)? != 0,
            Self::Small(min, max, field) => {
                *field(settings) = bounded(text, i64::from(*min), i64::from(*max))? as u8;
            }
            Self::Signed(max, field) => {
                *field(settings) = bounded(text, -i64::from(*max), i64::from(*max))? as i8;
            }
            Self::Short(min, max, field) => {
                *field(settings) = bounded(text, i64::from(*min), i64::from(*max))? as u16;
            }
            Self::Number(min, max, field) => {
                *field(settings) = bounded(text, i64::from(*min), i64::from(*max))? as u32;
            }
            Self::Time(unit, min, max, field) => {
                *field(settings) = *unit * bounded(text, i64::from(*min), i64::from(*max))? as u32;
            }
            Self::Buffer(field) => {
                let [min, initial, max] = numbers(text, 1, i64::from(i32::MAX))?.map(|number| number as u32);
                *field(settings) = BufferSizes { min, initial, max };
            }
            Self::Ports(field) => {
                let [first, last] = numbers(text, 1, 65_535)?.map(|number| number as u16);
                if first > last {
                    return fail(SysctlError::Invalid);
                }
                *field(settings) = (first, last);
            }
            Self::Ecn(field) => {
                let [off, on, passive] = [EcnMode::Off, EcnMode::On, EcnMode::Passive];
                *field(settings) = choice(text, [off, on, passive])?;
            }
            Self::Probing(field) => {
                let [off, hole, always] = [MtuProbing::Off, MtuProbing::BlackHole, MtuProbing::Always];
                *field(settings) = choice(text, [off, hole, always])?;
            }
            Self::Congestion(field) => match Kind::ALL.into_iter().find(|kind| kind.name() == text.trim()) {
                Some(kind) => *field(settings) = kind,
                None => return fail(SysctlError::Invalid),
            },
            Self::Timestamps => {
                let mode = bounded(text, 0, 255)?;
                (settings.timestamps, settings.timestamp_offset) = (mode != 0, mode < 2);
            }
            Self::Built(number) => _ = bounded(text, i64::from(*number), i64::from(*number))?,
            Self::Legacy => _ = bounded(text, 0, 255)?,
        }
        Ok(())
    }
}

/// The value that the number in `text` names.
fn choice<T: Copy, const N: usize>(text: &str, values: [T; N]) -> Result<T> {
    let index = bounded(text, 0, N as i64 - 1)?;
    values.get(index as usize).copied().map_or(fail(SysctlError::Invalid), Ok)
}

/// One number and nothing else.
fn bounded(text: &str, min: i64, max: i64) -> Result<i64> {
    let [number] = numbers(text, min, max)?;
    Ok(number)
}

/// As many numbers as asked for.
fn numbers<const N: usize>(text: &str, min: i64, max: i64) -> Result<[i64; N]> {
    let mut words = text.split_ascii_whitespace();
    let mut values = [0; N];
    for value in &mut values {
        let Some(number) = words.next().and_then(number) else { return fail(SysctlError::Invalid) };
        if number < min || number > max {
            return fail(SysctlError::Invalid);
        }
        *value = number;
    }
    if words.next().is_some() { fail(SysctlError::Invalid) } else { Ok(values) }
}

/// As `strtol` with base 0 reads it.
fn number(word: &str) -> Option<i64> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let magnitude = match (digits.strip_prefix("0x").or(digits.strip_prefix("0X")), digits.strip_prefix('0')) {
        (Some(hex), _) => i64::from_str_radix(hex, 16),
        (None, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8),
        _ => i64::from_str(digits),
    };
    // A second sign is none.
    magnitude.ok().filter(|magnitude| *magnitude >= 0).map(|magnitude| sign * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_row_takes_something() {
        assert!(KNOBS.is_sorted_by(|(one, _), (other, _)| one < other));
        for (name, _) in KNOBS {
            let mut settings = Settings::default();
            let tries = ["1", "1 2 3", "1 2", "reno", "100", "0", "3", "1000"];
            assert!(tries.iter().any(|text| set(&mut settings, name, text) == Ok(())), "{name}");
            assert_eq!(set(&mut settings, name, "nonsense"), fail(SysctlError::Invalid), "{name}");
            assert_eq!(set(&mut settings, name, ""), fail(SysctlError::Invalid), "{name}");
        }
    }

    #[test]
    fn values_reach_their_fields() {
        let mut settings = Settings::default();
        let mut put = |name: &str, text: &str| set(&mut settings, name, text);
        assert_eq!(put("net.ipv4.tcp_timestamps", "0"), Ok(()));
        assert_eq!(put("net.ipv4.tcp_rmem", "4096 65536\t4194304\n"), Ok(()));
        assert_eq!(put("/proc/sys/net/ipv4/tcp_fastopen", "0x70403"), Ok(()));
        assert_eq!(put("net.ipv4.tcp_rto_min_us", "500000"), Ok(()));
        assert_eq!(put("net.ipv4.tcp_adv_win_scale", "-2"), Ok(()));
        assert_eq!(put("net.ipv4.tcp_ecn", "1"), Ok(()));
        assert_eq!(put("net.ipv4.tcp_notsent_lowat", "4294967295"), Ok(()));
        assert_eq!(put("net.ipv4.tcp_congestion_control", "reno"), Ok(()));
        assert_eq!(put("net.ipv4.ip_local_port_range", "1024 65535"), Ok(()));
        assert_eq!(put("net.ipv4.ip_local_port_range", "9 8"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_rmem", "1 2"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_rmem", "1 2 3 4"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_early_retrans", "5"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_reordering", "--3"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_keepalive_time", "0"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_keepalive_intvl", "0"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_color", "1"), fail(SysctlError::Unknown));
        for (name, least, most) in [
            ("net.ipv4.ip_default_ttl", 1, 255),
            ("net.ipv4.tcp_min_tso_segs", 1, 255),
            ("net.ipv4.tcp_rto_max_ms", 1000, 120_000),
            ("net.ipv4.tcp_rto_min_us", 1, u32::MAX),
            ("net.ipv4.tcp_syn_retries", 1, 127),
        ] {
            assert_eq!([least, most].map(|value| put(name, &value.to_string())), [Ok(()); 2], "{name}");
            let beyond = [i64::from(least) - 1, i64::from(most) + 1].map(|value| put(name, &value.to_string()));
            assert_eq!(beyond, [fail(SysctlError::Invalid); 2], "{name}");
        }
        for (name, built, others) in [
            ("net.ipv4.tcp_autocorking", "0", ["1", "2"]),
            ("net.ipv4.tcp_recovery", "0x1", ["0", "3"]),
            ("net.ipv4.tcp_shrink_window", "0", ["1", "2"]),
            ("net.ipv4.tcp_tso_win_divisor", "3", ["0", "8"]),
        ] {
            assert_eq!(put(name, built), Ok(()), "{name}");
            assert!(others.iter().all(|other| put(name, other) == fail(SysctlError::Invalid)), "{name}");
        }
        assert_eq!(put("net.ipv4.tcp_app_win", "32"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_pingpong_thresh", "0"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_min_rtt_wlen", "86401"), fail(SysctlError::Invalid));
        assert_eq!(put("net.ipv4.tcp_rto_min_us", "500000"), Ok(()));
        assert!(!settings.timestamps);
        assert_eq!(settings.rmem, BufferSizes { min: 4096, initial: 65_536, max: 4_194_304 });
        assert_eq!((settings.fastopen, settings.adv_win_scale), (0x70403, -2));
        assert_eq!((settings.ecn, settings.congestion_control), (EcnMode::On, Kind::Reno));
        assert_eq!((settings.rto_min, settings.notsent_lowat), (Duration::from_millis(500), u32::MAX));
        assert_eq!(settings.ip_local_port_range, (1024, 65_535));
    }

    #[test]
    fn timestamps_are_off_on_or_without_offset() {
        for (text, on, offset) in [("0", false, true), ("1", true, true), ("2", true, false)] {
            let mut settings = Settings::default();
            assert_eq!(set(&mut settings, "net.ipv4.tcp_timestamps", text), Ok(()));
            assert_eq!((settings.timestamps, settings.timestamp_offset), (on, offset));
        }
    }
}
