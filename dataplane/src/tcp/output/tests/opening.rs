//! SYNs with data, SYNs that cross, windows that are taken back.

use super::*;
use crate::tcp::fastopen::{Form, ServerCookie, Told};
use crate::tcp::mss::Mss;
use std::net::IpAddr;

/// A SYN is held back for data, because a cookie is known.
fn with_cookie(mss: u16) -> Bench {
    let bench = Bench::prepared(
        Settings::default(),
        Shape::default(),
        |config| config.fast_open_connect = true,
        |tcp, now| {
            let cookie = ServerCookie::new(&[1, 2, 3, 4, 5, 6, 7, 8], false);
            tcp.commons.cookies.put(
                now,
                IpAddr::V4(*PEER.ip()),
                &Told { mss: Mss::new(mss), cookie, next_form: Form::Standard },
            );
        },
    );
    assert!(bench.net.devices[0].queue.is_empty());
    bench
}

fn syn_ack(bench: &mut Bench, acked: u32) {
    let ack = bench.isn.wrapping_add(acked);
    let options = Options { mss: Some(1000), sack_permitted: true, window_scale: Some(7), ..Options::NONE };
    let flags = Flags::SYN | Flags::ACK;
    bench.inject_header(&Header { flags, seq: PEER_ISN, ack, window: 30_000, options, ..Header::default() }, 0);
    bench.turn();
}

#[test]
fn a_cookie_lets_data_go_with_the_syn() {
    let mut bench = with_cookie(940);
    bench.write(1900, false);
    let syn = bench.raw_out().pop().unwrap();
    let view = View::parse(&syn).unwrap();
    assert_eq!((view.flags(), view.payload().len()), (Flags::SYN, 900), "a segment less 40 bytes of options");
    assert_eq!(view.options().fast_open.unwrap().cookie, [1, 2, 3, 4, 5, 6, 7, 8]);
    bench.isn = view.seq();
    bench.pass(20 * MS);
    syn_ack(&mut bench, 901);
    let out = bench.out();
    assert_eq!(out.last().map(String::as_str), Some("P. 901:1901(1000) ack 1"), "{out:?}");
    assert_eq!(bench.info().bytes_acked, 900);
}

#[test]
fn data_of_a_syn_that_was_refused_is_sent_again() {
    let mut bench = with_cookie(940);
    bench.write(500, false);
    bench.isn = View::parse(&bench.raw_out()[0]).unwrap().seq();
    bench.pass(20 * MS);
    syn_ack(&mut bench, 1);
    assert!(bench.out().contains(&"P. 1:501(500) ack 1".to_string()));
    bench.receive(ack(501));
    assert_eq!((bench.info().unacked, bench.info().bytes_acked), (0, 500));
}

#[test]
fn a_syn_is_sent_again_without_its_data() {
    let mut bench = with_cookie(940);
    bench.write(500, false);
    bench.raw_out();
    bench.pass(1001 * MS);
    let again = bench.raw_out().pop().unwrap();
    let view = View::parse(&again).unwrap();
    assert_eq!((view.payload().len(), view.options().fast_open), (0, None));
}

#[test]
fn syns_that_cross_are_answered_with_ours_and_an_ack() {
    let mut bench = Bench::connecting(Settings::default(), Shape::default(), |_| ());
    bench.isn = View::parse(&bench.raw_out()[0]).unwrap().seq();
    let options = Options { mss: Some(1000), ..Options::NONE };
    let syn = Header { flags: Flags::SYN, seq: PEER_ISN, window: 30_000, options, ..Header::default() };
    bench.inject_header(&syn, 0);
    bench.turn();
    assert_eq!(bench.out(), ["S. 0:0(0) ack 1"]);
    bench.receive(ack(1));
    assert_eq!(bench.info().state, 1, "ESTABLISHED");
    bench.write(10, false);
    assert_eq!(bench.out(), ["P. 1:11(10) ack 1"]);
}

#[test]
fn a_window_taken_back_over_data_in_flight_is_probed_without_end() {
    let mut bench = usual();
    bench.write(3000, false);
    bench.out();
    bench.pass(100 * MS);
    bench.receive(In { window: 0, ..ack(1001) });
    // The peer answers each retransmission: the connection lives (`tcp_retransmit_timer`).
    let begin = bench.now;
    let mut count = 0;
    while bench.now.saturating_since(begin) < Duration::from_secs(3600) && !bench.ended() {
        let (_, out) = bench.until_out(Duration::from_secs(300));
        if !out.is_empty() {
            count += 1;
            bench.receive(In { window: 0, ..ack(1001) });
            bench.out();
        }
    }
    assert!(!bench.ended() && count > 30, "{count}");
    bench.receive(In { window: 100, ..ack(1001) });
    bench.pass(Duration::from_secs(130));
    assert!(bench.out().iter().any(|segment| segment.contains("1001:2001(1000)")));
}
