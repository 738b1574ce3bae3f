//! What scripts see of TCP inside the stack, and the administrator's settings.

use crate::host::Host;
use std::net::SocketAddrV4;
use xmit_dataplane::tcp::Tcp;
use xmit_dataplane::tcp::fastopen::FastOpenKeys;
use xmit_dataplane::tcp::flow::Flow;
use xmit_dataplane::tcp::sysctl::{self, SysctlError};
use xmit_dataplane::tcp::table::Place;

fn tcp(host: &mut Host) -> &mut Tcp {
    &mut host.lane().stack.tcp
}

/// Gives the setting `name`, without what stands before its last dot, a value.
pub(crate) fn set(host: &mut Host, name: &str, value: &str) -> Result<(), String> {
    let commons = &mut tcp(host).commons;
    if name == "tcp_fastopen_key" {
        commons.keys = FastOpenKeys::parse(value).ok_or_else(|| format!("`{value}` is no key"))?;
        return Ok(());
    }
    let mut result = Err(SysctlError::Unknown);
    for group in ["net.ipv4.", "net.core.", "net.ipv4.route."] {
        result = sysctl::set(&mut commons.settings, &format!("{group}{name}"), value);
        if result != Err(SysctlError::Unknown) {
            break;
        }
    }
    result.map_err(|error| error.to_string())
}

/// The state of a flow, as `ss` shows it.
pub(crate) fn state(host: &mut Host, (local, remote): (SocketAddrV4, SocketAddrV4)) -> &'static str {
    let table = &tcp(host).table;
    match table.lookup(&Flow { local, remote }) {
        Some(Place::Connection(index)) => table.connections.get(index).map_or("none", |c| c.state.name()),
        Some(Place::Request(_)) => "SYN_RECV",
        Some(Place::TimeWait(index)) => match table.time_waits.get(index) {
            Some(waiting) if waiting.fin_wait_2 => "FIN_WAIT2",
            _ => "TIME_WAIT",
        },
        None => "CLOSE",
    }
}

/// How many of them there are.
pub(crate) fn count(host: &mut Host, what: &str) -> Result<u64, String> {
    let tcp = tcp(host);
    Ok(match what {
        "requests" => tcp.table.requests.len() as u64,
        "connections" => tcp.table.connections.len() as u64,
        "time-waits" => tcp.table.time_waits.len() as u64,
        "orphans" => tcp.commons.orphans.into(),
        other => return Err(format!("`{other}` is not requests, connections, time-waits or orphans")),
    })
}
