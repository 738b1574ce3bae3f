//! Fast Open, both sides.

use super::*;
use crate::tcp::connection::FastOpenState;
use crate::tcp::fastopen::{FastOpenKeys, Form, ServerCookie, Told};
use crate::tcp::mss::Mss;
use crate::tcp::state::State;

const COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn client() -> World {
    let mut world = World::new(|settings| settings.fastopen = 3);
    let cookie = ServerCookie::new(&COOKIE, false);
    let told = Told { mss: Mss::new(1000), cookie, next_form: Form::Standard };
    world.tcp.commons.cookies.put(world.now, PEER.into(), &told);
    world
}

fn connect(world: &mut World) -> ConnectionId {
    world.connect(|config| config.fast_open_connect = true).unwrap()
}

fn write(world: &mut World, id: ConnectionId, data: &[u8]) -> Vec<Seg> {
    let slot = &mut world.client.slots[SLOT as usize];
    assert_eq!(slot.stream_tx.write(data).unwrap(), data.len());
    slot.stream_tx.publish(false);
    world.tcp.with(&mut world.net, world.now, Some(&mut world.end), id, |connection, ctx| connection.on_client(ctx));
    world.sent()
}

fn syn_ack(syn: &Seg, acked: u32) -> Seg {
    let ts = syn.ts.map(|ts| Timestamps { value: 500, echo: ts.value });
    let answer = Seg::new(SYN_ACK, 700, syn.seq + 1 + acked);
    Seg { local: 4000, remote: 80, mss: Some(1400), scale: Some(7), sack: true, ts, window: 60_000, ..answer }
}

#[test]
fn a_client_without_cookie_asks_for_one() {
    let mut world = World::new(|_| ());
    connect(&mut world);
    let syn = world.sent().remove(0);
    assert_eq!((syn.cookie.as_deref(), syn.data.len()), (Some(&[][..]), 0));
    world.input(&Seg { cookie: Some(COOKIE.to_vec()), ..syn_ack(&syn, 0) });
    let kept = world.tcp.commons.cookies.get(world.now, PEER.into());
    assert_eq!((kept.cookie.unwrap().cookie(), kept.mss.unwrap().bytes()), (&COOKIE[..], 1400));
    assert_eq!(world.connection().state, State::Established);
}

#[test]
fn a_client_with_cookie_sends_data_at_once() {
    let mut world = client();
    let id = connect(&mut world);
    assert_eq!(world.sent(), [], "nothing before the first data");
    assert_eq!(world.connection().syn_room(), Some(960));
    let sent = write(&mut world, id, &[9; 1500]);
    let [syn] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((syn.flags, syn.data.len(), syn.cookie.as_deref()), (Flags::SYN, 960, Some(&COOKIE[..])));
    let sent = world.input(&syn_ack(syn, 960));
    assert_eq!(sent.iter().map(|seg| (seg.seq, seg.data.len())).collect::<Vec<_>>(), [(syn.seq + 961, 540)]);
    assert_eq!(world.count(Snmp::TcpExtTCPFastOpenActive), 1);
    assert_eq!(world.connection().congestion.cwnd(), 10);
}

#[test]
fn data_that_the_server_did_not_take_is_sent_again() {
    for acked in [0, 100] {
        let mut world = client();
        let id = connect(&mut world);
        let syn = write(&mut world, id, &[9; 500]).remove(0);
        let sent = world.input(&syn_ack(&syn, acked));
        let seen: Vec<_> = sent.iter().map(|seg| (seg.seq, seg.data.len(), seg.ack)).collect();
        assert_eq!(seen, [(syn.seq + 1 + acked, 500 - acked as usize, 701)]);
        assert_eq!(world.count(Snmp::TcpExtTCPFastOpenActiveFail), 1);
        assert_eq!(world.connection().congestion.cwnd(), 10, "that was no congestion");
    }
}

#[test]
fn a_lost_syn_is_sent_again_without_data() {
    let mut world = client();
    let id = connect(&mut world);
    let syn = write(&mut world, id, &[9; 500]).remove(0);
    let again = world.pass(SECOND).remove(0).1;
    assert_eq!((again.flags, again.seq, again.data.len(), again.cookie.clone()), (Flags::SYN, syn.seq, 0, None));
    world.input(&syn_ack(&again, 0));
    let kept = world.tcp.commons.cookies.get(world.now, PEER.into());
    assert_eq!((kept.cookie.unwrap().cookie(), kept.mss.unwrap().bytes()), (&COOKIE[..], 1400), "what was told last");
}

#[test]
fn a_server_that_does_not_answer_is_asked_in_the_old_form_once() {
    let mut world = World::new(|_| ());
    let mut forms = Vec::new();
    for _ in 0..4 {
        let id = connect(&mut world);
        let syn = world.sent().remove(0);
        forms.push(world.connection().fast_open);
        world.input(&syn_ack(&syn, 0));
        world.tcp.with(&mut world.net, world.now, Some(&mut world.end), id, |connection, ctx| connection.abort(ctx));
        world.sent();
    }
    let asked = [Form::Standard, Form::Experimental, Form::StandardAgain, Form::StandardAgain];
    assert_eq!(forms, asked.map(FastOpenState::Requested));
}

