//! TCP without a network: two streams of one session joined in memory, at the speed of copying.
//!
//! Port 9 answers nobody. What arrives is placed out of order in two halves, and rings grow when they are full.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_shared::session::{
    Accepted, Completion, LaneEnd, Op, SocketOption, StreamEvents, StreamFlags, Submission, TcpInfo, Transport,
};
use xmit_shared::stream::ACCEPTED_BYTES;

/// A socket: its lane and its slot.
type Place = (usize, u32);

#[derive(Default)]
pub(super) struct Streams {
    sockets: BTreeMap<Place, Socket>,
    /// By port: the shares of each listener.
    listeners: BTreeMap<u16, Vec<Place>>,
    /// Connections that wait for a granted slot, by port.
    waiting: Vec<(u16, Place)>,
    next_port: u16,
    next_share: usize,
}

#[derive(Default)]
struct Socket {
    local: Option<SocketAddrV4>,
    peer: Option<Place>,
    connected: bool,
    granted: Vec<u32>,
    /// Of a listener: what it announced, in order.
    announced: Vec<Place>,
    write_shut: bool,
    fin_sent: bool,
    urgent_sent: bool,
    closing: Option<Submission>,
    options: Vec<(SocketOption, i32)>,
    max_pacing_rate: u64,
}

const SEGMENT: u32 = 1460;
const SILENT_PORT: u16 = 9;
const GONE: StreamEvents =
    StreamEvents::CONNECTED.and(StreamEvents::RECEIVE_END).and(StreamEvents::SEND_END).and(StreamEvents::CLOSED);

impl Streams {
    /// `None`: not a call of a stream. `Some(None)`: answered later.
    pub(super) fn call(&mut self, lanes: &mut [LaneEnd], lane: usize, call: &Submission) -> Option<Option<Completion>> {
        let place = (lane, call.slot);
        let done = |result: i32| Some(Some(Completion::of(call, result)));
        if call.op == Op::Open(Transport::Tcp) {
            let opened = lanes[lane].open_stream(call.slot, 16 << 10, 64 << 10);
            if opened {
                self.sockets.insert(place, Socket::default());
            }
            return done(if opened { 0 } else { -libc::EBUSY });
        }
        let socket = self.sockets.get_mut(&place)?;
        match call.op {
            Op::SetOption(option, value) => {
                socket.options.retain(|(other, _)| *other != option);
                socket.options.push((option, value));
                if option == SocketOption::NotSentLowat {
                    lanes[lane].set_notsent_lowat(call.slot, value.cast_unsigned());
                }
                done(0)
            }
            Op::GetOption(option) => {
                let value = socket.options.iter().find(|(other, _)| *other == option).map_or(0, |(_, value)| *value);
                Some(Some(Completion::of(call, 0).with_value(value)))
            }
            Op::Grant(slot) => {
                socket.granted.push(slot);
                done(0)
            }
            Op::Shutdown(how) => {
                socket.write_shut |= how.writes();
                done(0)
            }
            Op::SetPacing(rate) => {
                socket.max_pacing_rate = rate;
                done(0)
            }
            Op::Info => {
                let max_pacing_rate = socket.max_pacing_rate;
                let info = TcpInfo { state: 1, rtt: 4242, max_pacing_rate, ..TcpInfo::default() };
                lanes[lane].write_info(call.slot, &info);
                done(0)
            }
            Op::Bind(addr) => Some(Some(self.bind(place, call, addr))),
            Op::Share(other) => {
                let local = self.sockets.iter().find(|((l, s), _)| *l != lane && *s == other).unwrap().1.local;
                self.sockets.get_mut(&place).unwrap().local = local;
                Some(Some(Completion::of(call, 0).with_addr(local.unwrap())))
            }
            Op::Listen(_) => {
                let local = socket.local.unwrap();
                self.listeners.entry(local.port()).or_default().push(place);
                Some(Some(Completion::of(call, 0).with_addr(local)))
            }
            Op::Connect(addr) | Op::FastOpen(addr) => Some(Some(self.connect(lanes, place, call, addr))),
            Op::Close => {
                self.close(lanes, place, call);
                Some(None)
            }
            Op::Open(_) | Op::Disconnect | Op::FastOpenKey(_) | Op::FastOpenBackupKey(_) => done(-libc::EINVAL),
        }
    }

