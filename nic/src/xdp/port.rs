//! One queue of one NIC through AF_XDP.
//!
//! ```text
//! pool --fill ring--> kernel --receive ring--> lane --transmit ring--> kernel --completion ring--> pool
//! ```
//!
//! Invariants:
//! * `ledger` holds exactly the slots that are in one of this port's four rings;
//! * the fill ring holds as many frames as the receive ring has entries, as far as the pool has them, also on a port
//!   that only sends (some drivers stall for ever once it ran dry);
//! * nothing waits: system calls are non-blocking, their number per turn is bounded by [`KICKS_MAX`] and one for the
//!   fill ring.
//!
//! Called by its lane only. Setting up is [`super::rings`]; `Documentation/networking/af_xdp.rst` explains the rings.

use super::counters::XdpCounters;
use super::error::XdpError;
use super::interface::Interface;
use super::ledger::Ledger;
use super::options::PortOptions;
use super::rings::Rings;
use super::steering::Steering;
use super::umem::LaneUmem;
use crate::frame::FRAME_HOME;
use crate::{BURST_FRAMES_MAX, Burst, Caps, Duration, Frame, Holder, Instant, Pool, Port, PortStats, Wakeup};
use arrayvec::ArrayVec;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsRawFd, RawFd};
use xsk_rs::umem::frame::FrameDesc;

/// Ethernet header and one tag: what a frame may have beyond the MTU.
const HEADER_BYTES_MAX: usize = 14 + 4;

/// sendto() calls in one turn. In copy mode an older kernel transmits 32 frames a call; 8 bursts may wait in a turn.
const KICKS_MAX: usize = 16;

/// How soon a sleeping lane looks for completions: nothing announces them, and frames wait meanwhile.
const COMPLETION_LOOK: Duration = Duration::from_millis(1);

/// How often a port without carrier tries whether it has come back.
const CARRIER_LOOK: Duration = Duration::from_millis(100);

/// One queue of one NIC through AF_XDP.
pub struct XdpPort {
    caps: Caps,
    queue: u32,
    umem: LaneUmem,
    rings: Option<Rings>,
    ledger: Ledger,
    descs: [FrameDesc; BURST_FRAMES_MAX],
    options: PortOptions,
    busy_polling: bool,
    carrier: bool,
    carrier_look_at: Instant,
    stats: PortStats,
    counters: XdpCounters,
}

impl XdpPort {
    /// Opens queue `queue` of the interface that `steering` is attached to, over `umem` and its `pool`, fills its fill
    /// ring and registers it with `steering`. May wait up to two seconds for a queue that its last owner has not quite
    /// left. Must run in the interface's network namespace; afterwards the port may move to any thread.
    ///
    /// # Errors
    /// [`XdpError`], by cause.
    pub fn open(
        steering: &mut Steering,
        umem: &LaneUmem,
        pool: &mut Pool,
        queue: u32,
        options: &PortOptions,
    ) -> Result<Self, XdpError> {
        let interface = Interface::find(&steering.interface().name)?;
        if queue >= interface.queues {
            return Err(XdpError::NoSuchQueue { interface: interface.name, queue, queues: interface.queues });
        }
        if pool.id() != umem.pool_id() || pool.total() != umem.frames() {
            return Err(XdpError::ForeignPool);
        }
        let rings = Rings::open(umem, &interface.name, queue, options)?;
        let busy_polling = options.busy_poll.is_some_and(|wish| rings.busy_poll(wish).is_ok());
        let mut port = Self {
            caps: caps(&interface, queue, umem, steering, &rings, options, busy_polling),
            queue,
            umem: umem.clone(),
            rings: Some(rings),
            ledger: Ledger::new(umem.frames()),
            descs: [FrameDesc::default(); BURST_FRAMES_MAX],
            options: *options,
            busy_polling,
            carrier: interface.up,
            carrier_look_at: Instant::ZERO,
            stats: PortStats::default(),
            counters: XdpCounters::default(),
        };
        port.refill(pool);
        if let Err(e) = steering.register(queue, &port) {
            port.shutdown(pool);
            return Err(e);
        }
        Ok(port)
    }

