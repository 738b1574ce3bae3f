//! Every reason to drop a packet. Each has a counter; there is no silent drop.

use crate::errno::{EHOSTUNREACH, EINVAL, EMSGSIZE, ENETDOWN, ENETUNREACH, ENOBUFS, EPERM};
use crate::named::named_enum;

named_enum! {
    /// Why a packet went no further.
    pub enum DropReason {
        /// Shorter than an Ethernet header, or a broken 802.1Q tag.
        EthernetMalformed,
        /// The destination MAC address is another station's (`PACKET_OTHERHOST`).
        EthernetOtherHost,
        /// No layer takes this EtherType.
        EthernetUnknownType,
        /// Tagged for a VLAN that the interface does not have.
        EthernetUnknownVlan,
        /// Not an ARP packet for IPv4 over Ethernet, or truncated.
        ArpMalformed,
        /// ARP for an address that is not ours.
        ArpNotForUs,
        /// ARP whose sender or target address cannot be a host's (`arp_process`).
        ArpBadAddress,
        /// An ARP reply that nobody asked for (`arp_accept` = 0).
        ArpUnsolicited,
        /// An ARP packet claims our own address for another station (RFC 5227).
        ArpConflict,
        /// IPv4 header, version or length is wrong.
        IpMalformed,
        /// The IPv4 header checksum is wrong.
        IpChecksum,
        /// The packet is shorter than its total length says.
        IpTruncated,
        /// An option does not parse (RFC 791).
        IpBadOption,
        /// Source routed, which is not accepted (`accept_source_route` = 0).
        IpSourceRouted,
        /// The source address cannot be a sender's on this interface (martian, RFC 1812 5.3.7).
        IpMartianSource,
        /// The destination address must not appear on a wire (martian).
        IpMartianDestination,
        /// The route back to the source leaves by another interface (`rp_filter`).
        IpReversePath,
        /// Not addressed to this host, and forwarding is off.
        IpNotForUs,
        /// A fragment; reassembly is not available.
        IpFragment,
        /// No handler for the transport protocol.
        IpUnknownProtocol,
        /// A filter dropped it.
        HookDropped,
        /// No route to the destination.
        IpNoRoute,
        /// A route says unreachable, prohibited or blackhole.
        IpRouteRefused,
        /// Larger than the MTU of the way out, and fragmentation is not available.
        IpTooBig,
        /// ICMP shorter than its header.
        IcmpMalformed,
        /// The ICMP checksum is wrong.
        IcmpChecksum,
        /// An echo request to a broadcast or multicast address (`icmp_echo_ignore_broadcasts`).
        IcmpEchoBroadcast,
        /// An ICMP type that needs no answer here.
        IcmpUnhandled,
        /// An ICMP error that quotes no packet of ours.
        IcmpErrorUnmatched,
        /// The UDP header or length is wrong.
        UdpMalformed,
        /// The UDP checksum is wrong.
        UdpChecksum,
        /// The UDP checksum was left unfinished by a sender that expected hardware to do it (veth, tap).
        UdpChecksumUnfinished,
        /// No socket on this port; port unreachable was considered.
        UdpNoPort,
        /// The socket's receive buffer is full.
        UdpReceiveBufferFull,
        /// The TCP header or its length is wrong.
        TcpMalformed,
        /// The TCP checksum is wrong.
        TcpChecksum,
        /// The TCP checksum was left unfinished by a sender that expected hardware to do it (veth, tap).
        TcpChecksumUnfinished,
        /// TCP speaks to one host only (RFC 1122 4.2.3.10).
        TcpNotUnicast,
        /// No connection and no listener; a reset was considered.
        TcpNoSocket,
        /// A reset for nobody, or for a listener.
        TcpReset,
        /// A reset in the window whose number is not exact: the peer is asked (RFC 5961 3.2).
        TcpResetUnsure,
        /// A SYN on a synchronized connection: the peer is asked (RFC 5961 4.2).
        TcpSyn,
        /// Control bits that mean nothing in this state.
        TcpFlags,
        /// The timestamp is older than one that was seen (PAWS, RFC 7323 5).
        TcpPaws,
        /// No sequence number of it lies in the window.
        TcpOutOfWindow,
        /// It acknowledges what was never sent.
        TcpAckUnsent,
        /// It acknowledges less than can be under way (RFC 5961 5.2).
        TcpAckTooOld,
        /// All of its data arrived before.
        TcpOldData,
        /// The receive ring has no room for its data.
        TcpReceiveBufferFull,
        /// Ahead of a hole, and no room is left to remember it.
        TcpOutOfOrderFull,
        /// The connection is not accepted yet: there is no ring for its data.
        TcpNoRing,
        /// Data for a program that closed its socket.
        TcpClosedByUser,
        /// New data behind the peer's FIN.
        TcpBehindFin,
        /// More connections wait for `accept` than the backlog allows (`ListenOverflows`).
        TcpAcceptQueueFull,
        /// Too many half-open connections, and SYN cookies are off.
        TcpSynQueueFull,
        /// An ACK without data for a listener that waits for data (`TCP_DEFER_ACCEPT`).
        TcpDeferred,
        /// For a connection in TIME_WAIT, which has nothing to say to it but an ACK.
        TcpTimeWait,
        /// The neighbour table is full.
        NeighbourTableFull,
        /// Too many packets wait for this neighbour already (`unres_qlen`).
        NeighbourQueueFull,
        /// The neighbour did not answer.
        NeighbourFailed,
        /// The interface is down or has no carrier.
        DeviceDown,
        /// This lane has no port on the interface.
        DeviceNoPort,
        /// The queueing discipline is full.
        QdiscFull,
        /// The pool has no free frame.
        NoFrame,
        /// The local backlog (looped or handed-over packets) is full.
        BacklogFull,
        /// Still queued when the lane shut down or the interface went away.
        Shutdown,
    }
}

impl DropReason {
    /// What the sender of a packet that was dropped on its way down is told; `None` where Linux tells nothing.
    pub fn errno(self) -> Option<i32> {
        match self {
            Self::IpNoRoute => Some(ENETUNREACH),
            Self::IpRouteRefused => Some(EHOSTUNREACH),
            Self::IpTooBig => Some(EMSGSIZE),
            Self::DeviceDown | Self::DeviceNoPort => Some(ENETDOWN),
            Self::IpMartianSource | Self::IpMartianDestination => Some(EINVAL),
            Self::HookDropped => Some(EPERM),
            Self::NeighbourTableFull => Some(ENOBUFS),
            // A full queue or a silent neighbour is the network's loss, of which senders hear nothing.
            _ => None,
        }
    }
}
