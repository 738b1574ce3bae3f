//! What a port can do, found out once when it was opened.

use crate::MacAddr;

/// What a port can do and the mode it obtained. Constant for the life of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The name an operator knows the port by, such as `eth1/0` (interface and queue) or `el0`.
    pub name: String,
    /// The station address.
    pub mac: MacAddr,
    /// The largest IP datagram that fits a frame, in bytes (1,500 for Ethernet).
    pub mtu: u16,
    /// The NIC computes transport checksums on transmit.
    pub tx_checksum: bool,
    /// The NIC verified transport checksums on receive and says so in the frame's flags.
    pub rx_checksum: bool,
    /// A packet may span several frames (jumbo frames over AF_XDP).
    pub multi_buffer: bool,
    /// The mode obtained, for people: `AF_XDP native, copy, need-wakeup`, `3C501 wire timing`, ...
    pub mode: String,
}

impl Caps {
    /// Caps of a plain Ethernet port with an MTU of 1,500 bytes and no offloads.
    pub fn plain(name: impl Into<String>, mac: MacAddr, mode: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mac,
            mtu: 1500,
            tx_checksum: false,
            rx_checksum: false,
            multi_buffer: false,
            mode: mode.into(),
        }
    }
}
