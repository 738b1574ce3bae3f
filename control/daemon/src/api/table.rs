//! Rows of what the daemon holds: interfaces, sockets, routes, neighbours, queueing disciplines.

use super::Counters;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddrV4};

/// One interface of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in the configuration.
    pub name: String,
    /// The kernel's index of the interface underneath, where there is one.
    pub kernel_index: Option<u32>,
    /// `af_xdp`, `el3c501` or `tap`.
    pub kind: String,
    /// The station address.
    pub mac: String,
    /// The largest IP datagram that fits a frame, in bytes.
    pub mtu: u32,
    /// It is up (`IFF_UP`).
    pub up: bool,
    /// Its addresses are the kernel's, shared by ports; otherwise they are the daemon's own.
    pub adopted: bool,
    /// Its IPv4 addresses.
    pub addresses: Vec<Address>,
    /// Its queue pairs.
    pub ports: Vec<InterfacePort>,
}

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of its network.
    pub prefix_len: u8,
    /// The network's broadcast address, if it has one.
    pub broadcast: Option<Ipv4Addr>,
}

/// One queue pair of an interface and what it obtained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePort {
    /// The lane that owns it.
    pub lane: u32,
    /// The NIC's queue.
    pub queue: u32,
    /// The mode obtained.
    pub mode: String,
}

/// One open socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The session it belongs to.
    pub session: u64,
    /// The client's process.
    pub pid: u32,
    /// `udp`, `tcp`, `raw`.
    pub protocol: String,
    /// `UNCONN`, `ESTAB`, ... as `ss` says it.
    pub state: String,
    /// Where it is bound.
    pub local: SocketAddrV4,
    /// The peer it is connected to.
    pub remote: Option<SocketAddrV4>,
    /// The lane it lives on.
    pub lane: u32,
    /// Streams: bytes that the program has not read; of a listener: connections that wait to be accepted.
    pub receive_queue: u64,
    /// Streams: bytes that the peer has not acknowledged; of a listener: its backlog.
    pub send_queue: u64,
    /// Streams: the timer that expires next, as `ss -o` shows it: `on`, `persist`, `keepalive`, time left, timeouts in a row.
    pub timer: Option<String>,
    /// UDP: `rx_datagrams`, `tx_datagrams`, `rx_buffer_full`, `tx_refused`. Connections: `cwnd` in segments, `bytes_acked`,
    /// `bytes_received`, `bytes_retrans`.
    pub counters: Counters,
}

/// One route of the forwarding table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The network.
    pub destination: Ipv4Addr,
    /// Bits of the network; 0 is the default route.
    pub prefix_len: u8,
    /// The next hop; absent: the destination is on the link.
    pub via: Option<Ipv4Addr>,
    /// The interface.
    pub interface: String,
    /// The source address that packets get when their socket has none.
    pub source: Option<Ipv4Addr>,
    /// Smaller wins between routes to the same network.
    pub metric: u32,
    /// The largest datagram on this route, if less than the interface's.
    pub mtu: Option<u32>,
    /// Who said so: `configuration`, `address`, `kernel`.
    pub origin: String,
}

/// One entry of a neighbour table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbor {
    /// The neighbour's address.
    pub address: Ipv4Addr,
    /// The interface it is on.
    pub interface: String,
    /// The lane whose table this is.
    pub lane: u32,
    /// Its link-layer address, once known.
    pub mac: Option<String>,
    /// `REACHABLE`, `STALE`, `FAILED`, `PERMANENT`, ... as `ip neigh` says it.
    pub state: String,
    /// Packets that wait for its address.
    pub waiting: u32,
}

/// The queueing discipline of one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qdisc {
    /// The interface.
    pub interface: String,
    /// The lane whose port it is.
    pub lane: u32,
    /// `pfifo_fast`, ...
    pub kind: String,
    /// Frames waiting.
    pub backlog: u64,
    /// The most frames it holds; 0 where it has no bound of its own.
    pub limit: u64,
    /// `packets`, `bytes`, `drops`, `requeues`.
    pub counters: Counters,
}
