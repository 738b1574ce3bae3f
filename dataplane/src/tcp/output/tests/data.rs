//! New data and retransmissions.

use super::*;

#[test]
fn a_write_leaves_in_segments_and_the_last_has_psh() {
    let mut bench = usual();
    bench.write(2500, false);
    // At this rate a row has two segments.
    assert_eq!(bench.out(), [". 1:1001(1000) ack 1", "P. 1001:2001(1000) ack 1", "P. 2001:2501(500) ack 1"]);
    assert_eq!(bench.info().unacked, 3);
    bench.pass(50 * MS);
    bench.receive(ack(2501));
    assert_eq!((bench.info().unacked, bench.info().bytes_acked), (0, 2500));
    assert_eq!(bench.tcp.commons.slab.in_use(), 0);
}

#[test]
fn the_first_window_is_ten_segments_and_grows_by_what_is_acknowledged() {
    let mut bench = usual();
    bench.write(40_000, false);
    assert_eq!(bench.out().len(), 10);
    bench.pass(100 * MS);
    bench.receive(ack(2001));
    assert_eq!(
        bench.out(),
        [
            ". 10001:11001(1000) ack 1",
            "P. 11001:12001(1000) ack 1",
            ". 12001:13001(1000) ack 1",
            "P. 13001:14001(1000) ack 1"
        ]
    );
    assert_eq!(bench.info().snd_cwnd, 12);
}

#[test]
fn nagle_holds_a_second_small_segment_back() {
    let mut bench = usual();
    bench.write(100, false);
    bench.write(100, false);
    assert_eq!(bench.out(), ["P. 1:101(100) ack 1"]);
    bench.pass(10 * MS);
    bench.receive(ack(101));
    assert_eq!(bench.out(), ["P. 101:201(100) ack 1"]);
}

#[test]
fn minshall_lets_a_small_segment_follow_full_ones() {
    let mut bench = usual();
    bench.write(1000, false);
    bench.write(100, false);
    bench.write(100, false);
    assert_eq!(bench.out(), ["P. 1:1001(1000) ack 1", "P. 1001:1101(100) ack 1"]);
}

#[test]
fn nodelay_sends_each_write() {
    let mut bench = usual();
    bench.set_flags(StreamFlags::NODELAY);
    bench.write(100, false);
    bench.write(100, false);
    assert_eq!(bench.out(), ["P. 1:101(100) ack 1", "P. 101:201(100) ack 1"]);
}

#[test]
fn a_cork_holds_partial_segments_until_it_is_pulled() {
    let mut bench = usual();
    bench.set_flags(StreamFlags::CORK);
    bench.write(1500, false);
    assert_eq!(bench.out(), [". 1:1001(1000) ack 1"]);
    bench.set_flags(StreamFlags::default());
    assert_eq!(bench.out(), ["P. 1001:1501(500) ack 1"]);
}

#[test]
fn more_to_come_waits_for_a_full_segment() {
    let mut bench = usual();
    bench.write(300, true);
    assert_eq!(bench.out(), Vec::<String>::new());
    bench.write(900, true);
    assert_eq!(bench.out(), [". 1:1001(1000) ack 1"]);
    bench.write(100, false);
    assert_eq!(bench.out(), ["P. 1001:1301(300) ack 1"]);
}

#[test]
fn the_peers_window_ends_a_burst_within_a_segment() {
    let mut bench = Bench::new(Settings::default(), Shape { scale: None, window: 5500, ..Shape::default() }, |_| ());
    bench.write(9000, false);
    assert_eq!(
        bench.out(),
        [
            ". 1:1001(1000) ack 1",
            "P. 1001:2001(1000) ack 1",
            ". 2001:3001(1000) ack 1",
            "P. 3001:4001(1000) ack 1",
            ". 4001:5001(1000) ack 1",
            "P. 5001:5501(500) ack 1"
        ]
    );
}

#[test]
fn a_small_window_makes_small_segments() {
    // Half of the largest window the peer offered (`tcp_bound_to_half_wnd`).
    let mut bench = Bench::new(Settings::default(), Shape { scale: None, window: 1200, ..Shape::default() }, |_| ());
    bench.receive(In { window: 1200, ..ack(1) });
    bench.write(1200, false);
    assert_eq!(bench.out(), [". 1:601(600) ack 1", "P. 601:1201(600) ack 1"]);
}

#[test]
fn what_is_lost_is_sent_again_as_it_was() {
    let mut bench = usual();
    for _ in 0..5 {
        bench.write(1000, false);
    }
    assert_eq!(bench.out().len(), 5);
    bench.pass(100 * MS);
    bench.receive(In { sack: [Some((1001, 4001)), None, None], ..ack(1) });
    assert_eq!(bench.out(), ["P. 1:1001(1000) ack 1"]);
    assert_eq!((bench.info().retrans, bench.info().lost, bench.info().bytes_retrans), (1, 1, 1000));
}

#[test]
fn a_retransmission_follows_the_segment_size_of_now() {
    let mut bench = usual();
    bench.write(4000, false);
    bench.out();
    bench.step(|connection, ctx| {
        connection.update_mss(ctx, 640);
        Fate::Lives
    });
    bench.pass(100 * MS);
    bench.receive(In { sack: [Some((1001, 4001)), None, None], ..ack(1) });
    assert_eq!(bench.out(), [". 1:601(600) ack 1", ". 601:1001(400) ack 1"]);
}

#[test]
fn a_full_queue_loses_nothing() {
    let mut bench = Bench::new(Settings::default(), Shape { queue: 4, ..Shape::default() }, |_| ());
    bench.write(10_000, false);
    let mut got = bench.out();
    assert!(got.len() < 10, "{got:?}");
    for _ in 0..20 {
        bench.retry_blocked();
        got.extend(bench.out());
    }
    // Where rows end depends on the queue.
    let got: Vec<_> = got.iter().filter_map(|segment| segment.split_once(' ')).map(|(_, rest)| rest).collect();
    let expected: Vec<_> = (0..10).map(|i| format!("{}:{}(1000) ack 1", i * 1000 + 1, i * 1000 + 1001)).collect();
    assert_eq!(got, expected);
}

#[test]
fn urgent_data_is_pointed_at() {
    let mut bench = usual();
    let tx = &mut bench.client.slots[SLOT as usize].stream_tx;
    tx.write(b"abc").unwrap();
    tx.publish_urgent();
    bench.step(|connection, ctx| connection.on_client(ctx));
    assert_eq!(bench.out(), ["PU. 1:4(3) ack 1 urg 3".replace("PU.", "P.U")]);
    bench.receive(ack(4));
    bench.write(1, false);
    assert_eq!(bench.out(), ["P. 4:5(1) ack 1"]);
}

#[test]
fn a_segment_with_sack_blocks_has_less_data() {
    let mut bench = usual();
    bench.receive(In { seq: 2001, len: 500, ..ack(1) });
    bench.out();
    bench.write(1000, false);
    let out = bench.out();
    assert_eq!(out, [". 1:989(988) ack 1 sack 2001:2501", "P. 989:1001(12) ack 1 sack 2001:2501"]);
}

#[test]
fn after_an_idle_time_the_window_begins_anew() {
    let mut bench = usual();
    bench.write(10_000, false);
    bench.pass(100 * MS);
    bench.receive(ack(10_001));
    assert_eq!(bench.info().snd_cwnd, 20);
    bench.out();
    bench.pass(2000 * MS);
    bench.write(20_000, false);
    assert_eq!((bench.out().len(), bench.info().snd_cwnd), (10, 10));
}
