//! Passive opening: queues, cookies, answers of a half-open connection.

use super::*;
use crate::drop::DropReason;
use crate::tcp::state::State;
use xmit_shared::session::StreamEvents;

#[test]
fn a_connection_is_opened_and_accepted() {
    let mut world = World::new(|_| ());
    world.listen(5, 2, |_| ());
    let syn_ack = world.open_from(4000);
    assert_eq!((syn_ack.flags, syn_ack.ack, syn_ack.window), (SYN_ACK, 101, 65_160));
    assert_eq!((syn_ack.mss, syn_ack.scale, syn_ack.sack), (Some(1460), Some(7), true));
    assert_eq!(syn_ack.ts.unwrap().echo, 1000);
    assert_eq!(world.accepted.len(), 1);
    let connection = world.connection();
    assert_eq!((connection.state, connection.owner), (State::Established, Some(Owner { session: 0, slot: 1 })));
    assert_eq!((connection.send.mss, connection.send.wnd.0, connection.congestion.cwnd()), (1448, 256_000, 10));
    assert_eq!((connection.receive.advertised_mss, connection.ack.segment_size), (1448, 536));
    assert_eq!(world.client.slots[1].status.events(), StreamEvents::CONNECTED.0);
    assert_eq!(world.read(SLOT).len(), 32);
    assert_eq!(world.count(Snmp::TcpPassiveOpens), 1);
    assert_eq!(world.pass(SECOND * 100), [], "no timer is left");
}

#[test]
fn the_third_segment_may_bring_data() {
    let mut world = World::new(|_| ());
    world.listen(5, 1, |_| ());
    let syn_ack = world.input(&Seg::syn(100)).remove(0);
    let last = Seg::new(Flags::ACK, 101, syn_ack.seq + 1).with_ts(1001, syn_ack.ts.unwrap().value).with_data(b"hello");
    let sent = world.input(&last);
    assert_eq!(sent.iter().map(|seg| seg.ack).collect::<Vec<_>>(), [106]);
    assert_eq!(world.read(1), b"hello");
}

#[test]
fn a_connection_without_slot_waits_for_one() {
    let mut world = World::new(|_| ());
    let listener = world.listen(5, 0, |_| ());
    world.open_from(4000);
    assert_eq!(world.connection().owner, None);
    let number = world.connection().send.nxt.number();
    let sent = world.input(&Seg::new(Flags::ACK, 101, number).with_ts(1002, 0).with_data(b"x"));
    assert_eq!(sent.iter().map(|seg| seg.ack).collect::<Vec<_>>(), [102], "kept");
    world.tcp.grant(&mut world.net, world.now, Some(&mut world.end), listener, 9);
    world.sent();
    assert_eq!(world.connection().owner, Some(Owner { session: 0, slot: 9 }));
    assert_eq!(world.accepted.len(), 1);
    assert_eq!(world.read(SLOT).len(), 32);
    assert_eq!(world.read(9), b"x");
}

#[test]
fn a_syn_ack_is_sent_again_until_it_is_enough() {
    let mut world = World::new(|_| ());
    let listener = world.listen(50, 1, |_| ());
    let first = world.input(&Seg::syn(100)).remove(0);
    let sent = world.pass(SECOND * 200);
    assert_eq!(World::seconds(&sent), [1, 3, 7, 15, 31]);
    assert!(sent.iter().all(|(_, seg)| (seg.flags, seg.seq, seg.ack) == (SYN_ACK, first.seq, first.ack)));
    assert!(world.tcp.table.requests.is_empty());
    assert_eq!(world.tcp.listeners.get(listener).unwrap().half_open, 0);
}

#[test]
fn a_syn_again_gets_its_answer_again_but_not_too_often() {
    let mut world = World::new(|_| ());
    world.listen(5, 1, |_| ());
    let first = world.input(&Seg::syn(100)).remove(0);
    assert_eq!(world.input(&Seg::syn(100)).len(), 1);
    assert_eq!(world.input(&Seg::syn(100)).len(), 0);
    assert_eq!(world.count(Snmp::TcpExtTCPACKSkippedSynRecv), 1);
    world.now += 600 * MS;
    assert_eq!(world.input(&Seg::syn(100))[0].seq, first.seq);
}

