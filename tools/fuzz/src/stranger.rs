//! A stranger on the wire: builds segments as he likes, and sees what the host under attack answers.
//!
//! The host is 10.0.0.2 and knows the station addresses of its whole network; time is virtual and moves in
//! [`Stranger::pass`] alone. Used by `dataplane/tests/attacks.rs` and by the target `tcp_connection`.

use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::snapshot::{Snapshot, StaticNeighbour};
use xmit_dataplane::tcp::Connection;
use xmit_dataplane::wire::compose;
use xmit_dataplane::wire::ethernet::{EtherType, Ethernet};
use xmit_dataplane::wire::ipv4::{self, Ipv4, Protocol};
use xmit_dataplane::wire::tcp::{self, Flags, Tcp};
use xmit_dataplane::wire::tcp_options::Options;
use xmit_nic::sim::{SimPort, Wire};
use xmit_nic::{Burst, Duration, Instant, MacAddr, Pool, Port};
use xmit_script::{End, HOST_MAC, Setup};

/// The port that the host listens on.
pub const PORT: u16 = 7;
/// Turns that a host may need at one time; more is busy work.
const TURNS_MAX: usize = 64;
/// When hosts begin.
const START: Instant = Instant::from_millis(10_000);

/// A segment that the host sent.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Its control bits.
    pub flags: Flags,
    /// Its first sequence number.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// Its window as it stands in the header.
    pub window: u16,
    /// Bytes of data.
    pub len: u32,
    /// The stranger's port that it went to.
    pub port: u16,
}

/// A connection as the stranger sees it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The stranger's address.
    pub from: SocketAddrV4,
    /// His next sequence number.
    pub seq: u32,
    /// The host's next sequence number.
    pub ack: u32,
}

/// The stranger and the host.
pub struct Stranger {
    /// The host and its program.
    pub end: End,
    /// The present.
    pub now: Instant,
    /// What the host sent and nobody looked at.
    pub heard: Vec<Heard>,
    /// How often the host had something to do.
    pub turns: usize,
    port: SimPort,
    pool: Pool,
    macs: [MacAddr; 2],
}

impl Stranger {
    /// A host with `frames` frames, and the stranger on the other end of its wire.
    pub fn new(seed: u64, frames: usize) -> Self {
        let (host, port) = Wire::new(seed).ports().unwrap();
        let host = host.named("sim0", HOST_MAC);
        let macs = [host.caps().mac, port.caps().mac];
        let address = Ipv4Addr::new(10, 0, 0, 2);
        let mut end = End::new(address, Box::new(host), 1500, frames, seed).unwrap();
        let known = (3..=254).map(|last| Ipv4Addr::new(10, 0, 0, last));
        let neighbours = known.map(|address| StaticNeighbour { interface: InterfaceId(0), address, mac: macs[1] });
        let snapshot = Snapshot { neighbours: neighbours.collect(), ..Setup::default().snapshot() };
        end.host.publish(snapshot);
        let pool = Pool::anonymous(1, 256).unwrap();
        Self { end, now: START, heard: Vec::new(), turns: 0, port, pool, macs }
    }

    /// Sends a segment of `known`'s flow with these numbers, and lets the host answer.
    pub fn send(&mut self, known: &Known, flags: Flags, window: u16, options: Options<'_>, data: &[u8]) {
        let header = tcp::Header {
            source_port: known.from.port(),
            destination_port: PORT,
            seq: known.seq,
            ack: if flags.contains(Flags::ACK) { known.ack } else { 0 },
            flags,
            window,
            urgent: 0,
            options,
        };
        self.send_as(*known.from.ip(), 0, &header, data);
    }

    /// Sends a segment with this header in a datagram with this type of service, and lets the host answer.
    pub fn send_as(&mut self, from: Ipv4Addr, tos: u8, header: &tcp::Header<'_>, data: &[u8]) {
        let frame = self.frame(from, tos, header, data);
        let mut burst = Burst::new();
        let mut place = self.pool.acquire().unwrap();
        assert!(place.fill(&frame));
        burst.push(place);
        self.port.tx_burst(self.now, &mut self.pool, &mut burst);
        self.settle();
    }

    fn frame(&self, from: Ipv4Addr, tos: u8, header: &tcp::Header<'_>, data: &[u8]) -> Vec<u8> {
        let usual = compose::tcp(from, self.end.address, header, data);
        let ip = ipv4::Header { tos, ..ipv4::Header::new(from, self.end.address, Protocol::TCP) };
        let datagram = compose::ipv4(&ip, &usual[ip.len()..]);
        let [host, ours] = self.macs;
        compose::ethernet(ours, host, EtherType::IPV4, &datagram)
    }

    /// Lets the host do what is due now, and hears what it sends.
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let work = self.end.host.turn(self.now);
            let mut burst = Burst::new();
            self.port.rx_burst(self.now, &mut self.pool, &mut burst);
            if work == 0 && burst.is_empty() {
                return;
            }
            self.turns += 1;
            for frame in burst.drain(..) {
                self.heard.extend(hear(frame.bytes()));
                self.pool.release(frame);
            }
        }
        panic!("the host is busy with nothing at {:?}", self.now);
    }

    /// Lets `time` pass, from event to event.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            let next = self.end.host.next_deadline(self.now).unwrap_or(until);
            self.now = next.clamp(self.now + Duration::from_micros(1), until);
            self.settle();
        }
    }

    /// What was heard since the last look.
    pub fn take(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Opens a connection from `from` with this first number; it is established when this returns.
    pub fn connect(&mut self, from: SocketAddrV4, isn: u32, window: u16, options: Options<'_>) -> Known {
        self.connect_with(from, isn, Flags::SYN, window, options)
    }

    /// The same with more control bits beside SYN.
    pub fn connect_with(
        &mut self,
        from: SocketAddrV4,
        isn: u32,
        syn: Flags,
        window: u16,
        options: Options<'_>,
    ) -> Known {
        self.take();
        let mut known = Known { from, seq: isn, ack: 0 };
        self.send(&known, syn, window, options, &[]);
        let answer = self.take();
        let answer = answer.iter().find(|s| s.flags.contains(Flags::SYN) && s.port == from.port());
        let Some(answer) = answer else { panic!("{from}: no SYN-ACK") };
        known = Known { from, seq: isn.wrapping_add(1), ack: answer.seq.wrapping_add(1) };
        self.send(&known, Flags::ACK, window, Options::NONE, &[]);
        known
    }

    /// The host's connection with `known`, while there is one.
    pub fn connection(&mut self, known: &Known) -> Option<&Connection> {
        let from = known.from;
        let connections = &self.end.host.lane().stack.tcp.table.connections;
        connections.iter().map(|(_, c)| c).find(|c| c.flow.remote == from)
    }
}

fn hear(frame: &[u8]) -> Option<Heard> {
    let ethernet = Ethernet::parse(frame).ok()?;
    let ip = Ipv4::parse(ethernet.payload()).ok().filter(|_| ethernet.ethertype() == EtherType::IPV4)?;
    let tcp = Tcp::parse(ip.payload()).ok().filter(|_| ip.protocol() == Protocol::TCP)?;
    Some(Heard {
        flags: tcp.flags(),
        seq: tcp.seq(),
        ack: tcp.ack(),
        window: tcp.window(),
        len: tcp.payload().len() as u32,
        port: tcp.destination_port(),
    })
}
