//! Lanes with the control thread's part played by the test: sleeping, handing over, closing, refused binds.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use xmit_dataplane::DropReason;
use xmit_dataplane::counters::Snmp;
use xmit_dataplane::device::{Queue, Tap};
use xmit_dataplane::errno::{EADDRINUSE, ECONNREFUSED};
use xmit_dataplane::lane::{Handover, Lane, LaneCommand, LaneMail, LaneReport, Remains};
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::snapshot::Snapshot;
use xmit_dataplane::socket::{Claim, Left, Report};
use xmit_dataplane::wire::{arp, compose, ethernet, icmp, ipv4};
use xmit_nic::capture::{CaptureInterface, CaptureQueue};
use xmit_nic::{Burst, Caps, Duration, Frame, Instant, MacAddr, Pool, Port, PortStats, Wakeup};
use xmit_script::{Client, HOST_MAC, PEER, PEER_MAC, Setup};
use xmit_shared::mailbox::{Mail, Mailbox, mailbox};
use xmit_shared::session::{Op, SessionConfig, SocketOption, Transport, in_process};
use xmit_shared::snapshot::Publisher;

/// A wire whose other end is the test.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<WireState>>);

#[derive(Default)]
struct WireState {
    arriving: Vec<Vec<u8>>,
    left: usize,
    busy: bool,
}

struct WirePort(Wire, Caps);

impl Port for WirePort {
    fn caps(&self) -> &Caps {
        &self.1
    }
    fn rx_burst(&mut self, _: Instant, pool: &mut Pool, burst: &mut Burst) {
        for bytes in self.0.0.lock().unwrap().arriving.drain(..) {
            let mut frame = pool.acquire().unwrap();
            assert!(frame.fill(&bytes));
            burst.push(frame);
        }
    }
    fn tx_burst(&mut self, _: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut wire = self.0.0.lock().unwrap();
        if !wire.busy {
            wire.left += burst.len();
            burst.drain(..).for_each(|frame| pool.release(frame));
        }
    }
    fn service(&mut self, _: Instant, _: &mut Pool) {}
    fn sleep(&mut self, _: Instant) -> Wakeup {
        Wakeup::default()
    }
    fn stats(&self) -> PortStats {
        PortStats::default()
    }
    fn shutdown(&mut self, _: &mut Pool) {}
}

/// A lane, its wire, and the control thread's ends.
struct Stand {
    lane: Lane,
    wire: Wire,
    commands: Mail<LaneCommand>,
    reports: Mailbox<(u16, LaneReport)>,
    publisher: Publisher<Arc<Snapshot>>,
    to_returns: Mail<Frame>,
}

const NOW: Instant = Instant::from_millis(1000);

/// `count` lanes that know each other, each with `frames` frames.
fn lanes(count: usize, frames: usize) -> Vec<Stand> {
    lanes_with_ports(count, frames, count)
}

/// The same, with a port on the first `ports` of them only.
fn lanes_with_ports(count: usize, frames: usize, ports: usize) -> Vec<Stand> {
    let setup = Setup::default();
    let (packets, to_packets): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox(16).unwrap()).unzip();
    let (returns, to_returns): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox(16).unwrap()).unzip();
    let ends = packets.into_iter().zip(returns).enumerate();
    ends.map(|(id, (packets, returns))| {
        let (commands, to_lane) = mailbox(16).unwrap();
        let (reports, from_lane) = mailbox(16).unwrap();
        let other = |to: usize| {
            (to != id).then(|| Handover { packets: to_packets[to].clone(), returns: to_returns[to].clone() })
        };
        let others = (0..count).map(other).collect();
        let mail = LaneMail { commands, reports: from_lane, packets, returns, others };
        let publisher = Publisher::new(Arc::new(setup.snapshot()));
        let pool = Pool::anonymous(id as u16, frames).unwrap();
        let mut lane = Lane::new(id as u16, pool, NOW, 1, mail, publisher.reader(), || 0);
        let wire = Wire::default();
        let port = WirePort(wire.clone(), Caps::plain("wire", HOST_MAC, "test"));
        assert!(id >= ports || lane.add_port(InterfaceId(0), Box::new(port), Queue::pfifo_fast(100)).is_ok());
        Stand { lane, wire, commands: to_lane, reports, publisher, to_returns: to_returns[id].clone() }
    })
    .collect()
}

fn one() -> Stand {
    lanes(1, 256).pop().unwrap()
}

