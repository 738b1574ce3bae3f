//! What the fields of a configuration mean together, and whether this machine has what they name.

mod interfaces;
mod lanes;
mod routes;
mod tcp;

pub(crate) use routes::out_interface;

use super::{Client, Config, Daemon, Machine};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field, such as `interface[1].mtu`.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub cure: String,
}

/// The findings of one check.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, place: impl Into<String>, what: impl Into<String>, cure: impl Into<String>) {
        self.0.push(Finding { place: place.into(), what: what.into(), cure: cure.into() });
    }
}

/// Everything that is wrong with `config` on `machine`; empty when it can be used.
pub fn check(config: &Config, machine: &Machine) -> Vec<Finding> {
    let mut findings = Findings::default();
    check_daemon(&config.daemon, &mut findings);
    lanes::check(config, machine, &mut findings);
    interfaces::check(config, machine, &mut findings);
    routes::check(config, &mut findings);
    check_client(&config.client, &mut findings);
    tcp::check(&config.tcp, &mut findings);
    findings.0
}

/// What `sun_path` of `sockaddr_un` holds, less the `.new` under which a socket is made and a final zero.
const SOCKET_PATH_BYTES_MAX: usize = 108 - 5;

fn check_daemon(daemon: &Daemon, findings: &mut Findings) {
    let sockets = [("session_socket", &daemon.session_socket), ("operator_socket", &daemon.operator_socket)];
    for (field, path) in sockets {
        let length = path.as_os_str().len();
        if !path.is_absolute() || length > SOCKET_PATH_BYTES_MAX {
            let what = format!("`{}` cannot be the path of a socket", path.display());
            let cure = format!("write an absolute path of at most {SOCKET_PATH_BYTES_MAX} bytes");
            findings.add(format!("daemon.{field}"), what, cure);
        }
    }
    if daemon.session_socket == daemon.operator_socket {
        findings.add("daemon.operator_socket", "both sockets have the same path", "give each its own");
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&daemon.log) {
        let cure = "write error, warn, info, debug, trace, or a filter such as \"info,xmitd::netlink=debug\"";
        findings.add("daemon.log", format!("`{}` is not a log filter: {error}", daemon.log), cure);
    }
}

/// The smallest ring that holds one largest datagram (65,507 bytes) with its record header.
const CLIENT_RING_BYTES_MIN: u64 = 128 << 10;

/// The largest, so that 32 bits count its bytes with room to tell full from empty.
const CLIENT_RING_BYTES_MAX: u64 = 1 << 30;

fn check_client(client: &Client, findings: &mut Findings) {
    let ring = client.ring.0;
    if !ring.is_power_of_two() || !(CLIENT_RING_BYTES_MIN..=CLIENT_RING_BYTES_MAX).contains(&ring) {
        let cure = "write a power of two from \"128KiB\" to \"1GiB\"";
        findings.add("client.ring", format!("a ring of {} cannot be made", client.ring), cure);
    }
    if client.memory.0 < ring.saturating_mul(2) {
        let what = format!("{} of memory do not hold the two rings of one socket", client.memory);
        findings.add("client.memory", what, format!("write at least twice `ring` ({})", client.ring));
    }
    for (field, value) in [("sessions_max", client.sessions_max), ("sockets_max", client.sockets_max)] {
        if !(1..=65_536).contains(&value) {
            findings.add(format!("client.{field}"), format!("{value} is out of range"), "write 1 to 65536");
        }
    }
}
