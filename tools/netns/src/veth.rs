//! A veth pair between two namespaces, ready for AF_XDP.
//!
//! A veth hands frames over with unfinished transport checksums unless the sender's offload is off, and AF_XDP sees them as they
//! are; the default here is therefore off. IPv6 is off too, so that no router solicitation walks into a packet trace.

use std::process::Command;

use crate::process::output_of;
use crate::{Netns, NetnsError};

/// How the pair is made.
#[derive(Debug, Clone, Copy)]
pub struct VethOptions {
    /// Receive and transmit queues of either end.
    pub queues: u32,
    /// Whether the kernel may leave transport checksums to hardware that does not exist.
    pub tx_offload: bool,
    /// Bytes of an IP packet that fit.
    pub mtu: u32,
}

impl Default for VethOptions {
    fn default() -> Self {
        Self { queues: 1, tx_offload: false, mtu: 1500 }
    }
}

/// Makes a pair with one end in `a` and one in `b`, both up. The namespaces' guards remove it.
pub fn veth(a: &Netns, a_name: &str, b: &Netns, b_name: &str, options: VethOptions) -> Result<(), NetnsError> {
    let queues = options.queues.to_string();
    let mtu = options.mtu.to_string();
    let end = ["mtu", &mtu, "numrxqueues", &queues, "numtxqueues", &queues];
    let mut add = Command::new("ip");
    add.args(["link", "add", "name", a_name, "netns", a.name()]).args(end);
    add.args(["type", "veth", "peer", "name", b_name, "netns", b.name()]).args(end);
    output_of(&mut add)?;
    for (netns, name) in [(a, a_name), (b, b_name)] {
        quiet_ipv6(netns, name)?;
        if !options.tx_offload {
            netns.command(&format!("ethtool -K {name} tx off"))?;
        }
        netns.command(&format!("ip link set dev {name} up"))?;
    }
    Ok(())
}

/// Switches IPv6 off on one interface. A kernel without IPv6 has no such file and needs nothing.
fn quiet_ipv6(netns: &Netns, name: &str) -> Result<(), NetnsError> {
    let file = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    netns.run(|| {
        let _ = std::fs::write(file, "1");
    })
}
