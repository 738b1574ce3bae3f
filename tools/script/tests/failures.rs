//! A script that the stack does not keep fails, at the right line, and shows what was seen instead.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use xmit_script::{Medium, Script, run};

/// Runs `text` over every medium; all must fail in the same line and say the same.
fn failure(text: &str) -> String {
    let script = Script::parse("wrong.script", text).unwrap();
    let mut failures = Medium::ALL.iter().map(|medium| run(&script, *medium, 1).unwrap_err());
    let first = failures.next().unwrap();
    failures.for_each(|other| assert_eq!(other.line, first.line, "{other}"));
    first.to_string()
}

#[test]
fn each_kind_of_line_can_fail() {
    let cases = [
        ("nothing leaves\nleaves arp request who-has 10.0.0.1 tell 10.0.0.2", ":2:", "nothing left within 20ms"),
        (
            "arrives arp request who-has 10.0.0.2 tell 10.0.0.1\nnothing leaves",
            ":2:",
            "arp reply 10.0.0.2 is-at 02:60:8c:00:00:02 to 10.0.0.1 eth to 02:00:00:00:00:01",
        ),
        ("peer known\narrives udp 10.0.0.1:1 > 10.0.0.2:7 \"x\"", ":2:", "at the end of the script"),
        (
            "peer known\narrives icmp echo request 10.0.0.1 > 10.0.0.2 \"x\"\nleaves icmp echo reply 10.0.0.2 > 10.0.0.1 \"y\"",
            ":3:",
            "its ICMP data (1 bytes) differs from the 1 expected at byte 0",
        ),
        ("peer known\ncounter IpInReceives = 9", ":2:", "IpInReceives is 0, not 9"),
        ("drop UdpChecksum = 1", ":1:", "drop.UdpChecksum is 0, not 1"),
        ("counter NoSuch = 1", ":1:", "there is no counter NoSuch"),
        ("neighbour 10.0.0.1 is reachable", ":1:", "it is unknown"),
        ("queue backlog = 1", ":1:", "backlog is 0, not 1"),
        ("hook watch at LocalIn\nhook LocalIn saw 1", ":2:", "packets seen is 0, not 1"),
        ("hook LocalIn saw 1", ":1:", "no hook watches there"),
        ("socket s1 udp bind 10.0.0.2:7\ns1 receives \"x\"", ":2:", "it received nothing"),
        (
            "socket s1 udp bind 10.0.0.2:7\narrives udp 10.0.0.1:1 > 10.0.0.2:7 \"x\"\ns1 receives \"y\"",
            ":3:",
            "it received \"x\" (1 bytes) from 10.0.0.1:1 at 10.0.0.2",
        ),
        (
            "socket s1 udp bind 10.0.0.2:7\narrives udp 10.0.0.1:1 > 10.0.0.2:7 \"x\"\ns1 receives nothing",
            ":3:",
            "it received \"x\"",
        ),
        ("socket s1 udp bind 10.0.0.2:7\ns1 error ECONNREFUSED", ":2:", "it has no error, not ECONNREFUSED"),
        ("socket s1 udp bind 10.0.0.9:7", ":1:", "EADDRNOTAVAIL, not success"),
        ("socket s1 udp bind 10.0.0.2:7 fails EADDRINUSE", ":1:", "success, not EADDRINUSE"),
        ("socket s1 udp bind 10.0.0.2:7\ns1 local 10.0.0.2:8", ":2:", "its local address is Some(10.0.0.2:7)"),
        ("at 2s\nat 1s", ":2:", "this is in the past"),
        ("interface eth7 goes down", ":1:", "there is no interface eth7"),
        ("3 times neighbour 10.0.0.1 is stale", ":1:", "time 1 of 3: it is unknown"),
        (
            "socket s1 udp bind 10.0.0.2:7\ns1 send \"x\" to 10.0.0.1:9\n\
             leaves arp request who-has 10.0.0.1 tell 10.0.0.2\nframes conserved",
            ":4:",
            "the stack holds frames",
        ),
    ];
    for (text, line, expected) in cases {
        let failure = failure(text);
        assert!(failure.starts_with(&format!("wrong.script{line} over ")), "{text}: {failure}");
        assert!(failure.contains(expected), "{text}: {failure}");
    }
}

/// Slack is for the wire: a frame that leaves later than a line allows fails it.
#[test]
fn time_matters() {
    let begin = "socket s1 udp bind 10.0.0.2:7\ns1 send \"x\" to 10.0.0.1:9\n\
                 leaves arp request who-has 10.0.0.1 tell 10.0.0.2\n";
    let question = "leaves arp request who-has 10.0.0.1 tell 10.0.0.2";
    assert!(failure(&format!("{begin}at 950ms\n{question}")).contains("nothing left within 20ms"));
    assert!(failure(&format!("{begin}at 1050ms\nnothing leaves")).contains("arp request"));
}
