//! Stream sockets through the whole stack, call by call: what each answers, what is told, and that nothing is kept.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_dataplane::errno::{ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ETIMEDOUT};
use xmit_nic::Duration;
use xmit_script::{End, Pair};
use xmit_shared::session::{How, Op, SocketOption, StreamEvents, StreamFlags, Transport};

const PORT: u16 = 7;
const SECOND: Duration = Duration::from_secs(1);

struct Stand {
    pair: Pair,
    listener: u32,
    a: u32,
    b: u32,
}

impl Stand {
    /// A connection from `a` to a listener of `b`.
    fn new() -> Self {
        let mut pair = Pair::new(1).unwrap();
        let listener = pair.b.listen(pair.now, PORT, 4, 4).unwrap();
        let (a, b) = connect(&mut pair, listener);
        Self { pair, listener, a, b }
    }

    fn a(&mut self, op: Op) -> Result<SocketAddrV4, String> {
        self.pair.a.call(self.pair.now, self.a, op)
    }

    fn b(&mut self, op: Op) -> Result<SocketAddrV4, String> {
        self.pair.b.call(self.pair.now, self.b, op)
    }

    fn events(&mut self) -> (StreamEvents, StreamEvents) {
        (self.pair.a.client.events(self.a), self.pair.b.client.events(self.b))
    }
}

fn remote(pair: &Pair) -> SocketAddrV4 {
    SocketAddrV4::new(pair.b.address, PORT)
}

fn connect(pair: &mut Pair, listener: u32) -> (u32, u32) {
    let a = pair.a.stream(pair.now).unwrap();
    pair.a.call(pair.now, a, Op::Connect(remote(pair))).unwrap();
    let mut accepted = None;
    assert!(pair.drive_until(SECOND, |pair| {
        accepted = accepted.or_else(|| pair.b.client.accept(listener).unwrap());
        accepted.is_some() && pair.a.client.events(a).contains(StreamEvents::CONNECTED)
    }));
    (a, accepted.unwrap().slot)
}

fn answer(pair: &mut Pair, end: impl Fn(&mut Pair) -> &mut End) -> i32 {
    let mut answer = None;
    assert!(pair.drive_until(200 * SECOND, |pair| {
        answer = end(pair).client.completion().unwrap();
        answer.is_some()
    }));
    answer.unwrap().result
}

fn left(end: &mut End) -> (usize, usize, usize) {
    let table = &end.host.lane().stack.tcp.table;
    (table.connections.len(), table.requests.len(), table.time_waits.len())
}

#[test]
fn an_echo_and_both_ends_close() {
    let mut stand = Stand::new();
    stand.pair.a.client.write(stand.a, b"hello", false).unwrap();
    let mut buffer = [0; 64];
    assert!(stand.pair.drive_until(SECOND, |pair| pair.b.client.read(stand.b, &mut buffer).unwrap() == 5));
    assert_eq!(&buffer[..5], b"hello");
    assert_eq!(stand.pair.b.client.write(stand.b, &buffer[..5], false), Ok(5));
    assert!(stand.pair.drive_until(SECOND, |pair| pair.a.client.read(stand.a, &mut buffer).unwrap() == 5));
    // The first to close has its answer at once: the peer has all its data.
    stand.a(Op::Close).unwrap();
    assert!(stand.a(Op::Open(Transport::Tcp)).is_ok(), "the slot is free");
    assert!(
        stand.pair.drive_until(SECOND, |pair| { pair.b.client.events(stand.b).contains(StreamEvents::RECEIVE_END) })
    );
    stand.b(Op::Close).unwrap();
    stand.pair.drive_for(SECOND);
    assert_eq!((left(&mut stand.pair.a), left(&mut stand.pair.b)), ((0, 0, 1), (0, 0, 0)));
    stand.pair.drive_for(100 * SECOND);
    assert_eq!(left(&mut stand.pair.a), (0, 0, 0));
    assert_eq!(stand.pair.finish().unwrap(), [0, 0]);
}

#[test]
fn nobody_listens_and_the_socket_may_try_again() {
    let mut pair = Pair::new(1).unwrap();
    let a = pair.a.stream(pair.now).unwrap();
    let local = pair.a.call(pair.now, a, Op::Connect(remote(&pair))).unwrap();
    assert!(*local.ip() == pair.a.address && (32_768..=60_999).contains(&local.port()));
    assert!(pair.drive_until(SECOND, |pair| pair.a.client.events(a).contains(StreamEvents::CLOSED)));
    assert_eq!(pair.a.client.take_error(a), Some(ECONNREFUSED));
    assert!(pair.a.call(pair.now, a, Op::Shutdown(How::Both)).unwrap_err().contains("107"));
    let listener = pair.b.listen(pair.now, PORT, 4, 1).unwrap();
    pair.a.call(pair.now, a, Op::Connect(remote(&pair))).unwrap();
    assert!(pair.drive_until(SECOND, |pair| pair.b.client.accept(listener).unwrap().is_some()));
    assert!(pair.drive_until(SECOND, |pair| pair.a.client.events(a) == StreamEvents::CONNECTED));
    assert!(pair.a.call(pair.now, a, Op::Connect(remote(&pair))).unwrap_err().contains("106"), "connected");
}

