//! No signal interrupts a handshake: a client that is stopped and goes on while it waits for the daemon's answer gets that answer.
//!
//! A stopped process needs no handler: a call with a time limit ends with `EINTR` when it goes on (signal(7)). The client is a process
//! of its own, this program once more; that it waits for the answer is seen from all its threads sleeping after its hello arrived.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with};
use rustix::process::{Pid, Signal, kill_process};
use xmit_shared::clock::monotonic;
use xmit_shared::handshake::{Hello, connect, receive_hello, send_refusal};

/// Names the daemon's socket to the client.
const SOCKET: &str = "XMIT_TEST_HANDSHAKE";
/// What the daemon answers.
const REFUSAL: &str = "the answer came";
/// Stops of the client while it waits.
const STOPS: usize = 3;
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_signal_does_not_interrupt_a_handshake() {
    let path = std::env::temp_dir().join(format!("xmit-handshake-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let door = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&door, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&door, 1).unwrap();
    let mut client = Client::start(&path);
    let connection = accept(&door).unwrap();
    assert_eq!(receive_hello(connection.as_fd()).unwrap().name, "interrupted");
    client.are("S");
    for _ in 0..STOPS {
        client.signal(Signal::STOP);
        client.are("T");
        client.signal(Signal::CONT);
        client.are("S");
    }
    send_refusal(connection.as_fd(), 13, REFUSAL).unwrap();
    let ended = client.0.wait().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(ended.success(), "the client did not get the answer: {ended}");
}

/// Not a test: what the client does.
#[test]
#[ignore = "runs in the process that the test above starts"]
fn client() {
    let path = std::env::var_os(SOCKET).map(PathBuf::from).unwrap();
    let error = connect(&path, &Hello { name: "interrupted".into(), sockets: 0 }).unwrap_err().to_string();
    assert!(error.contains(REFUSAL), "{error}");
}

/// The client's process; it ends with this.
struct Client(Child);

impl Client {
    fn start(path: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "client", "--ignored", "--nocapture"]).env(SOCKET, path).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits until each of its threads is in one of these states.
    fn are(&mut self, states: &str) {
        let end = monotonic() + LIMIT;
        while !self.states().chars().all(|state| states.contains(state)) {
            assert!(self.0.try_wait().unwrap().is_none(), "the client gave up");
            assert!(monotonic() < end, "not {states} within {LIMIT:?}: {}", self.states());
            std::thread::yield_now();
        }
    }

    /// One letter for each thread, as proc(5) has it.
    fn states(&self) -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let state = |task: std::io::Result<std::fs::DirEntry>| {
            // A thread may end meanwhile.
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            stat.rsplit(") ").next()?.chars().next()
        };
        tasks.filter_map(state).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
