//! From a frame to its verdict: the parent that the layers' answers meet in.
//!
//! Owns the layers' state of one lane. Each packet is carried up in one call: `netif_receive_skb` -> `ip_rcv` ->
//! `ip_local_deliver_finish` -> the protocol's handler; what the handler answers is done here.

mod burst;

use crate::counters::Snmp;
use crate::device::{Direction, dev_queue_xmit};
use crate::drop::DropReason;
use crate::errno::EHOSTUNREACH;
use crate::icmp::{self, IcmpNews, Quote};
use crate::ip::{self, Cast, Packet};
use crate::limits;
use crate::link;
use crate::net::{DeviceId, Net, Timer};
use crate::qdisc::Priority;
use crate::route::InterfaceId;
use crate::socket::{Layers, Sockets};
use crate::tcp::deadlines::Due;
use crate::tcp::flow::Flow;
use crate::tcp::segment::Segment;
use crate::tcp::table::Place;
use crate::tcp::{self, Capacity, Settings, Target, Tcp};
use crate::udp::{self, UdpTable, UdpVerdict};
use crate::wire::ethernet::{EtherType, Ethernet};
use crate::wire::icmp::{Kind, unreachable};
use crate::wire::ipv4::Protocol;
use std::collections::VecDeque;
use xmit_nic::frame::FrameFlags;
use xmit_nic::{Frame, Instant, MacAddr};

/// The stack of one lane.
#[derive(Debug)]
pub struct Stack {
    /// What the layers below the sockets share.
    pub net: Net,
    /// UDP sockets by address.
    pub udp: UdpTable,
    /// TCP.
    pub tcp: Tcp,
    /// Sockets of programs.
    pub sockets: Sockets,
    /// Packets whose socket is on another lane: that lane, and the frame at its IP header.
    pub handover: VecDeque<(u16, Frame)>,
    /// Where the connection of the next segment seems to be (`burst`).
    expected: Option<u32>,
}

impl Stack {
    /// A stack over `net` without sockets, for a few connections: [`Stack::set_tcp`] makes room for more.
    pub fn new(now: Instant, mut net: Net) -> Self {
        Self {
            tcp: Tcp::new(now, &Capacity::SMALL, Settings::default(), &mut net.rng),
            net,
            udp: UdpTable::default(),
            sockets: Sockets::default(),
            // What was handed over here and what was made for others.
            handover: VecDeque::with_capacity(2 * limits::HANDOVER_FRAMES_MAX),
            expected: None,
        }
    }

    /// Begins TCP anew, with room for `capacity` and with `settings`. Before the first session.
    pub fn set_tcp(&mut self, now: Instant, capacity: &Capacity, settings: Settings) {
        let tcp = Tcp::new(now, capacity, settings, &mut self.net.rng);
        let before = std::mem::replace(&mut self.tcp, tcp);
        self.tcp.siblings = before.siblings;
    }

    /// The sockets, and the layers that they work with.
    pub fn split(&mut self, now: Instant) -> (&mut Sockets, Layers<'_>) {
        let Self { net, udp, tcp, sockets, .. } = self;
        (sockets, Layers { now, net, udp, tcp })
    }

    /// Takes a frame that `device` received to its verdict (`netif_receive_skb`).
    #[inline]
    pub fn receive(&mut self, now: Instant, device: DeviceId, mut frame: Frame) {
        match self.classify(now, device, &frame) {
            Ok(Link { ethertype: EtherType::ARP, header_len, .. }) => {
                frame.trim_front(header_len);
                link::arp_input(&mut self.net, now, device, frame);
            }
            Ok(Link { header_len, cast, interface, .. }) => {
                frame.trim_front(header_len);
                frame.port = interface.0;
                self.receive_ip(now, cast, frame);
            }
            Err(reason) => self.net.drop_frame(frame, reason),
        }
    }