#[test]
fn a_silent_host_is_unreachable_and_a_silent_peer_times_out() {
    let mut pair = Pair::new(1).unwrap();
    let a = pair.a.stream(pair.now).unwrap();
    let nobody = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 77), PORT);
    pair.a.call(pair.now, a, Op::Connect(nobody)).unwrap();
    assert!(pair.a.call(pair.now, a, Op::Connect(nobody)).unwrap_err().contains("114"), "under way");
    assert!(pair.drive_until(10 * SECOND, |pair| pair.a.client.events(a).contains(StreamEvents::CLOSED)));
    assert_eq!(pair.a.client.take_error(a), Some(EHOSTUNREACH));
    let elsewhere = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), PORT);
    assert!(pair.a.call(pair.now, a, Op::Connect(elsewhere)).unwrap_err().contains("101"));

    let mut stand = Stand::new();
    stand.pair.impair(xmit_nic::sim::Impairment { loss_ppm: 1_000_000, ..xmit_nic::sim::Impairment::NONE });
    let a = stand.a;
    stand.a(Op::SetOption(SocketOption::UserTimeout, 5_000)).unwrap();
    stand.pair.a.client.write(a, b"into the void", false).unwrap();
    assert!(stand.pair.drive_until(20 * SECOND, |pair| pair.a.client.events(a).contains(StreamEvents::CLOSED)));
    assert_eq!(stand.pair.a.client.take_error(a), Some(ETIMEDOUT));
    stand.a(Op::Close).unwrap();
}

#[test]
fn what_the_program_did_not_read_resets() {
    let mut stand = Stand::new();
    stand.pair.a.client.write(stand.a, b"unread", false).unwrap();
    stand.pair.drive_for(SECOND);
    stand.b(Op::Close).unwrap();
    stand.pair.drive_for(SECOND);
    assert!(stand.events().0.contains(StreamEvents::CLOSED));
    assert_eq!(stand.pair.a.client.take_error(stand.a), Some(ECONNRESET));
    stand.a(Op::Close).unwrap();
    assert_eq!((left(&mut stand.pair.a), left(&mut stand.pair.b)), ((0, 0, 0), (0, 0, 0)));
}

#[test]
fn what_was_written_before_close_arrives_and_then_close_answers() {
    let mut stand = Stand::new();
    let data: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
    let (mut written, mut read) = (0, Vec::<u8>::new());
    let (a, b) = (stand.a, stand.b);
    let mut closed = false;
    assert!(stand.pair.drive_until(100 * SECOND, |pair| {
        written += pair.a.client.write(a, &data[written..], false).unwrap();
        if written == data.len() && !closed {
            closed = true;
            pair.a.client.submit(a, Op::Close).unwrap();
        }
        let mut buffer = [0; 4096];
        let len = pair.b.client.read(b, &mut buffer).unwrap();
        read.extend(&buffer[..len]);
        len == 0 && pair.b.client.events(b).contains(StreamEvents::RECEIVE_END)
    }));
    assert!(read == data);
    assert_eq!(answer(&mut stand.pair, |pair| &mut pair.a), 0);
    stand.b(Op::Close).unwrap();
}

#[test]
fn a_listener_that_closes_resets_who_waits_and_frees_its_port() {
    let mut pair = Pair::new(1).unwrap();
    // No grants: connections wait in the lane.
    let listener = pair.b.listen(pair.now, PORT, 4, 0).unwrap();
    let a = pair.a.stream(pair.now).unwrap();
    pair.a.call(pair.now, a, Op::Connect(remote(&pair))).unwrap();
    assert!(pair.drive_until(SECOND, |pair| pair.a.client.events(a) == StreamEvents::CONNECTED));
    pair.b.call(pair.now, listener, Op::Close).unwrap();
    pair.drive_for(SECOND);
    assert_eq!(pair.a.client.take_error(a), Some(ECONNRESET));
    assert_eq!(left(&mut pair.b), (0, 0, 0));
    // With grants again, on the same port at once: nothing of it was left.
    let listener = pair.b.listen(pair.now, PORT, 4, 2).unwrap();
    pair.a.call(pair.now, a, Op::Close).unwrap();
    let (_, b) = connect(&mut pair, listener);
    pair.b.call(pair.now, listener, Op::Close).unwrap();
    // The accepted connection lives on, and keeps the port from those who do not share it.
    let again = pair.b.stream(pair.now).unwrap();
    let bind = Op::Bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT));
    assert!(pair.b.call(pair.now, again, bind).unwrap_err().contains("98"));
    pair.b.call(pair.now, b, Op::SetOption(SocketOption::Linger, 0)).unwrap();
    pair.b.call(pair.now, b, Op::Close).unwrap();
    pair.drive_for(SECOND);
    pair.b.call(pair.now, again, bind).unwrap();
}

