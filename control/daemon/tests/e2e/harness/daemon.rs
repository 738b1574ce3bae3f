//! A daemon process: its log, its operator socket, its end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use xmitd::api::{Client, Socket, Stat};

use super::{LIMIT, Lab};

/// A daemon that said it is ready; killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: String,
    operator: Option<Client>,
}

impl Daemon {
    /// Starts one in namespace `b` of `lab`.
    pub(crate) fn start(lab: &Lab, config: &Path) -> Self {
        let mut command = lab.b.program(env!("CARGO_BIN_EXE_xmitd"));
        let mut child = command.arg("--config").arg(config).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut daemon = Self { child, lines, log: String::new(), operator: None };
        daemon.read_log_until("ready");
        daemon.operator = Some(Client::connect(&lab.path("operator.sock")).unwrap());
        daemon
    }

    /// Lets one fail; answers the sentence that it ends with.
    pub(crate) fn refused(lab: &Lab, config: &Path) -> String {
        let mut command = lab.b.program(env!("CARGO_BIN_EXE_xmitd"));
        let child = command.arg("--config").arg(config).stderr(Stdio::piped()).spawn().unwrap();
        Self::fail(child)
    }

    /// The same for one that runs already, with its standard error piped.
    pub(crate) fn fail(child: Child) -> String {
        let (_, lines) = channel();
        let mut daemon = Self { child, lines, log: String::new(), operator: None };
        let status = daemon.wait(LIMIT);
        let said = std::io::read_to_string(daemon.child.stderr.take().unwrap()).unwrap();
        assert_eq!(status.code(), Some(1), "{said}");
        let sentences: Vec<&str> = said.lines().filter(|line| line.starts_with("xmitd: ")).collect();
        assert_eq!(sentences.len(), 1, "one sentence:\n{said}");
        sentences[0].to_owned()
    }

    /// Waits for a line with `word` that was not read yet; answers all that was said so far.
    pub(crate) fn read_log_until(&mut self, word: &str) -> &str {
        loop {
            let Ok(line) = self.lines.recv_timeout(LIMIT) else { panic!("no `{word}` in the log:\n{}", self.log) };
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(word) {
                return &self.log;
            }
        }
    }

    /// What it has said, as far as it was read.
    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    pub(crate) fn operator(&mut self) -> &mut Client {
        self.operator.as_mut().unwrap()
    }

    pub(crate) fn stat(&mut self) -> Stat {
        self.operator().stat().unwrap()
    }

    /// The sum over all lanes of the SNMP counter `name`.
    pub(crate) fn snmp(&mut self, name: &str) -> u64 {
        self.stat().total.snmp[name]
    }

    /// Packets dropped for `reason`, over all lanes.
    pub(crate) fn drops(&mut self, reason: &str) -> u64 {
        self.stat().total.drops[reason]
    }

    pub(crate) fn sockets(&mut self) -> Vec<Socket> {
        self.operator().sockets().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let limit = Timespec::try_from(limit).unwrap();
        let ended = retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit))).unwrap();
        assert_eq!(ended, 1, "xmitd still runs:\n{}", self.log);
        self.child.wait().unwrap()
    }

    /// Kills it, and waits until the kernel has taken all it had.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait(LIMIT);
    }

    /// Stops it in order; it must say that nothing is missing. Answers the whole log.
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let status = self.wait(LIMIT);
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        assert!(status.success() && !self.log.contains("frames are missing"), "{status}:\n{}", self.log);
        std::mem::take(&mut self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.lines.try_iter().for_each(|line| self.log.push_str(&(line + "\n")));
            println!("the daemon's log:\n{}", self.log);
        }
    }
}