#[test]
fn a_half_open_connection_answers_nonsense() {
    let mut world = World::new(|_| ());
    world.listen(5, 1, |_| ());
    let first = world.input(&Seg::syn(100)).remove(0);
    let wrong = world.input(&Seg::new(Flags::ACK, 101, first.seq + 2));
    assert_eq!((wrong[0].flags, wrong[0].seq), (Flags::RST, first.seq + 2));
    let beyond = world.input(&Seg::new(Flags::ACK, 101 + 70_000, first.seq + 1).with_ts(1001, 0));
    assert_eq!((beyond[0].flags, beyond[0].seq, beyond[0].ack), (Flags::ACK, first.seq + 1, 101));
    assert_eq!(world.input(&Seg::new(Flags::ACK, 101, first.seq + 1).with_ts(999, 0)), [], "from the past, too soon");
    assert_eq!(world.count(Snmp::TcpExtPAWSEstab), 1);
    assert_eq!(world.input(&Seg::new(Flags::RST, 101, 0)), []);
    assert!(world.tcp.table.requests.is_empty());
    assert_eq!(world.count(Snmp::TcpExtEmbryonicRsts), 1);
    world.input(&Seg::syn(100));
    let syn = world.input(&Seg { ts: None, ..Seg::syn(200) });
    assert_eq!(syn[0].flags, RST_ACK, "another SYN in the window");
    assert!(world.tcp.table.requests.is_empty());
}

#[test]
fn a_full_accept_queue_makes_peers_wait() {
    let mut world = World::new(|_| ());
    world.listen(1, 0, |_| ());
    let held = world.input(&Seg::syn(100).from(5000)).remove(0);
    world.open_from(4000);
    world.tcp.listeners.get_mut(0).unwrap().backlog = 5;
    world.open_from(4001);
    world.tcp.listeners.get_mut(0).unwrap().backlog = 1;
    // Two wait where one may, and one more is let in: now SYNs and third segments are dropped.
    assert_eq!(world.input(&Seg::syn(100).from(4002)), []);
    let third = Seg::new(Flags::ACK, 101, held.seq + 1).from(5000).with_ts(1001, held.ts.unwrap().value);
    assert_eq!(world.input(&third), []);
    assert_eq!((world.count(Snmp::TcpExtListenOverflows), world.count(Snmp::TcpExtListenDrops)), (2, 2));
    assert_eq!(world.net.counters.drops(DropReason::TcpAcceptQueueFull), 2);
    world.tcp.commons.settings.abort_on_overflow = true;
    assert_eq!(world.input(&third)[0].flags, Flags::RST);
    assert!(world.tcp.table.requests.is_empty());
}

#[test]
fn a_full_syn_queue_sends_cookies() {
    let mut world = World::new(|_| ());
    world.listen(1, 2, |_| ());
    world.input(&Seg::syn(100).from(5000));
    let syn_ack = world.open_from(4000);
    assert_eq!((syn_ack.scale, syn_ack.sack, syn_ack.mss), (Some(7), true, Some(1460)));
    assert_eq!(world.tcp.table.requests.len(), 1, "nothing is kept");
    let connection = world.connection();
    assert_eq!((connection.state, connection.send.mss), (State::Established, 1448));
    assert_eq!((connection.send.scale.shift(), connection.agreed.sack, connection.agreed.timestamps), (8, true, true));
    assert_eq!(connection.peer_isn.number(), 100);
    assert_eq!((world.count(Snmp::TcpExtSyncookiesSent), world.count(Snmp::TcpExtSyncookiesRecv)), (1, 1));
    let forged = world.input(&Seg::new(Flags::ACK, 101, 12_345).from(4001));
    assert_eq!(forged[0].flags, Flags::RST);
    assert_eq!(world.count(Snmp::TcpExtSyncookiesFailed), 1);
}

#[test]
fn without_timestamps_a_cookie_keeps_the_segment_size_alone() {
    let mut world = World::new(|settings| settings.syncookies = 2);
    world.listen(5, 1, |_| ());
    let syn_ack = world.input(&Seg { ts: None, ..Seg::syn(100) }).remove(0);
    assert_eq!((syn_ack.scale, syn_ack.sack, syn_ack.ts), (None, false, None));
    let last = Seg { window: 65_535, ..Seg::new(Flags::ACK, 101, syn_ack.seq + 1) };
    assert_eq!(world.input(&last), []);
    assert_eq!(world.connection().send.mss, 1460);
    assert!(!world.connection().agreed.sack);
}

#[test]
fn without_cookies_a_full_syn_queue_drops() {
    let mut world = World::new(|settings| settings.syncookies = 0);
    world.listen(1, 1, |_| ());
    world.input(&Seg::syn(100).from(5000));
    assert_eq!(world.input(&Seg::syn(100)), []);
    assert_eq!(world.count(Snmp::TcpExtTCPReqQFullDrop), 1);
    assert_eq!(world.net.counters.drops(DropReason::TcpSynQueueFull), 1);
}

