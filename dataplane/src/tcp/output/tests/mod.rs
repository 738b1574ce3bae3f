//! One connection of the lane's TCP against a peer whose segments the test writes by hand, on virtual time.

mod closing;
mod data;
mod idle;
mod opening;
mod options;
mod probes;
mod timeouts;
mod windows;

use crate::device::{Device, Queue};
use crate::net::Net;
use crate::owner::Owner;
use crate::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use crate::snapshot::{InterfaceAddress, InterfaceConfig, Snapshot, StaticNeighbour};
use crate::tcp::Dial;
use crate::tcp::arrival::arrival;
use crate::tcp::commons::{Capacity, News};
use crate::tcp::config::Config;
use crate::tcp::deadlines::Due;
use crate::tcp::flow::Flow;
use crate::tcp::segment::Segment;
use crate::tcp::settings::Settings;
use crate::tcp::table::ConnectionId;
use crate::tcp::transport::Tcp;
use crate::tcp::{Connection, Ctx, Fate, tcp_v4_rcv};
use crate::wire::checksum::{Sum, Verdict};
use crate::wire::ipv4::{Ipv4, Protocol};
use crate::wire::tcp::{Flags, Header, Tcp as View};
use crate::wire::tcp_options::{Options, SackBlock, SackBlocks, Timestamps};
use crate::{Duration, Instant};
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use xmit_nic::rng::Rng;
use xmit_nic::{Caps, MacAddr, Pool};
use xmit_shared::session::{ClientEnd, LaneEnd, SessionConfig, StreamFlags, TcpInfo, in_process};

const OURS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), 4000);
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 80);
const SLOT: u32 = 3;
const PEER_ISN: u32 = 77_000;
const MS: Duration = Duration::from_millis(1);

/// The peer's SYN-ACK and its path.
#[derive(Clone, Copy)]
struct Shape {
    mss: u16,
    window: u16,
    scale: Option<u8>,
    sack: bool,
    timestamps: bool,
    /// It grants ECN.
    ecn: bool,
    /// Round trip of the handshake.
    rtt: Duration,
    /// Frames that the device queues.
    queue: usize,
    ring: u32,
}

impl Default for Shape {
    fn default() -> Self {
        let rtt = 100 * MS;
        Self {
            mss: 1000,
            window: 32_792,
            scale: Some(7),
            sack: true,
            timestamps: false,
            ecn: false,
            rtt,
            queue: 1000,
            ring: 1 << 18,
        }
    }
}

/// A segment of the peer's, numbers counted from its and our SYN.
#[derive(Clone, Copy)]
struct In {
    flags: Flags,
    seq: u32,
    len: u32,
    ack: u32,
    window: u16,
    sack: [Option<(u32, u32)>; 3],
    echo: u32,
}

const ACK: In = In { flags: Flags::ACK, seq: 1, len: 0, ack: 1, window: 1000, sack: [None; 3], echo: 0 };

/// A pure ACK.
fn ack(ack: u32) -> In {
    In { ack, ..ACK }
}

struct Bench {
    net: Net,
    tcp: Tcp,
    end: LaneEnd,
    client: ClientEnd,
    now: Instant,
    id: ConnectionId,
    isn: u32,
    shape: Shape,
}

impl Bench {
    /// Established, its third segment taken away.
    fn new(settings: Settings, shape: Shape, change: impl FnOnce(&mut Config)) -> Self {
        let mut bench = Self::connecting(settings, shape, change);
        let syn = bench.raw_out().pop().unwrap();
        let view = View::parse(&syn).unwrap();
        bench.isn = view.seq();
        let options = view.options();
        bench.pass(shape.rtt);
        let timestamps = options.timestamps.filter(|_| shape.timestamps);
        bench.inject_header(
            &Header {
                flags: if shape.ecn { Flags::SYN | Flags::ACK | Flags::ECE } else { Flags::SYN | Flags::ACK },
                seq: PEER_ISN,
                ack: bench.isn.wrapping_add(1),
                window: shape.window,
                options: Options {
                    mss: Some(shape.mss),
                    window_scale: shape.scale,
                    sack_permitted: shape.sack,
                    timestamps: timestamps.map(|t| Timestamps { value: 5000, echo: t.value }),
                    ..Options::NONE
                },
                ..Header::default()
            },
            0,
        );
        bench.turn();
        assert_eq!(bench.out(), [". 1:1(0) ack 1"]);
        bench
    }

    /// The SYN is on its way.
    fn connecting(settings: Settings, shape: Shape, change: impl FnOnce(&mut Config)) -> Self {
        Self::prepared(settings, shape, change, |_, _| ())
    }