    /// The queue, counted from 0.
    pub fn queue(&self) -> u32 {
        self.queue
    }

    /// True if frames are not copied between the NIC and the lane.
    pub fn is_zero_copy(&self) -> bool {
        self.rings.as_ref().is_some_and(|rings| rings.zero_copy)
    }

    /// True if preferred busy polling was asked for and the kernel took it.
    pub fn is_busy_polling(&self) -> bool {
        self.busy_polling
    }

    /// Counters beside [`Port::stats`].
    pub fn counters(&self) -> XdpCounters {
        self.counters
    }

    /// Lends free frames to the fill ring until it holds one for every entry of the receive ring. Bounded by the ring.
    fn refill(&mut self, pool: &mut Pool) {
        let Some(rings) = &mut self.rings else { return };
        let target = self.options.rx_ring as usize;
        while self.ledger.rx() < target {
            let room = rings.fill.nb_free(BURST_FRAMES_MAX as u32) as usize;
            let want = (target - self.ledger.rx()).min(room).min(BURST_FRAMES_MAX).min(pool.available());
            let mut count = 0;
            while count < want
                && let Some(slot) = pool.lend_free(Holder::Receive)
            {
                self.ledger.enter(slot, Holder::Receive);
                self.descs[count] = self.umem.desc(slot, 0).unwrap_or_default();
                count += 1;
            }
            if count == 0 {
                break; // the pool is empty: the next turn's completions and releases bring frames
            }
            // SAFETY: the frames are of this UMEM and were just lent to this ring; nobody else has them. The ring has
            // room for all (`nb_free`), so all are taken.
            unsafe { rings.fill.produce(&self.descs[..count]) };
        }
        if rings.fill.needs_wakeup() {
            // Ignored: an error of poll() shows again in the transmit kick, which knows what to do about it.
            let _ = rings.fill.wakeup(rings.rx.fd_mut(), 0);
        }
    }

    /// Takes sent frames from the completion ring back into the pool. Bounded by the ring.
    fn complete(&mut self, pool: &mut Pool) {
        let Some(rings) = &mut self.rings else { return };
        while self.ledger.tx() > 0 {
            // SAFETY: the entries are frames of this UMEM that this port lent to its transmit ring.
            let count = unsafe { rings.comp.consume(&mut self.descs) };
            for desc in &self.descs[..count] {
                let (slot, _) = self.umem.locate(desc);
                match self.ledger.strike(slot, Holder::Transmit, pool) {
                    Some(frame) => pool.release(frame),
                    None => self.counters.stray += 1,
                }
            }
            if count == 0 {
                break;
            }
        }
    }

