//! A packet that is built matches the pattern it was built from, and its description is a pattern that it matches.

use super::{Defaults, Pattern, describe, matches, trimmed, verify};
use crate::setup::{HOST_MAC, PEER_MAC};

fn defaults() -> Defaults {
    Defaults { ours: HOST_MAC, peer: PEER_MAC, vlan: None, broadcasts: vec!["10.0.0.255".parse().unwrap()] }
}

fn build(text: &str) -> Vec<u8> {
    Pattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).build(&defaults()).unwrap()
}

const GOOD: &[&str] = &[
    "arp request who-has 10.0.0.2 tell 10.0.0.1 sender 02:00:00:00:00:09 eth to ff:ff:ff:ff:ff:ff",
    "arp reply 10.0.0.1 is-at 02:00:00:00:00:01 to 10.0.0.2 vlan 5 pcp 3",
    "icmp echo request 10.0.0.1 > 10.0.0.2 id 1 seq 2 \"abc\" ttl 3 tos 0x10 df",
    "icmp port unreachable 10.0.0.1 > 10.0.0.2 quoting udp 10.0.0.2:5 > 10.0.0.1:6 \"x\" ident 7",
    "icmp fragmentation needed 10.0.0.1 > 10.0.0.2 mtu 1400 quoting udp 10.0.0.2:5 > 10.0.0.1:6 100 bytes",
    "icmp type 42 code 9 10.0.0.1 > 10.0.0.2 hex 00ff",
    "udp 10.0.0.1:1000 > 10.0.0.2:7 \"a \\\"b\\\" \\\\ \\x00\" options rr ident 9",
    "udp 10.0.0.1:1000 > 10.0.0.255:7 \"\" eth to ff:ff:ff:ff:ff:ff",
    "udp 10.0.0.1:1000 > 224.0.0.5:7 1400 bytes eth to 01:00:5e:00:00:05",
    "ip protocol 47 10.0.0.1 > 10.0.0.2 20 bytes offset 16 mf",
    "ethernet type 0x86dd 40 bytes",
];

#[test]
fn what_is_built_matches_and_describes_itself() {
    for text in GOOD {
        let frame = build(text);
        assert_eq!(verify(&frame), Ok(()), "{text}");
        assert_eq!(matches(&Pattern::parse(text).unwrap(), &frame), Ok(()), "{text}");
        let described = describe(&frame);
        let again = Pattern::parse(&described).unwrap_or_else(|error| panic!("{described}: {error}"));
        assert_eq!(matches(&again, &frame), Ok(()), "{described}");
        let mut padded = frame.clone();
        padded.resize(frame.len().max(60), 0);
        if !text.starts_with("ethernet") {
            assert_eq!(trimmed(&padded), frame, "{text}");
        }
    }
}

