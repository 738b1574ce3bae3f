//! The handshake against hand-made segments: [`World`] is one TCP whose wire is looked at segment by segment.

mod active;
mod errors;
mod fast_open;
mod passive;
mod time_wait;

use crate::counters::Snmp;
use crate::net::Net;
use crate::owner::Owner;
use crate::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use crate::snapshot::{InterfaceAddress, InterfaceConfig, Snapshot};
use crate::tcp::Dial;
use crate::tcp::arrival::arrival;
use crate::tcp::commons::{Capacity, News};
use crate::tcp::config::Config;
use crate::tcp::connection::Connection;
use crate::tcp::flow::Flow;
use crate::tcp::input::{refuse, tcp_v4_rcv};
use crate::tcp::listener::Listener;
use crate::tcp::segment::Segment;
use crate::tcp::settings::Settings;
use crate::tcp::table::ConnectionId;
use crate::tcp::transport::Tcp;
use crate::wire::ipv4::{Ipv4, Protocol};
use crate::wire::tcp::{Flags, Header, Tcp as View};
use crate::wire::tcp_options::{FastOpen, Options, Timestamps};
use crate::{Duration, Instant};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use xmit_nic::rng::Rng;
use xmit_nic::{MacAddr, Pool};
use xmit_shared::session::{ClientEnd, LaneEnd, SessionConfig, in_process};

pub(super) const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The slot of the listener, and of the socket that connects.
pub(super) const SLOT: u32 = 0;
pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const SYN_ACK: Flags = Flags::from_bits(0x012);
pub(super) const RST_ACK: Flags = Flags::from_bits(0x014);

/// One TCP with one session.
pub(super) struct World {
    pub(super) net: Net,
    pub(super) tcp: Tcp,
    pub(super) now: Instant,
    pub(super) end: LaneEnd,
    pub(super) client: ClientEnd,
    /// Of connections that were announced.
    pub(super) accepted: Vec<ConnectionId>,
}

/// A segment as the peer sees it, or sends it. Fields that stay at their defaults do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seg {
    pub(super) local: u16,
    pub(super) remote: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: Flags,
    pub(super) window: u16,
    pub(super) mss: Option<u16>,
    pub(super) scale: Option<u8>,
    pub(super) sack: bool,
    pub(super) ts: Option<Timestamps>,
    pub(super) cookie: Option<Vec<u8>>,
    pub(super) data: Vec<u8>,
}

impl Seg {
    /// Of the peer's port 4000 to our port 80.
    pub(super) fn new(flags: Flags, seq: u32, ack: u32) -> Self {
        Self { local: 80, remote: 4000, seq, ack, flags, window: 1000, ..Self::default() }
    }

    /// With the options of a usual SYN.
    pub(super) fn syn(seq: u32) -> Self {
        let ts = Some(Timestamps { value: 1000, echo: 0 });
        Self { mss: Some(1460), scale: Some(8), sack: true, ts, window: 65_535, ..Self::new(Flags::SYN, seq, 0) }
    }

    pub(super) fn from(mut self, remote: u16) -> Self {
        self.remote = remote;
        self
    }

    pub(super) fn with_ts(mut self, value: u32, echo: u32) -> Self {
        self.ts = Some(Timestamps { value, echo });
        self
    }

