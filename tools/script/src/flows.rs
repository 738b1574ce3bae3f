//! The TCP flows of a script: which one a line speaks of, and what its relative numbers count from.

use crate::packet::{Body, Origin, Pattern, Tcp, timestamp};
use std::net::SocketAddrV4;
use xmit_dataplane::wire::ethernet::Ethernet;
use xmit_dataplane::wire::ipv4::{Ipv4, Protocol};
use xmit_dataplane::wire::tcp::{Flags, Tcp as View};

/// The number of every SYN of the peer: so high that sequence numbers wrap soon.
const PEER_SYN: u32 = u32::MAX - 3000;
/// What the peer's timestamps count from.
const PEER_TIMESTAMP: u32 = 0x7fff_ff00;

/// Our first timestamp, unless the line that sees it says otherwise.
const FIRST_TIMESTAMP: u32 = 100;

#[derive(Clone, Copy, Debug)]
struct Flow {
    ours: SocketAddrV4,
    peer: SocketAddrV4,
    /// The number of our SYN, once it left.
    syn: Option<u32>,
    /// What our timestamps count from, once one left.
    timestamp: Option<u32>,
}

/// All flows so far; the last one is the one that lines without addresses speak of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows(Vec<Flow>);

impl Flows {
    /// A segment that arrives, with addresses and numbers; anything else as it is.
    pub(crate) fn arriving(&mut self, pattern: &Pattern) -> Result<Pattern, String> {
        let mut pattern = pattern.clone();
        match &mut pattern.body {
            Body::Tcp(tcp) => {
                let flow = self.flow(tcp.destination, tcp.source)?;
                (tcp.source, tcp.destination) = (Some(flow.peer), Some(flow.ours));
                tcp.origin = flow.of_peer();
                (pattern.ip.source, pattern.ip.destination) = (Some(*flow.peer.ip()), Some(*flow.ours.ip()));
            }
            Body::Icmp(icmp) => {
                if let Some(quote) = &icmp.quote {
                    icmp.quote = Some(Box::new(self.leaving(quote, None)?));
                }
            }
            _ => {}
        }
        Ok(pattern)
    }

    /// A segment that leaves, with addresses and numbers; `frame` is what left, to learn from.
    pub(crate) fn leaving(&mut self, pattern: &Pattern, frame: Option<&[u8]>) -> Result<Pattern, String> {
        let mut pattern = pattern.clone();
        match &mut pattern.body {
            Body::Tcp(tcp) => {
                let flow = self.flow(tcp.source, tcp.destination)?;
                if let Some(frame) = frame {
                    flow.learn(tcp, frame);
                }
                (tcp.source, tcp.destination) = (Some(flow.ours), Some(flow.peer));
                tcp.origin = flow.of_us();
                (pattern.ip.source, pattern.ip.destination) = (Some(*flow.ours.ip()), Some(*flow.peer.ip()));
            }
            Body::Icmp(icmp) => {
                if let Some(quote) = &icmp.quote {
                    icmp.quote = Some(Box::new(self.arriving(quote)?));
                }
            }
            _ => {}
        }
        Ok(pattern)
    }

    /// What the numbers of a segment between these two count from.
    pub(crate) fn origin(&self, source: SocketAddrV4, destination: SocketAddrV4) -> Origin {
        let ours = self.0.iter().find(|flow| (flow.ours, flow.peer) == (source, destination)).map(Flow::of_us);
        let peer = || self.0.iter().find(|flow| (flow.peer, flow.ours) == (source, destination)).map(Flow::of_peer);
        ours.or_else(peer).unwrap_or_default()
    }

    /// Between whom the last flow is: we and the peer.
    pub(crate) fn last(&self) -> Result<(SocketAddrV4, SocketAddrV4), String> {
        let flow = self.0.last().ok_or("no line before this one speaks of a flow")?;
        Ok((flow.ours, flow.peer))
    }

    /// The flow between these two, or the last; it becomes the last.
    fn flow(&mut self, ours: Option<SocketAddrV4>, peer: Option<SocketAddrV4>) -> Result<&mut Flow, String> {
        if let (Some(ours), Some(peer)) = (ours, peer) {
            let known = self.0.iter().position(|flow| (flow.ours, flow.peer) == (ours, peer));
            let flow = known.map_or(Flow { ours, peer, syn: None, timestamp: None }, |at| self.0.remove(at));
            self.0.push(flow);
        }
        self.0.last_mut().ok_or_else(|| "no line before this one says between whom".to_owned())
    }
}

impl Flow {
    fn of_us(&self) -> Origin {
        Origin {
            seq: self.syn.unwrap_or(0),
            ack: PEER_SYN,
            ts_value: self.timestamp.unwrap_or(0),
            ts_echo: PEER_TIMESTAMP,
        }
    }

    fn of_peer(&self) -> Origin {
        Origin {
            seq: PEER_SYN,
            ack: self.syn.unwrap_or(0),
            ts_value: PEER_TIMESTAMP,
            ts_echo: self.timestamp.unwrap_or(0),
        }
    }

    /// What a segment of ours tells for the first time.
    fn learn(&mut self, wanted: &Tcp, frame: &[u8]) {
        let Some(segment) = segment(frame) else { return };
        let Ok(view) = View::parse(&segment) else { return };
        if view.flags().contains(Flags::SYN) {
            self.syn = Some(view.seq().wrapping_sub(wanted.seq));
        }
        if let Some(is) = timestamp(&segment) {
            self.timestamp.get_or_insert(is.wrapping_sub(wanted.timestamp_value().unwrap_or(FIRST_TIMESTAMP)));
        }
    }
}

/// The TCP segment in a frame.
fn segment(frame: &[u8]) -> Option<Vec<u8>> {
    let ethernet = Ethernet::parse(frame).ok()?;
    let ip = Ipv4::parse(ethernet.payload()).ok()?;
    (ip.protocol() == Protocol::TCP).then(|| ip.payload().to_vec())
}
