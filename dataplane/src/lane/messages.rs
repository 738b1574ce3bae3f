//! What a lane and the control thread say to each other.

use crate::device::Tap;
use crate::route::InterfaceId;
use crate::socket::Claim;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_nic::MacAddr;
use xmit_shared::session::{LaneEnd, Transport};

/// What the control thread tells a lane.
#[derive(Debug)]
pub enum LaneCommand {
    /// A client connected: from now on its rings are served.
    Attach {
        /// The session's name.
        session: u32,
        /// The lane's side of its region.
        end: Box<LaneEnd>,
        /// Datagrams a second that it may send; 0 for no limit.
        rate: u64,
    },
    /// A client is gone: all that it had is released.
    Detach {
        /// The session's name.
        session: u32,
    },
    /// The answer to [`crate::socket::Report::Bind`].
    Bound {
        /// The session that asked.
        session: u32,
        /// The socket's slot.
        slot: u32,
        /// The address given, or Linux's error number.
        result: Result<SocketAddrV4, i32>,
    },
    /// Another lane owns an address, or no longer does.
    Elsewhere {
        /// Of this protocol.
        protocol: Transport,
        /// The address.
        address: SocketAddrV4,
        /// Its lane.
        lane: Option<u16>,
    },
    /// Another lane's socket wants a port of this one's: [`LaneReport::Claimed`] says whether it may have it.
    Claim(Claim),
    /// Connections must ask for their ports, because packets are steered here by ports.
    AskForPorts(bool),
    /// A neighbour answered another lane's question, or ours.
    Heard {
        /// The interface.
        interface: InterfaceId,
        /// The neighbour.
        address: Ipv4Addr,
        /// Where it is.
        mac: MacAddr,
    },
    /// Another lane sends by an interface that this one has no port on.
    Sender {
        /// The interface.
        interface: InterfaceId,
        /// The lane with a port on it.
        lane: u16,
    },
    /// Show the frames of an interface to `tap`.
    AddTap {
        /// The interface.
        interface: InterfaceId,
        /// Who listens.
        tap: Tap,
    },
    /// Take a tap away.
    RemoveTap {
        /// Its name.
        id: u64,
    },
    /// Publish the tables that only the lane knows (sockets, neighbours).
    Describe {
        /// Where the answer goes.
        answer: std::sync::mpsc::Sender<LaneDescription>,
    },
    /// End after this turn.
    Stop,
}

/// What a lane tells the control thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneReport {
    /// News of a session.
    Session(crate::socket::Report),
    /// The lane ended without having been told to: by a panic. Sent by whoever runs it.
    Ended,
    /// The lane has no place for the session ([`crate::limits::SESSIONS_MAX`]).
    Refused {
        /// The session.
        session: u32,
    },
    /// All of a session's resources on this lane are released, at its command.
    Detached {
        /// The session.
        session: u32,
    },
    /// The answer to [`LaneCommand::Claim`].
    Claimed {
        /// The claim.
        claim: Claim,
        /// Nothing here keeps it from its port.
        free: bool,
    },
    /// A neighbour answered; the other lanes may have asked.
    Heard {
        /// The interface.
        interface: InterfaceId,
        /// The neighbour.
        address: Ipv4Addr,
        /// Where it is.
        mac: MacAddr,
    },
    /// The kernel should resolve a neighbour.
    Resolve {
        /// The interface.
        interface: InterfaceId,
        /// The neighbour.
        address: Ipv4Addr,
    },
}

/// Tables of a lane, for operators.
#[derive(Clone, Debug, Default)]
pub struct LaneDescription {
    /// The lane.
    pub lane: u16,
    /// Its UDP sockets, with their session's name.
    pub sockets: Vec<(u32, crate::udp::UdpSocket)>,
    /// Its listeners, connections and TIME_WAITs.
    pub streams: Vec<StreamDescription>,
    /// Its neighbours.
    pub neighbours: Vec<NeighbourDescription>,
    /// Its queues.
    pub queues: Vec<QueueDescription>,
    /// Its frames by holder.
    pub frames: xmit_nic::pool::Census,
    /// Its ports: name, interface, mode, counters.
    pub ports: Vec<(String, InterfaceId, String, xmit_nic::PortStats)>,
}

/// One TCP socket, or what is left of one, for operators.
#[derive(Clone, Debug)]
pub struct StreamDescription {
    /// Its session's name; `None` for an orphan, a TIME_WAIT, and what is not accepted yet.
    pub session: Option<u32>,
    /// As `ss` says it.
    pub state: &'static str,
    /// Where it is.
    pub local: SocketAddrV4,
    /// Its peer.
    pub remote: Option<SocketAddrV4>,
    /// Bytes that its program has not read; of a listener: connections that wait.
    pub receive_queue: u32,
    /// Bytes that its peer has not acknowledged; of a listener: its backlog.
    pub send_queue: u32,
    /// The timer that expires next, and when.
    pub timer: Option<(&'static str, xmit_nic::Instant)>,
    /// Timeouts in a row.
    pub retransmits: u8,
    /// The congestion window in segments, and bytes sent again; zero for what is no connection.
    pub cwnd: u32,
    /// See `cwnd`.
    pub bytes_retrans: u64,
    /// Bytes received and acknowledged.
    pub bytes_received: u64,
    /// See `bytes_received`.
    pub bytes_acked: u64,
}

/// One neighbour, for operators.
#[derive(Clone, Debug)]
pub struct NeighbourDescription {
    /// Its interface.
    pub interface: InterfaceId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its station address, where it may be used.
    pub mac: Option<MacAddr>,
    /// As `ip neigh` says it.
    pub state: &'static str,
    /// Packets that wait for it.
    pub waiting: usize,
}

/// One port's queue, for operators.
#[derive(Clone, Debug)]
pub struct QueueDescription {
    /// The port.
    pub port: String,
    /// Its interface.
    pub interface: InterfaceId,
    /// The discipline's name.
    pub discipline: &'static str,
    /// The most frames it holds.
    pub limit: usize,
    /// Its counters.
    pub stats: crate::device::QueueStats,
}