    pub(super) fn with_data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    fn options(&self) -> Options<'_> {
        Options {
            mss: self.mss,
            window_scale: self.scale,
            sack_permitted: self.sack,
            timestamps: self.ts,
            fast_open: self.cookie.as_deref().map(|cookie| FastOpen { cookie, experimental: false }),
            ..Options::NONE
        }
    }
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let now = Instant::from_millis(1_000_000);
        let mut settings = Settings::default();
        change(&mut settings);
        let mut net = Net::new(Pool::anonymous(0, 256).unwrap(), now, 7);
        net.adopt(now, Arc::new(snapshot()), 1);
        let (mut lanes, client) = in_process(&SessionConfig::default()).unwrap();
        let tcp = Tcp::new(now, &Capacity::SMALL, settings, &mut Rng::new(11));
        Self { net, tcp, now, end: lanes.remove(0), client, accepted: Vec::new() }
    }

    /// Listens on port 80; `grants` slots from 1 on are there for connections.
    pub(super) fn listen(&mut self, backlog: u32, grants: u32, change: impl FnOnce(&mut Config)) -> u32 {
        let mut config = Config::new(&self.tcp.commons.settings);
        change(&mut config);
        assert!(self.end.open_stream(SLOT, 4096, 4096));
        let (local, owner) = (SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80), Owner { session: 0, slot: SLOT });
        let listener = Listener::new(local, owner, backlog, Arc::new(config));
        self.tcp.listen(Listener { grants: (1..=grants).collect(), ..listener })
    }

    /// Connects port 4000 of ours to port 80 of the peer's.
    pub(super) fn connect(&mut self, change: impl FnOnce(&mut Config)) -> Result<ConnectionId, i32> {
        let mut config = Config::new(&self.tcp.commons.settings);
        change(&mut config);
        self.end.open_stream(SLOT, 65_536, 65_536);
        let flow = Flow { local: SocketAddrV4::new(US, 4000), remote: SocketAddrV4::new(PEER, 80) };
        let owner = Owner { session: 0, slot: SLOT };
        let dial = Dial { flow, owner, config: &Arc::new(config), fast_open: false, fixed_port: false };
        self.tcp.connect(&mut self.net, self.now, Some(&mut self.end), &dial)
    }

    /// The peer sends `seg`; what we answer.
    pub(super) fn input(&mut self, seg: &Seg) -> Vec<Seg> {
        let header = Header {
            source_port: seg.remote,
            destination_port: seg.local,
            seq: seg.seq,
            ack: seg.ack,
            flags: seg.flags,
            window: seg.window,
            urgent: 0,
            options: seg.options(),
        };
        let packet = arrival(&mut self.net, PEER, US, &header, &seg.data);
        match tcp_v4_rcv(&self.net, &packet) {
            Ok(view) => {
                let segment = Segment::new(&packet, &view);
                let target = self.tcp.lookup(&segment);
                let end = self.tcp.owner_of(target).map(|_| &mut self.end);
                self.tcp.dispatch(&mut self.net, self.now, end, target, &segment, &packet);
                self.net.pool.release(packet.frame);
            }
            Err(reason) => refuse(&mut self.net, packet.frame, reason),
        }
        self.sent()
    }

    /// Time passes, timer by timer; what we send meanwhile, and when.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<(Duration, Seg)> {
        let (begin, limit) = (self.now, self.now + time);
        let mut all = Vec::new();
        while let Some(at) = self.tcp.next_deadline().filter(|at| *at <= limit) {
            self.now = self.now.max(at);
            let mut due = Vec::new();
            self.tcp.expire(self.now, |what| due.push(what));
            for what in due {
                let end = self.tcp.owner_of_due(what).map(|_| &mut self.end);
                self.tcp.on_due(&mut self.net, self.now, end, what);
            }
            let since = self.now.saturating_since(begin);
            all.extend(self.sent().into_iter().map(|seg| (since, seg)));
        }
        self.now = limit;
        all
    }

    /// The whole seconds at which something was sent.
    pub(super) fn seconds(sent: &[(Duration, Seg)]) -> Vec<u64> {
        sent.iter().map(|(at, _)| (at.as_millis() as u64 + 500) / 1000).collect()
    }

    /// Lets the ready queue run, and takes what is on the wire.
    pub(super) fn sent(&mut self) -> Vec<Seg> {
        while let Some(id) = self.tcp.next_ready() {
            let end = self.tcp.owner(id).map(|_| &mut self.end);
            self.tcp.output(&mut self.net, self.now, end, id);
        }
        for news in self.tcp.commons.news.drain(..) {
            if let News::Accepted { id, .. } = news {
                self.accepted.push(id);
            }
        }
        let mut all = Vec::new();
        while let Some(frame) = self.net.loopback.pop_front() {
            all.push(seen(frame.bytes()));
            self.net.pool.release(frame);
        }
        all
    }

    /// The one connection.
    pub(super) fn connection(&self) -> &Connection {
        let mut all = self.tcp.table.connections.iter();
        let (_, connection) = all.next().expect("a connection");
        assert!(all.next().is_none(), "one connection");
        connection
    }

    pub(super) fn count(&self, counter: Snmp) -> u64 {
        self.net.counters.snmp(counter)
    }

    /// The handshake of a connection from port `remote` of the peer's; our SYN-ACK.
    pub(super) fn open_from(&mut self, remote: u16) -> Seg {
        let answer = self.input(&Seg::syn(100).from(remote));
        let [syn_ack] = &answer[..] else { panic!("one SYN-ACK: {answer:?}") };
        let echo = syn_ack.ts.map_or(0, |ts| ts.value);
        let last = Seg::new(Flags::ACK, 101, syn_ack.seq + 1).from(remote).with_ts(1001, echo);
        assert_eq!(self.input(&last), []);
        syn_ack.clone()
    }

    /// Reads what the connection in `slot` got.
    pub(super) fn read(&mut self, slot: u32) -> Vec<u8> {
        let stream = &mut self.client.slots[slot as usize];
        let len = stream.stream_rx.available().unwrap();
        let mut out = vec![0; len as usize];
        let len = stream.stream_rx.copy_at(0, &mut out);
        out.truncate(len);
        stream.stream_rx.consume(len as u32);
        out
    }
}

fn snapshot() -> Snapshot {
    let local = |address| Route::new(Prefix::host(address), RouteKind::Local, InterfaceId(0));
    let mut interface = InterfaceConfig::new(InterfaceId(0), "sim0", MacAddr([2, 0, 0, 0, 0, 1]), 1500);
    interface.addresses.push(InterfaceAddress { address: US, prefix_len: 24 });
    // The peer is local, too: its segments come by the loopback queue, where they are looked at.
    Snapshot { interfaces: vec![interface], fib: Fib::build([local(US), local(PEER)]), neighbours: Vec::new() }
}

/// A datagram of ours.
fn seen(datagram: &[u8]) -> Seg {
    let ip = Ipv4::parse(datagram).unwrap();
    assert_eq!((ip.source(), ip.destination()), (US, PEER));
    let view = View::parse(ip.payload()).unwrap();
    let options = view.options();
    Seg {
        local: view.source_port(),
        remote: view.destination_port(),
        seq: view.seq(),
        ack: view.ack(),
        flags: view.flags(),
        window: view.window(),
        mss: options.mss,
        scale: options.window_scale,
        sack: options.sack_permitted,
        ts: options.timestamps,
        cookie: options.fast_open.map(|option| option.cookie.to_vec()),
        data: view.payload().to_vec(),
    }
}
