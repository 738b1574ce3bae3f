//! Sending to a neighbour: the ready header on the fast path, resolution on the slow one.
//!
//! Answers to `neigh_resolve_output`, `neigh_hh_output`, `__neigh_event_send` and `neigh_timer_handler`.

use super::arp;
use super::neighbour::{
    BROADCAST_PROBES, DELAY_PROBE_TIME, LINK_HEADER_MAX, NeighbourState, REACHABLE_TIME, RETRANS_TIME, UNICAST_PROBES,
};
use super::table::NeighbourId;
use crate::counters::Snmp;
use crate::device::dev_queue_xmit;
use crate::drop::DropReason;
use crate::limits;
use crate::net::{Net, Timer, Wish};
use crate::qdisc::Priority;
use crate::route::InterfaceId;
use crate::snapshot::{InterfaceConfig, Resolution, Snapshot};
use crate::wire::ethernet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use xmit_nic::{Duration, Frame, Instant, MacAddr};

/// Sends `frame` (IP header first) to neighbour `id`: at once if its address is known (`neigh_hh_output`), else when
/// it is. The frame is gone either way.
///
/// # Errors
/// Why it was dropped, already counted. `NeighbourTableFull` if `id` was recycled meanwhile.
#[inline]
pub fn neigh_resolve_output(
    net: &mut Net,
    now: Instant,
    id: NeighbourId,
    mut frame: Frame,
    priority: Priority,
) -> Result<(), DropReason> {
    let Some(neighbour) = net.neighbours.get_mut(id) else {
        net.drop_frame(frame, DropReason::NeighbourTableFull);
        return Err(DropReason::NeighbourTableFull);
    };
    if !neighbour.is_valid() {
        return wait_for(net, now, id, frame, priority);
    }
    neighbour.used = now;
    let went_stale = neighbour.state == NeighbourState::Stale;
    let interface = neighbour.interface;
    let header = neighbour.header();
    if let Some(room) = frame.push_front(header.len()) {
        put_header(room, header);
    }
    if went_stale {
        begin_delay(net, now, id);
    }
    xmit_on(net, interface, frame, priority)
}

/// Copies a header of 14 bytes, which nearly all are, without a call.
#[inline]
fn put_header(room: &mut [u8], header: &[u8]) {
    match (<&mut [u8; ethernet::LEN]>::try_from(&mut *room), <&[u8; ethernet::LEN]>::try_from(header)) {
        (Ok(room), Ok(header)) => *room = *header,
        _ => room.copy_from_slice(header),
    }
}

/// Sends `frame` (IP header first) to every station on `interface`.
///
/// # Errors
/// Why it was dropped, already counted.
pub fn broadcast_output(
    net: &mut Net,
    interface: InterfaceId,
    frame: Frame,
    priority: Priority,
) -> Result<(), DropReason> {
    output_to_mac(net, interface, MacAddr::BROADCAST, frame, priority)
}

/// Sends `frame` (IP header first) to the stations that listen to `group` (RFC 1112 6.4).
///
/// # Errors
/// Why it was dropped, already counted.
pub fn multicast_output(
    net: &mut Net,
    interface: InterfaceId,
    group: Ipv4Addr,
    frame: Frame,
    priority: Priority,
) -> Result<(), DropReason> {
    let [_, b, c, d] = group.octets();
    output_to_mac(net, interface, MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d]), frame, priority)
}

fn output_to_mac(
    net: &mut Net,
    interface: InterfaceId,
    mac: MacAddr,
    mut frame: Frame,
    priority: Priority,
) -> Result<(), DropReason> {
    let snapshot = Arc::clone(&net.snapshot);
    let Some(config) = snapshot.interface(interface) else {
        net.drop_frame(frame, DropReason::DeviceNoPort);
        return Err(DropReason::DeviceNoPort);
    };
    let header = ethernet::Header {
        destination: mac,
        source: config.mac,
        vlan: vlan_tag(config),
        ethertype: ethernet::EtherType::IPV4,
    };
    let mut bytes = [0; LINK_HEADER_MAX];
    let len = header.emit(&mut bytes);
    if let Some(room) = frame.push_front(len) {
        room.copy_from_slice(&bytes[..len]);
    }
    xmit_on(net, interface, frame, priority)
}

/// The tag that frames on `config` carry.
pub(super) fn vlan_tag(config: &InterfaceConfig) -> Option<ethernet::VlanTag> {
    config.vlan.map(|vid| ethernet::VlanTag { pcp: 0, dei: false, vid })
}

