//! Segments of the peer's as the layer below brings them, for the tests of this one.

use crate::ip::{Cast, Packet};
use crate::net::Net;
use crate::route::InterfaceId;
use crate::wire::compose;
use crate::wire::ipv4::Protocol;
use crate::wire::tcp::Header;
use std::net::Ipv4Addr;
use xmit_nic::frame::FrameFlags;

/// A segment from `source` to `destination` that came in by the one interface.
pub(in crate::tcp) fn arrival(
    net: &mut Net,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    header: &Header<'_>,
    data: &[u8],
) -> Packet {
    let mut frame = net.pool.acquire().unwrap();
    assert!(frame.fill(&compose::tcp(source, destination, header, data)));
    frame.flags = FrameFlags::CHECKSUM_VERIFIED;
    Packet {
        frame,
        input: InterfaceId(0),
        looped: false,
        cast: Cast::Unicast,
        source,
        destination,
        protocol: Protocol::TCP,
        tos: 0,
        ttl: 64,
        header_len: 20,
    }
}
