//! What segments carry beside data: timestamps, ECN; when they leave: pacing, a path that gets smaller.

use super::*;
use crate::tcp::settings::EcnMode;

const ECN_SETTINGS: fn() -> Settings = || Settings { ecn: EcnMode::On, ..Settings::default() };

/// The ECN bits of the datagrams that left.
fn marks(bench: &mut Bench) -> Vec<u8> {
    let mut marks = Vec::new();
    while let Some(frame) = bench.net.devices[0].queue.dequeue() {
        marks.push(frame.bytes()[15] & 3);
        bench.net.pool.release(frame);
    }
    marks
}

#[test]
fn timestamps_take_their_room_and_echo_the_peers() {
    let mut bench = Bench::new(Settings::default(), Shape { timestamps: true, ..Shape::default() }, |_| ());
    bench.write(1000, false);
    let out = bench.raw_out();
    let lens: Vec<_> = out.iter().map(|bytes| View::parse(bytes).unwrap().payload().len()).collect();
    assert_eq!(lens, [988, 12]);
    let timestamps = View::parse(&out[0]).unwrap().options().timestamps.unwrap();
    assert_eq!(timestamps.echo, 5000);
    bench.pass(7 * MS);
    bench.write(1000, false);
    let later = View::parse(&bench.raw_out()[0]).unwrap().options().timestamps.unwrap();
    assert_eq!(later.value.wrapping_sub(timestamps.value), 7);
}

#[test]
fn new_data_is_capable_of_ecn_and_nothing_else_is() {
    let mut bench = Bench::new(ECN_SETTINGS(), Shape { ecn: true, ..Shape::default() }, |_| ());
    bench.write(2000, false);
    assert_eq!(marks(&mut bench), [2, 2]);
    bench.receive(In { len: 100, ..ack(1) });
    assert_eq!(marks(&mut bench), [0], "a pure ACK");
    bench.pass(250 * MS);
    assert_eq!(marks(&mut bench), [0], "a probe with old data");
}

#[test]
fn the_reduction_is_announced_once_on_new_data() {
    let mut bench = Bench::new(ECN_SETTINGS(), Shape { ecn: true, ..Shape::default() }, |_| ());
    bench.write(5000, false);
    bench.out();
    bench.pass(100 * MS);
    bench.receive(In { flags: Flags::ACK | Flags::ECE, ..ack(5001) });
    bench.write(2000, false);
    assert_eq!(bench.out(), [".W 5001:6001(1000) ack 1", "P. 6001:7001(1000) ack 1"]);
}

#[test]
fn a_syn_that_is_sent_again_asks_for_no_ecn() {
    let mut bench = Bench::connecting(ECN_SETTINGS(), Shape::default(), |_| ());
    let flags = |bench: &mut Bench| View::parse(&bench.raw_out()[0]).unwrap().flags();
    assert_eq!(flags(&mut bench), Flags::SYN | Flags::ECE | Flags::CWR);
    bench.pass(1001 * MS);
    assert_eq!(flags(&mut bench), Flags::SYN);
}

#[test]
fn the_syn_has_the_options_of_linux_in_their_order() {
    let mut bench = Bench::connecting(Settings::default(), Shape::default(), |_| ());
    let syn = bench.raw_out().pop().unwrap();
    let view = View::parse(&syn).unwrap();
    let kinds: Vec<_> = [0, 4, 6, 16, 17].map(|at| view.options_bytes()[at]).into();
    assert_eq!(kinds, [2, 4, 8, 1, 3], "MSS, SACK permitted, timestamps, NOP, window scale");
    assert_eq!((view.options().mss, view.options_bytes().len()), (Some(1460), 20));
}

#[test]
fn paced_rows_leave_one_after_the_other() {
    let settings = Settings { pacing: true, ..Settings::default() };
    let mut bench = Bench::new(settings, Shape::default(), |_| ());
    bench.write(10_000, false);
    assert_eq!(bench.out().len(), 10, "the first ten are not paced");
    bench.pass(100 * MS);
    bench.receive(ack(10_001));
    bench.out();
    let begin = bench.now;
    bench.write(20_000, false);
    let mut times = vec![(0, bench.out().len())];
    while bench.now.saturating_since(begin) < 99 * MS {
        bench.pass(MS);
        let count = bench.out().len();
        if count > 0 {
            times.push((bench.now.saturating_since(begin).as_millis(), count));
        }
    }
    let total: usize = times.iter().map(|(_, count)| count).sum();
    assert_eq!(total, 20);
    assert!(times.iter().all(|(_, count)| *count == 2), "{times:?}");
    assert!((30..=60).contains(&times[times.len() - 1].0), "twice the window's rate: {times:?}");
}

#[test]
fn the_segment_size_follows_a_path_that_gets_smaller() {
    let mut bench = Bench::new(Settings::default(), Shape { mss: 1460, ..Shape::default() }, |_| ());
    let mut smaller = snapshot();
    smaller.interfaces[0].mtu = 840;
    let now = bench.now;
    bench.net.adopt(now, Arc::new(smaller), 2);
    bench.write(1000, false);
    assert_eq!(bench.out(), [". 1:801(800) ack 1", "P. 801:1001(200) ack 1"]);
    assert_eq!(bench.info().pmtu, 840);
}