/// By our own port on `interface`, else by another lane's.
#[inline]
pub(super) fn xmit_on(
    net: &mut Net,
    interface: InterfaceId,
    frame: Frame,
    priority: Priority,
) -> Result<(), DropReason> {
    match net.device_on(interface) {
        Some(device) => dev_queue_xmit(net, device, frame, priority),
        None => net.send_elsewhere(interface, frame, priority),
    }
}

/// Queues `frame` behind the resolution of `id`, which starts if it was not going on (`__neigh_event_send`).
#[cold]
fn wait_for(net: &mut Net, now: Instant, id: NeighbourId, frame: Frame, priority: Priority) -> Result<(), DropReason> {
    let Some(neighbour) = net.neighbours.get_mut(id) else {
        net.drop_frame(frame, DropReason::NeighbourTableFull);
        return Err(DropReason::NeighbourTableFull);
    };
    neighbour.used = now;
    let starts = !matches!(neighbour.state, NeighbourState::Incomplete { .. });
    let mut refused = None;
    if neighbour.pending.is_full() {
        // Linux drops the oldest: the newest is what the program still cares about.
        let (oldest, _) = neighbour.pending.remove(0);
        neighbour.pending.push((frame, priority));
        refused = Some(oldest);
    } else {
        neighbour.pending.push((frame, priority));
        net.neighbours.pending_total += 1;
    }
    if net.neighbours.pending_total > limits::NEIGHBOUR_PENDING_TOTAL_MAX {
        refused = net.neighbours.get_mut(id).and_then(|n| n.pending.pop()).map(|(frame, _)| frame);
        net.neighbours.pending_total -= 1;
    }
    if let Some(oldest) = refused {
        net.drop_frame(oldest, DropReason::NeighbourQueueFull);
    }
    if starts {
        solicit(net, now, id, 0);
    }
    Ok(())
}

/// Sends request number `probes` + 1 by broadcast and waits for its answer.
fn solicit(net: &mut Net, now: Instant, id: NeighbourId, probes: u8) {
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    neighbour.state = NeighbourState::Incomplete { probes: probes + 1 };
    let (interface, address) = (neighbour.interface, neighbour.address);
    ask(net, interface, address, MacAddr::BROADCAST);
    rearm(net, id, now + RETRANS_TIME);
}

fn begin_delay(net: &mut Net, now: Instant, id: NeighbourId) {
    if let Some(neighbour) = net.neighbours.get_mut(id) {
        neighbour.state = NeighbourState::Delay;
    }
    rearm(net, id, now + DELAY_PROBE_TIME);
}

fn probe(net: &mut Net, now: Instant, id: NeighbourId, probes: u8) {
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    neighbour.state = NeighbourState::Probe { probes: probes + 1 };
    let (interface, address, mac) = (neighbour.interface, neighbour.address, neighbour.mac);
    ask(net, interface, address, mac);
    rearm(net, id, now + RETRANS_TIME);
}

/// Whoever resolves on `interface` asks `to` for `address`.
fn ask(net: &mut Net, interface: InterfaceId, address: Ipv4Addr, to: MacAddr) {
    let resolution = net.snapshot.interface(interface).map(|i| i.resolution).unwrap_or_default();
    match resolution {
        Resolution::Arp => arp::send_request(net, interface, address, to),
        Resolution::Kernel => net.wish(Wish::Resolve(interface, address)),
    }
}

/// The neighbour at `index` is due (`neigh_timer_handler`).
pub fn on_timer(net: &mut Net, now: Instant, index: u16) {
    let Some(id) = net.neighbours.id_at(index) else { return };
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    neighbour.timer = None;
    match neighbour.state {
        NeighbourState::Incomplete { probes } if probes < BROADCAST_PROBES => solicit(net, now, id, probes),
        NeighbourState::Probe { probes } if probes < UNICAST_PROBES => probe(net, now, id, probes),
        NeighbourState::Incomplete { .. } | NeighbourState::Probe { .. } => fail(net, id),
        NeighbourState::Delay => probe(net, now, id, 0),
        NeighbourState::Reachable { until } => expire_reachable(net, now, id, until),
        NeighbourState::None | NeighbourState::Stale | NeighbourState::Failed | NeighbourState::Permanent => {}
    }
}

fn expire_reachable(net: &mut Net, now: Instant, id: NeighbourId, until: Instant) {
    if now < until {
        rearm(net, id, until);
        return;
    }
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    if neighbour.used + DELAY_PROBE_TIME > now {
        begin_delay(net, now, id);
    } else {
        neighbour.state = NeighbourState::Stale;
    }
}

