//! What the layers below the sockets share: one lane's state, plain fields behind one `&mut`.
//!
//! Owns the pool, devices, neighbours, routes, counters, timers and the queues between layers. The layers
//! (`link`, `ip`, `icmp`, `udp`) are functions over it. No I/O, no clock: `now` is an argument.

use crate::counters::{Counters, Snmp};
use crate::device::Device;
use crate::drop::DropReason;
use crate::hooks::Hooks;
use crate::ip::{Cast, Idents, Path};
use crate::limits;
use crate::link::Neighbours;
use crate::qdisc::Priority;
use crate::rate::IcmpLimit;
use crate::route::{InterfaceId, RouteCache};
use crate::snapshot::Snapshot;
use crate::timers::Wheel;
use arrayvec::ArrayVec;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use xmit_nic::frame::FrameFlags;
use xmit_nic::rng::Rng;
use xmit_nic::{Frame, Instant, MacAddr, Pool};

/// The index of a port in its lane, and of its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(pub u16);

/// What a timer of the lower layers is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The neighbour at this index of the table needs a look.
    Neighbour(u16),
}

/// What the lower layers ask of others; the lane carries it on once per turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The kernel should resolve this neighbour (`Resolution::Kernel`).
    Resolve(InterfaceId, Ipv4Addr),
    /// The other lanes should know where this neighbour is: its answer came to us, whoever asked.
    Heard(InterfaceId, Ipv4Addr, MacAddr),
}

/// Wishes kept until the lane takes them; a neighbour asks again by timer, so a full list loses nothing for good.
const WISHES_MAX: usize = 64;

/// State of the layers below the sockets.
#[derive(Debug)]
pub struct Net {
    /// The lane's frames.
    pub pool: Pool,
    /// One device per port.
    pub devices: ArrayVec<Device, { limits::PORTS_MAX }>,
    /// Neighbours by ARP.
    pub neighbours: Neighbours,
    /// The configuration in force.
    pub snapshot: Arc<Snapshot>,
    /// Its generation: route cache entries of others are stale.
    pub generation: u64,
    /// Routes in use.
    pub cache: RouteCache<Path>,
    /// What the addresses of packets that arrive are to us.
    pub input_cache: RouteCache<Cast>,
    /// Everything that is counted.
    pub counters: Counters,
    /// Netfilter points.
    pub hooks: Hooks,
    /// The lane's timers.
    pub timers: Wheel<Timer>,
    /// IP identification.
    pub idents: Idents,
    /// Limits of ICMP errors.
    pub icmp_limit: IcmpLimit,
    /// Packets from this host to itself, received later in the turn (`netif_rx`).
    pub loopback: VecDeque<Frame>,
    /// Packets whose neighbour failed, on their way to be told to their senders (`dst_link_failure`).
    pub failed: VecDeque<Frame>,
    /// Other lanes have neighbour tables of their own.
    pub has_siblings: bool,
    /// Complete frames for interfaces that only another lane has a port on: that lane, and the frame.
    pub outgoing: VecDeque<(u16, Frame)>,
    /// Which lane sends by an interface that this one has no port on.
    pub senders: ArrayVec<(InterfaceId, u16), { limits::INTERFACES_MAX }>,
    /// Wishes of the lower layers.
    pub wishes: ArrayVec<Wish, WISHES_MAX>,
    /// Randomness; seeded by an argument.
    pub rng: Rng,
}

impl Net {
    /// Lower layers over `pool` at time `now`, without interfaces until the first [`Net::adopt`].
    pub fn new(pool: Pool, now: Instant, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let cache_seed = [rng.next_u64(), rng.next_u64()];
        Self {
            pool,
            devices: ArrayVec::new(),
            neighbours: Neighbours::new(),
            snapshot: Arc::default(),
            generation: 0,
            cache: RouteCache::new(limits::ROUTE_CACHE_ENTRIES, cache_seed),
            input_cache: RouteCache::new(limits::ROUTE_CACHE_ENTRIES, cache_seed),
            counters: Counters::default(),
            hooks: Hooks::default(),
            timers: Wheel::new(now, limits::TIMERS_MAX, limits::TIMER_TICK),
            idents: Idents::new(&mut rng),
            icmp_limit: IcmpLimit::new(now, &mut rng),
            loopback: VecDeque::with_capacity(limits::LOOPBACK_FRAMES_MAX),
            failed: VecDeque::with_capacity(limits::NEIGHBOUR_PENDING_TOTAL_MAX),
            outgoing: VecDeque::with_capacity(limits::HANDOVER_FRAMES_MAX),
            senders: ArrayVec::new(),
            has_siblings: false,
            wishes: ArrayVec::new(),
            rng,
        }
    }

    /// True if a transport checksum that came in by `interface` may be left unfinished.
    pub fn accepts_unfinished(&self, interface: InterfaceId) -> bool {
        self.snapshot.interface(interface).is_some_and(|i| i.accept_unfinished_checksums)
    }

    /// Puts a new snapshot in force: every cached route is stale from now on.
    pub fn adopt(&mut self, now: Instant, snapshot: Arc<Snapshot>, generation: u64) {
        self.snapshot = snapshot;
        self.generation = generation;
        for device in &mut self.devices {
            device.adopt(&self.snapshot);
        }
        crate::link::adopt_static(self, now);
    }

    /// Counts `reason` and gives the frame back.
    #[inline]
    pub fn drop_frame(&mut self, frame: Frame, reason: DropReason) {
        self.counters.dropped(reason);
        self.pool.release(frame);
    }

    /// The device to send by on `interface`: the lane's first port on it.
    #[inline]
    pub fn device_on(&self, interface: InterfaceId) -> Option<DeviceId> {
        let index = self.devices.iter().position(|d| d.interface == interface)?;
        Some(DeviceId(index as u16))
    }

    /// The device `id`.
    #[inline]
    pub fn device_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.devices.get_mut(usize::from(id.0))
    }

    /// Queues a packet (Ethernet header absent, IP header first) to be received locally.
    pub fn loop_back(&mut self, frame: Frame) {
        if self.loopback.len() >= limits::LOOPBACK_FRAMES_MAX {
            self.counters.inc(Snmp::IpInDiscards);
            self.drop_frame(frame, DropReason::BacklogFull);
        } else {
            self.loopback.push_back(frame);
        }
    }

    /// Leaves a complete frame to the lane that has a port on `interface`; that lane queues it with `priority`.
    ///
    /// # Errors
    /// `DeviceNoPort` if no lane has one, `BacklogFull` if too much waits already; counted.
    pub fn send_elsewhere(
        &mut self,
        interface: InterfaceId,
        mut frame: Frame,
        priority: Priority,
    ) -> Result<(), DropReason> {
        let lane = self.senders.iter().find(|(of, _)| *of == interface).map(|(_, lane)| *lane);
        let reason = match lane {
            None => DropReason::DeviceNoPort,
            Some(_) if self.outgoing.len() >= limits::HANDOVER_FRAMES_MAX => DropReason::BacklogFull,
            Some(lane) => {
                (frame.port, frame.priority) = (interface.0, priority.0);
                frame.flags = frame.flags.with(FrameFlags::OUTGOING);
                self.outgoing.push_back((lane, frame));
                return Ok(());
            }
        };
        self.counters.inc(Snmp::IpOutDiscards);
        self.drop_frame(frame, reason);
        Err(reason)
    }

    /// A wish for others; dropped when too many wait, which its timer repairs.
    pub fn wish(&mut self, wish: Wish) {
        if !self.wishes.contains(&wish) {
            let _ = self.wishes.try_push(wish);
        }
    }
}
