//! A TAP device over io_uring: for kernels or users without AF_XDP.
//!
//! Owns the descriptor of `/dev/net/tun` and an io_uring on it. Reads are posted ahead into frames of the pool; a
//! burst becomes one write per frame, and all of a turn enters the kernel once, in [`Port::service`].
//!
//! Invariants:
//! * a frame that the kernel may read or write is lent: `Receive` for a posted read, `Transmit` for a write;
//! * reads posted and frames waiting in `ready` are together at most `reads`; writes in flight at most `writes`;
//! * a port dropped without `shutdown`, or whose reads the kernel does not give back, loses those frames, but the pool
//!   then never frees their memory.
//!
//! Documents: `Documentation/networking/tuntap.rst`, io_uring(7). Kernel 5.6 or newer.

mod device;
mod ring;

pub use device::TapError;

use crate::{Burst, Caps, Duration, Frame, Holder, Instant, MacAddr, Pool, Port, PortStats, Wakeup};
use device::TapDevice;
use ring::{Completion, TapRing};
use std::collections::VecDeque;
use std::os::fd::AsRawFd;

/// What to open, and how deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// The interface's name, at most 15 bytes. It is created unless it exists as a TAP that nobody has open.
    pub name: String,
    /// The station address of our end (the kernel's end has its own); one made from the name if `None`.
    pub mac: Option<MacAddr>,
    /// Reads posted ahead, 1 to 1,024: how many frames arrive between two turns without waiting in the kernel.
    pub reads: usize,
    /// Writes in flight, 1 to 1,024; a burst beyond stays with the caller.
    pub writes: usize,
}

impl TapConfig {
    /// The TAP `name` with 64 reads ahead (one burst) and 256 writes in flight (four).
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), mac: None, reads: 64, writes: 256 }
    }
}

/// Our end of a TAP device.
#[derive(Debug)]
pub struct TapPort {
    caps: Caps,
    device: TapDevice,
    ring: TapRing,
    ready: VecDeque<Frame>,
    reads_max: usize,
    writes_max: usize,
    stats: PortStats,
    /// The device was taken away (deleted): nothing is read from it any more.
    gone: bool,
    carrier: bool,
    carrier_due: Instant,
}

/// How often the interface is asked whether it is up: often enough for people, too seldom to be seen in a profile.
const CARRIER_EVERY: Duration = Duration::from_millis(100);

/// When to look for free frames again after the pool ran dry.
const REFILL_AFTER: Duration = Duration::from_millis(1);

impl TapPort {
    /// Creates or attaches the device.
    ///
    /// # Errors
    /// [`TapError`], each with its cure.
    pub fn open(config: &TapConfig) -> Result<Self, TapError> {
        let depth = 1..=1024;
        if !depth.contains(&config.reads) || !depth.contains(&config.writes) {
            return Err(TapError::Depth { reads: config.reads, writes: config.writes });
        }
        let device = TapDevice::open(&config.name)?;
        let ring = TapRing::new(device.as_raw_fd(), config.reads + config.writes).map_err(TapError::Ring)?;
        let mac = config.mac.unwrap_or_else(|| mac_of_name(&config.name));
        let mut caps = Caps::plain(&config.name, mac, "TAP, io_uring");
        caps.mtu = device.mtu();
        Ok(Self {
            caps,
            device,
            ring,
            ready: VecDeque::with_capacity(config.reads),
            reads_max: config.reads,
            writes_max: config.writes,
            stats: PortStats::default(),
            gone: false,
            carrier: true,
            carrier_due: Instant::ZERO,
        })
    }

    /// Takes every completion that the kernel has posted. Bounded by the completion queue.
    fn reap(&mut self, pool: &mut Pool) {
        while let Some(completion) = self.ring.complete() {
            match completion {
                Completion::Read { slot, result } => {
                    if let Some(frame) = pool.reclaim(slot, Holder::Receive) {
                        self.received(frame, result, pool);
                    }
                }
                Completion::Write { slot, result } => {
                    if let Some(frame) = pool.reclaim(slot, Holder::Transmit) {
                        self.sent(result);
                        pool.release(frame);
                    }
                }
                Completion::Cancel => {}
            }
        }
    }

