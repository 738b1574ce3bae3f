//! What operators do while packets flow: captures, and changes of the configuration.

use std::net::Ipv4Addr;
use std::process::Command;

use rustix::process::Signal;
use xmit_netns::require_root;
use xmitd::api::{Request, Response};

use crate::harness::{Card, HOST, Lab, OURS, Timing, ping};

/// Captures a ping on `interface` and has it read.
fn capture(card: Option<Card>, interface: &str) {
    let lab = Lab::new("capture");
    let mut daemon = card.map_or_else(|| lab.own_daemon(), |card| lab.card_daemon(card));
    let file = lab.path("capture.pcapng");
    let start = Request::CaptureStart { interface: Some(interface.into()), path: Some(file.clone()), snaplen: 0 };
    let Response::CaptureStarted(started) = daemon.operator().request(&start).unwrap() else { panic!() };
    assert_eq!(started.path, file);
    ping(lab.host(card).0, OURS).unwrap();
    let Response::CaptureStopped(stopped) =
        daemon.operator().request(&Request::CaptureStop { id: started.id }).unwrap()
    else {
        panic!()
    };
    ping(lab.host(card).0, OURS).unwrap();
    daemon.stop();

    assert_eq!((stopped.bytes, stopped.missed), (std::fs::metadata(&file).unwrap().len(), 0));
    let read = Command::new("tcpdump").args(["-n", "-r"]).arg(&file).output().unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(text.lines().count() as u64, stopped.packets);
    let lines = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert!(lines(&format!("{HOST} > {OURS}: ICMP echo request")) >= 3, "{text}");
    assert!(lines(&format!("{OURS} > {HOST}: ICMP echo reply")) >= 3, "{text}");
    assert!(lines(&format!("ARP, Reply {OURS} is-at")) >= 1, "{text}");
}

#[test]
fn a_capture_shows_both_directions() {
    require_root!("a_capture_shows_both_directions", "ping", "tcpdump");
    capture(None, "xb");
    capture(Some(Card { timing: Timing::Wire, tap: true, peer_is_card: false }), "el0");
}

/// A reload gives the interface an address, another one takes it away again.
fn reload(card: Option<Card>, interface: &str) {
    let lab = Lab::new("reload");
    let mut daemon = card.map_or_else(|| lab.own_daemon(), |card| lab.card_daemon(card));
    let was = card.map_or_else(|| Lab::OWN.to_owned(), Card::configuration);
    let new = Ipv4Addr::new(10, 77, 0, 5);
    lab.configure(&was.replace("\"10.77.0.2/24\"", "\"10.77.0.2/24\", \"10.77.0.5/24\""));
    daemon.signal(Signal::HUP);
    daemon.read_log_until(&format!("addresses of {interface} are now 10.77.0.2/24, 10.77.0.5/24"));
    ping(&lab.a, new).unwrap();
    ping(&lab.a, OURS).unwrap();
    lab.configure(&was);
    daemon.signal(Signal::HUP);
    daemon.read_log_until(&format!("addresses of {interface} are now 10.77.0.2/24"));
    assert!(lab.a.command(&format!("ping -n -c 1 -W 1 {new}")).is_err(), "it is gone");
    ping(&lab.a, OURS).unwrap();
    daemon.stop();
}

#[test]
fn a_reload_changes_addresses() {
    require_root!("a_reload_changes_addresses", "ping");
    reload(None, "xb");
    reload(Some(Card { timing: Timing::FreeRun, tap: false, peer_is_card: false }), "el0");
}
