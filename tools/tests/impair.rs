//! `xmit impair` between two kernels, each in a namespace of its own, the tool and its two interfaces in a third.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of a test fail as the test does

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xmit_netns::{Netns, VethOptions, require_root, veth};
use xmit_nic::rng::Rng;
use xmit_shared::clock::monotonic;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The kernel's hosts.
const A: &str = "10.77.0.1";
const B: &str = "10.77.0.2";

/// `xa` of `a` -- `wa` of `wire`, impaired, `wb` of `wire` -- `xb` of `b`.
struct Wire {
    a: Netns,
    b: Netns,
    wire: Netns,
}

impl Wire {
    fn new(name: &str) -> Self {
        let [a, b, wire] = ["a", "b", "w"].map(|side| Netns::new(&format!("{name}{side}")).unwrap());
        veth(&a, "xa", &wire, "wa", VethOptions::default()).unwrap();
        veth(&wire, "wb", &b, "xb", VethOptions::default()).unwrap();
        for (host, address, device) in [(&a, A, "xa"), (&b, B, "xb")] {
            host.command(&format!("ip addr add {address}/24 dev {device}")).unwrap();
        }
        // Asking is not what is measured.
        for (host, other, peer, device) in [(&a, B, &b, "xa"), (&b, A, &a, "xb")] {
            let peer_device = if device == "xa" { "xb" } else { "xa" };
            let mac = peer.command(&format!("cat /sys/class/net/{peer_device}/address")).unwrap();
            host.command(&format!("ip neigh add {other} lladdr {} dev {device}", mac.trim())).unwrap();
        }
        Self { a, b, wire }
    }

    /// The tool on both interfaces, once it carries frames.
    fn impair(&self, options: &str) -> Impair {
        let name = self.wire.name();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xmit"));
        command.args(["impair", "--json", "--a", &format!("{name}:wa"), "--b", &format!("{name}:wb")]);
        command.args(options.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        errors.read_line(&mut said).unwrap();
        assert!(said.contains("are joined"), "{said}");
        Impair { child, said, _errors: errors }
    }
}

struct Impair {
    child: Child,
    said: String,
    _errors: BufReader<ChildStderr>,
}

impl Impair {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it; answers its last report.
    fn stop(mut self) -> Value {
        self.signal(Signal::INT);
        assert!(self.child.wait().unwrap().success());
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        serde_json::from_str(output.lines().last().unwrap()).unwrap()
    }

