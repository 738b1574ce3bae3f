//! A lane's worth of AF_XDP on one end of the lab, without a lane.

use super::{LIMIT, poll};
use std::os::fd::BorrowedFd;
use xmit_nic::xdp::{CopyWish, LaneUmem, ModeWish, PortOptions, Steering, XdpPort};
use xmit_nic::{Burst, Frame, Pool, Port};
use xmit_shared::clock::monotonic;

/// The daemon's address.
pub const OURS: [u8; 4] = [10, 77, 0, 9];
/// Frames in the pool of a [`Bench`] with small rings.
pub const FRAMES: usize = 512;
/// Small rings, so that they run full and wrap.
pub const OPTIONS: PortOptions = PortOptions {
    lane_port: 0,
    rx_ring: 64,
    tx_ring: 64,
    zero_copy: CopyWish::Auto,
    need_wakeup: true,
    busy_poll: None,
};

/// A lane's port on `vb0`, steering [`OURS`].
pub struct Bench {
    pub umem: LaneUmem,
    pub port: XdpPort,
    pub pool: Pool,
    pub steering: Steering,
}

impl Bench {
    pub fn open() -> Self {
        Self::open_with(ModeWish::Auto, 2048, &OPTIONS)
    }

    pub fn open_with(wish: ModeWish, frame_size: u16, options: &PortOptions) -> Self {
        let mut steering = Steering::attach("vb0", wish).unwrap();
        steering.add_address(OURS.into()).unwrap();
        let frames = FRAMES.max((options.rx_ring + options.tx_ring) as usize);
        let (umem, mut pool) = LaneUmem::new(1, frames, frame_size, false).unwrap();
        let port = XdpPort::open(&mut steering, &umem, &mut pool, 0, options).unwrap();
        Self { umem, port, pool, steering }
    }

    pub fn receive(&mut self, count: usize) -> Vec<Frame> {
        receive(&mut [&mut self.port], &mut self.pool, count)
    }

    /// Sends `burst` and waits until every frame has come back from the kernel.
    pub fn send(&mut self, mut burst: Burst) {
        let limit = monotonic() + LIMIT;
        while !burst.is_empty() || self.pool.census().transmit > 0 {
            let now = monotonic();
            assert!(now < limit, "{} not sent, {:?}", burst.len(), self.pool.census());
            self.port.tx_burst(now, &mut self.pool, &mut burst);
            self.port.service(now, &mut self.pool);
        }
    }

    pub fn frame(&mut self, bytes: &[u8]) -> Frame {
        let mut frame = self.pool.acquire().unwrap();
        assert!(frame.fill(bytes));
        frame
    }

    pub fn release(&mut self, frames: Vec<Frame>) {
        frames.into_iter().for_each(|frame| self.pool.release(frame));
    }
}

/// Turns of a lane over `ports` until `count` frames have arrived.
pub fn receive(ports: &mut [&mut XdpPort], pool: &mut Pool, count: usize) -> Vec<Frame> {
    let limit = monotonic() + LIMIT;
    let mut frames = Vec::new();
    while frames.len() < count {
        let now = monotonic();
        assert!(now < limit, "{} of {count} frames within {LIMIT:?}", frames.len());
        let mut burst = Burst::new();
        let mut wake = limit;
        let mut fds = Vec::new();
        for port in ports.iter_mut() {
            port.rx_burst(now, pool, &mut burst);
            port.service(now, pool);
            let wakeup = port.sleep(now);
            wake = wakeup.at.map_or(wake, |at| at.min(wake));
            fds.extend(wakeup.fds);
        }
        if burst.is_empty() {
            // SAFETY: the descriptors belong to the ports, which are alive.
            let fds: Vec<_> = fds.iter().map(|fd| unsafe { BorrowedFd::borrow_raw(*fd) }).collect();
            poll(&fds, wake.saturating_since(monotonic()));
        }
        frames.extend(burst);
    }
    frames
}

/// True if `frame` is an untagged UDP packet to `port`.
pub fn is_udp_to(frame: &[u8], port: u16) -> bool {
    frame.get(12..14) == Some(&[8, 0]) && frame.get(36..38) == Some(&port.to_be_bytes())
}
