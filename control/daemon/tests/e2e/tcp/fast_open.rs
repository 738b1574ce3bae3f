//! Fast open: the second connection carries its first data in the SYN.

use std::io::Write;

use xmit_netns::Netns;

use super::ends::{Host, Listening};
use super::places::Players;

/// `net.ipv4.tcp_fastopen`: client, server, and every listener without asking.
const EVERYBODY: &str = "1027";

/// Data in the SYN that was acknowledged by the SYN-ACK, by the kernel's counters (`TcpExt`).
fn counter(netns: &Netns, name: &str) -> u64 {
    let text = netns.command("cat /proc/net/netstat").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|word| word == name).unwrap_or_else(|| panic!("no {name}"));
    values.split(' ').nth(place).unwrap().parse().unwrap()
}

pub(super) fn fast_open(players: &Players<'_>) {
    let hosts = [(&players.client, "TCPFastOpenActive"), (&players.server, "TCPFastOpenPassive")];
    let kernels = hosts.into_iter().filter_map(|(host, name)| match host {
        Host::Kernel(netns, _) => Some((*netns, name)),
        Host::Xmit(..) => None,
    });
    let kernels: Vec<_> = kernels.collect();
    for (netns, _) in &kernels {
        netns.run(|| std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", EVERYBODY)).unwrap().unwrap();
    }
    let listener = players.server.listen(Listening { fast_open: true, ..Listening::default() });
    let address = listener.address();
    let before: Vec<u64> = kernels.iter().map(|(netns, name)| counter(netns, name)).collect();
    // The first asks for a cookie, the others use it.
    for number in 0..4 {
        let question = format!("question {number}");
        std::thread::scope(|scope| {
            let client = scope.spawn(|| players.client.connect_fast_open(address, question.as_bytes()).unwrap());
            let mut server = listener.accept();
            assert_eq!(server.exactly(question.len()).unwrap(), question.as_bytes());
            server.write_all(b"answer").unwrap();
            drop(server);
            let mut client = client.join().unwrap();
            assert_eq!(client.rest().unwrap(), b"answer");
        });
    }
    for ((netns, name), before) in kernels.iter().zip(before) {
        assert_eq!(counter(netns, name) - before, 3, "{name}");
    }
}