    fn bind(&mut self, place: Place, call: &Submission, addr: SocketAddrV4) -> Completion {
        if addr.port() != 0 && self.listeners.contains_key(&addr.port()) {
            return Completion::of(call, -libc::EADDRINUSE);
        }
        let local = SocketAddrV4::new(*addr.ip(), if addr.port() == 0 { self.port() } else { addr.port() });
        self.sockets.get_mut(&place).unwrap().local = Some(local);
        Completion::of(call, 0).with_addr(local)
    }

    fn port(&mut self) -> u16 {
        self.next_port = (self.next_port + 1) % 20_000;
        30_000 + self.next_port
    }

    fn connect(&mut self, lanes: &mut [LaneEnd], place: Place, call: &Submission, addr: SocketAddrV4) -> Completion {
        let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port());
        let socket = self.sockets.get_mut(&place).unwrap();
        let local = *socket.local.get_or_insert(local);
        if self.listeners.contains_key(&addr.port()) {
            self.waiting.push((addr.port(), place));
        } else if addr.port() != SILENT_PORT {
            lanes[place.0].set_error(place.1, libc::ECONNREFUSED as u16);
            lanes[place.0].set_stream_events(place.1, StreamEvents(GONE.0 & !StreamEvents::CONNECTED.0));
        }
        Completion::of(call, 0).with_addr(local)
    }

    /// Joins waiting connections with granted slots.
    fn establish(&mut self, lanes: &mut [LaneEnd]) -> bool {
        let mut left = Vec::new();
        let mut worked = false;
        for (port, client) in std::mem::take(&mut self.waiting) {
            let Some(shares) = self.listeners.get(&port) else {
                reset(lanes, client);
                continue;
            };
            self.next_share += 1;
            let listener = shares[self.next_share % shares.len()];
            let Some(slot) = self.sockets.get_mut(&listener).unwrap().granted.pop() else {
                left.push((port, client));
                continue;
            };
            let server = (listener.0, slot);
            let local = self.sockets[&listener].local.unwrap();
            let peer = self.sockets[&client].local.unwrap();
            assert!(lanes[server.0].open_stream(slot, 16 << 10, 64 << 10), "granted and in use");
            let socket = Socket { local: Some(local), peer: Some(client), connected: true, ..Socket::default() };
            self.sockets.insert(server, socket);
            let ours = self.sockets.get_mut(&client).unwrap();
            (ours.peer, ours.connected) = (Some(server), true);
            for (lane, slot) in [client, server] {
                lanes[lane].set_stream_events(slot, StreamEvents::CONNECTED);
            }
            self.sockets.get_mut(&listener).unwrap().announced.push(server);
            assert!(lanes[listener.0].announce(listener.1, &Accepted { slot, peer, local }).unwrap());
            worked = true;
        }
        self.waiting = left;
        worked
    }

    fn close(&mut self, lanes: &mut [LaneEnd], place: Place, call: &Submission) {
        self.waiting.retain(|(_, client)| *client != place);
        for shares in self.listeners.values_mut() {
            shares.retain(|share| *share != place);
        }
        self.listeners.retain(|_, shares| !shares.is_empty());
        let socket = self.sockets.get_mut(&place).unwrap();
        socket.closing = Some(*call);
        socket.write_shut = true;
        lanes[place.0].rx_room(place.1).unwrap();
        let nobodys = lanes[place.0].rx_unread(place.1) as usize / ACCEPTED_BYTES;
        let announced = std::mem::take(&mut socket.announced);
        let unread = socket.connected && lanes[place.0].rx_unread(place.1) > 0;
        if (unread || socket.options.contains(&(SocketOption::Linger, 0)))
            && let Some(peer) = socket.peer.take()
        {
            self.sockets.get_mut(&peer).unwrap().peer = None;
            reset(lanes, peer);
        }
        // Connections that nobody fetched are reset, as in Linux.
        for server in announced.into_iter().rev().take(nobodys) {
            let Some(peer) = self.sockets.remove(&server).and_then(|socket| socket.peer) else { continue };
            self.sockets.get_mut(&peer).unwrap().peer = None;
            reset(lanes, peer);
            lanes[server.0].close(server.1);
        }
    }

    pub(super) fn turn(&mut self, lanes: &mut [LaneEnd]) -> bool {
        let mut worked = self.establish(lanes);
        let places: Vec<Place> = self.sockets.keys().copied().collect();
        for place in places {
            worked |= self.pump(lanes, place);
        }
        worked
    }

    /// Moves what one socket has sent to its peer.
    fn pump(&mut self, lanes: &mut [LaneEnd], place: Place) -> bool {
        let Some(socket) = self.sockets.get_mut(&place) else { return false };
        let Some(peer) = socket.peer else {
            // Nobody there any more: what is sent is answered by a reset.
            let left = lanes[place.0].tx_look(place.1).unwrap().len;
            if left > 0 && socket.connected && socket.closing.is_none() {
                lanes[place.0].tx_release(place.1, left);
                reset(lanes, place);
            }
            return self.finish(lanes, place);
        };
        let outgoing = lanes[place.0].tx_look(place.1).unwrap();
        let full = outgoing.len / SEGMENT * SEGMENT;
        let ready = match outgoing.flags.contains(StreamFlags::CORK) && !socket.write_shut {
            true => full,
            false if socket.write_shut => outgoing.len,
            false => outgoing.pushed.max(full),
        };
        let room = lanes[peer.0].rx_room(peer.1).unwrap();
        let len = ready.min(room);
        if let Some(urgent) = outgoing.urgent.filter(|_| !socket.urgent_sent) {
            socket.urgent_sent = true;
            lanes[peer.0].rx_urgent(peer.1, urgent);
        }
        if outgoing.urgent.is_some_and(|urgent| urgent <= len) {
            socket.urgent_sent = false;
        }
        if len > 0 {
            copy(lanes, place, peer, len);
        }
        if ready > room {
            lanes[peer.0].rx_watch(peer.1, room.max(1)).unwrap();
            let (rx, tx) = (lanes[peer.0].rx_size(peer.1), lanes[place.0].tx_size(place.1));
            lanes[peer.0].rx_resize(peer.1, 2 * rx);
            lanes[place.0].tx_resize(place.1, 2 * tx);
        }
        let socket = self.sockets.get_mut(&place).unwrap();
        if socket.write_shut && len == outgoing.len && !socket.fin_sent {
            socket.fin_sent = true;
            lanes[peer.0].set_stream_events(peer.1, StreamEvents::CONNECTED.and(StreamEvents::RECEIVE_END));
            return self.finish(lanes, place) | true;
        }
        self.finish(lanes, place) || len > 0
    }

    /// Ends the closing of a socket that has nothing left to send.
    fn finish(&mut self, lanes: &mut [LaneEnd], place: Place) -> bool {
        let socket = self.sockets.get_mut(&place).unwrap();
        let Some(call) = socket.closing.filter(|_| socket.peer.is_none() || socket.fin_sent) else { return false };
        if let Some(peer) = socket.peer {
            self.sockets.get_mut(&peer).unwrap().peer = None;
        }
        self.sockets.remove(&place);
        lanes[place.0].close(place.1);
        lanes[place.0].complete(&Completion::of(&call, 0)).unwrap();
        true
    }
}

/// Copies in two halves, the later one first, as a network may deliver them.
fn copy(lanes: &mut [LaneEnd], from: Place, to: Place, len: u32) {
    let mut bytes = vec![0; len as usize];
    assert!(lanes[from.0].tx_copy_at(from.1, 0, &mut bytes));
    let half = len / 2;
    let (early, late) = bytes.split_at(half as usize);
    assert_eq!(lanes[to.0].rx_write_at(to.1, half, late), len - half);
    assert_eq!(lanes[to.0].rx_write_at(to.1, 0, early), half);
    lanes[to.0].rx_advance(to.1, len);
    lanes[from.0].tx_sent(from.1, len);
    lanes[from.0].tx_release(from.1, len);
}

fn reset(lanes: &mut [LaneEnd], (lane, slot): Place) {
    lanes[lane].set_error(slot, libc::ECONNRESET as u16);
    lanes[lane].set_stream_events(slot, GONE);
}
