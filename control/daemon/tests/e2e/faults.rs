//! Clients that die, hang, lie or are too many: the daemon and the other clients do not notice.

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send, socket_with,
};
use rustix::process::Signal;
use xmit_netns::require_root;
use xmit_nic::rng::Rng;
use xmit_shared::handshake::{self, HandshakeError, Hello};
use xmit_shared::session;

use crate::harness::{Daemon, HOST, Lab, OURS, Program, SOON, Stream, Traffic, until, within};

/// Small sessions, so that the whole region of a client can be overwritten again and again.
const SMALL: &str = "[client]\nsockets_max = 4\nring = \"128KiB\"\nsessions_max = 6\n";

/// A daemon that serves an echo on port 7, to which the kernel talks all the time.
struct Busy {
    traffic: Traffic,
    daemon: Daemon,
    _echo: Program,
    lab: Lab,
}

impl Busy {
    fn new(name: &str) -> Self {
        let lab = Lab::new(name);
        let daemon = lab.daemon(&format!("{}{SMALL}", Lab::OWN));
        let echo = echo(&lab, 7);
        let traffic = Traffic::start(&lab.a, SocketAddrV4::new(OURS, 7));
        traffic.go_on(100);
        Self { traffic, daemon, _echo: echo, lab }
    }

    /// Whatever was done is undone, and the echo goes on.
    fn unharmed(&mut self) {
        within(SOON, "only the echo is left", || self.daemon.sockets().len() == 1 && self.daemon.stat().sessions == 1);
        self.traffic.go_on(50);
    }

    /// Stops all; the traffic had not one wrong or missing answer, and no frame is missing.
    fn end(mut self) {
        self.unharmed();
        drop(self.traffic);
        self.daemon.stop();
    }
}

fn echo(lab: &Lab, port: u16) -> Program {
    let mut program = Program::start(lab, &format!("echo {OURS}:{port}"));
    assert_eq!(program.line(), "bound");
    program
}

#[test]
fn a_killed_client_leaves_nothing() {
    require_root!("a_killed_client_leaves_nothing");
    let mut busy = Busy::new("killed");
    // Its port is free again each time, or the next echo could not have it.
    for _ in 0..3 {
        let victim = echo(&busy.lab, 8);
        let _load = Stream::start(&busy.lab.a, SocketAddrV4::new(OURS, 8));
        let served = |socket: &xmitd::api::Socket| socket.local.port() == 8 && socket.counters["rx_datagrams"] > 50;
        until("it works", || busy.daemon.sockets().iter().any(served));
        victim.signal(Signal::KILL);
        busy.unharmed();
    }
    busy.end();
}

#[test]
fn a_client_that_hangs_harms_itself() {
    require_root!("a_client_that_hangs_harms_itself");
    let mut busy = Busy::new("hung");
    let victim = echo(&busy.lab, 8);
    let load = Stream::start(&busy.lab.a, SocketAddrV4::new(OURS, 8));
    victim.signal(Signal::STOP);
    let full = |socket: &xmitd::api::Socket| socket.local.port() == 8 && socket.counters["rx_buffer_full"] > 10;
    until("what does not fit is counted", || busy.daemon.sockets().iter().any(full));
    until("by reason too", || busy.daemon.drops("UdpReceiveBufferFull") > 10);
    busy.traffic.go_on(200);
    victim.signal(Signal::CONT);
    let read = |daemon: &mut Daemon| daemon.sockets().iter().map(|s| s.counters["tx_datagrams"]).min();
    let before = read(&mut busy.daemon);
    until("it goes on", || read(&mut busy.daemon) > before);
    drop((victim, load));
    busy.end();
}

/// A session that its client destroys.
struct Hostile {
    connection: OwnedFd,
    memory: OwnedFd,
    bells: Vec<OwnedFd>,
    session: Option<xmit::Session>,
    len: u64,
}

impl Hostile {
    fn connect(lab: &Lab) -> Self {
        let hello = Hello { name: "hostile".into(), sockets: 4 };
        let (connection, fds) = handshake::connect(&lab.session_socket(), &hello).unwrap();
        let memory = fds.memory.try_clone().unwrap();
        let bells = fds.lane_bells.iter().map(|bell| bell.try_clone().unwrap()).collect();
        let len = rustix::fs::fstat(&memory).unwrap().st_size as u64;
        assert_eq!(rustix::fs::ftruncate(&memory, 0), Err(rustix::io::Errno::PERM), "the region is sealed");
        let end = session::attach(fds).unwrap();
        let session = xmit::Session::new(end, connection.try_clone().unwrap()).unwrap();
        Self { connection, memory, bells, session: Some(session), len }
    }

    /// Overwrites `len` bytes from `at` and wakes the lane.
    fn scribble(&self, rng: &mut Rng, at: u64, len: usize) {
        let rubbish: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| rng.next_u64().to_ne_bytes()).collect();
        rustix::io::pwrite(&self.memory, &rubbish, at).unwrap();
        for bell in &self.bells {
            // A full bell has rung.
            let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        }
    }

    /// True if the daemon has closed the connection.
    fn is_over(&self) -> bool {
        is_readable(&self.connection, Timespec::default())
    }
}

