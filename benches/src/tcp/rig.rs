//! A lane with far ends played for it on one side and servers on the other, all in one thread and in virtual time.

use super::peer::{CONNECTIONS_PER_PORT, Counts, FIRST_PORT, Peer};
use super::ring_server::RingServer;
use super::server::Service;
use crate::host::{ENDS, Host};
use std::io;
use std::ops::Range;
use xmit_dataplane::counters;
use xmit_dataplane::lane::Lane;
use xmit_nic::{Duration, Instant};
use xmit_shared::session::{SLOTS_MAX, SessionConfig};

/// Slots of a session beside its connections': its listener's, and those on their way.
const SLOTS_MORE: u32 = 96;
/// Rings of datagrams, which nobody uses here, and of streams: the smallest; no page is taken before it is touched.
const DATAGRAM_RING: u32 = 128 << 10;
/// What streams may grow to.
const STREAM_RING: u32 = 256 << 10;
/// Turns that anything may take before it counts as stalled.
const TURNS_MAX: usize = 20_000;
/// Connections that connect at once.
const CONNECTING: u32 = 32;

/// The lane, both sides of it, and the time.
#[derive(Debug)]
pub struct TcpRig {
    host: Host,
    peer: Peer,
    /// By [`TcpRig::server_of`].
    servers: Vec<RingServer>,
    service: Service,
    /// Of each session.
    slots: u32,
    now: Instant,
}

impl TcpRig {
    /// A rig for up to `connections` far ends, whose data segments carry `payload` bytes and which acknowledge every so many of the lane's.
    /// Its servers do `service`; there is none before the first connection to it.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors.
    pub fn new(
        connections: u32,
        payload: usize,
        acknowledge_every: u32,
        service: Service,
        cycles: fn() -> u64,
    ) -> io::Result<Self> {
        let (peer, port) = Peer::new(connections, payload, acknowledge_every);
        let mut host = Host::new(ENDS, Box::new(port), Instant::ZERO, cycles)?;
        // A few more: those that end are in their places a little longer than in their servers.
        host.make_room(Instant::ZERO, connections as usize + 1024);
        let slots = (connections.min(CONNECTIONS_PER_PORT) + SLOTS_MORE).min(SLOTS_MAX);
        Ok(Self { host, peer, servers: Vec::new(), service, slots, now: Instant::ZERO })
    }

    /// Makes a session and starts the server of connection `index` in it, unless it runs.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors, or the lane refuses a call.
    pub fn start_server(&mut self, index: u32) -> io::Result<()> {
        let number = Self::server_of(index);
        if number < self.servers.len() {
            return Ok(());
        }
        if number > self.servers.len() {
            return Err(io::Error::other("servers are started in order"));
        }
        let config = SessionConfig {
            slots: self.slots,
            tx_bytes: DATAGRAM_RING,
            rx_bytes: DATAGRAM_RING,
            stream_tx_bytes: STREAM_RING,
            stream_rx_bytes: STREAM_RING,
            ..SessionConfig::default()
        };
        let end = self.host.attach(&config)?;
        self.servers.push(RingServer::new(end, self.service));
        for op in RingServer::setup(FIRST_PORT + number as u16) {
            self.server(number)?.call(op)?;
            let result = self.answer(number)?;
            if result < 0 {
                return Err(io::Error::from_raw_os_error(-result));
            }
        }
        self.server(number)?.started()?;
        self.turn(number).map(drop)
    }

    /// The answer of a call, which the control thread may have a part in.
    fn answer(&mut self, number: usize) -> io::Result<i32> {
        for _ in 0..TURNS_MAX {
            self.turn(number)?;
            self.host.control();
            if let Some(result) = self.server(number)?.answer() {
                return Ok(result);
            }
        }
        Err(io::Error::other(format!("no answer to a call after {TURNS_MAX} turns")))
    }

    fn server(&mut self, number: usize) -> io::Result<&mut RingServer> {
        self.servers.get_mut(number).ok_or_else(|| io::Error::other("no such server"))
    }

    /// Slots of each session.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The lane.
    pub fn lane(&self) -> &Lane {
        self.host.lane()
    }

    /// The far ends.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What the far ends saw.
    pub fn counts(&self) -> Counts {
        self.peer.counts()
    }

    /// Connections that the servers have open.
    pub fn open(&self) -> usize {
        self.servers.iter().map(RingServer::open).sum()
    }