    /// Tells the kernel to transmit what is in the ring. Bounded by [`KICKS_MAX`].
    fn kick(&mut self, now: Instant) {
        let Some(rings) = &mut self.rings else { return };
        for _ in 0..KICKS_MAX {
            let waiting = self.options.tx_ring - rings.tx.nb_free_exact();
            let wanted = match rings.zero_copy {
                true => self.ledger.tx() > 0 && (!self.options.need_wakeup || rings.tx.needs_wakeup()),
                false => waiting > 0,
            };
            if !wanted && (self.carrier || now < self.carrier_look_at) {
                break;
            }
            self.counters.kicks += 1;
            match rustix::net::send(rings.fd(), &[], SendFlags::DONTWAIT) {
                // In copy mode: its budget is used up. Go on while that gets anywhere.
                Err(Errno::AGAIN) if self.options.tx_ring - rings.tx.nb_free_exact() < waiting => self.carrier = true,
                // The device's queue or the socket's buffer is full; the next turn tries again.
                Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) => {
                    self.carrier = true;
                    break;
                }
                Err(Errno::NETDOWN | Errno::NXIO) => {
                    (self.carrier, self.carrier_look_at) = (false, now + CARRIER_LOOK);
                    break;
                }
                Err(_) => {
                    self.counters.kick_errors += 1;
                    break;
                }
            }
        }
    }

    /// How many frames from the front of `burst` can go into the transmit ring now: as many as it has room for, and
    /// as there are free frames to copy those of other pools into.
    fn tx_room(&mut self, pool: &Pool, burst: &Burst) -> usize {
        let Some(rings) = &mut self.rings else { return 0 };
        let room = rings.tx.nb_free(burst.len() as u32) as usize;
        let mut copies = 0;
        let fits = |frame: &&Frame| {
            copies += usize::from(!pool.owns(frame));
            copies <= pool.available()
        };
        burst.iter().take(room).take_while(fits).count()
    }

    /// The frame as it can be sent: of this pool, its packet at home. `None` if it was dropped and counted.
    fn sendable(&mut self, frame: Frame, pool: &mut Pool) -> Option<Frame> {
        let fits = (14..=usize::from(self.caps.mtu) + HEADER_BYTES_MAX).contains(&frame.len());
        let mut frame = if fits && !pool.owns(&frame) { self.copied(frame, pool)? } else { frame };
        if !fits || !self.at_home(&mut frame) {
            self.stats.tx_dropped += 1;
            pool.release(frame);
            return None;
        }
        Some(frame)
    }

    fn at_home(&mut self, frame: &mut Frame) -> bool {
        if frame.start() == FRAME_HOME {
            return true;
        }
        self.counters.tx_moved += 1;
        frame.move_to(FRAME_HOME)
    }

    fn copied(&mut self, foreign: Frame, pool: &mut Pool) -> Option<Frame> {
        let copy = pool.acquire().and_then(|mut own| match own.fill(foreign.bytes()) {
            true => Some(own),
            false => {
                pool.release(own);
                None
            }
        });
        pool.release(foreign);
        match copy {
            Some(_) => self.counters.tx_copied += 1,
            None => self.stats.tx_dropped += 1,
        }
        copy
    }

    /// The received packet behind a descriptor, as a frame.
    fn received(&mut self, desc: &FrameDesc, pool: &mut Pool) -> Option<Frame> {
        let (slot, start) = self.umem.locate(desc);
        let Some(mut frame) = self.ledger.strike(slot, Holder::Receive, pool) else {
            self.counters.stray += 1;
            return None;
        };
        if !frame.reset(start) || !frame.set_len(desc.lengths().data()) {
            self.stats.rx_length_errors += 1;
            pool.release(frame);
            return None;
        }
        frame.port = self.options.lane_port;
        self.stats.rx_packets += 1;
        self.stats.rx_bytes += frame.len() as u64;
        Some(frame)
    }

    /// `XDP_STATISTICS` since the socket was opened, added to the port's own.
    fn with_kernel_stats(&self) -> PortStats {
        let mut all = self.stats;
        let Some(rings) = &self.rings else { return all };
        if let Ok(kernel) = rings.rx.fd().xdp_statistics() {
            let missed = kernel.rx_fill_ring_empty_descs();
            // In copy mode the kernel counts a frame that found the fill ring empty in both.
            let counted_twice = if rings.zero_copy { 0 } else { missed };
            all.rx_dropped += kernel.rx_dropped().saturating_sub(counted_twice);
            all.rx_missed_errors += missed;
            all.rx_over_errors += kernel.rx_ring_full();
            all.rx_errors += kernel.rx_invalid_descs();
            all.tx_errors += kernel.tx_invalid_descs();
        }
        all
    }
}