    /// The same, after `prepare` changed what the lane remembers.
    fn prepared(
        settings: Settings,
        shape: Shape,
        change: impl FnOnce(&mut Config),
        prepare: impl FnOnce(&mut Tcp, Instant),
    ) -> Self {
        let now = Instant::from_millis(10_000);
        let mut net = Net::new(Pool::anonymous(1, 4096).unwrap(), now, 1);
        let caps = Caps::plain("mem0", MacAddr([2, 0, 0, 0, 0, 2]), "memory");
        net.devices.push(Device::new(InterfaceId(0), caps, Queue::pfifo_fast(shape.queue)));
        net.adopt(now, Arc::new(snapshot()), 1);
        let mut tcp = Tcp::new(now, &Capacity::SMALL, settings, &mut Rng::new(2));
        prepare(&mut tcp, now);
        let config =
            SessionConfig { slots: 8, stream_tx_bytes: 1 << 20, stream_rx_bytes: 1 << 20, ..Default::default() };
        let (mut lanes, mut client) = in_process(&config).unwrap();
        let mut end = lanes.pop().unwrap();
        assert!(end.open_stream(SLOT, shape.ring, shape.ring));
        client.slots[SLOT as usize].stream_tx.restart();
        client.slots[SLOT as usize].stream_rx.restart();
        let mut options = Config::new(&settings);
        change(&mut options);
        let options = Arc::new(options);
        let owner = Owner { session: 0, slot: SLOT };
        let id = {
            let dial = Dial {
                flow: Flow { local: OURS, remote: PEER },
                owner,
                config: &options,
                fast_open: false,
                fixed_port: false,
            };
            tcp.connect(&mut net, now, Some(&mut end), &dial).unwrap()
        };
        let mut bench = Self { net, tcp, end, client, now, id, isn: 0, shape };
        bench.turn();
        bench
    }

    fn connection(&mut self) -> &mut Connection {
        self.tcp.table.get_mut(self.id).unwrap()
    }

    fn info(&self) -> TcpInfo {
        self.tcp.table.get(self.id).unwrap().info(&self.tcp.commons.settings, self.now)
    }

    fn ended(&self) -> bool {
        self.tcp.commons.news.iter().any(|news| matches!(news, News::Ended { id, .. } if *id == self.id))
    }

    fn step(&mut self, step: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> Fate) {
        self.tcp.with(&mut self.net, self.now, Some(&mut self.end), self.id, step);
        self.turn();
    }

    /// The program writes and the lane sends.
    fn write(&mut self, len: usize, more: bool) -> usize {
        let tx = &mut self.client.slots[SLOT as usize].stream_tx;
        let written = tx.write(&vec![7; len]).unwrap();
        tx.publish(more);
        self.step(|connection, ctx| connection.on_client(ctx));
        written
    }

    fn set_flags(&mut self, flags: StreamFlags) {
        self.client.slots[SLOT as usize].stream_tx.set_flags(flags, true);
        self.step(|connection, ctx| connection.on_client(ctx));
    }

    /// The program reads `len` bytes; true if it told the lane.
    fn read(&mut self, len: u32) -> bool {
        let rx = &mut self.client.slots[SLOT as usize].stream_rx;
        assert!(rx.available().unwrap() >= len);
        let told = rx.consume(len);
        if told {
            self.step(|connection, ctx| connection.on_client(ctx));
        }
        told
    }

    /// A segment of the peer's.
    fn receive(&mut self, segment: In) {
        let mut sack = SackBlocks::NONE;
        for (left, right) in segment.sack.iter().flatten() {
            let (left, right) = (self.isn.wrapping_add(*left), self.isn.wrapping_add(*right));
            sack.push(SackBlock { left, right });
        }
        let value = 5000 + self.now.as_millis() as u32;
        let timestamps = self.shape.timestamps.then_some(Timestamps { value, echo: segment.echo });
        let header = Header {
            flags: segment.flags,
            seq: PEER_ISN + segment.seq,
            ack: self.isn.wrapping_add(segment.ack),
            window: segment.window,
            options: Options { sack, timestamps, ..Options::NONE },
            ..Header::default()
        };
        self.inject_header(&header, segment.len as usize);
        self.turn();
    }

