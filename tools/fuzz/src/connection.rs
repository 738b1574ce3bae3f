//! The body of the target `tcp_connection`: the input is a script of what a stranger and a program do to one established
//! connection and its listener, six bytes a step. Whatever it is, the connection keeps its invariants, and in the end
//! nothing is left of it.

use crate::stranger::{Known, PORT, Stranger};
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::tcp::table::ConnectionId;
use xmit_dataplane::wire::tcp::{self, Flags};
use xmit_dataplane::wire::tcp_options::{Options, SackBlock, Timestamps};
use xmit_nic::Duration;
use xmit_shared::session::{CongestionName, How, Op, SocketOption};

/// Steps of one script.
const STEPS_MAX: usize = 64;
/// Frames of the host.
const FRAMES: usize = 256;
/// After so long nothing of a connection is left: longer than all retransmissions and TIME_WAIT.
const LINGER: Duration = Duration::from_secs(3600);
const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3), 2000);
/// Distances of sequence numbers from the edge that a step chooses.
const AROUND: [i32; 16] = [0, 0, 0, 1, -1, 2, -2, 10, -10, 1460, -1460, 3000, 70_000, -70_000, 1 << 30, i32::MIN];
/// Control bits that a step chooses.
const FLAGS: [u16; 16] =
    [0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x11, 0x14, 0x04, 0x02, 0x12, 0x30, 0x50, 0x90, 0x00, 0x3f];

/// Urgent pointers that a step chooses: around the lengths of its data, and far ahead.
const URGENT: [u16; 16] = [0, 1, 2, 99, 100, 101, 1399, 1400, 1401, 1460, 3000, 10_000, 0x7fff, 0x8000, 0xfffe, 0xffff];

/// A script on a connection whose options follow from the first two bytes.
pub fn tcp_connection(bytes: &[u8]) {
    let [first, second, script @ ..] = bytes else { return };
    let mut stranger = Stranger::new(u64::from(*first), FRAMES);
    stranger.end.host.lane().stack.tcp.commons.settings.stdurg = second & 4 != 0;
    let listener = stranger.end.listen(stranger.now, PORT, 2, 2).unwrap();
    if second & 2 != 0 {
        let dctcp = Op::SetOption(SocketOption::Congestion, CongestionName::Dctcp.number());
        stranger.end.call(stranger.now, listener, dctcp).unwrap();
    }
    let timestamps = (first & 1 != 0).then_some(Timestamps { value: 1, echo: 0 });
    let sack_permitted = first & 2 != 0;
    let window_scale = (first & 4 != 0).then_some(first >> 5);
    let mss = Some([1, 536, 1460, u16::MAX][usize::from(first >> 3 & 3)]);
    let options = Options { mss, timestamps, sack_permitted, window_scale, ..Options::NONE };
    let syn = if second & 1 != 0 { Flags::SYN | Flags::ECE | Flags::CWR } else { Flags::SYN };
    // Numbers wrap while the script runs.
    let known = stranger.connect_with(FROM, u32::MAX - 500, syn, 60_000, options);
    let slot = stranger.end.client.accept(listener).unwrap().map(|accepted| accepted.slot);
    let mut run = Run { stranger, known, slot, closed: false, edge: None };
    for step in script.chunks(6).take(STEPS_MAX) {
        let mut six = [0; 6];
        six[..step.len()].copy_from_slice(step);
        run.step(six);
        run.check();
    }
    run.end(listener);
}

struct Run {
    stranger: Stranger,
    known: Known,
    slot: Option<u32>,
    closed: bool,
    /// The right edge of the receive window, and of which connection: a SYN after a reset makes another one.
    edge: Option<(ConnectionId, u32)>,
}

impl Run {
    fn step(&mut self, [what, a, b, c, urgent, tos]: [u8; 6]) {
        match what % 8 {
            0..4 => self.segment([what >> 3, a, b, c], urgent, tos),
            4 => self.stranger.pass(Duration::from_micros(u64::from(a) << (b % 20))),
            5 if urgent != 0 => self.write_urgent(usize::from(a) << (b % 8)),
            5 => self.write(usize::from(a) << (b % 8), c & 1 != 0),
            6 => self.read(usize::from(a) << (b % 8)),
            _ => self.call(a),
        }
    }

