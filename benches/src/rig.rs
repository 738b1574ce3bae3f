//! A lane on a wire in memory with an echo program in the same process: what a packet costs between two NICs.
//!
//! The echo uses its session's rings as the client library does: it takes every datagram that waits, puts each into
//! its sending ring, and tells the lane once. Time is virtual and moves a microsecond with each turn.

use crate::memory_port::{MemoryPort, Wire};
use crate::packets::{ECHO_PORT, HOST, HOST_MAC, PEER, PEER_MAC};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use xmit_dataplane::device::Queue;
use xmit_dataplane::lane::{Lane, LaneCommand, LaneMail, LaneReport};
use xmit_dataplane::limits;
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use xmit_dataplane::snapshot::{InterfaceAddress, InterfaceConfig, Resolution, ReversePath, Snapshot, StaticNeighbour};
use xmit_dataplane::socket::Report;
use xmit_nic::{Duration, Instant, Pool};
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::session::{ClientEnd, Op, SessionConfig, Submission, Transport, in_process};
use xmit_shared::snapshot::Publisher;

/// Frames of the lane: a few bursts.
const FRAMES: usize = 1024;
/// Messages between a lane and its control thread.
const MAIL: usize = 64;
/// The echo's socket.
const SLOT: u32 = 0;
/// Turns that setting up may take.
const SETUP_TURNS: usize = 100;

/// A lane, its wire and its client.
#[derive(Debug)]
pub struct Rig {
    lane: LaneBox,
    wire: Wire,
    client: ClientEnd,
    now: Instant,
    commands: Mail<LaneCommand>,
    reports: Mailbox<(u16, LaneReport)>,
    buffer: Box<[u8; 2048]>,
    _publisher: Publisher<Arc<Snapshot>>,
}

/// A lane without a picture of its inside.
struct LaneBox(Lane);

impl std::fmt::Debug for LaneBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane {}", self.0.id())
    }
}

impl Rig {
    /// A rig whose lane receives `trace` over and over. `cycles` is the counter that its stages are measured by.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors, or the lane does not answer the echo's calls.
    pub fn new(trace: Vec<Vec<u8>>, cycles: fn() -> u64) -> io::Result<Self> {
        let (commands, to_lane) = mailbox(MAIL)?;
        let (reports, from_lane) = mailbox(MAIL)?;
        let (packets, returns) = (mailbox(MAIL)?.0, mailbox(MAIL)?.0);
        let mail = LaneMail { commands, reports: from_lane, packets, returns, others: vec![None] };
        let publisher = Publisher::new(Arc::new(snapshot()));
        let pool = Pool::anonymous(0, FRAMES)?;
        let mut lane = Lane::new(0, pool, Instant::ZERO, 1, mail, publisher.reader(), cycles);
        let (port, wire) = MemoryPort::new(HOST_MAC, trace);
        let queue = Queue::pfifo_fast(limits::QDISC_FRAMES_MAX);
        // The first port of a lane always finds a place.
        let _ = lane.add_port(InterfaceId(0), Box::new(port), queue);
        let (ends, client) = in_process(&SessionConfig::default()).map_err(io::Error::other)?;
        for end in ends {
            let attach = LaneCommand::Attach { session: 1, end: Box::new(end), rate: 0 };
            let _ = to_lane.send(attach); // an empty mailbox has room
        }
        let mut rig = Self {
            lane: LaneBox(lane),
            wire,
            client,
            now: Instant::ZERO,
            commands: to_lane,
            reports,
            buffer: Box::new([0; 2048]),
            _publisher: publisher,
        };
        rig.call(Op::Open(Transport::Udp))?;
        rig.call(Op::Bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ECHO_PORT)))?;
        Ok(rig)
    }

    /// The wire's other end.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The lane.
    pub fn lane(&self) -> &Lane {
        &self.lane.0
    }

    /// One turn of the lane; answers what it did.
    #[inline]
    pub fn turn(&mut self) -> usize {
        self.now += Duration::from_micros(1);
        self.lane.0.turn(self.now).work
    }

    /// Delivers `count` frames and turns lane and echo until nothing moves. Answers the datagrams echoed.
    pub fn exchange(&mut self, count: usize) -> usize {
        self.wire.offer(count);
        let mut echoed = 0;
        // Bounded: each turn receives a burst of what was offered, and answers do not cause questions.
        loop {
            let work = self.turn();
            let datagrams = self.echo();
            echoed += datagrams;
            if work == 0 && datagrams == 0 && self.wire.waiting() == 0 {
                return echoed;
            }
        }
    }

    /// The echo program: sends back what waits. Answers how many datagrams.
    fn echo(&mut self) -> usize {
        let Some(slot) = self.client.slots.get_mut(SLOT as usize) else { return 0 };
        let mut count = 0;
        while let Ok(Some(meta)) = slot.rx.peek() {
            let len = slot.rx.copy(&mut self.buffer[..]);
            let answer = xmit_shared::record::Meta::of(meta.peer);
            if slot.tx.push(&answer, &[self.buffer.get(..len).unwrap_or_default()]).is_err() {
                break;
            }
            slot.rx.consume();
            count += 1;
        }
        if count > 0 {
            self.client.shared.kick(0, SLOT);
        }
        count
    }

    /// A socket call of the echo program, carried out to its end.
    fn call(&mut self, op: Op) -> io::Result<()> {
        let end = self.client.lanes.first_mut().ok_or_else(|| io::Error::other("a session without lanes"))?;
        end.submit(&Submission { token: 1, slot: SLOT, op }).map_err(io::Error::other)?;
        for _ in 0..SETUP_TURNS {
            self.turn();
            self.grant_binds();
            let end = self.client.lanes.first_mut().ok_or_else(|| io::Error::other("a session without lanes"))?;
            match end.next_completion().map_err(io::Error::other)? {
                Some(answer) if answer.result < 0 => return Err(io::Error::from_raw_os_error(-answer.result)),
                Some(_) => return Ok(()),
                None => {}
            }
        }
        Err(io::Error::other(format!("the lane did not answer {op:?} in {SETUP_TURNS} turns")))
    }

    /// The control thread's part: whoever asks for an address gets it.
    fn grant_binds(&mut self) {
        while let Some((_, report)) = self.reports.take() {
            if let LaneReport::Session(Report::Bind { session, slot, wanted, .. }) = report {
                let _ = self.commands.send(LaneCommand::Bound { session, slot, result: Ok(wanted) });
            }
        }
    }
}