#[test]
fn an_old_cookie_is_no_cookie() {
    let mut world = World::new(|settings| settings.syncookies = 2);
    world.listen(5, 1, |_| ());
    let syn_ack = world.input(&Seg::syn(100)).remove(0);
    world.now += 130 * SECOND;
    let sent = world.input(&Seg::new(Flags::ACK, 101, syn_ack.seq + 1).with_ts(1001, syn_ack.ts.unwrap().value));
    assert_eq!(sent[0].flags, Flags::RST);
    assert!(world.tcp.table.connections.is_empty());
}

#[test]
fn a_listener_may_wait_for_data() {
    let mut world = World::new(|_| ());
    world.listen(5, 1, |config| config.defer_accept = 3);
    let syn_ack = world.input(&Seg::syn(100)).remove(0);
    let ack = Seg::new(Flags::ACK, 101, syn_ack.seq + 1).with_ts(1001, syn_ack.ts.unwrap().value);
    assert_eq!(world.input(&ack), []);
    assert!(world.tcp.table.connections.is_empty());
    assert_eq!(world.count(Snmp::TcpExtTCPDeferAcceptDrop), 1);
    let mut data = world;
    assert_eq!(data.input(&ack.clone().with_data(b"x")).len(), 1);
    assert_eq!(data.accepted.len(), 1);
}

#[test]
fn ecn_is_granted_to_those_who_ask() {
    let mut world = World::new(|_| ());
    world.listen(5, 1, |_| ());
    let asks = Seg { flags: Flags::SYN | Flags::ECE | Flags::CWR, ..Seg::syn(100) };
    assert_eq!(world.input(&asks)[0].flags, SYN_ACK | Flags::ECE);
}

#[test]
fn a_stranger_is_reset() {
    let mut world = World::new(|_| ());
    let sent = world.input(&Seg::new(Flags::SYN, 100, 0).with_data(b"abc"));
    assert_eq!((sent[0].flags, sent[0].seq, sent[0].ack), (RST_ACK, 0, 104));
    let sent = world.input(&Seg::new(Flags::ACK, 100, 55));
    assert_eq!((sent[0].flags, sent[0].seq, sent[0].ack), (Flags::RST, 55, 0));
    assert_eq!(world.input(&Seg::new(Flags::RST, 100, 55)), []);
    assert_eq!(world.count(Snmp::TcpOutRsts), 2);
}

#[test]
fn the_end_of_a_listener_ends_what_waits() {
    let mut world = World::new(|_| ());
    let listener = world.listen(5, 0, |_| ());
    world.open_from(4000);
    world.input(&Seg::syn(100).from(4001));
    world.tcp.unlisten(&mut world.net, world.now, listener).unwrap();
    let sent = world.sent();
    assert_eq!(sent.iter().map(|seg| (seg.flags, seg.remote)).collect::<Vec<_>>(), [(RST_ACK, 4000)]);
    assert!(world.tcp.table.connections.is_empty() && world.tcp.table.requests.is_empty());
    assert_eq!(world.pass(SECOND * 10), []);
}

#[test]
fn who_waits_longest_is_placed_first() {
    let mut world = World::new(|_| ());
    let listener = world.listen(5, 0, |_| ());
    for port in [4000, 4001, 4002] {
        world.open_from(port);
    }
    for slot in [7, 8] {
        world.tcp.grant(&mut world.net, world.now, Some(&mut world.end), listener, slot);
    }
    world.sent();
    let placed = |id: &ConnectionId| {
        let connection = world.tcp.table.get(*id).unwrap();
        (connection.flow.remote.port(), connection.owner.unwrap().slot)
    };
    assert_eq!(world.accepted.iter().map(placed).collect::<Vec<_>>(), [(4000, 7), (4001, 8)]);
}

#[test]
fn old_requests_make_room_for_young_ones() {
    let mut world = World::new(|settings| settings.max_syn_backlog = 64);
    world.listen(10, 1, |_| ());
    for port in 0..8 {
        world.input(&Seg::syn(100).from(5000 + port));
    }
    // All are old after the first timeout: two retries have to do, until the queue is less than half full.
    let seconds = World::seconds(&world.pass(SECOND * 200));
    let counts = [1, 3, 7, 15, 31, 63].map(|at| seconds.iter().filter(|second| **second == at).count());
    assert_eq!(counts, [8, 8, 5, 5, 5, 0]);
    assert_eq!(world.tcp.listeners.get(0).unwrap().young, 0);
}