impl Port for XdpPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let room = burst.remaining_capacity();
        let Some(rings) = &mut self.rings else { return };
        if self.busy_polling && rings.rx.nb_avail(1) == 0 {
            // recvfrom() is what runs the NIC's queue; it transfers nothing, and its errors are the ring being empty.
            let _ = rustix::net::recv(rings.fd(), &mut [0u8; 0], RecvFlags::DONTWAIT);
        }
        // SAFETY: the entries are frames of this UMEM that this port lent through its fill ring.
        let count = unsafe { rings.rx.consume(&mut self.descs[..room]) };
        for index in 0..count {
            let desc = self.descs[index];
            if let Some(frame) = self.received(&desc, pool) {
                burst.push(frame); // within `room`
            }
        }
        if count > 0 {
            self.refill(pool);
        }
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let room = self.tx_room(pool, burst);
        let mut count = 0;
        for frame in burst.drain(..room) {
            let Some(frame) = self.sendable(frame, pool) else { continue };
            let len = frame.len();
            let Ok(slot) = pool.lend(frame, Holder::Transmit) else { continue }; // `sendable` made it ours
            self.ledger.enter(slot, Holder::Transmit);
            self.descs[count] = self.umem.desc(slot, len).unwrap_or_default();
            self.stats.tx_packets += 1;
            self.stats.tx_bytes += len as u64;
            count += 1;
        }
        if let Some(rings) = &mut self.rings {
            // SAFETY: the frames are of this UMEM and were just lent to this ring; nobody else has them. The ring has
            // room for all (`tx_room`), so all are taken.
            unsafe { rings.tx.produce(&self.descs[..count]) };
        }
    }

    fn service(&mut self, now: Instant, pool: &mut Pool) {
        self.kick(now);
        self.complete(pool);
        self.refill(pool);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        let Some(rings) = &mut self.rings else { return Wakeup::default() };
        let mut fds = ArrayVec::new();
        fds.push(rings.fd().as_raw_fd());
        let waiting = rings.rx.nb_avail_exact() > 0 || rings.comp.nb_avail_exact() > 0;
        let at = match (waiting, self.ledger.tx() > 0, self.carrier) {
            (true, _, _) => Some(now),
            (false, true, _) => Some(now + COMPLETION_LOOK),
            (false, false, false) => Some(self.carrier_look_at.max(now)),
            (false, false, true) => None,
        };
        Wakeup { fds, at }
    }

    fn stats(&self) -> PortStats {
        self.with_kernel_stats()
    }

    fn carrier(&self) -> bool {
        self.carrier
    }

    /// Sends what is waiting, as far as the kernel takes it at once, then closes the socket and takes every frame
    /// back. In zero-copy mode the driver stops its DMA in deferred work a moment later, so a lane shuts all its
    /// ports down before it uses its frames again.
    fn shutdown(&mut self, pool: &mut Pool) {
        // As often as completions keep coming: bounded by the frames in the rings.
        let mut before = usize::MAX;
        while self.ledger.tx() < before && self.ledger.tx() > 0 {
            before = self.ledger.tx();
            self.kick(Instant::ZERO);
            self.complete(pool);
        }
        if let Some(rings) = &mut self.rings {
            self.stats.rx_dropped += u64::from(rings.rx.nb_avail_exact());
            self.stats.tx_dropped += u64::from(self.options.tx_ring - rings.tx.nb_free_exact());
        }
        self.stats = self.with_kernel_stats();
        self.rings = None;
        self.ledger.settle(pool);
    }
}

impl AsRawFd for XdpPort {
    /// The socket; -1 after `shutdown`.
    fn as_raw_fd(&self) -> RawFd {
        self.rings.as_ref().map_or(-1, |rings| rings.fd().as_raw_fd())
    }
}

fn caps(
    interface: &Interface,
    queue: u32,
    umem: &LaneUmem,
    steering: &Steering,
    rings: &Rings,
    options: &PortOptions,
    busy_polling: bool,
) -> Caps {
    let mode = options.mode(steering.mode(), rings.zero_copy, busy_polling);
    let room = usize::from(umem.frame_size() - FRAME_HOME) - HEADER_BYTES_MAX;
    let mtu = room.min(interface.mtu as usize) as u16;
    Caps { mtu, ..Caps::plain(format!("{}/{queue}", interface.name), interface.mac, mode) }
}
