//! Active opening.

use super::*;
use crate::tcp::challenge::InvalidLimit;
use crate::tcp::state::State;
use crate::tcp::time_wait::TimeWait;
use crate::wire::tcp_options::Timestamps;
use xmit_shared::session::StreamEvents;

fn from_peer(flags: Flags, seq: u32, ack: u32) -> Seg {
    Seg { local: 4000, remote: 80, ..Seg::new(flags, seq, ack) }
}

/// The SYN-ACK of a peer with all options, to `syn`.
fn syn_ack(syn: &Seg) -> Seg {
    let ts = syn.ts.map(|ts| Timestamps { value: 500, echo: ts.value });
    let options = Seg { mss: Some(1400), scale: Some(5), sack: true, ts, ..from_peer(SYN_ACK, 700, syn.seq + 1) };
    Seg { window: 5000, ..options }
}

fn opened(world: &mut World) -> Seg {
    world.connect(|_| ()).unwrap();
    let mut sent = world.sent();
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

fn events(world: &World) -> u32 {
    world.client.slots[SLOT as usize].status.events()
}

#[test]
fn the_syn_is_that_of_linux() {
    let mut world = World::new(|_| ());
    let syn = opened(&mut world);
    assert_eq!((syn.flags, syn.window, syn.mss, syn.scale, syn.sack), (Flags::SYN, 64_240, Some(1460), Some(7), true));
    assert_eq!(syn.ts.unwrap().echo, 0);
    assert_eq!(world.count(Snmp::TcpActiveOpens), 1);
}

#[test]
fn the_syn_ack_opens_the_connection() {
    let mut world = World::new(|_| ());
    let syn = opened(&mut world);
    world.now += 20 * MS;
    let sent = world.input(&syn_ack(&syn));
    let [ack] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((ack.flags, ack.seq, ack.ack, ack.window), (Flags::ACK, syn.seq + 1, 701, 502));
    assert_eq!(ack.ts.unwrap().echo, 500);
    let connection = world.connection();
    assert_eq!((connection.state, connection.congestion.cwnd()), (State::Established, 10));
    assert_eq!((connection.send.mss, connection.send.wnd.0, connection.send.scale.shift()), (1388, 5000, 5));
    assert_eq!(connection.rtt.srtt(), Some(20 * MS));
    assert_eq!(connection.sent.segments(), 0);
    assert_eq!(events(&world), StreamEvents::CONNECTED.0);
    assert_eq!(world.pass(SECOND * 100), [], "no timer is left");
}

#[test]
fn what_the_peer_does_not_offer_is_not_used() {
    let mut world = World::new(|_| ());
    let syn = opened(&mut world);
    let sent = world.input(&Seg { window: 4000, ..from_peer(SYN_ACK, 700, syn.seq + 1) });
    assert_eq!((sent[0].window, sent[0].ts), (64_240, None));
    let connection = world.connection();
    assert_eq!(connection.agreed, crate::tcp::connection::Agreed::default());
    assert_eq!((connection.send.mss, connection.receive.clamp), (536, 64_076));
}

#[test]
fn a_syn_is_sent_again_until_it_is_enough() {
    let mut world = World::new(|settings| settings.syn_linear_timeouts = 0);
    opened(&mut world);
    let sent = world.pass(SECOND * 200);
    assert_eq!(World::seconds(&sent), [1, 3, 7, 15, 31, 63]);
    assert!(sent.iter().all(|(_, seg)| seg.flags == Flags::SYN && seg.mss == Some(1460)));
    assert!(world.tcp.table.connections.is_empty());
    assert_eq!(world.client.slots[SLOT as usize].status.error() & 0xffff, 110);
}

#[test]
fn a_path_that_lost_two_syns_is_begun_on_carefully() {
    for (timeouts, cwnd) in [(1, 10), (2, 1)] {
        let mut world = World::new(|settings| settings.syn_linear_timeouts = 0);
        opened(&mut world);
        let again = world.pass(SECOND * (1 << timeouts));
        assert_eq!(again.len(), timeouts);
        world.input(&syn_ack(&again.last().unwrap().1));
        assert_eq!(world.connection().congestion.cwnd(), cwnd, "after {timeouts}");
    }
}

#[test]
fn losses_of_syns_that_arrived_do_not_count() {
    let mut world = World::new(|settings| settings.syn_linear_timeouts = 0);
    let first = opened(&mut world);
    world.pass(SECOND * 4);
    world.input(&syn_ack(&first));
    assert_eq!(world.connection().congestion.cwnd(), 10);
}

#[test]
fn a_wrong_answer_is_reset_and_a_right_reset_refuses() {
    let mut world = World::new(|_| ());
    let syn = opened(&mut world);
    let sent = world.input(&from_peer(SYN_ACK, 700, syn.seq + 2));
    assert_eq!((sent[0].flags, sent[0].seq), (Flags::RST, syn.seq + 2));
    assert_eq!(world.connection().state, State::SynSent);
    assert_eq!(world.input(&from_peer(Flags::RST, 0, 0)), [], "without ACK it means nothing");
    assert_eq!(world.input(&from_peer(Flags::ACK, 9, syn.seq + 1)), []);
    let old = syn_ack(&syn).with_ts(500, syn.ts.unwrap().value.wrapping_sub(1));
    assert_eq!(world.input(&old)[0].flags, Flags::RST, "an echo of a time before");
    assert_eq!(world.input(&from_peer(RST_ACK, 0, syn.seq + 1)), []);
    assert!(world.tcp.table.connections.is_empty());
    assert_eq!(world.client.slots[SLOT as usize].status.error() & 0xffff, 111);
    assert_eq!(world.count(Snmp::TcpAttemptFails), 1);
}

#[test]
fn both_may_open_at_once() {
    let mut world = World::new(|_| ());
    let syn = opened(&mut world);
    let theirs = Seg { flags: Flags::SYN, ack: 0, ..syn_ack(&syn) };
    let sent = world.input(&theirs);
    let [answer] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((answer.flags, answer.seq, answer.ack), (SYN_ACK, syn.seq, 701));
    assert_eq!(world.connection().state, State::SynReceived);
    world.input(&syn_ack(&syn));
    assert_eq!(world.connection().state, State::Established);
    assert_eq!(events(&world), StreamEvents::CONNECTED.0);
}

#[test]
fn ecn_is_asked_for_and_granted() {
    let mut world = World::new(|settings| settings.ecn = crate::tcp::settings::EcnMode::On);
    let syn = opened(&mut world);
    assert_eq!(syn.flags, Flags::SYN | Flags::ECE | Flags::CWR);
    let again = world.pass(SECOND);
    assert_eq!(again[0].1.flags, Flags::SYN, "a filter may have dropped it");
    world.input(&Seg { flags: SYN_ACK | Flags::ECE, ..syn_ack(&syn) });
    assert!(world.connection().agreed.ecn);
}

fn time_wait(world: &World, ts: Option<u32>) -> TimeWait {
    TimeWait {
        since: world.now,
        flow: Flow { local: SocketAddrV4::new(US, 4000), remote: SocketAddrV4::new(PEER, 80) },
        fin_wait_2: false,
        snd_nxt: crate::tcp::seq::SeqNum::new(1_000_000),
        rcv_nxt: crate::tcp::seq::SeqNum::new(1),
        window: 0,
        scale: crate::tcp::window::WindowScale::NONE,
        ts_recent: ts,
        ts_recent_at: world.now,
        clock: crate::tcp::timestamp::TimestampClock::new(0),
        tos: 0,
        invalid: InvalidLimit::default(),
        timer: None,
    }
}

#[test]
fn a_flow_in_time_wait_is_used_again_if_timestamps_allow() {
    let taken = |reuse: u8, ts: Option<u32>, wait: Duration| {
        let mut world = World::new(|settings| settings.tw_reuse = reuse);
        let time_wait = time_wait(&world, ts);
        world.tcp.table.insert_time_wait(time_wait).unwrap();
        world.now += wait;
        let result = world.connect(|_| ());
        (result.map(|_| world.sent()[0].seq), world.count(Snmp::TcpExtTWRecycled))
    };
    let soon = SECOND + MS;
    assert_eq!(taken(1, Some(5), soon), (Ok(1_065_537), 1));
    assert_eq!(taken(1, None, soon), (Err(99), 0), "no timestamps");
    assert_eq!(taken(1, Some(5), SECOND), (Err(99), 0), "tcp_tw_reuse_delay");
    assert_eq!(taken(2, Some(5), soon), (Err(99), 0), "not the loopback");
    assert_eq!(taken(0, Some(5), soon), (Err(99), 0));
}

#[test]
fn a_flow_in_use_is_refused() {
    let mut world = World::new(|_| ());
    opened(&mut world);
    assert_eq!(world.connect(|_| ()), Err(99));
}

#[test]
fn what_a_destination_was_like_is_remembered() {
    let mut world = World::new(|_| ());
    let syn = opened(&mut world);
    world.now += 400 * MS;
    world.input(&syn_ack(&syn));
    world.input(&from_peer(Flags::RST, 701, 0).with_ts(501, 0));
    assert!(world.tcp.table.connections.is_empty());
    world.end.close(SLOT);
    let syn = opened(&mut world);
    world.now += 10 * MS;
    world.input(&syn_ack(&syn));
    // The first timeout is that of the longer round trip: 400 + 2 * 400.
    assert_eq!(world.connection().rtt.rto(), 1200 * MS);
}