    /// Processor time used so far, in clock ticks of 10 ms (proc_pid_stat(5), fields 14 and 15).
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Impair {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every frame that came was sent, dropped by name, or is on its way.
fn balanced(report: &Value) {
    for direction in report["directions"].as_array().unwrap() {
        let count = |name: &str| direction[name].as_u64().unwrap();
        let drops: u64 = ["lost", "queue_full", "flight_full", "too_long", "refused"].map(count).iter().sum();
        assert_eq!(count("received") + count("duplicated"), count("sent") + count("waiting") + drops, "{report}");
        assert_eq!(count("missed") + count("several_segments"), 0, "{report}");
    }
}

/// The third number of a line such as `rtt min/avg/max/mdev = 20.1/21.0/25.5/0.9 ms`, counted from zero.
fn round_trip(ping: &str, which: usize) -> f64 {
    let (_, figures) = ping.split_once("mdev = ").unwrap_or_else(|| panic!("{ping}"));
    figures.split('/').nth(which).unwrap().parse().unwrap()
}

#[test]
fn pings_are_lost_and_late_as_asked() {
    require_root!("pings_are_lost_and_late_as_asked", "ping");
    let wire = Wire::new("imp");
    let impair = wire.impair("--loss 30%,0% --delay 10ms --seed 7");
    assert!(impair.said.contains("seed 7"), "{}", impair.said);
    // Every 5 ms, so that several are on their way at any time; it succeeds if one was answered.
    let ping = wire.a.command(&format!("ping -n -q -c 200 -i 0.005 -W 1 {B}")).unwrap();
    let ticks = impair.ticks();
    let report = impair.stop();
    balanced(&report);
    let [there, back] = [0, 1].map(|way| &report["directions"][way]);
    let lost = there["lost"].as_u64().unwrap();
    // 60 of 200 are expected; five standard deviations are 32.
    assert!((28..=92).contains(&lost) && there["received"] == 200, "{report}");
    assert_eq!(back["lost"], 0);
    assert!(ping.contains(&format!("{} received", 200 - lost)), "{ping}\n{report}");
    assert!(round_trip(&ping, 0) >= 20.0 && round_trip(&ping, 1) < 60.0, "{ping}");
    // A second of which nearly all was sleep, although something was always due.
    assert!(ticks < 50, "{ticks} ticks of 10 ms");
}

#[test]
fn the_kernels_tcp_keeps_its_content() {
    require_root!("the_kernels_tcp_keeps_its_content");
    const BYTES: usize = 1 << 20;
    let wire = Wire::new("imt");
    let options =
        "--loss 1% --delay 2ms --jitter 1ms --reorder 2% --duplicate 1% --corrupt 0.5% --rate 20mbit --seed 7";
    let impair = wire.impair(options);
    let address: SocketAddr = format!("{B}:7").parse().unwrap();
    let listener = wire.b.run(|| TcpListener::bind(address)).unwrap().unwrap();
    let mut rng = Rng::new(7);
    let sent: Vec<u8> = (0..BYTES / 8).flat_map(|_| rng.next_u64().to_ne_bytes()).collect();
    let start = monotonic();
    let received = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            received
        });
        let mut client = wire.a.run(|| TcpStream::connect_timeout(&address, LIMIT)).unwrap().unwrap();
        client.write_all(&sent).unwrap();
        drop(client);
        server.join().unwrap()
    });
    let took = monotonic().saturating_since(start);
    let report = impair.stop();
    balanced(&report);
    assert!(received == sent, "{} of {BYTES} bytes: {report}", received.len());
    for what in ["lost", "duplicated", "corrupted", "reordered"] {
        assert!(report["directions"][0][what].as_u64().unwrap() > 0, "{what}: {report}");
    }
    assert!(took >= Duration::from_millis(400), "a MiB at 20 Mbit/s in {took:?}");
}

#[test]
fn counters_are_told_on_the_way() {
    require_root!("counters_are_told_on_the_way", "ping");
    let wire = Wire::new("imu");
    let mut impair = wire.impair("");
    assert!(impair.said.contains("seed "), "one is chosen: {}", impair.said);
    let mut output = BufReader::new(impair.child.stdout.take().unwrap());
    let mut report = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    for pings in 1..=2 {
        wire.a.command(&format!("ping -n -q -c 1 -W 5 {B}")).unwrap();
        impair.signal(Signal::USR1);
        assert_eq!(report()["directions"][1]["sent"], pings);
    }
    impair.signal(Signal::TERM);
    assert_eq!(report()["directions"][0]["received"], 2);
    assert!(impair.child.wait().unwrap().success());
}

#[test]
fn the_end_of_an_interface_is_told() {
    require_root!("the_end_of_an_interface_is_told");
    let wire = Wire::new("img");
    let mut impair = wire.impair("");
    // The kernel tells it once, when the interface goes down: its end comes without a word.
    wire.wire.command("ip link set wb down").unwrap();
    wire.wire.command("ip link del wb").unwrap();
    assert_eq!(impair.child.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    impair._errors.read_to_string(&mut said).unwrap();
    assert!(said.contains(&format!("{}:wb was removed", wire.wire.name())), "{said}");
}

#[test]
fn what_cannot_be_joined_says_why() {
    require_root!("what_cannot_be_joined_says_why");
    let impair = |a: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xmit"));
        let output = command.args(["impair", "--a", a, "--b", "lo"]).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (a, more, code, why) in [
        ("no-such-if", &[][..], 1, "no interface no-such-if"),
        ("no-such-ns:eth0", &[], 1, "network namespace"),
        ("lo", &["--seconds", "0.01"], 1, "twice"),
        ("lo", &["--rate", "7"], 2, "100mbit"),
    ] {
        let (status, said) = impair(a, more);
        assert_eq!(status, Some(code), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
