//! The `xmit` command against a daemon's end of the operator API: what is asked, what is printed, how it ends.

#![allow(clippy::unwrap_used)] // helpers of a test fail as the test does

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::JoinHandle;

use xmitd::api::{CaptureStarted, CaptureStopped, Counters, Health, LaneStat, Neighbor, Request, Response, Stat};

/// Answers one client by a function, and gives the questions it heard.
struct Daemon {
    socket: PathBuf,
    heard: JoinHandle<Vec<Request>>,
}

impl Daemon {
    fn start(name: &str, answer: impl Fn(&Request) -> Response + Send + 'static) -> Self {
        let socket = std::env::temp_dir().join(format!("xmit-operator-{name}-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut heard = Vec::new();
            for line in lines {
                let request = serde_json::from_str(&line.unwrap()).unwrap();
                let response = serde_json::to_string(&answer(&request)).unwrap();
                stream.write_all((response + "\n").as_bytes()).unwrap();
                heard.push(request);
            }
            heard
        });
        Self { socket, heard }
    }

    /// Runs the command to its end; gives its output and the questions.
    fn ask(self, arguments: &[&str]) -> (Output, Vec<Request>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xmit"));
        let output = command.args(arguments).arg("--socket").arg(&self.socket).output().unwrap();
        std::fs::remove_file(&self.socket).unwrap();
        (output, self.heard.join().unwrap())
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn stat_prints_counters_and_repeats_what_the_daemon_said_as_json() {
    let stat = || {
        let snmp = Counters::from([("UdpInDatagrams".to_owned(), 12)]);
        let drops = Counters::from([("no_socket".to_owned(), 3), ("bad_checksum".to_owned(), 0)]);
        Stat::of_lanes(1, 1, vec![LaneStat { snmp, drops, ..LaneStat::default() }])
    };
    let (output, heard) = Daemon::start("stat", move |_| Response::Stat(stat())).ask(&["stat"]);
    assert!(output.status.success());
    let printed = text(&output);
    assert!(printed.contains("UdpInDatagrams") && printed.contains("no_socket"), "{printed}");
    assert!(!printed.contains("bad_checksum"), "zeros are hidden: {printed}");
    assert_eq!(heard, [Request::Stat]);

    let (output, _) = Daemon::start("stat-json", move |_| Response::Stat(stat())).ask(&["stat", "--json"]);
    assert_eq!(serde_json::from_str::<Stat>(&text(&output)).unwrap(), stat());
}

#[test]
fn neighbors_are_a_table() {
    let neighbor = Neighbor {
        address: "10.77.0.1".parse().unwrap(),
        interface: "xb0".to_owned(),
        lane: 0,
        mac: None,
        state: "INCOMPLETE".to_owned(),
        waiting: 2,
    };
    let (output, _) =
        Daemon::start("neighbors", move |_| Response::Neighbors(vec![neighbor.clone()])).ask(&["neighbors"]);
    let printed = text(&output);
    assert!(printed.starts_with("address ") && printed.contains("INCOMPLETE"), "{printed}");
}

#[test]
fn capture_is_stopped_when_the_time_is_over() {
    let path = PathBuf::from("/run/xmit/1.pcapng");
    let answer = move |request: &Request| match request {
        Request::CaptureStart { .. } => Response::CaptureStarted(CaptureStarted { id: 7, path: path.clone() }),
        _ => Response::CaptureStopped(CaptureStopped { id: 7, path: path.clone(), packets: 4, bytes: 400, missed: 0 }),
    };
    let (output, heard) = Daemon::start("capture", answer).ask(&["capture", "xb0", "-s", "96", "--seconds", "0.01"]);
    assert_eq!(text(&output), "4 packets, 400 bytes in /run/xmit/1.pcapng.\n");
    let start = Request::CaptureStart { interface: Some("xb0".to_owned()), path: None, snaplen: 96 };
    assert_eq!(heard, [start, Request::CaptureStop { id: 7 }]);
}

#[test]
fn problems_and_refusals_are_exit_codes() {
    let health = Health { problems: vec!["Lane 0 has not turned for 3 s.".to_owned()], ..Health::default() };
    let (output, _) = Daemon::start("health", move |_| Response::Health(health.clone())).ask(&["health"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("Lane 0 has not turned"));

    let refuse = |_: &Request| Response::Error("line 3: `mtu` is a number of bytes".to_owned());
    let (output, _) = Daemon::start("reload", refuse).ask(&["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "xmit: line 3: `mtu` is a number of bytes\n");
}
