//! A lane's frames as the kernel's UMEM, shared by all ports of the lane.
//!
//! Invariants:
//! * slot `n` of the pool is chunk `n` of the UMEM; a packet's home is `n * frame_size + FRAME_HOME` in both;
//! * the memory stays mapped while a pool, a port or this handle lives;
//! * the first socket is the one through which the kernel shares the UMEM. libxdp keeps its descriptor open until the
//!   UMEM is deleted, so its port puts an idle socket in that place when it closes (`release_first`): the queue is
//!   free at once, and the UMEM takes no further ports.
//!
//! Made by the control side, used by [`super::XdpPort`].

use super::error::{XdpError, errno};
use super::interface::namespace;
use crate::frame::FRAME_HOME;
use crate::{Pool, Region, SlotId};
use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xsk_rs::config::{FrameSize, QueueSize, UmemConfig};
use xsk_rs::umem::frame::FrameDesc;
use xsk_rs::umem::{Umem, UmemCreateError};

/// Entries of each port's fill and completion rings: room for a receive ring of [`RING_MAX`] frames, so that the fill
/// ring never bounds a port, and for as many frames on their way out.
pub(super) const RING_MAX: u32 = 4096;

/// The huge page that the UMEM is made of if asked for.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A lane's UMEM. Cheap to clone: every port of the lane keeps one.
#[derive(Clone)]
pub struct LaneUmem {
    shared: Arc<Shared>,
}

struct Shared {
    umem: Umem,
    descs: Box<[FrameDesc]>,
    frame_size: u16,
    pool_id: u16,
    hugepages: bool,
    namespace: Option<u64>,
    first: Mutex<First>,
}

/// What became of the socket through which the UMEM is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Not opened yet.
    Unopened,
    /// Tried with these ring sizes: libxdp made the rings and keeps them for the next try.
    Tried {
        /// Entries of the receive ring.
        rx: u32,
        /// Entries of the transmit ring.
        tx: u32,
    },
    /// Open, with this descriptor.
    Open(RawFd),
    /// Its port is closed.
    Closed,
}

impl LaneUmem {
    /// A UMEM of `frames` frames of `frame_size` bytes (2,048 or 4,096) and the pool of these frames, named `pool_id`.
    /// Belongs to the network namespace of the calling thread, which must be that of its NICs.
    /// With `hugepages` the number of frames is rounded up to whole pages of 2 MiB.
    ///
    /// # Errors
    /// [`XdpError::BadSize`], [`XdpError::NoMemory`], [`XdpError::Memlock`], [`XdpError::NoAfXdp`],
    /// [`XdpError::NoPermission`].
    pub fn new(pool_id: u16, frames: usize, frame_size: u16, hugepages: bool) -> Result<(Self, Pool), XdpError> {
        if !matches!(frame_size, 2048 | 4096) {
            return Err(XdpError::BadSize { what: "frame_size", got: frame_size.into(), want: "2048 or 4096" });
        }
        let unit = if hugepages { HUGE_PAGE_BYTES / usize::from(frame_size) } else { 1 };
        let count = u32::try_from(frames.next_multiple_of(unit)).ok().and_then(NonZeroU32::new);
        let bad_frames = XdpError::BadSize { what: "frames", got: frames as u64, want: "between 1 and 4 milliard" };
        let count = count.ok_or(bad_frames)?;
        let bytes = count.get() as usize * usize::from(frame_size);
        let config = config(frame_size)?;
        let (umem, descs) = Umem::new(config, count, hugepages).map_err(|e| create_error(&e, bytes))?;
        let pool = pool_over(&umem, &descs, pool_id, bytes, frame_size)?;
        let descs = descs.into_boxed_slice();
        let (namespace, first) = (namespace(), Mutex::new(First::Unopened));
        let shared = Shared { umem, descs, frame_size, pool_id, hugepages, namespace, first };
        Ok((Self { shared: Arc::new(shared) }, pool))
    }

    /// Frames in it.
    pub fn frames(&self) -> usize {
        self.shared.descs.len()
    }

    /// The pool over the same memory.
    pub fn pool_id(&self) -> u16 {
        self.shared.pool_id
    }

    /// True if it is made of huge pages.
    pub fn has_hugepages(&self) -> bool {
        self.shared.hugepages
    }

    pub(super) fn umem(&self) -> &Umem {
        &self.shared.umem
    }

    pub(super) fn frame_size(&self) -> u16 {
        self.shared.frame_size
    }

    /// The descriptor of a slot's packet, `len` bytes from its home.
    #[inline]
    pub(super) fn desc(&self, slot: SlotId, len: usize) -> Option<FrameDesc> {
        let mut desc = *self.shared.descs.get(slot.0 as usize)?;
        if len > 0 {
            // SAFETY: `desc` is of this UMEM; its slot is lent to the caller's ring, so nobody else has its bytes,
            // and only the length is set here.
            unsafe { self.shared.umem.data_mut(&mut desc) }.cursor().set_pos(len);
        }
        Some(desc)
    }

    /// The slot of an address in the UMEM, and how far into it the address lies.
    #[inline]
    pub(super) fn locate(&self, desc: &FrameDesc) -> (SlotId, u16) {
        let size = usize::from(self.shared.frame_size);
        (SlotId((desc.addr() / size) as u32), (desc.addr() % size) as u16)
    }