fn address(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// From the peer's port 9 to port 7 of ours.
fn datagram(payload: &[u8]) -> Vec<u8> {
    let datagram = compose::udp(SocketAddrV4::new(PEER, 9), address("10.0.0.2:7"), payload);
    compose::ethernet(PEER_MAC, HOST_MAC, ethernet::EtherType::IPV4, &datagram)
}

impl Stand {
    fn attach(&mut self, session: u32, rate: u64) -> Client {
        let (mut ends, client) = in_process(&SessionConfig::default()).unwrap();
        let end = Box::new(ends.remove(0));
        self.commands.send(LaneCommand::Attach { session, end, rate }).unwrap();
        self.turn(NOW);
        Client::new(client)
    }

    /// Opens slot 0 of `client` and asks for `wanted`; its bind is answered with `result`.
    fn bind(&mut self, client: &mut Client, wanted: &str, result: Result<SocketAddrV4, i32>) {
        client.submit(0, Op::Open(Transport::Udp)).unwrap();
        self.turn(NOW);
        client.opened(0);
        client.submit(0, Op::Bind(address(wanted))).unwrap();
        self.turn(NOW);
        assert!(matches!(self.bind_report(), Some(Report::Bind { slot: 0, .. })));
        self.commands.send(LaneCommand::Bound { session: 1, slot: 0, result }).unwrap();
        self.turn(NOW);
    }

    /// A client with a bound socket that can send without asking for the peer.
    fn bound(&mut self, rate: u64) -> Client {
        let mut client = self.attach(1, rate);
        self.bind(&mut client, "10.0.0.2:7", Ok(address("10.0.0.2:7")));
        // To all: no neighbour has to be asked.
        client.submit(0, Op::SetOption(SocketOption::Broadcast, 1)).unwrap();
        self.turn(NOW);
        client
    }

    fn bind_report(&mut self) -> Option<Report> {
        match self.reports.take() {
            Some((_, LaneReport::Session(report))) => Some(report),
            _ => None,
        }
    }

    fn turn(&mut self, now: Instant) -> usize {
        self.lane.turn(now).work
    }

    fn left(&self) -> usize {
        self.wire.0.lock().unwrap().left
    }

    fn snmp(&self, counter: Snmp) -> u64 {
        self.lane.stack.net.counters.snmp(counter)
    }
}

fn conserved(stands: Vec<Stand>) {
    let (mut wires, mut remains) = (Vec::new(), Vec::new());
    for stand in stands {
        remains.push(stand.lane.shutdown());
        wires.push(stand.wire);
    }
    for pool in Remains::settle(remains) {
        assert_eq!(pool.available(), pool.total(), "lane {}: {:?}", pool.id(), pool.census());
    }
}

/// To everyone on the link.
const ALL: &str = "10.0.0.255:9";

#[test]
fn a_snapshot_published_before_the_lane_announces_sleep_keeps_it_awake() {
    let mut stand = one();
    stand.turn(NOW);
    stand.publisher.publish(Arc::new(Setup::default().snapshot()));
    assert!(stand.lane.prepare_sleep(NOW).is_none(), "its bell was silent");
    stand.lane.awake();
    stand.turn(NOW);
    assert!(stand.lane.prepare_sleep(NOW).is_some());
}

#[test]
fn what_was_ours_is_not_once_a_snapshot_says_so() {
    let mut stand = one();
    let arrive = |stand: &mut Stand| {
        stand.wire.0.lock().unwrap().arriving.push(datagram(b"?"));
        stand.turn(NOW);
        (stand.snmp(Snmp::IpInDelivers), stand.snmp(Snmp::IpInAddrErrors))
    };
    assert_eq!(arrive(&mut stand), (1, 0));
    assert_eq!(arrive(&mut stand), (2, 0), "by the cache");
    let mut without = Setup::default().snapshot();
    without.interfaces.iter_mut().for_each(|interface| interface.addresses.clear());
    without.fib = xmit_dataplane::route::Fib::default();
    stand.publisher.publish(Arc::new(without));
    assert_eq!(arrive(&mut stand), (2, 1));
    stand.publisher.publish(Arc::new(Setup::default().snapshot()));
    assert_eq!(arrive(&mut stand), (3, 1), "what was refused is not kept");
    conserved(vec![stand]);
}

#[test]
fn a_lane_without_frames_is_woken_by_those_that_come_home() {
    let mut stand = one();
    let pool = &mut stand.lane.stack.net.pool;
    let mut away: Vec<_> = std::iter::from_fn(|| pool.acquire()).collect();
    let full = stand.lane.prepare_sleep(NOW).unwrap().fds.len();
    stand.lane.awake();
    stand.to_returns.send(away.pop().unwrap()).unwrap();
    assert!(stand.lane.prepare_sleep(NOW).is_none());
    stand.lane.awake();
    away.into_iter().for_each(|frame| stand.lane.stack.net.pool.release(frame));
    stand.turn(NOW);
    let rich = stand.lane.prepare_sleep(NOW).unwrap().fds.len();
    assert_eq!(full, rich + 1, "the bell of frames is listened to only when it matters");
    conserved(vec![stand]);
}

#[test]
fn a_session_at_its_rate_lets_the_lane_sleep_until_it_may_send_again() {
    let mut stand = one();
    let mut client = stand.bound(1000);
    for _ in 0..100 {
        client.send(0, Some(address(ALL)), b"x").unwrap();
    }
    (0..4).for_each(|_| _ = stand.turn(NOW));
    assert_eq!(stand.left(), 64, "the burst of the bucket");
    let sleep = stand.lane.prepare_sleep(NOW).expect("nothing can be done now");
    assert_eq!(sleep.until, Some(NOW + Duration::from_millis(1)));
    stand.lane.awake();
    (0..36).for_each(|i| _ = stand.turn(NOW + Duration::from_millis(1 + i)));
    assert_eq!(stand.left(), 100);
    conserved(vec![stand]);
}

#[test]
fn a_busy_port_costs_a_limited_session_no_tokens() {
    let mut stand = one();
    let mut client = stand.bound(1000);
    stand.wire.0.lock().unwrap().busy = true;
    for _ in 0..100 {
        client.send(0, Some(address(ALL)), b"x").unwrap();
    }
    let mut now = NOW;
    for _ in 0..100 {
        stand.turn(now);
        now += Duration::from_millis(1);
    }
    let waiting = stand.lane.stack.net.devices[0].queue.len();
    stand.turn(now);
    assert_eq!(waiting, 75, "three quarters of the queue are for programs");
    assert!(stand.lane.prepare_sleep(now).is_some(), "a full queue is no reason to spin");
    stand.lane.awake();
    stand.wire.0.lock().unwrap().busy = false;
    (0..4).for_each(|_| _ = stand.turn(now));
    assert_eq!(stand.left(), 100, "the tokens were there");
    conserved(vec![stand]);
}

#[test]
fn what_was_sent_before_close_or_death_goes_out() {
    let mut stand = one();
    let mut client = stand.bound(0);
    client.send(0, Some(address(ALL)), b"last words").unwrap();
    while client.completion().unwrap().is_some() {}
    let token = client.submit(0, Op::Close).unwrap();
    stand.turn(NOW);
    assert_eq!(stand.left(), 1);
    assert_eq!(client.completion().unwrap().map(|c| (c.token, c.result)), Some((token, 0)));
    assert!(stand.lane.stack.udp.is_empty());
    assert_eq!(
        stand.bind_report(),
        Some(Report::Unbind {
            session: 1,
            slot: 0,
            protocol: Transport::Udp,
            address: address("10.0.0.2:7"),
            left: Left::Nothing
        })
    );
    stand.bind(&mut client, "10.0.0.2:8", Ok(address("10.0.0.2:8")));
    client.submit(0, Op::SetOption(SocketOption::Broadcast, 1)).unwrap();
    stand.turn(NOW);
    client.send(0, Some(address(ALL)), b"last words").unwrap();
    stand.commands.send(LaneCommand::Detach { session: 1 }).unwrap();
    stand.turn(NOW);
    assert_eq!(stand.left(), 2);
    assert!(stand.lane.stack.udp.is_empty());
    conserved(vec![stand]);
}

#[test]
fn a_datagram_that_gets_no_address_is_refused_once() {
    let mut stand = one();
    let mut client = stand.attach(1, 0);
    client.submit(0, Op::Open(Transport::Udp)).unwrap();
    stand.turn(NOW);
    client.send(0, Some(address(ALL)), b"x").unwrap();
    stand.turn(NOW);
    assert!(matches!(stand.bind_report(), Some(Report::Bind { .. })));
    stand.commands.send(LaneCommand::Bound { session: 1, slot: 0, result: Err(EADDRINUSE) }).unwrap();
    (0..3).for_each(|_| _ = stand.turn(NOW));
    assert_eq!(stand.bind_report(), None, "it is not asked for again and again");
    assert_eq!(client.take_error(0), Some(EADDRINUSE));
    assert!(stand.lane.prepare_sleep(NOW).is_some());
}

#[test]
fn a_datagram_sent_while_its_socket_is_bound_is_not_forgotten() {
    let mut stand = one();
    let mut client = stand.attach(1, 0);
    client.submit(0, Op::Open(Transport::Udp)).unwrap();
    client.submit(0, Op::SetOption(SocketOption::Broadcast, 1)).unwrap();
    client.submit(0, Op::Bind(address("10.0.0.2:7"))).unwrap();
    stand.turn(NOW);
    client.send(0, Some(address(ALL)), b"x").unwrap();
    stand.turn(NOW);
    let result = Ok(address("10.0.0.2:7"));
    stand.commands.send(LaneCommand::Bound { session: 1, slot: 0, result }).unwrap();
    stand.turn(NOW);
    assert_eq!(stand.left(), 1);
}

#[test]
fn a_session_without_a_place_is_told_to_the_control_thread() {
    let mut stand = one();
    let config = SessionConfig { slots: 1, ..SessionConfig::default() };
    let mut clients = Vec::new();
    for session in 0..=xmit_dataplane::limits::SESSIONS_MAX as u32 {
        let (mut ends, client) = in_process(&config).unwrap();
        stand.commands.send(LaneCommand::Attach { session, end: Box::new(ends.remove(0)), rate: 0 }).unwrap();
        stand.turn(NOW);
        clients.push(client);
    }
    let last = xmit_dataplane::limits::SESSIONS_MAX as u32;
    assert_eq!(stand.reports.take(), Some((0, LaneReport::Refused { session: last })));
}

#[test]
fn what_is_handed_over_is_counted_once_and_its_frame_comes_home() {
    let mut stands = lanes(2, 256);
    let mut client = stands[1].attach(1, 0);
    stands[1].bind(&mut client, "10.0.0.2:7", Ok(address("10.0.0.2:7")));
    stands[0]
        .commands
        .send(LaneCommand::Elsewhere { protocol: Transport::Udp, address: address("10.0.0.2:7"), lane: Some(1) })
        .unwrap();
    stands[0].wire.0.lock().unwrap().arriving.push(datagram(b"hello"));
    stands[0].turn(NOW);
    stands[1].turn(NOW);
    let mut out = [0; 16];
    assert_eq!(client.receive(0, &mut out).map(|meta| meta.len), Some(5));
    let total = |counter| stands.iter().map(|stand| stand.snmp(counter)).sum::<u64>();
    for counter in [Snmp::IpInReceives, Snmp::IpInDelivers, Snmp::UdpInDatagrams, Snmp::HandoverIn] {
        assert_eq!(total(counter), 1, "{}", counter.name());
    }
    // One more is under way when both lanes end, whichever ends first.
    stands[0].wire.0.lock().unwrap().arriving.push(datagram(b"late"));
    stands[0].turn(NOW);
    conserved(stands);
}

#[test]
fn a_listener_sees_a_frame_once_however_often_a_busy_port_gives_it_back() {
    let mut stand = one();
    let mut client = stand.bound(0);
    let queue = CaptureQueue::new(vec![CaptureInterface { name: "wire".into(), mac: MacAddr::ZERO }], 1, 64);
    let tap = queue.tap(0).unwrap();
    let add = LaneCommand::AddTap { interface: InterfaceId(0), tap: Tap::new(1, tap.clone()) };
    stand.commands.send(add).unwrap();
    stand.wire.0.lock().unwrap().busy = true;
    client.send(0, Some(address(ALL)), b"x").unwrap();
    (0..10).for_each(|_| _ = stand.turn(NOW));
    stand.wire.0.lock().unwrap().busy = false;
    stand.turn(NOW);
    assert_eq!((stand.left(), tap.dropped()), (1, 0));
    assert_eq!(stand.lane.stack.net.counters.drops(DropReason::NoFrame), 0);
    conserved(vec![stand]);
}

#[test]
fn a_neighbours_answer_reaches_the_lane_that_asked() {
    let mut stands = lanes(2, 256);
    let mut client = stands[1].bound(0);
    client.send(0, Some(address("10.0.0.1:9")), b"x").unwrap();
    stands[1].turn(NOW);
    assert_eq!(stands[1].left(), 1, "the question");
    let reply = arp::Message {
        operation: arp::Operation::Reply,
        sender_mac: PEER_MAC,
        sender_ip: PEER,
        target_mac: HOST_MAC,
        target_ip: *address("10.0.0.2:7").ip(),
    };
    let mut message = [0; arp::LEN];
    reply.emit(&mut message);
    let bytes = compose::ethernet(PEER_MAC, HOST_MAC, ethernet::EtherType::ARP, &message);
    stands[0].wire.0.lock().unwrap().arriving.push(bytes);
    stands[0].turn(NOW);
    let heard = LaneReport::Heard { interface: InterfaceId(0), address: PEER, mac: PEER_MAC };
    assert_eq!(stands[0].reports.take(), Some((0, heard)));
    let (interface, address, mac) = (InterfaceId(0), PEER, PEER_MAC);
    stands[1].commands.send(LaneCommand::Heard { interface, address, mac }).unwrap();
    stands[1].turn(NOW);
    assert_eq!(stands[1].left(), 2, "what waited for it");
    conserved(stands);
}

#[test]
fn an_icmp_error_reaches_the_lane_of_its_socket() {
    let mut stands = lanes(2, 256);
    let mut client = stands[1].bound(0);
    client.submit(0, Op::Connect(address("10.0.0.1:9"))).unwrap();
    stands[1].turn(NOW);
    stands[0]
        .commands
        .send(LaneCommand::Elsewhere { protocol: Transport::Udp, address: address("10.0.0.2:7"), lane: Some(1) })
        .unwrap();
    // Port unreachable about what the socket would send: the peer's packet turned round.
    let mut quoted = datagram(b"")[14..].to_vec();
    quoted[12..16].copy_from_slice(&[10, 0, 0, 2]);
    quoted[16..20].copy_from_slice(&[10, 0, 0, 1]);
    quoted[20..24].copy_from_slice(&[0, 7, 0, 9]);
    let mut bytes = datagram(&quoted);
    bytes[14 + 9] = ipv4::Protocol::ICMP.0;
    ipv4::Ipv4Mut::parse(&mut bytes[14..]).unwrap().fill_checksum();
    icmp::Header { kind: icmp::Kind::UNREACHABLE, code: icmp::unreachable::PORT, rest: [0; 4] }
        .emit(quoted.len(), &mut bytes[34..]);
    stands[0].wire.0.lock().unwrap().arriving.push(bytes);
    stands[0].turn(NOW);
    stands[1].turn(NOW);
    assert_eq!(client.take_error(0), Some(ECONNREFUSED));
    assert_eq!(stands.iter().map(|stand| stand.snmp(Snmp::IcmpInMsgs)).sum::<u64>(), 1);
    conserved(stands);
}

#[test]
fn an_address_is_given_back_before_the_next_call_wants_it() {
    let mut stand = one();
    let mut client = stand.bound(0);
    client.submit(0, Op::Close).unwrap();
    client.submit(1, Op::Open(Transport::Udp)).unwrap();
    client.submit(1, Op::Bind(address("10.0.0.2:7"))).unwrap();
    stand.turn(NOW);
    assert!(matches!(stand.bind_report(), Some(Report::Unbind { .. })));
    assert!(matches!(stand.bind_report(), Some(Report::Bind { slot: 1, .. })));
}

#[test]
fn a_lane_without_a_port_sends_by_the_lane_that_has_one() {
    let mut stands = lanes_with_ports(2, 256, 1);
    let mut without = stands.pop().unwrap();
    let mut with = stands.pop().unwrap();
    let mut client = without.bound(0);
    client.send(0, Some(address(ALL)), b"nobody is known").unwrap();
    without.turn(NOW);
    assert_eq!(without.lane.stack.net.counters.drops(DropReason::DeviceNoPort), 1);
    without.commands.send(LaneCommand::Sender { interface: InterfaceId(0), lane: 0 }).unwrap();
    client.send(0, Some(address(ALL)), b"by the other").unwrap();
    without.turn(NOW);
    assert_eq!((without.snmp(Snmp::HandoverOut), with.left()), (1, 0));
    with.turn(NOW);
    assert_eq!((with.snmp(Snmp::HandoverIn), with.left()), (1, 1));
    conserved(vec![with, without]);
}

#[test]
fn a_claim_on_a_port_is_answered() {
    let mut stand = one();
    let claim = Claim { session: 1, slot: 2, lane: 1, address: address("10.0.0.2:40000"), reuse: false };
    stand.commands.send(LaneCommand::Claim(claim)).unwrap();
    stand.turn(NOW);
    assert_eq!(stand.reports.take(), Some((0, LaneReport::Claimed { claim, free: true })));
    conserved(vec![stand]);
}
