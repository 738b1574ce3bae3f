//! A packet socket (AF_PACKET) as a port: every frame that reaches an interface, whoever it is for.
//!
//! For wires, not for stacks: the kernel keeps its own copy of what it hears, nothing is steered, and each frame costs a
//! system call. In return it works on every interface and leaves the interface as it was. Called by `xmit impair`
//! and by the end-to-end tests, which put an impaired wire between two veths with it.
//!
//! Invariants:
//! * frames that this host itself sends through the interface are not heard (`PACKET_IGNORE_OUTGOING`, Linux 4.20);
//! * a frame whose transport checksum the sender left to hardware is finished here, so nobody behind sees it unfinished;
//! * several segments in one buffer (GSO, GRO) are no frame: dropped and counted as `rx_length_errors`;
//! * 802.1Q tags that the kernel took out of a frame stay out.
//!
//! To have open: packet(7), `linux/virtio_net.h`.

mod socket;
mod vnet;

pub use socket::PacketError;

use crate::{Burst, Caps, Duration, Frame, Instant, Pool, Port, PortStats, Region, Wakeup};
use rustix::io::Errno;
use socket::{PacketSocket, Received};
use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd};

/// An interface through a packet socket.
#[derive(Debug)]
pub struct PacketPort {
    caps: Caps,
    socket: PacketSocket,
    stats: PortStats,
    /// Frames that the socket's buffer had no room for; the kernel forgets the figure when it is read.
    missed: Cell<u64>,
    /// The interface was removed.
    gone: bool,
    /// It went down, and nothing was heard since.
    down: bool,
}

/// Ethernet header and one 802.1Q tag.
const HEADERS: usize = 14 + 4;

/// Between two looks whether an interface that went down is still there.
const DOWN_LOOK: Duration = Duration::from_millis(50);

impl PacketPort {
    /// On `interface` of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`PacketError`], each with its cure.
    pub fn open(interface: &str) -> Result<Self, PacketError> {
        let (socket, found) = PacketSocket::open(interface)?;
        let caps = Caps {
            mtu: u16::try_from(found.mtu).unwrap_or(u16::MAX),
            ..Caps::plain(interface, found.mac, "packet socket")
        };
        Ok(Self { caps, socket, stats: PortStats::default(), missed: Cell::new(0), down: false, gone: false })
    }

    /// A pool of `frames` buffers that hold the frames of every port of `ports`.
    ///
    /// # Errors
    /// No memory.
    pub fn pool_for(ports: &[&Self], id: u16, frames: usize) -> std::io::Result<Pool> {
        let longest = ports.iter().map(|port| usize::from(port.caps.mtu) + HEADERS).max().unwrap_or(0);
        let size = (longest + usize::from(crate::frame::FRAME_HOME)).next_power_of_two().clamp(2048, 1 << 15);
        Pool::new(id, Region::anonymous(frames * size)?, size as u16)
    }

    /// Receives one frame; `None` when no more wait.
    fn receive(&mut self, frame: &mut Frame) -> Option<bool> {
        frame.set_len(frame.capacity());
        match self.socket.receive(frame.bytes_mut()) {
            Ok(Received { len, vnet, cut: false }) if !vnet.is_several_segments() => {
                self.down = false;
                frame.set_len(len);
                let good = len >= 14 && vnet.finish_checksum(frame.bytes_mut());
                self.stats.rx_packets += u64::from(good);
                self.stats.rx_bytes += if good { len as u64 } else { 0 };
                self.stats.rx_errors += u64::from(!good);
                Some(good)
            }
            Ok(_) => {
                self.stats.rx_length_errors += 1;
                Some(false)
            }
            Err(Errno::AGAIN) => None,
            Err(Errno::INTR) => Some(false),
            Err(_) => {
                // The kernel tells it once, when the interface goes down; what is removed goes down first.
                self.stats.rx_errors += 1;
                self.down = true;
                None
            }
        }
    }
}

impl Port for PacketPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        while !burst.is_full() {
            let Some(mut frame) = pool.acquire() else { return };
            match self.receive(&mut frame) {
                Some(true) => burst.push(frame),
                Some(false) => pool.release(frame),
                None => return pool.release(frame),
            }
        }
    }

    fn tx_burst(&mut self, _now: Instant, pool: &mut Pool, burst: &mut Burst) {
        let mut taken = 0;
        for frame in burst.iter() {
            match self.socket.send(frame.bytes()) {
                Ok(()) => {
                    self.stats.tx_packets += 1;
                    self.stats.tx_bytes += frame.len() as u64;
                }
                // The socket's buffer, or what is behind the interface, is full for the moment.
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => break,
                Err(Errno::MSGSIZE) => self.stats.tx_dropped += 1,
                Err(_) => self.stats.tx_errors += 1,
            }
            taken += 1;
        }
        burst.drain(..taken).for_each(|frame| pool.release(frame));
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {
        if self.down && !self.gone {
            self.gone = self.socket.interface_is_gone();
        }
    }

    fn sleep(&mut self, now: Instant) -> Wakeup {
        let at = self.down.then(|| now + DOWN_LOOK);
        Wakeup { fds: [self.socket.as_fd().as_raw_fd()].into_iter().collect(), at }
    }

    fn stats(&self) -> PortStats {
        self.missed.set(self.missed.get() + self.socket.missed_since_last_call());
        PortStats { rx_missed_errors: self.missed.get(), ..self.stats }
    }

    /// False once the interface is gone: the socket hears nothing any more.
    fn carrier(&self) -> bool {
        !self.gone
    }

    fn shutdown(&mut self, _pool: &mut Pool) {}
}

#[cfg(test)]
mod tests;
