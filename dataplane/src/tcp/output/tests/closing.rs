//! What the program asks: shutdown, close, abort.

use super::*;
use crate::counters::Snmp;

#[test]
fn a_fin_goes_behind_the_data() {
    let mut bench = usual();
    bench.write(1500, false);
    bench.step(|connection, ctx| connection.shutdown_write(ctx));
    assert_eq!(bench.out(), [". 1:1001(1000) ack 1", "P. 1001:1501(500) ack 1", "F. 1501:1501(0) ack 1"]);
    bench.receive(ack(1502));
    assert_eq!(bench.info().state, 5, "FIN_WAIT2");
}

#[test]
fn a_fin_takes_held_data_with_it() {
    let mut bench = usual();
    bench.set_flags(StreamFlags::CORK);
    bench.write(500, false);
    bench.step(|connection, ctx| connection.shutdown_write(ctx));
    assert_eq!(bench.out(), ["FP. 1:501(500) ack 1"]);
}

#[test]
fn unread_data_makes_close_a_reset() {
    let mut bench = usual();
    bench.receive(In { len: 10, ..ack(1) });
    bench.out();
    bench.step(|connection, ctx| connection.close(ctx));
    assert_eq!(bench.out(), ["R. 1:1(0) ack 11"]);
    assert!(bench.ended());
    assert_eq!(bench.net.counters.snmp(Snmp::TcpExtTCPAbortOnClose), 1);
}

#[test]
fn linger_zero_resets() {
    let mut bench = Bench::new(Settings::default(), Shape::default(), |config| config.linger = Some(0));
    bench.write(5000, false);
    bench.out();
    bench.step(|connection, ctx| connection.close(ctx));
    assert_eq!(bench.out(), ["R. 5001:5001(0) ack 1"]);
    assert!(bench.ended() && bench.tcp.commons.slab.in_use() == 0);
}

#[test]
fn a_closed_connection_goes_to_time_wait() {
    let mut bench = usual();
    bench.step(|connection, ctx| connection.close(ctx));
    assert_eq!(bench.out(), ["F. 1:1(0) ack 1"]);
    assert_eq!(bench.tcp.commons.orphans, 1);
    bench.receive(In { flags: Flags::FIN | Flags::ACK, ..ack(2) });
    assert_eq!(bench.out(), [". 2:2(0) ack 2"]);
    assert!(bench.ended());
    assert_eq!((bench.tcp.table.time_waits.len(), bench.tcp.commons.orphans), (1, 0));
}

#[test]
fn an_orphan_without_its_peer_ends() {
    let mut bench = usual();
    bench.step(|connection, ctx| connection.close(ctx));
    bench.pass(Duration::from_secs(200));
    assert!(bench.ended(), "eight timeouts");
    assert_eq!(bench.tcp.commons.orphans, 0);
}

#[test]
fn too_many_orphans_are_reset() {
    let settings = Settings { max_orphans: 0, ..Settings::default() };
    let mut bench = Bench::new(settings, Shape::default(), |_| ());
    bench.step(|connection, ctx| connection.close(ctx));
    assert_eq!(bench.out(), ["R. 1:1(0) ack 1"]);
    assert!(bench.ended() && bench.tcp.commons.orphans == 0);
}

#[test]
fn a_fin_is_sent_again() {
    let mut bench = usual();
    bench.write(100, false);
    bench.out();
    bench.step(|connection, ctx| connection.close(ctx));
    assert_eq!(bench.out(), ["F. 101:101(0) ack 1"]);
    bench.receive(ack(101));
    let (_, out) = bench.until_out(Duration::from_secs(2));
    assert_eq!(out, ["F. 101:101(0) ack 1"]);
}
