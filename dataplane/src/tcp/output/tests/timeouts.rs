//! Timeouts: when, how often, and the end.

use super::*;
use crate::tcp::settings::MtuProbing;

#[test]
fn timeouts_double_and_end_after_fifteen() {
    let settings = Settings { mtu_probing: MtuProbing::Off, ..Settings::default() };
    let mut bench = Bench::new(settings, Shape::default(), |_| ());
    bench.write(1000, false);
    bench.out();
    // Without an answer there is a probe first, then timeouts of 300 ms, doubled to two minutes.
    let (first, out) = bench.until_out(Duration::from_secs(1));
    assert_eq!(out, ["P. 1:1001(1000) ack 1"]);
    assert!((300..=401).contains(&first), "{first}");
    let mut count = 1;
    let begin = bench.now;
    while !bench.ended() {
        let (_, out) = bench.until_out(Duration::from_secs(200));
        if !out.is_empty() {
            assert_eq!(out, ["P. 1:1001(1000) ack 1"]);
            count += 1;
        }
    }
    let lasted = bench.now.saturating_since(begin).as_secs();
    assert!((924..1200).contains(&lasted), "{lasted}");
    assert!((14..=17).contains(&count), "{count}");
    assert_eq!(bench.tcp.commons.slab.in_use(), 0);
}

#[test]
fn the_user_timeout_ends_it_to_the_point() {
    let mut bench = Bench::new(Settings::default(), Shape::default(), |config| config.user_timeout = 3000);
    bench.write(1000, false);
    bench.out();
    let begin = bench.now;
    while !bench.ended() {
        bench.until_out(Duration::from_secs(10));
    }
    let lasted = bench.now.saturating_since(begin).as_millis();
    assert!((3000..4000).contains(&lasted), "{lasted}");
}

#[test]
fn a_syn_is_sent_again_six_times_and_more() {
    let settings = Settings { syn_linear_timeouts: 0, ..Settings::default() };
    let mut bench = Bench::connecting(settings, Shape::default(), |_| ());
    assert_eq!(bench.raw_out().len(), 1);
    let begin = bench.now;
    let mut at = Vec::new();
    while !bench.ended() {
        let (_, out) = bench.until_out(Duration::from_secs(100));
        if !out.is_empty() {
            at.push(bench.now.saturating_since(begin).as_secs());
        }
    }
    assert_eq!(at, [1, 3, 7, 15, 31, 63]);
    assert_eq!(bench.now.saturating_since(begin).as_secs(), 127);
}

#[test]
fn a_tail_loss_probe_comes_before_the_timeout() {
    let mut bench = usual();
    bench.write(3000, false);
    bench.out();
    // Two round trips of 100 ms and two milliseconds.
    let (after, out) = bench.until_out(Duration::from_secs(1));
    assert_eq!((after, out), (202, vec!["P. 2001:3001(1000) ack 1".to_string()]));
    // One probe; then the timeout, from the probe on.
    let (after, out) = bench.until_out(Duration::from_secs(1));
    assert_eq!((after, out), (300, vec![". 1:1001(1000) ack 1".to_string()]));
}

#[test]
fn a_probe_prefers_new_data() {
    let mut bench = usual();
    bench.write(1000, false);
    bench.write(10, false);
    bench.write(10, false);
    bench.out();
    let (_, out) = bench.until_out(Duration::from_secs(1));
    assert_eq!(out, ["P. 1011:1021(10) ack 1"], "Nagle does not hold a probe back");
}

#[test]
fn a_black_hole_makes_segments_smaller() {
    let settings = Settings { mtu_probing: MtuProbing::BlackHole, ..Settings::default() };
    let mut bench = Bench::new(settings, Shape::default(), |_| ());
    bench.write(1000, false);
    let mut shortest = 1000;
    while !bench.ended() && shortest == 1000 {
        for bytes in bench.raw_out() {
            shortest = shortest.min(View::parse(&bytes).unwrap().payload().len());
        }
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(shortest, 500, "`tcp_base_mss` is no less than the peer's MSS; then half of what the peer takes");
}

#[test]
fn a_delayed_ack_waits_forty_milliseconds() {
    let mut bench = usual();
    // The first ones go at once.
    for i in 0..40 {
        bench.receive(In { seq: 1 + i * 100, len: 100, flags: Flags::ACK | Flags::PSH, ..ack(1) });
    }
    bench.out();
    bench.step(|connection, _| {
        (connection.ack.quick, connection.ack.turns_left) = (0, 0);
        Fate::Lives
    });
    bench.pass(500 * MS);
    bench.out();
    bench.step(|connection, _| {
        (connection.ack.quick, connection.ack.turns_left) = (0, 0);
        Fate::Lives
    });
    bench.receive(In { seq: 4001, len: 100, flags: Flags::ACK | Flags::PSH, ..ack(1) });
    let (after, out) = bench.until_out(Duration::from_secs(1));
    assert_eq!(out, [". 1:1(0) ack 4101"]);
    assert!((40..=200).contains(&after), "{after}");
}
