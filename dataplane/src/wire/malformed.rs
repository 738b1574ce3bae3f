//! Why bytes are not the packet they claim to be.

/// What is wrong with the bytes. A layer turns it into its drop reason and counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than the fixed header has.
    #[error("truncated: fewer bytes than the header needs")]
    Truncated,
    /// IPv4: the version field is not 4.
    #[error("the IP version is not 4")]
    BadVersion,
    /// IPv4: the header length is below 20 bytes or beyond the packet.
    #[error("the IP header length is below 20 bytes or beyond the packet")]
    BadHeaderLength,
    /// IPv4: the total length is shorter than the header or longer than what arrived.
    #[error("the IP total length is shorter than the header or longer than the packet")]
    BadTotalLength,
    /// IPv4: an option's length or pointer contradicts RFC 791 section 3.1.
    #[error("an IP option's length or pointer is out of its bounds")]
    BadOption,
    /// ARP: the hardware type is not Ethernet.
    #[error("the ARP hardware type is not Ethernet")]
    BadHardwareType,
    /// ARP: the protocol type is not IPv4.
    #[error("the ARP protocol type is not IPv4")]
    BadProtocolType,
    /// ARP: the address lengths are not 6 and 4.
    #[error("the ARP address lengths are not 6 and 4")]
    BadAddressLength,
    /// UDP: the length field is below 8 or beyond the packet.
    #[error("the UDP length is below 8 or beyond the packet")]
    BadUdpLength,
    /// TCP: the data offset is below 20 bytes or beyond the packet.
    #[error("the TCP data offset is below 20 bytes or beyond the packet")]
    BadTcpHeaderLength,
}