    /// Taps see the frame; then its addresses, tag and type are looked at (`eth_type_trans`, `vlan_do_receive`).
    #[inline]
    fn classify(&mut self, now: Instant, device: DeviceId, frame: &Frame) -> Result<Link, DropReason> {
        let dev = self.net.devices.get(usize::from(device.0)).ok_or(DropReason::DeviceNoPort)?;
        if !dev.taps.is_empty() {
            dev.tap(now, Direction::Inbound, frame);
        }
        let config = self.net.snapshot.interface(dev.interface).ok_or(DropReason::DeviceNoPort)?;
        if !dev.up {
            return Err(DropReason::DeviceDown);
        }
        let ethernet = Ethernet::parse(frame.bytes()).map_err(|_| DropReason::EthernetMalformed)?;
        let cast = cast_of(ethernet.destination(), config.mac).ok_or(DropReason::EthernetOtherHost)?;
        // VLAN 0 is a priority tag: the frame belongs to no VLAN (IEEE 802.1Q).
        let vlan = ethernet.vlan().map(|tag| tag.vid).filter(|vid| *vid != 0);
        if vlan != config.vlan {
            return Err(DropReason::EthernetUnknownVlan);
        }
        let ethertype = ethernet.ethertype();
        if ethertype != EtherType::IPV4 && ethertype != EtherType::ARP {
            return Err(DropReason::EthernetUnknownType);
        }
        Ok(Link { ethertype, header_len: ethernet.header_len(), cast, interface: dev.interface })
    }

    /// Takes a frame that starts with its IP header; `frame.port` is the interface it came in on.
    #[inline]
    pub fn receive_ip(&mut self, now: Instant, cast: Cast, frame: Frame) {
        let input = InterfaceId(frame.port);
        if let Some(packet) = ip::ip_rcv(&mut self.net, input, cast, frame) {
            self.local_deliver(now, packet);
        }
    }

    /// Takes a datagram that another lane received for a socket of this one: checked, counted and filtered there.
    pub fn receive_handover(&mut self, now: Instant, frame: Frame) {
        if frame.flags.contains(FrameFlags::OUTGOING) {
            return self.send_for_other(frame);
        }
        match ip::handed_over(&self.net, frame) {
            Ok(packet) if packet.protocol == Protocol::ICMP => {
                if let Some(news) = icmp::news_of(&packet) {
                    self.tell(now, &news);
                }
                self.net.pool.release(packet.frame);
            }
            Ok(packet) if packet.protocol == Protocol::TCP => {
                let disposal = self.tcp(now, &packet, true);
                self.dispose(packet.frame, disposal);
            }
            Ok(packet) => self.udp(now, packet),
            Err((frame, reason)) => self.net.drop_frame(frame, reason),
        }
    }

    /// A frame that another lane made for an interface on which only we have a port.
    fn send_for_other(&mut self, mut frame: Frame) {
        frame.flags = FrameFlags::NONE;
        let priority = Priority(frame.priority);
        match self.net.device_on(InterfaceId(frame.port)) {
            // A drop is counted where it happens; the sender has long been told that the packet was taken.
            Some(device) => _ = dev_queue_xmit(&mut self.net, device, frame, priority),
            None => self.net.drop_frame(frame, DropReason::DeviceNoPort),
        }
    }

    /// To the protocol's handler (`ip_local_deliver_finish`).
    #[inline(always)] // a packet that is handed on is copied
    fn local_deliver(&mut self, now: Instant, packet: Packet) {
        match packet.protocol {
            Protocol::UDP => {
                self.net.counters.inc(Snmp::IpInDelivers);
                self.udp(now, packet);
            }
            Protocol::TCP => {
                self.net.counters.inc(Snmp::IpInDelivers);
                let disposal = self.tcp(now, &packet, false);
                self.dispose(packet.frame, disposal);
            }
            Protocol::ICMP => {
                self.net.counters.inc(Snmp::IpInDelivers);
                if let Some((news, packet)) = icmp::icmp_rcv(&mut self.net, now, packet) {
                    self.icmp_error(now, &news, packet);
                }
            }
            _ => {
                self.net.counters.inc(Snmp::IpInUnknownProtos);
                icmp::icmp_send(&mut self.net, now, &packet, Kind::UNREACHABLE, unreachable::PROTOCOL, [0; 4]);
                self.net.drop_frame(packet.frame, DropReason::IpUnknownProtocol);
            }
        }
    }

