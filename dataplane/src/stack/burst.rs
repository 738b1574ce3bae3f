//! What a burst is going to touch, asked for before it is needed: headers, then connections, then their rings and segments.
//!
//! Each step asks for the memory of all frames, so that the processor fetches it at once; the next step finds it there. With a hundred
//! thousand connections nearly everything that a packet touches comes from memory, and one after the other would take ten times as
//! long. With few connections it costs a few instructions, because what was found on the way is not searched again: the connection of a
//! segment is a guess that its flow confirms ([`crate::tcp::Tcp::lookup_expected`]).

use super::Stack;
use crate::net::DeviceId;
use crate::tcp::flow::Flow;
use crate::tcp::table::Place;
use crate::wire::ethernet::{EtherType, Ethernet};
use crate::wire::ipv4::{Ipv4, Protocol};
use arrayvec::ArrayVec;
use std::net::SocketAddrV4;
use xmit_nic::{BURST_FRAMES_MAX, Burst, Frame, Instant};

/// A burst shorter than this is in the cache before the second step could help.
const PREPARED_MIN: usize = 2;

impl Stack {
    /// Takes the frames that `device` received to their verdicts.
    pub fn receive_burst(&mut self, now: Instant, device: DeviceId, burst: &mut Burst) {
        if burst.len() < PREPARED_MIN {
            return burst.drain(..).for_each(|frame| self.receive(now, device, frame));
        }
        let expected = self.prepare(burst);
        for (frame, expected) in burst.drain(..).zip(expected) {
            self.expected = expected;
            self.receive(now, device, frame);
        }
        self.expected = None;
    }

    /// The places of the connections that the frames seem to be for; whatever is wrong with a frame is found later.
    fn prepare(&self, burst: &Burst) -> ArrayVec<Option<u32>, BURST_FRAMES_MAX> {
        for frame in burst {
            frame.prefetch();
        }
        let expected: ArrayVec<_, BURST_FRAMES_MAX> = burst.iter().map(|frame| self.place_of(frame)).collect();
        for place in expected.iter().flatten() {
            if let Some(connection) = self.tcp.table.connections.get(*place) {
                connection.prefetch();
            }
        }
        for place in expected.iter().flatten() {
            let Some(connection) = self.tcp.table.connections.get(*place) else { continue };
            connection.prefetch_sent(&self.tcp.commons.slab);
            if let Some(owner) = connection.owner {
                self.sockets.prefetch(owner);
            }
        }
        for place in expected.iter().flatten() {
            if let Some(owner) = self.tcp.table.connections.get(*place).and_then(|connection| connection.owner) {
                self.sockets.prefetch_ring(owner);
            }
        }
        expected
    }

    fn place_of(&self, frame: &Frame) -> Option<u32> {
        match self.tcp.table.guess(&flow_of(frame.bytes())?)? {
            Place::Connection(index) => Some(index),
            Place::Request(_) | Place::TimeWait(_) => None,
        }
    }
}

/// The flow of a segment in a frame without VLAN.
#[inline]
fn flow_of(frame: &[u8]) -> Option<Flow> {
    let ethernet = Ethernet::parse(frame).ok().filter(|ethernet| ethernet.ethertype() == EtherType::IPV4)?;
    let ip = Ipv4::parse(ethernet.payload()).ok().filter(|ip| ip.protocol() == Protocol::TCP)?;
    let [a, b, c, d] = *ip.payload().first_chunk()?;
    Some(Flow {
        local: SocketAddrV4::new(ip.destination(), u16::from_be_bytes([c, d])),
        remote: SocketAddrV4::new(ip.source(), u16::from_be_bytes([a, b])),
    })
}
