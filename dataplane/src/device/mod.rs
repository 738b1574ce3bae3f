//! The net device: queueing and transmit down, taps on both ways.
//!
//! Answers to `dev_queue_xmit`, `qdisc_run`, `qdisc_restart`, `netif_schedule` and `dev_hard_start_xmit`. A device is the
//! stack's side of one port; the port itself stands outside the stack and is an argument.
//!
//! Invariants: a device that has queued frames is scheduled; a frame the port refuses is the next of its band.

mod queue;
mod tap;

pub use queue::{Queue, QueueStats};
pub use tap::{Direction, Tap};

use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::limits;
use crate::net::{DeviceId, Net};
use crate::qdisc::Priority;
use crate::route::InterfaceId;
use crate::snapshot::Snapshot;
use xmit_nic::frame::FrameFlags;
use xmit_nic::{Burst, Caps, Frame, Instant, Port};

/// The stack's side of one port.
#[derive(Debug)]
pub struct Device {
    /// The interface it belongs to; several queues of one NIC share it.
    pub interface: InterfaceId,
    /// What the port can do.
    pub caps: Caps,
    /// `IFF_UP` and carrier: a device that is down discards and says so.
    pub up: bool,
    /// The port's carrier when last looked at.
    pub carrier: bool,
    /// Frames waiting for the port.
    pub queue: Queue,
    /// Copies of what passes.
    pub taps: Vec<Tap>,
}

impl Device {
    /// The device of a port with `caps` on `interface`, queueing by `queue`. Down until a snapshot says otherwise.
    pub fn new(interface: InterfaceId, caps: Caps, queue: Queue) -> Self {
        Self { interface, caps, up: false, carrier: true, queue, taps: Vec::new() }
    }

    /// Follows the administrative state in `snapshot`.
    pub fn adopt(&mut self, snapshot: &Snapshot) {
        self.up = snapshot.interface(self.interface).is_some_and(|i| i.up);
    }

    /// Shows `frame` to the taps.
    #[inline]
    pub fn tap(&self, now: Instant, direction: Direction, frame: &Frame) {
        for tap in &self.taps {
            tap.offer(now, direction, frame.bytes());
        }
    }
}

/// Queues a complete Ethernet frame on `device` (`dev_queue_xmit`). The frame is gone either way.
///
/// # Errors
/// Why it was dropped, already counted.
#[inline]
pub fn dev_queue_xmit(net: &mut Net, device: DeviceId, frame: Frame, priority: Priority) -> Result<(), DropReason> {
    let Some(dev) = net.device_mut(device) else {
        return refuse(net, frame, DropReason::DeviceNoPort);
    };
    if !dev.up || !dev.carrier {
        return refuse(net, frame, DropReason::DeviceDown);
    }
    match dev.queue.enqueue(frame, priority) {
        Ok(()) => Ok(()),
        Err(frame) => refuse(net, frame, DropReason::QdiscFull),
    }
}

#[cold]
fn refuse(net: &mut Net, frame: Frame, reason: DropReason) -> Result<(), DropReason> {
    net.counters.inc(Snmp::IpOutDiscards);
    net.drop_frame(frame, reason);
    Err(reason)
}

/// Moves queued frames into the port until it is busy, the queue is empty or the budget is used (`qdisc_run`).
/// Answers how many went. Bounded by [`limits::QDISC_FRAMES_PER_TURN`].
pub fn qdisc_run(net: &mut Net, device: DeviceId, port: &mut dyn Port, now: Instant) -> usize {
    let mut sent = 0;
    while sent < limits::QDISC_FRAMES_PER_TURN {
        let went = qdisc_restart(net, device, port, now);
        if went == 0 {
            break;
        }
        sent += went;
    }
    sent
}

/// One burst from the queue to the port; what the port leaves goes back to the front (`qdisc_restart`).
fn qdisc_restart(net: &mut Net, device: DeviceId, port: &mut dyn Port, now: Instant) -> usize {
    let Some(dev) = net.devices.get_mut(usize::from(device.0)) else { return 0 };
    let mut burst = Burst::new();
    let room = port.tx_room().min(burst.capacity());
    while burst.len() < room {
        let Some(frame) = dev.queue.dequeue() else { break };
        burst.push(frame);
    }
    let offered = burst.len();
    if offered == 0 {
        return 0;
    }
    if !dev.taps.is_empty() {
        for frame in burst.iter_mut().filter(|frame| !frame.flags.contains(FrameFlags::TAPPED)) {
            dev.tap(now, Direction::Outbound, frame);
            frame.flags = frame.flags.with(FrameFlags::TAPPED);
        }
    }
    port.tx_burst(now, &mut net.pool, &mut burst);
    let left = burst.len();
    while let Some(frame) = burst.pop() {
        dev.queue.requeue(frame);
    }
    offered - left
}
