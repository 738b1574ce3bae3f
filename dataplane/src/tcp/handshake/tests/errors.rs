//! ICMP errors.

use super::*;
use crate::icmp::{IcmpNews, Quote};
use crate::tcp::state::State;
use crate::tcp::table::Place;

fn news(errno: i32, fatal: bool, mtu: Option<u16>, sequence: u32) -> IcmpNews {
    let (source, destination) = (SocketAddrV4::new(US, 4000), SocketAddrV4::new(PEER, 80));
    let quote = Quote { protocol: Protocol::TCP, source, destination, sequence };
    IcmpNews { quote, errno, fatal, next_hop_mtu: mtu, reporter: PEER }
}

fn tell(world: &mut World, news: &IcmpNews) {
    let flow = Flow { local: news.quote.source, remote: news.quote.destination };
    match world.tcp.table.lookup(&flow) {
        Some(Place::Connection(_)) => {
            let id = world.connection().id;
            world.tcp.on_icmp(&mut world.net, world.now, Some(&mut world.end), id, news);
        }
        Some(Place::Request(index)) => world.tcp.on_request_icmp(&mut world.net, index, news),
        other => panic!("{other:?}"),
    }
}

fn established(world: &mut World) -> (ConnectionId, u32) {
    let id = world.connect(|_| ()).unwrap();
    let syn = world.sent().remove(0);
    let ts = syn.ts.map(|ts| Timestamps { value: 500, echo: ts.value });
    let answer = Seg { mss: Some(1460), ts, scale: Some(7), ..Seg::new(SYN_ACK, 700, syn.seq + 1) };
    world.input(&Seg { local: 4000, remote: 80, window: 65_535, ..answer });
    (id, syn.seq + 1)
}

#[test]
fn a_syn_that_gets_nowhere_fails() {
    let mut world = World::new(|_| ());
    world.connect(|_| ()).unwrap();
    let isn = world.sent()[0].seq;
    tell(&mut world, &news(111, true, None, isn + 2));
    assert_eq!(world.count(Snmp::TcpExtOutOfWindowIcmps), 1);
    assert_eq!(world.connection().state, State::SynSent, "not about our SYN");
    tell(&mut world, &news(111, true, None, isn));
    assert!(world.tcp.table.connections.is_empty());
    assert_eq!(world.client.slots[SLOT as usize].status.error() & 0xffff, 111);
}

#[test]
fn an_established_connection_takes_it_as_a_hint() {
    let mut world = World::new(|_| ());
    let (_, next) = established(&mut world);
    tell(&mut world, &news(111, true, None, next));
    assert_eq!((world.connection().state, world.connection().soft_error), (State::Established, 111));
}

#[test]
fn a_smaller_path_gets_smaller_segments_at_once() {
    let mut world = World::new(|_| ());
    let (id, next) = established(&mut world);
    let slot = &mut world.client.slots[SLOT as usize];
    assert_eq!(slot.stream_tx.write(&[7; 2000]).unwrap(), 2000);
    slot.stream_tx.publish(false);
    world.tcp.with(&mut world.net, world.now, Some(&mut world.end), id, |connection, ctx| connection.on_client(ctx));
    assert_eq!(world.sent().iter().map(|seg| seg.data.len()).collect::<Vec<_>>(), [1448, 552]);
    tell(&mut world, &news(90, false, Some(1000), next));
    assert_eq!(world.connection().send.mss, 948);
    let again: Vec<_> = world.sent().iter().map(|seg| (seg.seq, seg.data.len())).collect();
    assert_eq!(again, [(next, 948), (next + 948, 500)]);
    assert_eq!(world.connection().congestion.cwnd(), 10, "that was no congestion");
    let known = world.tcp.commons.metrics.get(world.now, PEER.into()).unwrap();
    assert_eq!(known.pmtu, Some(1000));
    tell(&mut world, &news(90, false, Some(1400), next));
    assert_eq!(world.connection().send.pmtu, 1000, "never back up");
    tell(&mut world, &news(90, false, Some(60), next));
    assert_eq!(world.connection().send.pmtu, 552, "nor below what is credible");
}

#[test]
fn a_request_whose_peer_is_gone_is_forgotten() {
    let mut world = World::new(|_| ());
    let listener = world.listen(5, 1, |_| ());
    let isn = world.input(&Seg::syn(100))[0].seq;
    let news = |errno, fatal, _: Option<u16>, sequence| {
        let news = news(errno, fatal, None, sequence);
        let quote =
            Quote { source: SocketAddrV4::new(US, 80), destination: SocketAddrV4::new(PEER, 4000), ..news.quote };
        IcmpNews { quote, ..news }
    };
    tell(&mut world, &news(113, false, None, isn + 1));
    tell(&mut world, &news(111, true, None, isn));
    assert_eq!(world.tcp.table.requests.len(), 1);
    tell(&mut world, &news(113, false, None, isn));
    assert!(world.tcp.table.requests.is_empty());
    assert_eq!(world.tcp.listeners.get(listener).unwrap().half_open, 0);
}
