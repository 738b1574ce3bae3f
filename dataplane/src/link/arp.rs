//! ARP for IPv4 over Ethernet (RFC 826; `arp_rcv`, `arp_process`, `arp_send`).

use super::neighbour::{LINK_HEADER_MAX, NeighbourState};
use super::output::{News, update, vlan_tag, xmit_on};
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::net::{DeviceId, Net, Wish};
use crate::qdisc::Priority;
use crate::route::InterfaceId;
use crate::snapshot::InterfaceConfig;
use crate::wire::arp::{Arp, Message, Operation};
use crate::wire::ethernet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use xmit_nic::{Frame, Instant, MacAddr};

/// An ARP packet arrived on `device`; `frame` starts with the ARP header (`arp_rcv`).
pub fn arp_input(net: &mut Net, now: Instant, device: DeviceId, frame: Frame) {
    match process(net, now, device, &frame) {
        Ok(()) => net.pool.release(frame),
        Err(reason) => net.drop_frame(frame, reason),
    }
}

/// `arp_process`.
fn process(net: &mut Net, now: Instant, device: DeviceId, frame: &Frame) -> Result<(), DropReason> {
    let arp = Arp::parse(frame.bytes()).map_err(|_| DropReason::ArpMalformed)?;
    let snapshot = Arc::clone(&net.snapshot);
    let interface = net.device_mut(device).map(|d| d.interface).ok_or(DropReason::DeviceNoPort)?;
    let config = snapshot.interface(interface).ok_or(DropReason::DeviceNoPort)?;
    let (sender, target) = (arp.sender_ip(), arp.target_ip());
    check_addresses(config, &arp)?;
    match arp.operation() {
        Operation::Request => {
            net.counters.inc(Snmp::ArpInRequests);
            if !config.has(target) {
                return refresh_known(net, now, config.id, sender, arp.sender_mac());
            }
            reply(net, config, &arp);
            if !sender.is_unspecified() {
                remember(net, now, config.id, sender, arp.sender_mac());
            }
            Ok(())
        }
        Operation::Reply => {
            net.counters.inc(Snmp::ArpInReplies);
            answer(net, now, config, &arp)
        }
        Operation::Other(_) => Err(DropReason::ArpMalformed),
    }
}

/// Sender and target must be addresses that a host can have, and ours must not be another's (RFC 5227 2.4).
fn check_addresses(config: &InterfaceConfig, arp: &Arp<'_>) -> Result<(), DropReason> {
    let (sender, target) = (arp.sender_ip(), arp.target_ip());
    let impossible = |ip: Ipv4Addr| ip.is_loopback() || ip.is_multicast() || ip.is_broadcast();
    if impossible(sender) || impossible(target) || !arp.sender_mac().is_unicast() {
        return Err(DropReason::ArpBadAddress);
    }
    if config.has(sender) && arp.sender_mac() != config.mac {
        return Err(DropReason::ArpConflict);
    }
    Ok(())
}

/// A request for another's address still tells where a known neighbour is.
fn refresh_known(
    net: &mut Net,
    now: Instant,
    interface: InterfaceId,
    sender: Ipv4Addr,
    mac: MacAddr,
) -> Result<(), DropReason> {
    let id = net.neighbours.lookup(interface, sender).ok_or(DropReason::ArpNotForUs)?;
    update(net, now, id, mac, News::Seen);
    Ok(())
}

/// Who asks us will be spoken to next: its address is entered (`neigh_event_ns`).
fn remember(net: &mut Net, now: Instant, interface: InterfaceId, sender: Ipv4Addr, mac: MacAddr) {
    match net.neighbours.lookup_or_create(now, interface, sender) {
        Some(id) => update(net, now, id, mac, News::Seen),
        // A full table does not keep us from answering; the entry is made when it is needed.
        None => net.counters.dropped(DropReason::NeighbourTableFull),
    }
}

/// A reply updates a neighbour that we know; nobody else's (`arp_accept` = 0).
fn answer(net: &mut Net, now: Instant, config: &InterfaceConfig, arp: &Arp<'_>) -> Result<(), DropReason> {
    let to_us = config.has(arp.target_ip());
    if to_us && net.has_siblings {
        net.wish(Wish::Heard(config.id, arp.sender_ip(), arp.sender_mac()));
    }
    let known = net.neighbours.lookup(config.id, arp.sender_ip());
    let id = known.ok_or(DropReason::ArpUnsolicited)?;
    let asked = net.neighbours.get(id).is_some_and(|n| n.state != NeighbourState::None);
    if !asked {
        return Err(DropReason::ArpUnsolicited);
    }
    update(net, now, id, arp.sender_mac(), if to_us { News::Confirmed } else { News::Seen });
    Ok(())
}

/// Another lane got the answer of a neighbour; it matters if this one asked. NICs bring all ARP to one queue.
pub fn heard(net: &mut Net, now: Instant, interface: InterfaceId, address: Ipv4Addr, mac: MacAddr) {
    let known = net.neighbours.lookup(interface, address);
    if let Some(id) = known.filter(|id| net.neighbours.get(*id).is_some_and(|n| n.state != NeighbourState::None)) {
        update(net, now, id, mac, News::Confirmed);
    }
}

fn reply(net: &mut Net, config: &InterfaceConfig, request: &Arp<'_>) {
    net.counters.inc(Snmp::ArpOutReplies);
    let message = Message {
        operation: Operation::Reply,
        sender_mac: config.mac,
        sender_ip: request.target_ip(),
        target_mac: request.sender_mac(),
        target_ip: request.sender_ip(),
    };
    emit(net, config, request.sender_mac(), &message);
}

/// Asks who has `target` (`arp_solicit`); `to` is the broadcast address or the station believed to have it.
pub(super) fn send_request(net: &mut Net, interface: InterfaceId, target: Ipv4Addr, to: MacAddr) {
    let snapshot = Arc::clone(&net.snapshot);
    let Some(config) = snapshot.interface(interface) else { return };
    let Some(source) = config.source_for(target) else {
        net.counters.dropped(DropReason::IpNoRoute);
        return;
    };
    net.counters.inc(Snmp::ArpOutRequests);
    let message = Message {
        operation: Operation::Request,
        sender_mac: config.mac,
        sender_ip: source,
        target_mac: if to.is_broadcast() { MacAddr::ZERO } else { to },
        target_ip: target,
    };
    emit(net, config, to, &message);
}

fn emit(net: &mut Net, config: &InterfaceConfig, to: MacAddr, message: &Message) {
    let Some(mut frame) = net.pool.acquire() else {
        net.counters.dropped(DropReason::NoFrame);
        return;
    };
    let header = ethernet::Header {
        destination: to,
        source: config.mac,
        vlan: vlan_tag(config),
        ethertype: ethernet::EtherType::ARP,
    };
    let mut bytes = [0; LINK_HEADER_MAX + crate::wire::arp::LEN];
    let link_len = header.emit(&mut bytes);
    message.emit(&mut bytes[link_len..]);
    // A fresh frame holds far more than 46 bytes.
    frame.fill(&bytes[..link_len + crate::wire::arp::LEN]);
    // A drop is counted where it happens; the timer asks again.
    let _ = xmit_on(net, config.id, frame, Priority::CONTROL);
}