/// The last try went unanswered: who waits is told (`neigh_invalidate`, `arp_error_report`).
fn fail(net: &mut Net, id: NeighbourId) {
    net.counters.inc(Snmp::NeighbourFailures);
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    neighbour.state = NeighbourState::Failed;
    let pending = std::mem::take(&mut neighbour.pending);
    net.neighbours.pending_total -= pending.len();
    net.failed.extend(pending.into_iter().map(|(frame, _)| frame));
}

/// What an answer or a rumour says about a neighbour (`neigh_update`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It answered our question.
    Confirmed,
    /// It was seen with this address.
    Seen,
    /// The control thread says so.
    Permanent,
}

/// Takes `mac` as the address of `id` and sends what waited for it (`neigh_update`).
pub(super) fn update(net: &mut Net, now: Instant, id: NeighbourId, mac: MacAddr, news: News) {
    let snapshot = Arc::clone(&net.snapshot);
    let varied = vary(net, REACHABLE_TIME);
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    let Some(config) = snapshot.interface(neighbour.interface) else { return };
    let changed = neighbour.mac != mac || !neighbour.is_valid();
    if neighbour.state == NeighbourState::Permanent && news != News::Permanent {
        return;
    }
    neighbour.learn(mac, config.mac, vlan_tag(config));
    match news {
        News::Confirmed => {
            neighbour.state = NeighbourState::Reachable { until: now + varied };
            rearm(net, id, now + varied);
        }
        News::Seen if changed => {
            neighbour.state = NeighbourState::Stale;
            disarm(net, id);
        }
        News::Seen => {}
        News::Permanent => {
            neighbour.state = NeighbourState::Permanent;
            disarm(net, id);
        }
    }
    flush(net, now, id);
}

fn flush(net: &mut Net, now: Instant, id: NeighbourId) {
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    let pending = std::mem::take(&mut neighbour.pending);
    net.neighbours.pending_total -= pending.len();
    for (frame, priority) in pending {
        // An error is counted where it arises; the sender has long been told that the packet was taken.
        let _ = neigh_resolve_output(net, now, id, frame, priority);
    }
}

/// Takes over the neighbours of the snapshot; entries it no longer names become stale.
pub fn adopt_static(net: &mut Net, now: Instant) {
    let snapshot = Arc::clone(&net.snapshot);
    for id in net.neighbours.ids() {
        demote_if_gone(net, id, &snapshot.neighbours);
        rewrite_header(net, id, &snapshot);
    }
    for entry in &snapshot.neighbours {
        match net.neighbours.lookup_or_create(now, entry.interface, entry.address) {
            Some(id) => update(net, now, id, entry.mac, News::Permanent),
            None => net.counters.dropped(DropReason::NeighbourTableFull),
        }
    }
}

/// Our station address or VLAN may have changed: no frame must leave with the old one (`neigh_changeaddr`).
fn rewrite_header(net: &mut Net, id: NeighbourId, snapshot: &Snapshot) {
    let Some(neighbour) = net.neighbours.get_mut(id).filter(|n| n.is_valid()) else { return };
    if let Some(config) = snapshot.interface(neighbour.interface) {
        neighbour.learn(neighbour.mac, config.mac, vlan_tag(config));
    }
}

fn demote_if_gone(net: &mut Net, id: NeighbourId, named: &[crate::snapshot::StaticNeighbour]) {
    let Some(neighbour) = net.neighbours.get_mut(id) else { return };
    let key = (neighbour.interface, neighbour.address);
    if neighbour.state == NeighbourState::Permanent && !named.iter().any(|n| (n.interface, n.address) == key) {
        neighbour.state = NeighbourState::Stale;
    }
}

/// Half to one and a half times `base` (`neigh_rand_reach_time`), so that neighbours do not expire in step.
fn vary(net: &mut Net, base: Duration) -> Duration {
    let nanos = xmit_shared::time::nanos(base);
    Duration::from_nanos(nanos / 2 + net.rng.below(nanos))
}

fn rearm(net: &mut Net, id: NeighbourId, at: Instant) {
    if let Some(neighbour) = net.neighbours.get_mut(id) {
        net.timers.move_to(&mut neighbour.timer, at, Timer::Neighbour(id.index));
    }
}

fn disarm(net: &mut Net, id: NeighbourId) {
    if let Some(neighbour) = net.neighbours.get_mut(id) {
        net.timers.stop(&mut neighbour.timer);
    }
}

/// Gives back the packets that wait for neighbours, when the lane ends.
pub fn release_pending(net: &mut Net) {
    for id in net.neighbours.ids() {
        let Some(neighbour) = net.neighbours.get_mut(id) else { continue };
        let pending = std::mem::take(&mut neighbour.pending);
        net.neighbours.pending_total -= pending.len();
        pending.into_iter().for_each(|(frame, _)| net.drop_frame(frame, DropReason::Shutdown));
    }
}