    /// False if the calling thread is known to be in another network namespace than the UMEM.
    pub(super) fn is_at_home(&self) -> bool {
        self.shared.namespace == namespace()
    }

    pub(super) fn first(&self) -> MutexGuard<'_, First> {
        self.shared.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called when the port that had `fd` has dropped its rings. If `fd` is the first socket's, an idle AF_XDP socket
    /// takes its place: the kernel then closes the real one, and libxdp can still ask the descriptor about rings.
    pub(super) fn release_first(&self, fd: RawFd) {
        let mut first = self.first();
        if *first != First::Open(fd) {
            return;
        }
        *first = First::Closed;
        if let Ok(idle) = rustix::net::socket(rustix::net::AddressFamily::XDP, rustix::net::SocketType::RAW, None) {
            // SAFETY: `fd` is open, because libxdp closes it only with the UMEM, of which `self` keeps a handle; its
            // port is gone, so no ring of it is mapped and nobody else uses it.
            unsafe { libc::dup3(idle.as_raw_fd(), fd, libc::O_CLOEXEC) };
        }
    }
}

impl fmt::Debug for LaneUmem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneUmem({} frames of {}, pool {})", self.frames(), self.frame_size(), self.pool_id())
    }
}

fn config(frame_size: u16) -> Result<UmemConfig, XdpError> {
    let refused = || XdpError::BadSize { what: "frame_size", got: frame_size.into(), want: "2048 or 4096" };
    let ring = queue_size("ring", RING_MAX)?;
    UmemConfig::builder()
        .frame_size(FrameSize::new(frame_size.into()).map_err(|_| refused())?)
        .frame_headroom(0)
        .fill_queue_size(ring)
        .comp_queue_size(ring)
        .build()
        .map_err(|_| refused())
}

/// A ring's size as xsk-rs wants it.
pub(super) fn queue_size(what: &'static str, entries: u32) -> Result<QueueSize, XdpError> {
    let bad = XdpError::BadSize { what, got: entries.into(), want: "a power of two between 64 and 4096" };
    if !(64..=RING_MAX).contains(&entries) {
        return Err(bad);
    }
    QueueSize::new(entries).map_err(|_| bad)
}

fn pool_over(umem: &Umem, descs: &[FrameDesc], id: u16, bytes: usize, frame_size: u16) -> Result<Pool, XdpError> {
    let no_pool = |source| XdpError::Kernel { doing: "make a pool over the UMEM", source };
    let first = descs.first().ok_or_else(|| no_pool(io::ErrorKind::InvalidData.into()))?;
    // SAFETY: `first` is of this UMEM and its length is zero: no byte is borrowed, only the address is asked.
    let home = unsafe { umem.data(first) }.contents().as_ptr().addr();
    let base = home - first.addr();
    debug_assert_eq!(first.addr(), usize::from(FRAME_HOME), "the packet's home is the headroom that XDP reserves");
    // The mapping came from mmap, so its address is exposed; the borrowed slice's own right ends at its zero bytes.
    let base = NonNull::new(std::ptr::with_exposed_provenance_mut::<u8>(base))
        .ok_or_else(|| no_pool(io::ErrorKind::InvalidData.into()))?;
    // SAFETY: the UMEM is `bytes` long from its base and mapped as long as the owner, a handle of it, lives; user code
    // touches it through frames of this one pool only (`desc` above looks at no byte).
    let region = unsafe { Region::from_raw(base, bytes, Arc::new(umem.clone())) };
    Pool::new(id, region, frame_size).map_err(no_pool)
}

fn create_error(error: &UmemCreateError, bytes: usize) -> XdpError {
    let number = errno(error).unwrap_or(libc::EIO);
    let source = io::Error::from_raw_os_error(number);
    match number {
        // xdp_umem_account_pages: over RLIMIT_MEMLOCK.
        libc::ENOBUFS => XdpError::Memlock { bytes },
        libc::ENOMEM => XdpError::NoMemory { bytes, hugepages: bytes.div_ceil(HUGE_PAGE_BYTES), source },
        _ => XdpError::kernel("make a UMEM", source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_af_xdp_cannot_have_are_refused_before_the_kernel_is_asked() {
        for (frames, size) in [(64, 1024), (64, 3000), (0, 2048)] {
            let error = LaneUmem::new(1, frames, size, false).unwrap_err();
            assert!(matches!(error, XdpError::BadSize { .. }), "{frames} of {size}: {error}");
        }
        for entries in [0, 32, 100, 8192] {
            assert!(queue_size("rx_ring", entries).is_err(), "{entries}");
        }
    }

    #[test]
    fn pool_and_umem_are_the_same_memory() {
        let (umem, mut pool) = match LaneUmem::new(7, 16, 2048, false) {
            Ok(made) => made,
            Err(e @ (XdpError::NoPermission { .. } | XdpError::NoAfXdp)) => {
                println!("SKIPPED pool_and_umem_are_the_same_memory: {e}");
                return;
            }
            Err(e) => panic!("{e}"),
        };
        let mut frame = pool.acquire().unwrap();
        assert!(frame.fill(b"seen through the descriptor"));
        let desc = umem.desc(frame.slot(), frame.len()).unwrap();
        assert_eq!(umem.locate(&desc), (frame.slot(), FRAME_HOME));
        // SAFETY: the frame is alive and nobody writes to it.
        assert_eq!(unsafe { umem.umem().data(&desc) }.contents(), frame.bytes());
        pool.release(frame);
    }
}