/// Runs a test over several seeds, each of which is printed.
fn seeds(name: &str) -> impl Iterator<Item = Rng> {
    (1..=12).map(move |seed| {
        println!("{name}: seed {seed}");
        Rng::new(seed)
    })
}

#[test]
fn rubbish_over_a_whole_region_ends_its_session() {
    require_root!("rubbish_over_a_whole_region_ends_its_session");
    let mut busy = Busy::new("rubbish");
    for mut rng in seeds("the whole region") {
        let hostile = Hostile::connect(&busy.lab);
        until("the daemon ends it", || {
            hostile.scribble(&mut rng, 0, hostile.len as usize);
            hostile.is_over()
        });
        busy.daemon.read_log_until("wrote rubbish into its region and is ended");
        drop(hostile);
        busy.unharmed();
    }
    busy.end();
}

#[test]
fn rubbish_while_its_own_traffic_runs_harms_only_itself() {
    require_root!("rubbish_while_its_own_traffic_runs_harms_only_itself");
    let mut busy = Busy::new("words");
    for mut rng in seeds("single words") {
        let mut hostile = Hostile::connect(&busy.lab);
        let session = hostile.session.take().unwrap();
        let sockets = [8, 9].map(|port| xmit::UdpSocket::bind_in(&session, (OURS, port)).unwrap());
        for socket in &sockets {
            socket.set_nonblocking(true).unwrap();
        }
        // Positions and records are in the first pages and at the start of each buffer: half of the words hit them.
        for _ in 0..3_000 {
            for socket in &sockets {
                let _ = socket.send_to(&[1; 200], (HOST, 9));
                let _ = socket.recv(&mut [0; 64]);
            }
            let span = if rng.chance_ppm(500_000) { 32 << 10 } else { hostile.len };
            let at = 8 * rng.below(span / 8);
            hostile.scribble(&mut rng, at, 8);
        }
        until("the daemon ends it", || {
            hostile.scribble(&mut rng, 0, hostile.len as usize);
            hostile.is_over()
        });
        drop((sockets, session, hostile));
        busy.unharmed();
    }
    busy.end();
}

fn is_readable(connection: &OwnedFd, limit: Timespec) -> bool {
    retry_on_intr(|| poll(&mut [PollFd::new(connection, PollFlags::IN)], Some(&limit))).unwrap() > 0
}

fn raw(lab: &Lab) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(lab.session_socket()).unwrap()).unwrap();
    socket
}

/// Waits until the daemon has closed `connection`; answers what it said before.
fn last_words(connection: &OwnedFd) -> String {
    let mut said = String::new();
    loop {
        let limit = Timespec::try_from(SOON).unwrap();
        assert!(is_readable(connection, limit), "no answer");
        let mut buffer = [0; 1024];
        match recv(connection, &mut buffer[..], rustix::net::RecvFlags::empty()) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => return said,
            outcome => said.push_str(&String::from_utf8_lossy(&buffer[..outcome.unwrap().0])),
        }
    }
}

#[test]
fn strangers_are_sent_away() {
    require_root!("strangers_are_sent_away");
    let mut busy = Busy::new("strangers");
    let version_9: Vec<u8> = [b"xmit".to_vec(), 9u32.to_ne_bytes().to_vec(), vec![0; 40]].concat();
    let mut hello = version_9.clone();
    hello[4..8].copy_from_slice(&session::ABI_VERSION.to_ne_bytes());
    for (message, answer) in [
        (&b"GET / HTTP/1.0\r\n\r\n"[..], ""),
        (b"x", ""),
        (&hello[..20], ""),
        (&[0xff; 4000], ""),
        (&version_9, "version 9"),
    ] {
        let stranger = raw(&busy.lab);
        send(&stranger, message, SendFlags::empty()).unwrap();
        let said = last_words(&stranger);
        assert!(said.contains(answer), "{said}");
        busy.unharmed();
    }
    // Hangs up before, during and after; speaks when it is no longer asked.
    drop(raw(&busy.lab));
    let late = raw(&busy.lab);
    send(&late, &hello, SendFlags::empty()).unwrap();
    drop(late);
    let chatty = raw(&busy.lab);
    send(&chatty, &hello, SendFlags::empty()).unwrap();
    send(&chatty, b"and another thing", SendFlags::empty()).unwrap();
    last_words(&chatty);
    busy.end();
}

#[test]
fn too_many_clients_hear_why() {
    require_root!("too_many_clients_hear_why");
    let busy = Busy::new("many");
    let mut sessions: Vec<_> = (0..5).map(|_| busy.lab.session()).collect();
    for _ in 0..3 {
        let refusal = xmit::Session::connect(busy.lab.session_socket()).unwrap_err();
        let xmit::ConnectError::Handshake(HandshakeError::Refused { errno, text }) = refusal else {
            panic!("{refusal}")
        };
        assert_eq!(errno, libc::EMFILE);
        assert!(text.contains("6 clients are connected: raise [client] sessions_max"), "{text}");
    }
    sessions.pop();
    until("the place is free", || xmit::Session::connect(busy.lab.session_socket()).is_ok());
    drop(sessions);
    busy.end();
}