#[test]
fn a_grant_places_a_connection_that_waits() {
    let mut pair = Pair::new(1).unwrap();
    let listener = pair.b.listen(pair.now, PORT, 4, 0).unwrap();
    let a = pair.a.stream(pair.now).unwrap();
    pair.a.call(pair.now, a, Op::Connect(remote(&pair))).unwrap();
    pair.drive_for(SECOND);
    pair.a.client.write(a, b"early", false).unwrap();
    pair.drive_for(SECOND);
    assert_eq!(pair.b.client.accept(listener), Ok(None));
    pair.b.grant(pair.now, listener).unwrap();
    let accepted = pair.b.client.accept(listener).unwrap().unwrap();
    let mut buffer = [0; 16];
    assert!(pair.drive_until(20 * SECOND, |pair| pair.b.client.read(accepted.slot, &mut buffer).unwrap() == 5));
}

#[test]
fn a_program_that_dies_sends_what_it_wrote_and_says_goodbye() {
    let mut stand = Stand::new();
    let (a, b, listener) = (stand.a, stand.b, stand.listener);
    stand.pair.b.client.write(b, &[7; 50_000], false).unwrap();
    stand.pair.b.host.detach(1).unwrap();
    let mut read = 0;
    assert!(stand.pair.drive_until(10 * SECOND, |pair| {
        let mut buffer = [0; 4096];
        read += pair.a.client.read(a, &mut buffer).unwrap();
        pair.a.client.events(a).contains(StreamEvents::RECEIVE_END) && read == 50_000
    }));
    stand.a(Op::Close).unwrap();
    stand.pair.drive_for(SECOND);
    // Nobody listens any more, and nothing of the session is left.
    let again = stand.pair.a.stream(stand.pair.now).unwrap();
    stand.pair.a.call(stand.pair.now, again, Op::Connect(remote(&stand.pair))).unwrap();
    stand.pair.drive_for(SECOND);
    assert_eq!(stand.pair.a.client.take_error(again), Some(ECONNREFUSED), "listener {listener}");
    assert!(stand.pair.b.host.lane().stack.sockets.is_empty());
    stand.pair.drive_for(100 * SECOND);
    assert_eq!((left(&mut stand.pair.a), left(&mut stand.pair.b)), ((0, 0, 0), (0, 0, 0)));
    assert_eq!(stand.pair.finish().unwrap(), [0, 0]);
}

#[test]
fn a_program_that_dies_with_unread_data_resets_and_a_silent_peer_does_not_keep_it() {
    let mut stand = Stand::new();
    stand.pair.a.client.write(stand.a, b"unread", false).unwrap();
    stand.pair.drive_for(SECOND);
    stand.pair.b.host.detach(1).unwrap();
    stand.pair.drive_for(SECOND);
    assert_eq!(stand.pair.a.client.take_error(stand.a), Some(ECONNRESET));
    assert_eq!(left(&mut stand.pair.b), (0, 0, 0));

    let mut stand = Stand::new();
    stand.pair.impair(xmit_nic::sim::Impairment { loss_ppm: 1_000_000, ..xmit_nic::sim::Impairment::NONE });
    stand.pair.b.client.write(stand.b, &[7; 50_000], false).unwrap();
    stand.pair.b.host.detach(1).unwrap();
    stand.pair.drive_for(59 * SECOND);
    assert_eq!(left(&mut stand.pair.b).0, 1, "it tries");
    stand.pair.drive_for(2 * SECOND);
    assert_eq!(left(&mut stand.pair.b), (0, 0, 0), "and gives up");
}

