//! A daemon whose stack is a loopback between the sockets of one session.

use crate::Session;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with, socketpair,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use xmit_shared::handshake;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::{self, Completion, LaneEnd, Op, SessionConfig, Submission};

pub(super) struct Fake {
    pub(super) session: Session,
    stop: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Stack {
    lanes: Vec<LaneEnd>,
    sockets: BTreeMap<u16, Socket>,
    next_port: u16,
}

#[derive(Clone, Copy)]
struct Socket {
    lane: usize,
    slot: u32,
    peer: Option<SocketAddrV4>,
    ttl: i32,
}

impl Fake {
    pub(super) fn start(slots: u32) -> Self {
        let (theirs, ours) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (stop, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flags = (stop.clone(), paused.clone());
        let thread = std::thread::spawn(move || serve(&ours, slots, &flags.0, &flags.1));
        handshake::send_hello(theirs.as_fd(), &handshake::Hello { name: "test".into(), sockets: slots }).unwrap();
        let end = session::attach(handshake::receive_welcome(theirs.as_fd()).unwrap()).unwrap();
        Self { session: Session::new(end, theirs).unwrap(), stop, paused, thread: Some(thread) }
    }

    /// The same behind a path, reached as programs reach it.
    pub(super) fn listen(path: &Path, slots: u32) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
        listen(&listener, 1).unwrap();
        let (stop, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flags = (stop.clone(), paused.clone());
        let thread = std::thread::spawn(move || serve(&accept(&listener).unwrap(), slots, &flags.0, &flags.1));
        Self { session: Session::connect(path).unwrap(), stop, paused, thread: Some(thread) }
    }

    /// Stops the lanes' turns, or lets them go on.
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
    }

    /// Ends as SIGKILL does: without a word, by closing everything.
    pub(super) fn die(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the lane failed");
        }
    }
}

fn serve(connection: &OwnedFd, slots: u32, stop: &AtomicBool, paused: &AtomicBool) {
    let hello = handshake::receive_hello(connection.as_fd()).unwrap();
    assert!(hello.sockets == 0 || hello.sockets == slots);
    let config = SessionConfig { lanes: 2, slots, control_entries: 8, tx_bytes: 1 << 17, rx_bytes: 1 << 19 };
    let (lanes, fds) = session::create(&config).unwrap();
    handshake::send_welcome(connection.as_fd(), &fds).unwrap();
    drop(fds);
    let mut stack = Stack { lanes, sockets: BTreeMap::new(), next_port: 40_000 };
    let short = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !stop.load(Ordering::SeqCst) {
        if !paused.load(Ordering::SeqCst) && stack.turn() {
            continue;
        }
        stack.lanes.iter().for_each(LaneEnd::prepare_sleep);
        if paused.load(Ordering::SeqCst) || !stack.lanes.iter_mut().any(|lane| lane.has_work()) {
            // The limit is for `stop` and `paused`, which ring no bell.
            let mut fds: Vec<_> =
                stack.lanes.iter().map(|lane| PollFd::from_borrowed_fd(lane.bell(), PollFlags::IN)).collect();
            let _ = poll(&mut fds, Some(&short));
        }
        stack.lanes.iter().for_each(LaneEnd::awake);
    }
}

impl Stack {
    fn turn(&mut self) -> bool {
        let mut worked = false;
        for lane in 0..self.lanes.len() {
            while let Some(submission) = self.lanes[lane].next_submission().unwrap() {
                worked = true;
                let completion = self.call(lane, &submission);
                self.lanes[lane].complete(&completion).unwrap();
            }
            self.lanes[lane].collect_dirty();
            while let Some(slot) = self.lanes[lane].next_dirty() {
                while let Some(meta) = self.lanes[lane].tx_peek(slot).unwrap() {
                    worked = true;
                    self.forward(lane, slot, meta);
                }
            }
        }
        for lane in &mut self.lanes {
            lane.ring_client();
        }
        worked
    }

    fn call(&mut self, lane: usize, submission: &Submission) -> Completion {
        let done = |result| Completion::of(submission, result);
        let slot = submission.slot;
        let bound = self.sockets.iter().find(|(_, s)| (s.lane, s.slot) == (lane, slot)).map(|(port, s)| (*port, *s));
        let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        match (submission.op, bound) {
            (Op::Open(_), None) if self.lanes[lane].open(slot) => done(0),
            (Op::Open(_), _) => done(-libc::EBUSY),
            (Op::Bind(addr), None) if self.sockets.contains_key(&addr.port()) => done(-libc::EADDRINUSE),
            (Op::Bind(addr), None) => {
                self.next_port += 1;
                let port = if addr.port() == 0 { self.next_port } else { addr.port() };
                self.sockets.insert(port, Socket { lane, slot, peer: None, ttl: 64 });
                done(0).with_addr(local(port))
            }
            (Op::Close, bound) => {
                bound.map(|(port, _)| self.sockets.remove(&port));
                self.lanes[lane].close(slot);
                done(0)
            }
            (op, Some((port, socket))) => {
                let entry = self.sockets.get_mut(&port).unwrap();
                match op {
                    Op::Connect(peer) => entry.peer = Some(peer),
                    Op::Disconnect => entry.peer = None,
                    Op::SetOption(_, value) => entry.ttl = value,
                    _ => {}
                }
                done(0).with_addr(local(port)).with_value(socket.ttl)
            }
            _ => done(-libc::EINVAL),
        }
    }

    fn forward(&mut self, lane: usize, slot: u32, meta: Meta) {
        let mut buffer = vec![0; meta.len as usize];
        self.lanes[lane].tx_copy(slot, &mut buffer);
        self.lanes[lane].tx_consume(slot);
        let Some((from, sender)) = self.sockets.iter().find(|(_, s)| (s.lane, s.slot) == (lane, slot)) else { return };
        let to = if meta.peer.port() == 0 { sender.peer.map(|peer| peer.port()) } else { Some(meta.peer.port()) };
        match to.and_then(|port| self.sockets.get(&port)) {
            Some(socket) => {
                let meta = Meta::of(SocketAddrV4::new(Ipv4Addr::LOCALHOST, *from));
                let pushed = self.lanes[socket.lane].rx_push(socket.slot, &meta, &[&buffer]);
                assert!(!matches!(pushed, Err(PushError::Rubbish(_))), "{pushed:?}");
            }
            None => self.lanes[lane].set_error(slot, libc::ECONNREFUSED as u16),
        }
    }
}
