//! A lane with the control thread's part beside it, in one process: what every benchmark of a lane stands on.
//!
//! Whoever runs it gives it the time and turns it. Sessions are made in plain memory, by the code that the daemon uses.

use crate::packets::{HOST, HOST_MAC, PEER, PEER_MAC};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use xmit_dataplane::device::Queue;
use xmit_dataplane::lane::{Lane, LaneCommand, LaneMail, LaneReport};
use xmit_dataplane::limits;
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use xmit_dataplane::snapshot::{InterfaceAddress, InterfaceConfig, Snapshot, StaticNeighbour};
use xmit_dataplane::socket::Report;
use xmit_dataplane::tcp::{Capacity, Settings};
use xmit_nic::{Instant, MacAddr, Pool, Port};
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::session::{ClientEnd, SessionConfig, in_process};
use xmit_shared::snapshot::Publisher;

/// Frames of the lane: a few bursts.
const FRAMES: usize = 1024;
/// Messages between a lane and its control thread.
const MAIL: usize = 64;

/// Who is at which end of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The lane's address and station address.
    pub host: (Ipv4Addr, MacAddr),
    /// Those of whoever it talks to, which is also the gateway to [`FAR`].
    pub peer: (Ipv4Addr, MacAddr),
}

/// The lane's end of the usual wire.
pub const ENDS: Ends = Ends { host: (HOST, HOST_MAC), peer: (PEER, PEER_MAC) };

/// A network behind the peer, of the addresses for benchmarks (RFC 2544): connections come from there.
pub const FAR: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 15);

/// A lane and its control thread's ends.
pub struct Host {
    lane: Lane,
    commands: Mail<LaneCommand>,
    reports: Mailbox<(u16, LaneReport)>,
    sessions: u32,
    _publisher: Publisher<Arc<Snapshot>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host of lane {}, {} sessions", self.lane.id(), self.sessions)
    }
}

impl Host {
    /// A lane on `port`, at its end of the wire. `cycles` is the counter that its stages are measured by.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors.
    pub fn new(ends: Ends, port: Box<dyn Port>, now: Instant, cycles: fn() -> u64) -> io::Result<Self> {
        let (commands, to_lane) = mailbox(MAIL)?;
        let (reports, from_lane) = mailbox(MAIL)?;
        let (packets, returns) = (mailbox(MAIL)?.0, mailbox(MAIL)?.0);
        let mail = LaneMail { commands, reports: from_lane, packets, returns, others: vec![None] };
        let publisher = Publisher::new(Arc::new(snapshot(ends)));
        let pool = Pool::anonymous(0, FRAMES)?;
        let mut lane = Lane::new(0, pool, now, 1, mail, publisher.reader(), cycles);
        let queue = Queue::pfifo_fast(limits::QDISC_FRAMES_MAX);
        // The first port of a lane always finds a place.
        let _ = lane.add_port(InterfaceId(0), port, queue);
        Ok(Self { lane, commands: to_lane, reports, sessions: 0, _publisher: publisher })
    }

    /// Makes room for so many connections of TCP. Before the first session.
    pub fn make_room(&mut self, now: Instant, connections: usize) {
        let capacity = Capacity { connections, ..Capacity::DEFAULT };
        self.lane.stack.set_tcp(now, &capacity, Settings::default());
    }

    /// A session of its own; the lane takes it in with its next turn.
    ///
    /// # Errors
    /// If the sizes cannot be, or the kernel has no memory or descriptors.
    pub fn attach(&mut self, config: &SessionConfig) -> io::Result<ClientEnd> {
        let (ends, client) = in_process(config).map_err(io::Error::other)?;
        self.sessions += 1;
        for end in ends {
            let attach = LaneCommand::Attach { session: self.sessions, end: Box::new(end), rate: 0 };
            let full = |_| io::Error::other("more sessions at once than a mailbox holds: turn the lane between them");
            self.commands.send(attach).map_err(full)?;
        }
        Ok(client)
    }

    /// The lane.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// One turn of the lane; answers what it did.
    #[inline]
    pub fn turn(&mut self, now: Instant) -> usize {
        self.lane.turn(now).work
    }

    /// The control thread's part: whoever asks for an address gets it. While sockets are made.
    pub fn control(&mut self) {
        while let Some((_, report)) = self.reports.take() {
            let (session, slot, address) = match report {
                LaneReport::Session(Report::Bind { session, slot, wanted, .. }) => (session, slot, wanted),
                LaneReport::Session(Report::Listen { session, slot, address, .. }) => (session, slot, address),
                _ => continue,
            };
            let _ = self.commands.send(LaneCommand::Bound { session, slot, result: Ok(address) });
        }
    }
}

/// One interface with one address, its network, the peer as a neighbour, and the far network behind it.
fn snapshot(ends: Ends) -> Snapshot {
    let interface = InterfaceId(0);
    let (address, mac) = ends.host;
    let mut config = InterfaceConfig::new(interface, "mem0", mac, 1500);
    config.addresses.push(InterfaceAddress { address, prefix_len: 24 });
    let prefix = |address, len| Prefix::new(address, len).unwrap_or(Prefix::DEFAULT).canonical();
    let network = route(prefix(address, 24), RouteKind::Unicast);
    let far = Route { gateway: Some(ends.peer.0), ..route(prefix(FAR.0, FAR.1), RouteKind::Unicast) };
    let local = route(Prefix::host(address), RouteKind::Local);
    let routes = [local, network, far].map(|route| Route { preferred_source: Some(address), ..route });
    let neighbour = StaticNeighbour { interface, address: ends.peer.0, mac: ends.peer.1 };
    Snapshot { interfaces: vec![config], fib: Fib::build(routes), neighbours: vec![neighbour] }
}

/// A route by the only interface.
pub fn route(prefix: Prefix, kind: RouteKind) -> Route {
    Route { preferred_source: Some(HOST), ..Route::new(prefix, kind, InterfaceId(0)) }
}