#[test]
fn every_field_that_is_mentioned_is_compared() {
    let frame = build("udp 10.0.0.1:1000 > 10.0.0.2:7 \"abc\" ttl 9 tos 4 df ident 5 options nop vlan 3 pcp 1");
    let udp = "udp 10.0.0.1:1000 > 10.0.0.2:7";
    let cases = [
        ("udp 10.0.0.3:1000 > 10.0.0.2:7", "its IP source is 10.0.0.1, not 10.0.0.3"),
        ("udp 10.0.0.1:1000 > 10.0.0.4:7", "IP destination"),
        ("udp 10.0.0.1:1001 > 10.0.0.2:7", "UDP source port"),
        ("udp 10.0.0.1:1000 > 10.0.0.2:8", "UDP destination port"),
        (&format!("{udp} \"abd\""), "its UDP data (3 bytes) differs from the 3 expected at byte 2"),
        (&format!("{udp} \"abcd\""), "at byte 3"),
        (&format!("{udp} ttl 8"), "its TTL is 9, not 8"),
        (&format!("{udp} tos 8"), "type of service"),
        (&format!("{udp} no df"), "DF"),
        (&format!("{udp} mf"), "MF"),
        (&format!("{udp} ident 6"), "identification"),
        (&format!("{udp} length 20"), "total length"),
        (&format!("{udp} no options"), "IP options"),
        (&format!("{udp} vlan 4"), "VLAN"),
        (&format!("{udp} untagged"), "VLAN"),
        (&format!("{udp} pcp 2"), "VLAN priority"),
        (&format!("{udp} eth to ff:ff:ff:ff:ff:ff"), "Ethernet destination"),
        (&format!("{udp} eth from ff:ff:ff:ff:ff:ff"), "Ethernet source"),
        ("icmp echo request 10.0.0.1 > 10.0.0.2", "IP protocol"),
        ("arp request who-has 10.0.0.1 tell 10.0.0.2", "EtherType"),
        ("ip 10.0.0.1 > 10.0.0.2 \"abc\"", "payload"),
    ];
    for (text, expected) in cases {
        let why = matches(&Pattern::parse(text).unwrap(), &frame).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
}

#[test]
fn arp_and_icmp_fields_are_compared() {
    let arp = build("arp reply 10.0.0.1 is-at 02:00:00:00:00:01 to 10.0.0.2 target 02:00:00:00:00:05");
    for (text, expected) in [
        ("arp request who-has 10.0.0.2 tell 10.0.0.1", "ARP operation"),
        ("arp reply 10.0.0.9 is-at 02:00:00:00:00:01", "ARP sender is"),
        ("arp reply 10.0.0.1 is-at 02:00:00:00:00:09", "ARP sender's MAC"),
        ("arp reply 10.0.0.1 is-at 02:00:00:00:00:01 to 10.0.0.9", "ARP target is"),
        ("arp reply 10.0.0.1 is-at 02:00:00:00:00:01 target 02:00:00:00:00:09", "ARP target's MAC"),
    ] {
        let why = matches(&Pattern::parse(text).unwrap(), &arp).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
    let error = "icmp port unreachable 10.0.0.1 > 10.0.0.2";
    let frame = build(&format!("{error} quoting udp 10.0.0.2:5 > 10.0.0.1:6 \"x\" ttl 3"));
    for (text, expected) in [
        ("icmp echo reply 10.0.0.1 > 10.0.0.2", "ICMP type"),
        ("icmp host unreachable 10.0.0.1 > 10.0.0.2", "ICMP code"),
        (&format!("{error} seq 1"), "ICMP sequence number"),
        (&format!("{error} quoting udp 10.0.0.2:5 > 10.0.0.1:6 ttl 4"), "in the quoted packet: its TTL"),
        (&format!("{error} quoting udp 10.0.0.2:4 > 10.0.0.1:6"), "in the quoted packet: its UDP source port"),
        (&format!("{error} quoting icmp echo reply 10.0.0.2 > 10.0.0.1"), "in the quoted packet: its IP protocol"),
    ] {
        let why = matches(&Pattern::parse(text).unwrap(), &frame).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
}

#[test]
fn faults_are_built_and_seen() {
    for (fault, expected) in [
        ("bad ip checksum", "IP checksum"),
        ("bad checksum", "UDP checksum"),
        ("no checksum", "UDP checksum"),
        ("unfinished checksum", "UDP checksum"),
        ("length 300", "total length"),
        ("byte 0 = 0x65", "version"),
        ("truncated to 30 bytes", "fewer bytes"),
        ("udp length 4", "UDP length"),
    ] {
        let why = verify(&build(&format!("udp 10.0.0.1:1 > 10.0.0.2:2 \"abc\" {fault}"))).unwrap_err();
        assert!(why.contains(expected), "{fault}: {why}");
    }
    let why = verify(&build("icmp echo request 10.0.0.1 > 10.0.0.2 bad checksum")).unwrap_err();
    assert!(why.contains("ICMP checksum"), "{why}");
}

#[test]
fn mistakes_are_named() {
    for (text, expected) in [
        ("", "expected a packet"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2", "control bits"),
        ("tcp 10.0.0.1:1 > 10.0.0.2:2 P. 1:20(2*10)", "20 bytes end at 21"),
        ("udp 10.0.0.1:1 10.0.0.2:2", "expected `>` before `10.0.0.2:2`"),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 ttl 256", "too large for a TTL"),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 options what", "`what` is not an option"),
        ("udp 10.0.0.1:1 > 10.0.0.2:2 fast", "did not understand `fast`"),
        ("arp request who-has 10.0.0.1 tell 10.0.0.2 \"x\"", "carries no data"),
        ("icmp greeting 10.0.0.1 > 10.0.0.2", "echo request, echo reply"),
    ] {
        let why = Pattern::parse(text).unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
    }
}
