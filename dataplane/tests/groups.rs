//! Listeners of one address (`SO_REUSEPORT`), at the level of packets: the flow decides which of them a connection comes to.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

#[path = "../../tools/fuzz/src/stranger.rs"]
#[allow(unreachable_pub, dead_code)] // public in the crate of the fuzz targets, and attacks use more of it
mod stranger;

use std::net::{Ipv4Addr, SocketAddrV4};
use stranger::{Known, PORT, Stranger};
use xmit_dataplane::wire::tcp::Flags;
use xmit_dataplane::wire::tcp_options::Options;
use xmit_shared::session::{Op, SocketOption};

/// Flows of one run.
const FLOWS: u16 = 60;

/// A member of the group on [`PORT`], with a slot for the next connection.
fn member(stranger: &mut Stranger) -> u32 {
    let (end, now) = (&mut stranger.end, stranger.now);
    let slot = end.stream(now).unwrap();
    end.call(now, slot, Op::SetOption(SocketOption::ReusePort, 1)).unwrap();
    end.call(now, slot, Op::Bind(SocketAddrV4::new(end.address, PORT))).unwrap();
    end.call(now, slot, Op::Listen(16)).unwrap();
    end.grant(now, slot).unwrap();
    slot
}

fn flow(number: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3), 2000 + number)
}

/// Opens the flow, and resets it: which member it came to.
fn comes_to(stranger: &mut Stranger, members: &[u32], from: SocketAddrV4) -> usize {
    let known = stranger.connect(from, 1000, 60_000, Options { mss: Some(1460), ..Options::NONE });
    let mut took = members.iter().map(|member| stranger.end.client.accept(*member).unwrap());
    let at = took.position(|accepted| accepted.is_some()).unwrap_or_else(|| panic!("{from}: nobody got it"));
    assert!(took.all(|accepted| accepted.is_none()), "{from}: only one gets it");
    drop(took);
    stranger.send(&Known { ack: 0, ..known }, Flags::RST, 0, Options::NONE, &[]);
    assert!(stranger.connection(&known).is_none());
    stranger.end.grant(stranger.now, members[at]).unwrap();
    at
}

/// Each member has its share, and what is sent again goes to the same one.
#[test]
fn the_flow_decides_which_member_of_a_group_accepts() {
    let mut stranger = Stranger::new(1, 1024);
    let members = [(); 3].map(|()| member(&mut stranger));
    let mut shares = [0; 3];
    let mut of = Vec::new();
    for number in 0..FLOWS {
        let at = comes_to(&mut stranger, &members, flow(number));
        shares[at] += 1;
        of.push(at);
    }
    // Twenty each, were it even; four or fewer of an even chance would be one seed in 300,000.
    assert!(shares.iter().all(|share| *share > 4), "{shares:?}");
    for number in 0..FLOWS {
        assert_eq!(comes_to(&mut stranger, &members, flow(number)), of[usize::from(number)], "flow {number}");
    }
}

/// The others have what a member that closed would have had.
#[test]
fn a_group_goes_on_without_a_member() {
    let mut stranger = Stranger::new(2, 1024);
    let [first, second] = [(); 2].map(|()| member(&mut stranger));
    stranger.end.close(first).unwrap();
    stranger.settle();
    assert!((0..20).all(|number| comes_to(&mut stranger, &[second], flow(number)) == 0));
    stranger.end.close(second).unwrap();
    stranger.settle();
    stranger.take();
    let syn = Known { from: flow(0), seq: 5000, ack: 0 };
    stranger.send(&syn, Flags::SYN, 60_000, Options::NONE, &[]);
    let answers = stranger.take();
    assert!(matches!(&answers[..], [answer] if answer.flags.contains(Flags::RST)), "{answers:?}");
}

/// A group is of those who all asked for it.
#[test]
fn who_did_not_ask_is_not_in_a_group() {
    let mut stranger = Stranger::new(3, 1024);
    member(&mut stranger);
    let (end, now) = (&mut stranger.end, stranger.now);
    let slot = end.stream(now).unwrap();
    assert!(end.call(now, slot, Op::Bind(SocketAddrV4::new(end.address, PORT))).is_err());
}
