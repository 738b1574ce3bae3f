//! Fast open: the second connection carries its first data in the SYN.

use std::io::Write;

use xmit_netns::Netns;

use super::ends::{Host, Listener, Listening};
use super::places::Players;
use crate::harness::until;

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

/// Connections whose first data went with their SYN, as each kernel that takes part counts them.
struct Counts<'a> {
    kernels: Vec<(&'a Netns, &'static str)>,
    before: Vec<u64>,
}

impl<'a> Counts<'a> {
    /// From now on; the kernels' listeners that are made after it have fast open.
    fn begin(players: &Players<'a>) -> Self {
        let hosts = [(&players.client, "TCPFastOpenActive"), (&players.server, "TCPFastOpenPassive")];
        let kernels = hosts.into_iter().filter_map(|(host, name)| match host {
            Host::Kernel(netns, _) => Some((*netns, name)),
            Host::Xmit(..) => None,
        });
        let kernels: Vec<_> = kernels.collect();
        for (netns, _) in &kernels {
            netns.run(|| std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", EVERYBODY)).unwrap().unwrap();
        }
        let before = kernels.iter().map(|(netns, name)| counter(netns, name)).collect();
        Self { kernels, before }
    }

    fn now(&self) -> Vec<u64> {
        self.kernels.iter().zip(&self.before).map(|((netns, name), before)| counter(netns, name) - before).collect()
    }
}

/// The first asks for a cookie, the others use it.
pub(super) fn fast_open(players: &Players<'_>) {
    let counts = Counts::begin(players);
    let listener = players.server.listen(Listening { fast_open: true, ..Listening::default() });
    (0..4).for_each(|number| ask(players, &listener, number));
    let counted = counts.now();
    assert!(counted.iter().all(|count| *count == 3), "{counted:?} of {:?}", counts.kernels);
}

/// Where a SYN may be lost, and goes again without data then: all questions are answered, and three go with their SYN in the end.
pub(super) fn fast_open_in_the_end(players: &Players<'_>) {
    let counts = Counts::begin(players);
    let listener = players.server.listen(Listening { fast_open: true, ..Listening::default() });
    let mut number = 0;
    until("three fast opens", || {
        ask(players, &listener, number);
        number += 1;
        counts.now().iter().all(|count| *count >= 3)
    });
}

/// One question with its SYN, if there is a cookie, and the answer.
fn ask(players: &Players<'_>, listener: &Listener, number: u32) {
    let question = format!("question {number}");
    let address = listener.address();
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
