//! The four rings of one AF_XDP socket, and how the socket is opened.
//!
//! Invariants: the socket is bound as long as this value lives and closed when it is dropped, the lane's first socket
//! included; it is closed on exec.
//!
//! Called by [`super::port`], and by the probe to see what the kernel accepts.

use super::error::{XdpError, errno};
use super::options::{BusyPoll, CopyWish, PortOptions};
use super::sockopt;
use super::umem::{First, LaneUmem, queue_size};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use xsk_rs::config::{BindFlags, Interface as InterfaceName, LibxdpFlags, SocketConfig, XdpFlags};
use xsk_rs::socket::SocketCreateError;
use xsk_rs::{CompQueue, FillQueue, RxQueue, Socket, TxQueue};

/// How often, and how far apart, opening a busy queue is retried: the kernel lets go of a queue in deferred work, a
/// moment after its last owner has died. Two seconds outlast that on a loaded machine.
const BUSY_RETRIES: u32 = 100;
const BUSY_RETRY_NANOS: i64 = 20_000_000;

/// The rings of one socket. Fields drop in this order: rings first, then the seat.
pub(super) struct Rings {
    pub(super) tx: TxQueue,
    pub(super) rx: RxQueue,
    pub(super) fill: FillQueue,
    pub(super) comp: CompQueue,
    pub(super) zero_copy: bool,
    seat: Seat,
}

impl Rings {
    /// Opens a socket on queue `queue` of `interface` and binds it, waiting up to two seconds for a busy queue.
    pub(super) fn open(umem: &LaneUmem, interface: &str, queue: u32, options: &PortOptions) -> Result<Self, XdpError> {
        let config = socket_config(options)?;
        if !umem.is_at_home() {
            return Err(XdpError::OtherNamespace { interface: interface.to_owned() });
        }
        let mut first = umem.first();
        match *first {
            First::Closed => return Err(XdpError::UmemClosed),
            First::Tried { rx, .. } if rx != options.rx_ring => return Err(tried("rx_ring", options.rx_ring)),
            First::Tried { tx, .. } if tx != options.tx_ring => return Err(tried("tx_ring", options.tx_ring)),
            First::Unopened => *first = First::Tried { rx: options.rx_ring, tx: options.tx_ring },
            First::Tried { .. } | First::Open(_) => (),
        }
        let (tx, rx, rest) = bind(umem, config, interface, queue, options)?;
        let fd = tx.fd().as_raw_fd();
        if !matches!(*first, First::Open(_)) {
            *first = First::Open(fd);
        }
        drop(first);
        // No rings for filling: another socket of this UMEM has the queue already.
        let (fill, comp) = rest.ok_or_else(|| taken(interface, queue))?;
        let mut rings = Self { tx, rx, fill, comp, zero_copy: false, seat: Seat { umem: umem.clone(), fd } };
        rustix::io::fcntl_setfd(rings.fd(), rustix::io::FdFlags::CLOEXEC)
            .map_err(|e| XdpError::kernel("close the socket on exec", e.into()))?;
        rings.zero_copy =
            sockopt::is_zero_copy(rings.fd()).map_err(|e| XdpError::kernel("ask for the copy mode", e))?;
        if options.zero_copy == CopyWish::Force && !rings.zero_copy {
            // The first port of a lane decides for all.
            return Err(XdpError::NoZeroCopy { interface: interface.to_owned(), queue });
        }
        // One sendto() for a whole burst in copy mode; a kernel without the option takes several.
        let _ = sockopt::tx_budget(rings.fd(), crate::BURST_FRAMES_MAX as u32);
        Ok(rings)
    }

    /// Turns on preferred busy polling.
    pub(super) fn busy_poll(&self, wish: BusyPoll) -> io::Result<()> {
        sockopt::prefer_busy_poll(self.fd(), true)?;
        sockopt::busy_poll(self.fd(), wish.micros)?;
        sockopt::busy_poll_budget(self.fd(), wish.budget)
    }

    /// The socket.
    #[inline]
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket stays open as long as one of its queues lives, and they live as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.seat.fd) }
    }
}

/// The socket's place in the lane's UMEM, given up after the rings were dropped.
struct Seat {
    umem: LaneUmem,
    fd: RawFd,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.umem.release_first(self.fd);
    }
}

type Opened = (TxQueue, RxQueue, Option<(FillQueue, CompQueue)>);

fn bind(
    umem: &LaneUmem,
    config: SocketConfig,
    interface: &str,
    queue: u32,
    options: &PortOptions,
) -> Result<Opened, XdpError> {
    let name = CString::new(interface)
        .map(InterfaceName::new)
        .map_err(|_| XdpError::NoSuchInterface { interface: interface.to_owned() })?;
    let mut tries = BUSY_RETRIES;
    loop {
        // SAFETY: two sockets of one UMEM never share a queue's rings here: `open` refuses a socket that comes
        // without rings of its own.
        match unsafe { Socket::new(config, umem.umem(), &name, queue) } {
            Ok(opened) => return Ok(opened),
            Err(e) if errno(&e) == Some(libc::EBUSY) && tries > 0 => {
                tries -= 1;
                let pause = rustix::time::Timespec { tv_sec: 0, tv_nsec: BUSY_RETRY_NANOS };
                // Nothing announces that the kernel has let go of a queue; poll() on nothing just waits.
                let _ = rustix::event::poll(&mut [], Some(&pause));
            }
            Err(e) => return Err(create_error(&e, interface, queue, options)),
        }
    }
}

fn socket_config(options: &PortOptions) -> Result<SocketConfig, XdpError> {
    let mut flags = BindFlags::empty();
    match options.zero_copy {
        CopyWish::Auto => (),
        CopyWish::Force => flags |= BindFlags::XDP_ZEROCOPY,
        CopyWish::Never => flags |= BindFlags::XDP_COPY,
    }
    if options.need_wakeup {
        flags |= BindFlags::XDP_USE_NEED_WAKEUP;
    }
    Ok(SocketConfig::builder()
        .rx_queue_size(queue_size("rx_ring", options.rx_ring)?)
        .tx_queue_size(queue_size("tx_ring", options.tx_ring)?)
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .xdp_flags(XdpFlags::empty())
        .bind_flags(flags)
        .build())
}

fn create_error(error: &SocketCreateError, interface: &str, queue: u32, options: &PortOptions) -> XdpError {
    let interface = interface.to_owned();
    match errno(error).unwrap_or(libc::EIO) {
        libc::EBUSY => XdpError::QueueTaken { interface, queue },
        libc::ENODEV => XdpError::NoSuchInterface { interface },
        libc::ENETDOWN => XdpError::InterfaceDown { interface },
        libc::EOPNOTSUPP | libc::EPROTONOSUPPORT if options.zero_copy == CopyWish::Force => {
            XdpError::NoZeroCopy { interface, queue }
        }
        number => XdpError::kernel("bind an AF_XDP socket", io::Error::from_raw_os_error(number)),
    }
}

fn taken(interface: &str, queue: u32) -> XdpError {
    XdpError::QueueTaken { interface: interface.to_owned(), queue }
}

fn tried(what: &'static str, got: u32) -> XdpError {
    let want = "what it was when opening this lane's first port failed (or make a new LaneUmem)";
    XdpError::BadSize { what, got: got.into(), want }
}