    /// The server of a connection.
    pub const fn server_of(index: u32) -> usize {
        (index / CONNECTIONS_PER_PORT) as usize
    }

    /// One turn of the lane and one step of a server; answers what they did. Time moves by a microsecond.
    ///
    /// # Errors
    /// As [`RingServer::step`].
    #[inline]
    pub fn turn(&mut self, server: usize) -> io::Result<usize> {
        self.now += Duration::from_micros(1);
        let work = self.host.turn(self.now);
        Ok(work + self.server(server)?.step()?)
    }

    /// Turns until `done`.
    ///
    /// # Errors
    /// If that takes too long, with what the far ends saw.
    pub fn settle(&mut self, server: usize, done: impl Fn(&Self) -> bool) -> io::Result<()> {
        for _ in 0..TURNS_MAX {
            self.turn(server)?;
            if done(self) {
                return Ok(());
            }
        }
        Err(self.stalled())
    }

    fn stalled(&self) -> io::Error {
        let values = self.lane().stack.net.counters.values();
        let counters: Vec<_> = counters::names()
            .zip(values)
            .filter(|(_, v)| *v > 0)
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let (counts, open) = (self.counts(), self.open());
        io::Error::other(format!("no end after {TURNS_MAX} turns: {counts:?}, {open} open; {}", counters.join(", ")))
    }

    /// Establishes connections, a few at once.
    ///
    /// # Errors
    /// As [`TcpRig::settle`].
    pub fn connect(&mut self, indices: Range<u32>) -> io::Result<()> {
        let mut next = indices.start;
        while next < indices.end {
            // Those of one port at once.
            let port_end = (next / CONNECTIONS_PER_PORT + 1) * CONNECTIONS_PER_PORT;
            let end = indices.end.min(next + CONNECTING).min(port_end);
            self.start_server(next)?;
            let (established, open) = (self.counts().established, self.open_at(next));
            (next..end).for_each(|index| self.peer.connect(index));
            let count = (end - next) as usize;
            self.settle(Self::server_of(next), |rig| {
                rig.counts().established == established + count as u64 && rig.open_at(next) == open + count
            })?;
            next = end;
        }
        Ok(())
    }

    fn open_at(&self, index: u32) -> usize {
        self.servers.get(Self::server_of(index)).map_or(0, RingServer::open)
    }

    /// A request on each of these connections, all of one port, at once, until all answers have come.
    ///
    /// # Errors
    /// As [`TcpRig::settle`].
    #[inline]
    pub fn request(&mut self, indices: &[u32], bytes: u64) -> io::Result<()> {
        let Some(first) = indices.first() else { return Ok(()) };
        let expected = self.counts().bytes + bytes * indices.len() as u64;
        indices.iter().for_each(|index| self.peer.send(*index));
        self.settle(Self::server_of(*first), |rig| rig.counts().bytes >= expected)
    }

    /// Data on each of these connections, all of one port, until nothing moves.
    ///
    /// # Errors
    /// As [`TcpRig::settle`].
    #[inline]
    pub fn deliver(&mut self, indices: &[u32]) -> io::Result<()> {
        let Some(first) = indices.first() else { return Ok(()) };
        indices.iter().for_each(|index| self.peer.send(*index));
        for _ in 0..TURNS_MAX {
            if self.turn(Self::server_of(*first))? == 0 {
                return Ok(());
            }
        }
        Err(self.stalled())
    }

    /// Lets `millis` pass in which the far ends say nothing, so that the timers of what was said before expire.
    ///
    /// # Errors
    /// As [`TcpRig::settle`].
    pub fn rest(&mut self, millis: u32) -> io::Result<()> {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            let mut turns = 0;
            while self.turn(0)? > 0 {
                turns += 1;
                if turns > TURNS_MAX {
                    return Err(self.stalled());
                }
            }
        }
        Ok(())
    }

    /// Ends these connections from the far side, and waits until the servers have closed them.
    ///
    /// # Errors
    /// As [`TcpRig::settle`].
    pub fn finish(&mut self, indices: Range<u32>) -> io::Result<()> {
        let (fins, first) = (self.counts().fins, indices.start);
        let open = self.open_at(first);
        let count = indices.len();
        indices.for_each(|index| self.peer.finish(index));
        self.settle(Self::server_of(first), |rig| {
            rig.counts().fins == fins + count as u64 && rig.open_at(first) + count == open
        })
    }
}
