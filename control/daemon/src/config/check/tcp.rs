//! What `[tcp]` may say.

use super::Findings;
use crate::config::Tcp;
use std::ops::RangeInclusive;
use xmit_dataplane::tcp::congestion::Kind;

/// The most connections of a lane: numbers of places have 32 bits, and a million fit in memory.
const CONNECTIONS_MAX: u64 = 1 << 22;
/// The largest buffer: windows stay below 2^30 (RFC 7323 section 2.3).
const BUFFER_BYTES_MAX: u64 = 512 << 20;

pub(super) fn check(tcp: &Tcp, findings: &mut Findings) {
    let numbers: [(&str, u64, RangeInclusive<u64>); 15] = [
        ("connections_max", tcp.connections_max.into(), 1..=CONNECTIONS_MAX),
        ("half_open_max", tcp.half_open_max.into(), 1..=CONNECTIONS_MAX),
        ("time_waits_max", tcp.time_waits_max.into(), 0..=CONNECTIONS_MAX),
        ("max_syn_backlog", tcp.max_syn_backlog.into(), 1..=CONNECTIONS_MAX),
        ("somaxconn", tcp.somaxconn.into(), 1..=65_535),
        ("syncookies", tcp.syncookies.into(), 0..=2),
        ("ecn", tcp.ecn.into(), 0..=2),
        ("mtu_probing", tcp.mtu_probing.into(), 0..=2),
        ("base_mss", tcp.base_mss.into(), 48..=65_495),
        ("tw_reuse", tcp.tw_reuse.into(), 0..=2),
        ("syn_retries", tcp.syn_retries.into(), 1..=127),
        ("keepalive_time", tcp.keepalive_time.0.as_secs(), 1..=32_767),
        ("keepalive_intvl", tcp.keepalive_intvl.0.as_secs(), 1..=32_767),
        ("rmem_max", tcp.rmem_max.0, 4096..=BUFFER_BYTES_MAX),
        ("wmem_max", tcp.wmem_max.0, 4096..=BUFFER_BYTES_MAX),
    ];
    for (field, value, allowed) in numbers {
        if !allowed.contains(&value) {
            let cure = format!("write {} to {}", allowed.start(), allowed.end());
            findings.add(format!("tcp.{field}"), format!("{value} is out of range"), cure);
        }
    }
    if Kind::by_name(&tcp.congestion_control).is_none() {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        let what = format!("there is no congestion control `{}`", tcp.congestion_control);
        findings.add("tcp.congestion_control", what, format!("write one of {}", known.join(", ")));
    }
    let [low, high] = tcp.local_port_range;
    if low < 1024 || low > high {
        let cure = "write two ports of 1024 and more, the lower one first, such as [32768, 60999]";
        findings.add("tcp.local_port_range", format!("[{low}, {high}] is no range of ports for everybody"), cure);
    }
}