    fn udp(&mut self, now: Instant, packet: Packet) {
        match udp::udp_rcv(&mut self.net, &self.udp, now, packet) {
            UdpVerdict::Deliver { sockets, source, destination, payload, packet } => {
                for id in sockets {
                    self.sockets.deliver(
                        &mut self.net,
                        &mut self.udp,
                        id,
                        source,
                        destination,
                        &packet,
                        payload.clone(),
                    );
                }
                self.net.pool.release(packet.frame);
            }
            UdpVerdict::Handover { lane, packet } => self.hand_over(lane, packet.frame),
            UdpVerdict::Dropped => {}
        }
    }

    fn hand_over(&mut self, lane: u16, mut frame: Frame) {
        if self.handover.len() >= limits::HANDOVER_FRAMES_MAX {
            return self.net.drop_frame(frame, DropReason::BacklogFull);
        }
        frame.flags = frame.flags.with(FrameFlags::CHECKSUM_VERIFIED);
        self.handover.push_back((lane, frame));
    }

    /// A segment to its connection or listener, which may be on another lane; one that was handed over already goes no
    /// further.
    fn tcp(&mut self, now: Instant, packet: &Packet, handed_over: bool) -> Disposal {
        if !handed_over {
            // The lane that received it has counted it.
            self.net.counters.inc(Snmp::TcpInSegs);
        }
        let view = match tcp::tcp_v4_rcv(&self.net, packet) {
            Ok(view) => view,
            Err(reason) => return Disposal::Refused(reason),
        };
        let segment = Segment::new(packet, &view);
        let target = self.tcp.lookup_expected(&segment, self.expected);
        if let (Target::Elsewhere(lane), false) = (target, handed_over) {
            return Disposal::Elsewhere(lane);
        }
        let end = self.sockets.end_of(self.tcp.owner_of(target));
        self.tcp.dispatch(&mut self.net, now, end, target, &segment, packet);
        Disposal::Done
    }

    #[inline]
    fn dispose(&mut self, frame: Frame, disposal: Disposal) {
        match disposal {
            Disposal::Done => self.net.pool.release(frame),
            Disposal::Elsewhere(lane) => self.hand_over(lane, frame),
            Disposal::Refused(reason) => tcp::refuse(&mut self.net, frame, reason),
        }
    }

    /// An error reaches the lane of the socket that it concerns: NICs do not hash it like the packet that it quotes.
    fn icmp_error(&mut self, now: Instant, news: &IcmpNews, packet: Packet) {
        if self.tell(now, news) {
            return self.net.pool.release(packet.frame);
        }
        let elsewhere = match news.quote.protocol {
            Protocol::UDP => self.udp.owner_elsewhere(news.quote.source),
            Protocol::TCP => self.tcp.lane_of(news.quote.source),
            _ => None,
        };
        match elsewhere {
            Some(lane) => self.hand_over(lane, packet.frame),
            None => self.net.drop_frame(packet.frame, DropReason::IcmpErrorUnmatched),
        }
    }

    /// News from the network reach the socket that they concern; false if it is not here.
    fn tell(&mut self, now: Instant, news: &IcmpNews) -> bool {
        match news.quote.protocol {
            Protocol::UDP => {
                if let Some((id, errno)) = udp::udp_err(&self.udp, news) {
                    self.sockets.set_error(&self.udp, id, errno);
                }
                self.udp.lookup_sender(news.quote.source, news.quote.destination).is_some()
            }
            Protocol::TCP => {
                let flow = Flow { local: news.quote.source, remote: news.quote.destination };
                let Some(place) = self.tcp.table.lookup(&flow) else { return false };
                match place {
                    Place::Connection(index) => {
                        if let Some((id, owner)) = self.tcp.table.connections.get(index).map(|c| (c.id, c.owner)) {
                            let end = self.sockets.end_of(owner);
                            self.tcp.on_icmp(&mut self.net, now, end, id, news);
                        }
                    }
                    Place::Request(index) => self.tcp.on_request_icmp(&mut self.net, index, news),
                    Place::TimeWait(_) => {}
                }
                true
            }
            _ => false,
        }
    }

