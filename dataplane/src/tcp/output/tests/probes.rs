//! A closed window, a silent peer.

use super::*;

#[test]
fn a_closed_window_is_probed_by_an_old_number() {
    let mut bench = usual();
    bench.write(1000, false);
    bench.out();
    bench.pass(100 * MS);
    bench.receive(In { window: 0, ..ack(1001) });
    bench.write(2000, false);
    assert!(bench.out().is_empty());
    // The timeout, then doubled (`slow-start-after-win-update`).
    let expected = [300, 600, 1200];
    for interval in expected {
        let (after, out) = bench.until_out(Duration::from_secs(5));
        assert_eq!(out, [". 1000:1000(0) ack 1"]);
        assert!((interval..interval + 5).contains(&after), "{after} instead of {interval}");
        bench.pass(10 * MS);
        bench.receive(In { window: 0, ..ack(1001) });
    }
    bench.receive(In { window: 500, ..ack(1001) });
    assert_eq!(bench.out(), [". 1001:2001(1000) ack 1", "P. 2001:3001(1000) ack 1"]);
    assert_eq!(bench.info().probes, 0);
}

#[test]
fn a_window_too_small_for_a_segment_gets_what_fits_from_the_timer() {
    let mut bench = Bench::new(Settings::default(), Shape { scale: None, window: 10_000, ..Shape::default() }, |_| ());
    bench.receive(In { window: 300, seq: 1, len: 1, ..ack(1) });
    bench.out();
    bench.write(1000, false);
    assert!(bench.out().is_empty(), "no silly segment");
    let (_, out) = bench.until_out(Duration::from_secs(2));
    assert_eq!(out, ["P. 1:301(300) ack 2"]);
}

#[test]
fn keepalive_asks_and_gives_up() {
    let mut bench = Bench::new(Settings::default(), Shape::default(), |config| {
        (config.keep_alive, config.keep_idle, config.keep_interval, config.keep_count) = (true, 10, 2, 3);
    });
    let (after, out) = bench.until_out(Duration::from_secs(20));
    assert_eq!((after / 1000, out), (10, vec![". 0:0(0) ack 1".to_string()]));
    bench.receive(ack(1));
    let (after, _) = bench.until_out(Duration::from_secs(20));
    assert_eq!(after / 1000, 10, "an answer begins the time anew");
    for _ in 0..2 {
        assert_eq!(bench.until_out(Duration::from_secs(20)).0 / 1000, 2);
    }
    let (after, out) = bench.until_out(Duration::from_secs(20));
    assert_eq!((after / 1000, out), (2, vec!["R. 1:1(0) ack 1".to_string()]));
    assert!(bench.ended());
}

#[test]
fn corked_data_does_not_wait_for_ever() {
    let mut bench = usual();
    bench.set_flags(StreamFlags::CORK);
    bench.write(10, false);
    assert!(bench.out().is_empty());
    let (after, out) = bench.until_out(Duration::from_secs(5));
    assert_eq!(out, ["P. 1:11(10) ack 1"]);
    assert!((200..=400).contains(&after), "{after}");
}
