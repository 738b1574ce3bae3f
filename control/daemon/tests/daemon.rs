//! The daemon as a process, in a network namespace of its own: started, asked, changed, stopped, killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;
use xmit_shared::clock::monotonic;
use xmitd::api::{Client, ClientError, Request, Response};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A namespace with a veth pair `xm0`, `xm1` and a directory, both removed at the end.
struct Place {
    namespace: String,
    directory: PathBuf,
}

impl Place {
    /// None, after saying so, where this machine does not let us.
    fn new(test: &str) -> Option<Self> {
        if let Some(why) = xmit_netns::why_not() {
            xmit_netns::report_skipped(test, &why);
            return None;
        }
        let namespace = format!("xmitd-{test}-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &namespace]).output().unwrap();
        assert!(made.status.success(), "ip netns add: {}", String::from_utf8_lossy(&made.stderr));
        let directory = std::env::temp_dir().join(&namespace);
        std::fs::create_dir_all(&directory).unwrap();
        let place = Self { namespace, directory };
        place.ip("link add xm0 type veth peer name xm1");
        place.ip("link set xm0 up");
        place.ip("link set xm1 up");
        Some(place)
    }

    fn ip(&self, line: &str) {
        let output = Command::new("ip").args(["-n", &self.namespace]).args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes the configuration with `rest` behind its `[daemon]`.
    fn configure(&self, rest: &str) -> PathBuf {
        let path = self.directory.join("xmit.toml");
        let sockets = format!(
            "[daemon]\nsession_socket = \"{0}/session.sock\"\noperator_socket = \"{0}/operator.sock\"\n",
            self.directory.display()
        );
        std::fs::write(&path, sockets + rest).unwrap();
        path
    }

    fn operator_socket(&self) -> PathBuf {
        self.directory.join("operator.sock")
    }

    fn command(&self, config: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, env!("CARGO_BIN_EXE_xmitd"), "--config"]).arg(config);
        command
    }

    /// Runs the daemon to its end.
    fn run(&self, config: &Path, more: &[&str]) -> Output {
        self.command(config).args(more).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        _ = Command::new("ip").args(["netns", "del", &self.namespace]).status();
        _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A daemon that said it is ready; killed at the end if it still runs.
struct Daemon {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Daemon {
    fn start(place: &Place, config: &Path) -> Self {
        let mut child = place.command(config).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut daemon = Self { child, log };
        daemon.read_log_until("ready");
        daemon
    }

    /// The log's lines up to the one that contains `word`.
    fn read_log_until(&mut self, word: &str) -> String {
        let mut text = String::new();
        while !text.lines().last().is_some_and(|line| line.contains(word)) {
            assert!(self.log.read_line(&mut text).unwrap() > 0, "the log ended before `{word}`:\n{text}");
        }
        text
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Asks until `done`, within [`LIMIT`].
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = monotonic() + LIMIT;
    while !done() {
        assert!(monotonic() < end, "not within {LIMIT:?}: {what}");
    }
}

const ADOPTING: &str = "[[lane]]\ncore = 0\n[[interface]]\nname = \"xm0\"\n";

#[test]
fn it_adopts_follows_reloads_and_stops() {
    let Some(place) = Place::new("follows") else { return };
    place.ip("addr add 10.77.0.2/24 dev xm0");
    let config = place.configure(ADOPTING);
    let mut daemon = Daemon::start(&place, &config);
    let mut client = Client::connect(&place.operator_socket()).unwrap();

    let version = client.version().unwrap();
    assert_eq!((version.pid, version.config), (daemon.child.id(), config.clone()));
    let interfaces = client.interfaces().unwrap();
    assert_eq!(interfaces.len(), 1);
    assert!(interfaces[0].adopted && interfaces[0].up);
    assert_eq!(interfaces[0].addresses[0].address, Ipv4Addr::new(10, 77, 0, 2));

    place.ip("route add 10.9.0.0/16 via 10.77.0.9");
    until("the kernel's route", || {
        client.routes().unwrap().iter().any(|r| r.via == Some(Ipv4Addr::new(10, 77, 0, 9)) && r.origin == "kernel")
    });
    place.ip("link set xm0 down");
    until("the interface's fall", || {
        let Response::Health(health) = client.request(&Request::Health).unwrap() else { panic!() };
        health.problems.iter().any(|problem| problem.contains("xm0 is down"))
    });

    place.configure(&format!("{ADOPTING}[[route]]\ndestination = \"10.5.0.0/16\"\ninterface = \"xm0\"\n"));
    daemon.signal(rustix::process::Signal::HUP);
    daemon.read_log_until("routes are now 1");
    assert!(client.routes().unwrap().iter().any(|route| route.origin == "configuration"));

    place.configure(&ADOPTING.replace("core = 0", "core = 0\nspin = \"1ms\""));
    let Err(ClientError::Refused(refusal)) = client.request(&Request::Reload) else { panic!() };
    assert!(refusal.contains("new start of xmitd: lane 0"), "{refusal}");
    place.configure("[[lane]]\ncorr = 0\n");
    let Err(ClientError::Refused(refusal)) = client.request(&Request::Reload) else { panic!() };
    assert!(refusal.contains("xmit.toml:5:1: unknown field `corr`; did you mean `core`?"), "{refusal}");
    assert!(client.routes().unwrap().iter().any(|route| route.origin == "configuration"), "the old one stays");

    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.child.wait().unwrap().success());
    assert!(!place.operator_socket().exists());
    assert!(matches!(Client::connect(&place.operator_socket()), Err(ClientError::NotRunning(_))));
}

#[test]
fn a_second_daemon_is_refused_and_a_killed_one_replaced() {
    let Some(place) = Place::new("second") else { return };
    let config = place.configure(ADOPTING);
    let first = Daemon::start(&place, &config);
    let second = place.run(&config, &[]);
    assert!(!second.status.success());
    let text = String::from_utf8(second.stderr).unwrap();
    let expected = format!("another xmitd (process {}) serves", first.child.id());
    assert!(text.lines().last().unwrap().contains(&expected), "{text}");
    Client::connect(&place.operator_socket()).unwrap().version().unwrap();

    drop(first); // by SIGKILL
    assert!(place.operator_socket().exists(), "a killed daemon cleans nothing up");
    let third = Daemon::start(&place, &config);
    let version = Client::connect(&place.operator_socket()).unwrap().version().unwrap();
    assert_eq!(version.pid, third.child.id());
}

#[test]
fn a_check_explains_and_changes_nothing() {
    let Some(place) = Place::new("check") else { return };
    let good = place.run(&place.configure(ADOPTING), &["--check"]);
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success() && text.contains("Lane 0 runs on core 0"), "{text}");
    assert!(text.contains("It adopts the kernel's addresses"), "{text}");
    assert_eq!(std::fs::read_dir(&place.directory).unwrap().count(), 1, "the configuration and nothing else");

    let bad = place.run(&place.configure("[[lane]]\ncore = 0\n[[interface]]\nname = \"xm\"\n"), &["--check"]);
    let text = String::from_utf8(bad.stderr).unwrap();
    assert!(!bad.status.success());
    assert!(text.contains("xmit.toml:7:8: the kernel has no interface xm; did you mean `xm0`?"), "{text}");
}