    /// Receives what this host sent to itself. Bounded by what was queued when it began.
    pub fn run_loopback(&mut self, now: Instant) -> usize {
        let waiting = self.net.loopback.len();
        for _ in 0..waiting {
            let Some(frame) = self.net.loopback.pop_front() else { break };
            self.receive_ip(now, Cast::Unicast, frame);
        }
        waiting
    }

    /// Expires timers, then tells the senders of packets whose neighbour did not answer. Bounded by
    /// [`limits::TIMERS_PER_TURN`].
    pub fn run_timers(&mut self, now: Instant) -> usize {
        let mut due = arrayvec::ArrayVec::<Timer, { limits::TIMERS_PER_TURN }>::new();
        let expired = self.net.timers.expire(now, limits::TIMERS_PER_TURN, |timer| due.push(timer));
        for timer in &due {
            match timer {
                Timer::Neighbour(index) => link::on_timer(&mut self.net, now, *index),
            }
        }
        while let Some(frame) = self.net.failed.pop_front() {
            self.link_failure(now, frame);
        }
        expired + self.run_tcp_timers(now)
    }

    /// Bounded by [`limits::TIMERS_PER_TURN`].
    fn run_tcp_timers(&mut self, now: Instant) -> usize {
        let mut due = arrayvec::ArrayVec::<Due, { limits::TIMERS_PER_TURN }>::new();
        let expired = self.tcp.expire(now, |what| due.push(what));
        due.iter().for_each(|due| self.tcp.prefetch_due(*due));
        for due in &due {
            let end = self.sockets.end_of(self.tcp.owner_of_due(*due));
            self.tcp.on_due(&mut self.net, now, end, *due);
        }
        expired
    }

    /// Lets connections send that have something to: what was received, written and expired in this turn, and what found
    /// the way out full in the last one. Answers how many. Bounded by [`limits::TCP_READY_PER_TURN`].
    pub fn run_ready(&mut self, now: Instant) -> usize {
        let commons = &mut self.tcp.commons;
        if !commons.blocked.is_empty() {
            commons.ready.extend(commons.blocked.drain(..));
        }
        let waiting = commons.ready.len().min(limits::TCP_READY_PER_TURN);
        for _ in 0..waiting {
            let Some(id) = self.tcp.next_ready() else { break };
            let end = self.sockets.end_of(self.tcp.owner(id));
            self.tcp.output(&mut self.net, now, end, id);
        }
        let (sockets, layers) = self.split(now);
        sockets.take_news(layers);
        waiting
    }

    /// `ipv4_link_failure`: the sender of a packet that found no neighbour hears "host unreachable".
    fn link_failure(&mut self, now: Instant, frame: Frame) {
        if let Some(quote) = Quote::parse(frame.bytes()) {
            let news =
                IcmpNews { quote, errno: EHOSTUNREACH, fatal: false, next_hop_mtu: None, reporter: *quote.source.ip() };
            self.tell(now, &news);
        }
        self.net.drop_frame(frame, DropReason::NeighbourFailed);
    }
}

/// What becomes of a segment's frame.
enum Disposal {
    /// It was read.
    Done,
    /// Another lane has its connection.
    Elsewhere(u16),
    /// It is no segment.
    Refused(DropReason),
}

/// What the link layer says of a frame.
struct Link {
    ethertype: EtherType,
    header_len: usize,
    cast: Cast,
    interface: InterfaceId,
}

fn cast_of(destination: MacAddr, ours: MacAddr) -> Option<Cast> {
    if destination == ours {
        Some(Cast::Unicast)
    } else if destination.is_broadcast() {
        Some(Cast::Broadcast)
    } else {
        destination.is_group().then_some(Cast::Multicast)
    }
}
