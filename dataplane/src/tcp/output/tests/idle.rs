//! Memory of idle connections.

use super::*;
use crate::counters::Snmp;

fn given_back(bench: &Bench) -> u64 {
    bench.net.counters.snmp(Snmp::TcpIdleMemoryGivenBack)
}

/// A connection whose send ring has grown, and whose peer has everything.
fn grown(change: impl FnOnce(&mut Config)) -> Bench {
    let mut bench = Bench::new(Settings::default(), Shape { ring: 4096, ..Shape::default() }, change);
    let mut acknowledged = 1;
    while bench.end.tx_size(SLOT) < 1 << 15 {
        acknowledged += bench.write(4000, false) as u32;
        bench.out();
        bench.pass(50 * MS);
        bench.receive(ack(acknowledged));
    }
    bench
}

#[test]
fn an_idle_connection_gives_back_once_what_its_rings_hold() {
    let mut bench = grown(|_| ());
    bench.pass(Duration::from_secs(9));
    assert_eq!(given_back(&bench), 0, "it may go on");
    bench.pass(Duration::from_secs(2));
    assert_eq!(given_back(&bench), 1);
    bench.pass(Duration::from_secs(600));
    assert_eq!(given_back(&bench), 1, "no timer runs for an idle connection");
    // What arrives after a pause fills pages again.
    bench.receive(In { len: 100, flags: Flags::ACK | Flags::PSH, ..ack(1) });
    bench.read(100);
    bench.pass(Duration::from_secs(11));
    assert_eq!(given_back(&bench), 2);
}

#[test]
fn what_is_not_read_or_not_acknowledged_is_kept() {
    let mut bench = grown(|_| ());
    let una = bench.connection().send.nxt.since(bench.connection().send.isn);
    bench.receive(In { len: 100, flags: Flags::ACK | Flags::PSH, ..ack(una) });
    bench.pass(Duration::from_secs(60));
    assert_eq!(given_back(&bench), 0, "not read");
    bench.read(100);
    let written = bench.write(100, false) as u32;
    bench.out();
    bench.pass(Duration::from_secs(20));
    assert_eq!(given_back(&bench), 0, "not acknowledged");
    bench.receive(In { seq: 101, ..ack(una + written) });
    bench.pass(Duration::from_secs(11));
    assert_eq!(given_back(&bench), 1);
}

#[test]
fn connections_without_grown_rings_and_keepalive_are_left_alone() {
    let mut bench = usual();
    bench.write(1000, false);
    bench.out();
    bench.receive(ack(1001));
    bench.pass(Duration::from_secs(60));
    assert_eq!(given_back(&bench), 0);
    let mut bench = grown(|config| (config.keep_alive, config.keep_idle) = (true, 30));
    bench.pass(Duration::from_secs(12));
    assert_eq!((given_back(&bench), bench.out().len()), (1, 0));
    let (after, out) = bench.until_out(Duration::from_secs(60));
    assert_eq!(out.len(), 1, "the keepalive probe comes at its time: {after}");
    assert!((17_900..=18_100).contains(&after), "{after}");
}

#[test]
fn keepalive_without_idle_time_lets_time_go_on() {
    // No setting gives this; the timers end all the same.
    let settings = Settings { keepalive_time: Duration::ZERO, ..Settings::default() };
    let mut bench = Bench::new(settings, Shape::default(), |config| config.keep_alive = true);
    bench.write(1000, false);
    bench.out();
    bench.pass(10 * MS);
    bench.receive(ack(1001));
    let (after, out) = bench.until_out(Duration::from_secs(1));
    assert_eq!(out, [". 1000:1000(0) ack 1"], "asked at once: {after}");
}