#[test]
fn options_reach_the_connection_and_its_children() {
    let mut pair = Pair::new(1).unwrap();
    let listener = pair.b.listen(pair.now, PORT, 4, 4).unwrap();
    pair.b.call(pair.now, listener, Op::SetOption(SocketOption::KeepIdle, 33)).unwrap();
    pair.b.call(pair.now, listener, Op::SetOption(SocketOption::KeepAlive, 1)).unwrap();
    let (a, b) = connect(&mut pair, listener);
    let value = |end: &mut End, now, slot, option| {
        end.client.submit(slot, Op::GetOption(option)).unwrap();
        end.host.turn(now);
        end.client.completion().unwrap().unwrap().value
    };
    let now = pair.now;
    assert_eq!(value(&mut pair.b, now, b, SocketOption::KeepIdle), 33);
    assert_eq!(value(&mut pair.b, now, b, SocketOption::KeepAlive), 1);
    assert_eq!(value(&mut pair.a, now, a, SocketOption::KeepIdle), 7200);
    assert_eq!(value(&mut pair.a, now, a, SocketOption::MaxSegment), 1448);
    assert!(pair.a.call(now, a, Op::SetOption(SocketOption::Congestion, 9)).unwrap_err().contains(" 2"));
    pair.a.call(now, a, Op::Info).unwrap();
    assert_eq!(pair.a.client.info(a).unwrap().state, 1);
    pair.b.call(now, listener, Op::Info).unwrap();
    assert_eq!(pair.b.client.info(listener).unwrap().state, 10);
}

#[test]
fn calls_in_the_wrong_state_have_linux_numbers() {
    let mut stand = Stand::new();
    let now = stand.pair.now;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let wrong = |answer: Result<SocketAddrV4, String>, errno: &str| {
        let error = answer.unwrap_err();
        assert!(error.ends_with(&format!("error {errno}")), "{error}");
    };
    wrong(stand.a(Op::Open(Transport::Tcp)), "16");
    wrong(stand.a(Op::Bind(any)), "22");
    wrong(stand.a(Op::Listen(1)), "22");
    wrong(stand.a(Op::Grant(99)), "22");
    wrong(stand.a(Op::Share(99)), "22");
    let idle = stand.pair.a.stream(now).unwrap();
    wrong(stand.pair.a.call(now, idle, Op::Shutdown(How::Write)), "107");
    wrong(stand.pair.a.call(now, 200, Op::Listen(1)), "9");
    let datagram = stand.pair.a.socket(now, 9).unwrap();
    wrong(stand.pair.a.call(now, datagram, Op::Listen(1)), "95");
    wrong(stand.pair.b.call(now, stand.listener, Op::Connect(remote(&stand.pair))), "106");
    wrong(stand.pair.b.call(now, stand.listener, Op::Grant(stand.b)), "16");
    // A socket that listens without an address gets one.
    assert_ne!(stand.pair.a.call(now, idle, Op::Listen(1)).unwrap().port(), 0);
    stand.pair.a.call(now, idle, Op::Listen(7)).unwrap();
}

#[test]
fn a_program_that_writes_rubbish_is_ended_and_its_peer_hears_of_it() {
    let mut stand = Stand::new();
    let (a, b) = (stand.a, stand.b);
    stand.pair.b.client.write(b, &[1; 1000], false).unwrap();
    stand.pair.drive_for(SECOND);
    // Its position goes back to the start of the ring.
    stand.pair.b.client.stream_opened(b);
    stand.pair.b.client.set_flags(b, StreamFlags::default(), true);
    assert!(stand.pair.drive_until(SECOND, |pair| pair.a.client.events(a).contains(StreamEvents::CLOSED)));
    assert_eq!(stand.pair.a.client.take_error(a), Some(ECONNRESET));
    assert!(stand.pair.b.host.lane().stack.sockets.is_empty());
    assert_eq!(left(&mut stand.pair.b), (0, 0, 0));
}

/// As in Linux: who wants to share must have said so on both sides.
#[test]
fn a_chosen_port_is_bound_only_by_sockets_that_share_it() {
    let mut pair = Pair::new(1).unwrap();
    pair.b.listen(pair.now, PORT, 4, 4).unwrap();
    let to = SocketAddrV4::new(pair.b.address, PORT);
    let any = Ipv4Addr::UNSPECIFIED;
    for (first, second, result) in [(0, 0, false), (1, 0, false), (0, 1, false), (1, 1, true)] {
        let connecting = pair.a.stream(pair.now).unwrap();
        pair.a.call(pair.now, connecting, Op::SetOption(SocketOption::ReuseAddr, first)).unwrap();
        let chosen = pair.a.call(pair.now, connecting, Op::Connect(to)).unwrap();
        let binding = pair.a.stream(pair.now).unwrap();
        pair.a.call(pair.now, binding, Op::SetOption(SocketOption::ReuseAddr, second)).unwrap();
        let bound = pair.a.call(pair.now, binding, Op::Bind(SocketAddrV4::new(any, chosen.port())));
        assert_eq!(bound.is_ok(), result, "{first} {second}: {bound:?}");
    }
}
