//! Namespaces are separate, joined by a veth, and gone afterwards.

use std::net::UdpSocket;
use std::time::Duration;

use xmit_netns::{Netns, VethOptions, require_root, veth};

#[test]
fn datagram_crosses_a_veth_with_a_finished_checksum() {
    require_root!("datagram_crosses_a_veth_with_a_finished_checksum");
    let (a, b) = (Netns::new("cross").unwrap(), Netns::new("cross").unwrap());
    veth(&a, "va", &b, "vb", VethOptions { queues: 2, ..VethOptions::default() }).unwrap();
    a.command("ip addr add 10.1.0.1/24 dev va").unwrap();
    b.command("ip addr add 10.1.0.2/24 dev vb").unwrap();

    let receiver = b.run(|| UdpSocket::bind("10.1.0.2:7").unwrap()).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let sent = a.run(|| UdpSocket::bind("10.1.0.1:0").unwrap().send_to(b"hello", "10.1.0.2:7").unwrap()).unwrap();
    let mut buffer = [0; 16];
    let (length, from) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!((sent, &buffer[..length]), (5, &b"hello"[..]));
    assert_eq!(from.ip().to_string(), "10.1.0.1");

    let offloads = a.command("ethtool -k va").unwrap();
    assert!(offloads.contains("tx-checksumming: off"), "{offloads}");
    assert!(b.command("ip -o link show vb").unwrap().contains(",UP,LOWER_UP"));
}

#[test]
fn guard_removes_the_namespace_also_when_the_test_fails() {
    require_root!("guard_removes_the_namespace_also_when_the_test_fails");
    let netns = Netns::new("gone").unwrap();
    let path = netns.path();
    assert!(path.exists());
    let failed = std::panic::catch_unwind(move || {
        netns.run(|| panic!("an assertion inside the namespace")).unwrap();
    });
    assert!(failed.is_err(), "a panic inside goes on in the caller");
    assert!(!path.exists());
}

#[test]
fn refused_command_says_what_was_refused() {
    require_root!("refused_command_says_what_was_refused");
    let netns = Netns::new("refuse").unwrap();
    let error = netns.command("ip link set nosuch up").unwrap_err().to_string();
    assert!(error.contains("ip netns exec") && error.contains("nosuch"), "{error}");
}

#[test]
fn namespace_of_a_dead_process_is_swept() {
    require_root!("namespace_of_a_dead_process_is_swept");
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    let name = format!("xt-stale-{dead}-0");
    assert!(std::process::Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
    // The sweep runs once a process, so a second run of this test program does it: itself, with no test selected but one.
    let test = std::env::current_exe().unwrap();
    let swept =
        std::process::Command::new(test).args(["--exact", "refused_command_says_what_was_refused"]).output().unwrap();
    assert!(swept.status.success());
    assert!(!std::path::Path::new("/run/netns").join(name).exists());
}