fn server(queue: u16) -> World {
    let mut world = World::new(|settings| settings.fastopen = 3);
    world.listen(5, 3, |config| config.fast_open_queue = queue);
    world
}

fn cookie_of(world: &World) -> Vec<u8> {
    world.tcp.commons.keys.cookie(US.into(), PEER.into()).to_vec()
}

#[test]
fn a_server_gives_cookies() {
    let mut world = server(2);
    let cookie = cookie_of(&world);
    let asks = Seg { cookie: Some(vec![]), ..Seg::syn(100) };
    assert_eq!(world.input(&asks)[0].cookie.as_ref(), Some(&cookie));
    let wrong = Seg { cookie: Some(vec![0; 8]), data: b"data".to_vec(), ..Seg::syn(100).from(4001) };
    let answer = world.input(&wrong).remove(0);
    assert_eq!((answer.ack, answer.cookie.as_ref()), (101, Some(&cookie)), "its data is not taken");
    assert_eq!(world.count(Snmp::TcpExtTCPFastOpenCookieReqd), 1);
    assert_eq!(world.count(Snmp::TcpExtTCPFastOpenPassiveFail), 1);
}

#[test]
fn a_server_takes_data_with_the_syn() {
    let mut world = server(1);
    let cookie = Some(cookie_of(&world));
    let syn = Seg { cookie: cookie.clone(), data: b"hello".to_vec(), ..Seg::syn(100) };
    let sent = world.input(&syn);
    let [syn_ack] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((syn_ack.flags, syn_ack.ack, syn_ack.cookie.clone()), (SYN_ACK, 106, None));
    assert_eq!(world.accepted.len(), 1, "before the handshake is over");
    assert_eq!(world.read(1), b"hello");
    assert_eq!((world.connection().state, world.connection().fast_open), (State::SynReceived, FastOpenState::Server));
    assert_eq!(world.count(Snmp::TcpExtTCPFastOpenPassive), 1);
    // The queue holds one: the next has to take the long way.
    let second = world.input(&Seg { cookie, data: b"x".to_vec(), ..Seg::syn(100).from(4001) });
    assert_eq!(second[0].ack, 101);
    assert_eq!(world.count(Snmp::TcpExtTCPFastOpenListenOverflow), 1);
    assert_eq!(world.input(&syn)[0].ack, 106, "the SYN again");
    let ack = Seg::new(Flags::ACK, 106, syn_ack.seq + 1).with_ts(1001, syn_ack.ts.unwrap().value);
    assert_eq!(world.input(&ack), []);
    let id = world.accepted[0];
    assert_eq!(world.tcp.table.get(id).unwrap().state, State::Established);
    let third = Seg { cookie: Some(cookie_of(&world)), data: b"y".to_vec(), ..Seg::syn(100).from(4002) };
    assert_eq!(world.input(&third)[0].ack, 102, "there is room again");
}

#[test]
fn the_syn_ack_of_a_fast_open_is_sent_again() {
    let mut world = server(1);
    let syn = Seg { cookie: Some(cookie_of(&world)), data: b"hello".to_vec(), ..Seg::syn(100) };
    let first = world.input(&syn).remove(0);
    let again = world.pass(4 * SECOND);
    assert_eq!(World::seconds(&again), [1, 3]);
    assert!(again.iter().all(|(_, seg)| (seg.flags, seg.seq, seg.ack) == (SYN_ACK, first.seq, 106)));
}

#[test]
fn a_listener_without_queue_ignores_the_option() {
    let mut world = server(0);
    let asks = Seg { cookie: Some(vec![]), ..Seg::syn(100) };
    assert_eq!(world.input(&asks)[0].cookie, None);
}

#[test]
fn a_listener_s_own_keys_make_its_cookies() {
    let mut world = server(2);
    let (old, new) = (FastOpenKeys::of_numbers([1, 2]), FastOpenKeys::of_numbers([3, 4]));
    let cookie = |keys: &FastOpenKeys| keys.cookie(US.into(), PEER.into()).to_vec();
    let (index, _) = world.tcp.listeners.iter().next().unwrap();
    world.tcp.listeners.get_mut(index).unwrap().keys = Some(new.with_backup([1, 2]));
    let asks = Seg { cookie: Some(vec![]), ..Seg::syn(100) };
    assert_eq!(world.input(&asks)[0].cookie, Some(cookie(&new)));
    let shows = Seg { cookie: Some(cookie(&old)), data: b"data".to_vec(), ..Seg::syn(100).from(4001) };
    let answer = world.input(&shows).remove(0);
    assert_eq!((answer.ack, answer.cookie), (105, Some(cookie(&new))), "the old one is good, and renewed");
    let shows = Seg { cookie: Some(cookie_of(&world)), data: b"data".to_vec(), ..Seg::syn(100).from(4002) };
    assert_eq!(world.input(&shows)[0].ack, 101, "the lane's is none of it");
}