    fn received(&mut self, mut frame: Frame, result: i32, pool: &mut Pool) {
        match usize::try_from(result) {
            // A read that filled its buffer to the end was cut: the device does not say how long the packet was.
            Ok(len) if len > 0 && len < frame.capacity() && frame.set_len(len) => {
                self.stats.rx_packets += 1;
                self.stats.rx_bytes += len as u64;
                self.ready.push_back(frame);
                return;
            }
            Ok(_) => self.stats.rx_length_errors += 1,
            Err(_) if matches!(-result, libc::ECANCELED | libc::EAGAIN | libc::EINTR) => {}
            Err(_) => {
                self.stats.rx_errors += 1;
                self.gone |= matches!(-result, libc::EBADFD | libc::EBADF | libc::ENODEV);
            }
        }
        pool.release(frame);
    }

    fn sent(&mut self, result: i32) {
        match u64::try_from(result) {
            Ok(bytes) => {
                self.stats.tx_packets += 1;
                self.stats.tx_bytes += bytes;
            }
            // EIO while the interface is down: the kernel took nothing.
            Err(_) => self.stats.tx_errors += 1,
        }
    }

    /// Posts reads until `reads_max` are out or waiting, or the pool is empty.
    fn refill(&mut self, pool: &mut Pool) {
        while !self.gone && self.ring.reads() + self.ready.len() < self.reads_max {
            if !self.ring.read(pool) {
                break;
            }
        }
    }

    /// How many frames at the front of `burst` can be taken now: bounded by `writes`, and by the buffers left for
    /// copies of frames that belong to other pools.
    fn room_for(&self, burst: &Burst, pool: &Pool) -> usize {
        let room = self.writes_max.saturating_sub(self.ring.writes());
        let mut copies = pool.available();
        let mut fits = |frame: &Frame| {
            let copy = usize::from(!pool.owns(frame));
            let enough = copies >= copy;
            copies = copies.saturating_sub(copy);
            enough
        };
        burst.iter().take(room).take_while(|frame| fits(frame)).count()
    }

    /// Queues one frame, or says which frame must be released unsent.
    fn send(&mut self, frame: Frame, pool: &mut Pool) -> Result<(), Frame> {
        if frame.len() > usize::from(self.caps.mtu) + 14 + 4 {
            return Err(frame); // longer than a datagram, the Ethernet header and one 802.1Q tag
        }
        if pool.owns(&frame) {
            return self.ring.write(frame, pool);
        }
        let Some(mut copy) = pool.acquire() else { return Err(frame) };
        if !copy.fill(frame.bytes()) {
            pool.release(copy);
            return Err(frame);
        }
        pool.release(frame);
        self.ring.write(copy, pool)
    }
}

impl Port for TapPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        self.reap(pool);
        while !burst.is_full() {
            let Some(frame) = self.ready.pop_front() else { break };
            burst.push(frame);
        }
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let count = self.room_for(burst, pool);
        for frame in burst.drain(..count) {
            if let Err(frame) = self.send(frame, pool) {
                self.stats.tx_dropped += 1;
                pool.release(frame);
            }
        }
    }

    fn service(&mut self, now: Instant, pool: &mut Pool) {
        if now >= self.carrier_due {
            self.carrier = !self.gone && self.device.is_up();
            self.carrier_due = now + CARRIER_EVERY;
        }
        self.reap(pool);
        self.refill(pool);
        if self.ring.submit().is_err() {
            self.stats.tx_errors += 1;
        }
        self.reap(pool);
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        self.ring.clear_notice();
        let busy = !self.ready.is_empty() || self.ring.has_completions();
        // Without a read in flight (the pool was empty) no notice can come.
        let deaf = !self.gone && self.ring.reads() == 0;
        let at = if busy { Some(now) } else { deaf.then(|| now + REFILL_AFTER) };
        Wakeup { fds: [self.ring.notice_fd()].into_iter().collect(), at }
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn carrier(&self) -> bool {
        self.carrier
    }

    fn shutdown(&mut self, pool: &mut Pool) {
        self.gone = true;
        self.ring.cancel_reads();
        // Each wait brings at least one completion of a read, a write or a cancellation.
        for _ in 0..2 * (self.reads_max + self.writes_max) {
            self.reap(pool);
            if self.ring.reads() + self.ring.writes() == 0 || self.ring.submit_and_wait().is_err() {
                break;
            }
        }
        self.reap(pool);
        while let Some(frame) = self.ready.pop_front() {
            pool.release(frame);
        }
    }
}

/// A locally administered address that stays the same for a name (FNV-1a).
fn mac_of_name(name: &str) -> MacAddr {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
        .to_be_bytes();
    MacAddr([0x02, hash[0], hash[1], hash[2], hash[3], hash[4]])
}

#[cfg(test)]
mod tests;
