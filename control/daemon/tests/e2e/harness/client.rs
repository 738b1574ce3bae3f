//! Clients in processes of their own: this test program again, told by its environment what to do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Gid, Pid, Signal, Uid, kill_process};
use rustix::thread::{set_thread_gid, set_thread_uid};

use super::Lab;

/// What the child shall do, in words; absent in the test program proper.
const TASK: &str = "XMIT_E2E_TASK";

/// A client process; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts a client of `lab`'s daemon that does `task`; see [`run_as_child`].
    pub(crate) fn start(lab: &Lab, task: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored", "--nocapture", "--quiet"]);
        command.env(TASK, task).env("XMIT_SOCKET", lab.session_socket()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The next thing it says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the client ended early");
            // The test harness talks too.
            if let Some((_, said)) = line.trim_end().split_once("says: ") {
                return said.to_owned();
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to the process that started this one.
fn say(text: impl std::fmt::Display) {
    println!("says: {text}");
    let _ = std::io::stdout().flush();
}

/// A user without rights: `nobody` on every Linux.
pub(crate) const NOBODY: u32 = 65_534;

/// In a child: does its task. `echo ADDRESS` answers datagrams until it is killed; `bind ADDRESS` says what came of it;
/// `nobody ADDRESS` does so as a user without rights; `serve ADDRESS` returns what comes on TCP connections.
pub(crate) fn run_as_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (verb, address) = task.split_once(' ').unwrap();
    if verb == "serve" {
        return serve(address);
    }
    if verb == "nobody" {
        // Of this thread alone, which is the one that connects.
        set_thread_gid(Gid::from_raw(NOBODY)).unwrap();
        set_thread_uid(Uid::from_raw(NOBODY)).unwrap();
    }
    let socket = match xmit::UdpSocket::bind(address) {
        Ok(socket) => socket,
        Err(error) => return say(format_args!("{:?} {error}", error.raw_os_error())),
    };
    say("bound");
    if verb == "echo" {
        echo(&socket);
    }
}

/// Sends back what comes on every connection, until the daemon dies.
fn serve(address: &str) {
    let listener = match xmit::TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) => return say(format_args!("{:?} {error}", error.raw_os_error())),
    };
    say("bound");
    while let Ok((stream, _)) = listener.accept() {
        std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
    }
    say("down");
}

/// Sends every datagram back, until the daemon dies.
fn echo(socket: &xmit::UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        let (len, peer) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => return say("down"),
            Err(_) => continue,
        };
        // What becomes of an answer is not the echo's business.
        let _ = socket.send_to(&buffer[..len], peer);
    }
}