    /// A segment near the edges of what the host expects. The highest bit of `urgent` sets URG, if `flags` does not choose it.
    fn segment(&mut self, [options, flags, around, size]: [u8; 4], urgent: u8, tos: u8) {
        let (seq, ack) = self.stranger.connection(&self.known).map_or((self.known.seq, self.known.ack), |c| {
            // Odd sizes count from the far edges.
            let far = size & 1 != 0;
            let seq = if far { c.receive.wup + c.receive.wnd.0 } else { c.receive.nxt };
            let ack = if far { c.send.una } else { c.send.nxt };
            (seq.number(), ack.number())
        });
        let seq = seq.wrapping_add_signed(AROUND[usize::from(around & 15)]);
        let ack = ack.wrapping_add_signed(AROUND[usize::from(around >> 4)]);
        let time = Timestamps { value: u32::from(size), echo: u32::from(around) };
        let mut all = Options::NONE;
        all.timestamps = (options & 1 != 0).then_some(time);
        if options & 2 != 0 {
            all.sack.push(SackBlock { left: ack.wrapping_add(1), right: ack.wrapping_add(u32::from(size)) });
            all.sack.push(SackBlock { left: ack, right: ack.wrapping_sub(u32::from(flags)) });
        }
        let window = [60_000, 0, 1, 1000][usize::from(options >> 2 & 3)];
        let data = &[0x5a; 1460][..[0, 1, 100, 1400][usize::from(size >> 1 & 3)]];
        let port = if flags & 0xe0 == 0xe0 { FROM.port() + 1 } else { FROM.port() };
        let from = SocketAddrV4::new(*FROM.ip(), port);
        let flags = Flags::from_bits(FLAGS[usize::from(flags & 15)] | u16::from(urgent >> 7) << 5);
        let header = tcp::Header {
            source_port: from.port(),
            destination_port: PORT,
            seq,
            ack: if flags.contains(Flags::ACK) { ack } else { 0 },
            flags,
            window,
            urgent: URGENT[usize::from(urgent & 15)],
            options: all,
        };
        self.stranger.send_as(*from.ip(), tos, &header, data);
    }

    fn write(&mut self, len: usize, more: bool) {
        let Some(slot) = self.slot.filter(|_| !self.closed) else { return };
        self.stranger.end.client.write(slot, &vec![0xa5; len], more).unwrap();
        self.stranger.settle();
    }

    fn write_urgent(&mut self, len: usize) {
        let Some(slot) = self.slot.filter(|_| !self.closed) else { return };
        self.stranger.end.client.write_urgent(slot, &vec![0xa5; len]).unwrap();
        self.stranger.settle();
    }

    fn read(&mut self, len: usize) {
        let Some(slot) = self.slot.filter(|_| !self.closed) else { return };
        self.stranger.end.client.read(slot, &mut vec![0; len]).unwrap();
        self.stranger.settle();
    }

    /// A shutdown or a close; more rarely than the other steps.
    fn call(&mut self, which: u8) {
        let Some(slot) = self.slot.filter(|_| !self.closed) else { return };
        let op = match which % 16 {
            0 => Op::Shutdown(How::Write),
            1 => Op::Shutdown(How::Read),
            2 => Op::Shutdown(How::Both),
            3 => Op::Close,
            _ => return,
        };
        self.closed = op == Op::Close;
        self.stranger.end.client.submit(slot, op).unwrap();
        self.stranger.settle();
        while self.stranger.end.client.completion().unwrap().is_some() {}
    }

    fn check(&mut self) {
        self.stranger.take();
        let Some(c) = self.stranger.connection(&self.known) else { return };
        assert!(c.send.una.at_or_before(c.send.nxt), "una {:?}, nxt {:?}", c.send.una, c.send.nxt);
        let edge = c.receive.wup + c.receive.wnd.0;
        let moved =
            self.edge.map_or(0, |(id, before)| if id == c.id { edge.number().wrapping_sub(before) as i32 } else { 0 });
        // Data that has no place takes the whole window back (`ICSK_ACK_NOMEM`).
        let taken_back = c.receive.wnd.0 == 0;
        assert!(moved >= 0 || taken_back, "the window's edge moved by {moved} to {:?}", c.receive);
        self.edge = Some((c.id, edge.number()));
    }

    /// The program closes, the peer is silent; nothing stays.
    fn end(mut self, listener: u32) {
        let mut slots = vec![listener];
        slots.extend(self.slot.filter(|_| !self.closed));
        // Connections that it never took are its own, too: they stand in slots that it granted.
        while let Some(accepted) = self.stranger.end.client.accept(listener).unwrap() {
            slots.push(accepted.slot);
        }
        for slot in slots {
            self.stranger.end.client.submit(slot, Op::Close).unwrap();
        }
        self.stranger.settle();
        self.stranger.pass(LINGER);
        let tcp = &self.stranger.end.host.lane().stack.tcp;
        let left = (tcp.table.connections.len(), tcp.table.requests.len(), tcp.table.time_waits.len());
        assert_eq!(left, (0, 0, 0), "connections, requests, TIME_WAITs");
        assert_eq!((tcp.commons.slab.in_use(), tcp.commons.ranges.in_use()), (0, 0), "segments, ranges");
        let (free, total) = self.stranger.end.host.shutdown();
        assert_eq!(free, total, "frames are lost");
    }
}