/// One interface with one address, its network, and the peer as a neighbour.
fn snapshot() -> Snapshot {
    let interface = InterfaceId(0);
    let config = InterfaceConfig {
        id: interface,
        name: "mem0".into(),
        mac: HOST_MAC,
        mtu: 1500,
        up: true,
        addresses: vec![InterfaceAddress { address: HOST, prefix_len: 24 }],
        vlan: None,
        resolution: Resolution::Arp,
        reverse_path: ReversePath::Off,
        accept_unfinished_checksums: false,
    };
    let network = Prefix::new(HOST, 24).unwrap_or(Prefix::DEFAULT).canonical();
    Snapshot {
        interfaces: vec![config],
        fib: Fib::build([route(Prefix::host(HOST), RouteKind::Local), route(network, RouteKind::Unicast)]),
        neighbours: vec![StaticNeighbour { interface, address: PEER, mac: PEER_MAC }],
    }
}

/// A route by the rig's interface.
pub fn route(prefix: Prefix, kind: RouteKind) -> Route {
    Route {
        prefix,
        kind,
        gateway: None,
        interface: InterfaceId(0),
        preferred_source: Some(HOST),
        mtu: None,
        metric: 0,
        tos: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packets;

    #[test]
    fn every_datagram_comes_back() {
        let mut rig = Rig::new(vec![packets::udp(ECHO_PORT, 64, 1)], || 0).unwrap();
        assert_eq!(rig.exchange(1000), 1000);
        assert_eq!(rig.wire().sent(), 1000);
    }

    #[test]
    fn the_mixture_is_answered_as_a_host_answers() {
        let mut rig = Rig::new(packets::mixture(1000, 1), || 0).unwrap();
        let echoed = rig.exchange(1000);
        assert!((880..960).contains(&echoed), "{echoed} of 1000 datagrams were for the echo");
        let sent = rig.wire().sent();
        assert!(sent > 970 && sent <= 1000, "{sent} answers: all but refusals above their rate limit");
    }
}