    fn inject_header(&mut self, header: &Header<'_>, len: usize) {
        let header = Header { source_port: PEER.port(), destination_port: OURS.port(), ..*header };
        let packet = arrival(&mut self.net, *PEER.ip(), *OURS.ip(), &header, &vec![0; len]);
        let segment = Segment::new(&packet, &tcp_v4_rcv(&self.net, &packet).unwrap());
        let target = self.tcp.lookup(&segment);
        self.tcp.dispatch(&mut self.net, self.now, Some(&mut self.end), target, &segment, &packet);
        self.net.pool.release(packet.frame);
    }

    /// What the lane does at the end of its turn; bounded, as the lane's is.
    fn turn(&mut self) {
        for _ in 0..1000 {
            let Some(id) = self.tcp.next_ready() else { return };
            self.tcp.output(&mut self.net, self.now, Some(&mut self.end), id);
        }
        panic!("the ready queue does not end");
    }

    /// The lane comes back to what was blocked.
    fn retry_blocked(&mut self) {
        for _ in 0..self.tcp.commons.blocked.len() {
            let Some(id) = self.tcp.commons.blocked.pop_front() else { break };
            self.tcp.output(&mut self.net, self.now, Some(&mut self.end), id);
        }
        self.turn();
    }

    /// Time goes by, timer after timer.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.tcp.next_deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let mut due: Vec<Due> = Vec::new();
            self.tcp.expire(self.now, |what| due.push(what));
            for what in due {
                self.tcp.on_due(&mut self.net, self.now, Some(&mut self.end), what);
            }
            self.turn();
        }
        self.now = until;
    }

    /// Time until something leaves, at most `limit`, to the millisecond.
    fn until_out(&mut self, limit: Duration) -> (u64, Vec<String>) {
        let begin = self.now;
        while self.net.devices[0].queue.is_empty() && self.now.saturating_since(begin) < limit && !self.ended() {
            self.pass(MS);
        }
        (self.now.saturating_since(begin).as_millis() as u64, self.out())
    }

    /// Whole TCP segments that left, their checksums verified.
    fn raw_out(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(frame) = self.net.devices[0].queue.dequeue() {
            let datagram = frame.bytes()[14..].to_vec();
            self.net.pool.release(frame);
            let ip = Ipv4::parse(&datagram).unwrap();
            assert!(ip.dont_fragment() && ip.destination() == *PEER.ip() && ip.protocol() == Protocol::TCP);
            let bytes = ip.payload().to_vec();
            let pseudo = Sum::pseudo_header(ip.source(), ip.destination(), Protocol::TCP.0, bytes.len() as u16);
            assert_eq!(View::parse(&bytes).unwrap().verify(pseudo), Verdict::Good);
            out.push(bytes);
        }
        out
    }

    /// The same, as packetdrill writes them.
    fn out(&mut self) -> Vec<String> {
        let isn = self.isn;
        self.raw_out().iter().map(|bytes| shown(&View::parse(bytes).unwrap(), isn)).collect()
    }
}

fn shown(view: &View<'_>, isn: u32) -> String {
    let mut text = format!("{:?}", view.flags());
    let seq = view.seq().wrapping_sub(isn);
    let len = view.payload().len() as u32;
    write!(text, " {}:{}({len})", seq as i32, seq.wrapping_add(len) as i32).unwrap();
    if view.flags().contains(Flags::ACK) {
        write!(text, " ack {}", view.ack().wrapping_sub(PEER_ISN)).unwrap();
    }
    if view.flags().contains(Flags::URG) {
        write!(text, " urg {}", view.urgent()).unwrap();
    }
    for block in view.options().sack.as_slice() {
        write!(text, " sack {}:{}", block.left.wrapping_sub(PEER_ISN), block.right.wrapping_sub(PEER_ISN)).unwrap();
    }
    text
}

fn snapshot() -> Snapshot {
    let route = |prefix, kind| Route::new(prefix, kind, InterfaceId(0));
    let mut interface = InterfaceConfig::new(InterfaceId(0), "mem0", MacAddr([2, 0, 0, 0, 0, 2]), 1500);
    interface.addresses.push(InterfaceAddress { address: *OURS.ip(), prefix_len: 24 });
    let net = Prefix::new(Ipv4Addr::new(10, 0, 0, 0), 24).unwrap();
    Snapshot {
        interfaces: vec![interface],
        fib: Fib::build([route(Prefix::host(*OURS.ip()), RouteKind::Local), route(net, RouteKind::Unicast)]),
        neighbours: vec![StaticNeighbour {
            interface: InterfaceId(0),
            address: *PEER.ip(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
        }],
    }
}

/// With Linux's defaults and an ordinary peer.
fn usual() -> Bench {
    Bench::new(Settings::default(), Shape::default(), |_| ())
}
