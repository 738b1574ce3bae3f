//! The packet socket itself. One function per option of `linux/if_packet.h`.

use super::vnet::{VNET_BYTES, Vnet};
use crate::xdp::{Interface, XdpError};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, SocketFlags,
    SocketType, netdevice, recvmsg, sendmsg, socket_with, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Bytes that may wait in the socket, buffers' overhead included: 3,000 full frames, 300 ms of 100 Mbit/s.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Why a packet socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// There is no such interface, or it cannot be asked.
    #[error(transparent)]
    Interface(#[from] XdpError),
    /// EPERM.
    #[error("no permission to open a packet socket on {0}: run as root, or give the program CAP_NET_RAW")]
    NoPermission(String),
    /// Anything else that the kernel said.
    #[error("packet socket on {interface}: the kernel refused {step}: {source}")]
    Kernel {
        /// The interface.
        interface: String,
        /// What was asked of the kernel.
        step: &'static str,
        /// What it answered.
        source: io::Error,
    },
}

/// A packet socket bound to one interface, non-blocking, with a [`Vnet`] before each frame.
#[derive(Debug)]
pub(super) struct PacketSocket {
    fd: OwnedFd,
    index: u32,
}

/// One frame received.
pub(super) struct Received {
    pub(super) len: usize,
    pub(super) vnet: Vnet,
    /// It was longer than the buffer.
    pub(super) cut: bool,
}

impl PacketSocket {
    /// On `name` of the calling thread's network namespace.
    pub(super) fn open(name: &str) -> Result<(Self, Interface), PacketError> {
        let interface = Interface::find(name)?;
        let kernel = |step| move |source| PacketError::Kernel { interface: name.to_owned(), step, source };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // Without a protocol it hears nothing until it is bound.
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None).map_err(|errno| match errno {
            Errno::PERM | Errno::ACCESS => PacketError::NoPermission(name.to_owned()),
            _ => kernel("socket()")(errno.into()),
        })?;
        set(&fd, libc::PACKET_VNET_HDR, &1i32).map_err(kernel("PACKET_VNET_HDR"))?;
        set(&fd, PACKET_IGNORE_OUTGOING, &1i32).map_err(kernel("PACKET_IGNORE_OUTGOING (needs Linux 4.20)"))?;
        // What the limit of an unprivileged user allows, if it cannot be more.
        let _ = sockopt::set_socket_recv_buffer_size_force(&fd, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER));
        let socket = Self { fd, index: interface.index };
        socket.bind().map_err(kernel("bind()"))?;
        socket.promiscuous().map_err(kernel("PACKET_MR_PROMISC"))?;
        Ok((socket, interface))
    }

    pub(super) fn receive(&self, frame: &mut [u8]) -> Result<Received, Errno> {
        let mut header = [0; VNET_BYTES];
        let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(frame)];
        let message = recvmsg(&self.fd, &mut parts, &mut RecvAncillaryBuffer::default(), RecvFlags::empty())?;
        let len = message.bytes.saturating_sub(VNET_BYTES);
        Ok(Received { len, vnet: Vnet::parse(&header), cut: message.flags.contains(ReturnFlags::TRUNC) })
    }

    pub(super) fn send(&self, frame: &[u8]) -> Result<(), Errno> {
        // All zeros: one frame, and its checksum is finished.
        let parts = [IoSlice::new(&[0; VNET_BYTES]), IoSlice::new(frame)];
        sendmsg(&self.fd, &parts, &mut SendAncillaryBuffer::default(), SendFlags::empty()).map(drop)
    }

    /// Frames that found no room in the socket's buffer since this was last asked.
    pub(super) fn missed_since_last_call(&self) -> u64 {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: getsockopt writes at most `len` bytes into `stats`, integers all, and both live over the call.
        let answer = unsafe {
            let value = std::ptr::from_mut(&mut stats).cast();
            libc::getsockopt(self.fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, value, &mut len)
        };
        if answer < 0 { 0 } else { stats.tp_drops.into() }
    }

    /// True if the interface has been removed.
    pub(super) fn interface_is_gone(&self) -> bool {
        netdevice::index_to_name(&self.fd, self.index).is_err()
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: a sockaddr_ll is integers and an array of bytes, for which all zeros is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.index.cast_signed();
        // SAFETY: bind reads `size_of::<sockaddr_ll>()` bytes of `address`, which lives over the call.
        let answer = unsafe {
            let len = size_of_val(&address) as libc::socklen_t;
            libc::bind(self.fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), len)
        };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Frames for other stations are wanted too; as long as the socket is open.
    fn promiscuous(&self) -> io::Result<()> {
        let wish = libc::packet_mreq {
            mr_ifindex: self.index.cast_signed(),
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(&self.fd, libc::PACKET_ADD_MEMBERSHIP, &wish)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `PACKET_IGNORE_OUTGOING` (4.20): what this host sends through the interface is not heard.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Sets an option of `SOL_PACKET`, whose structure `value` is.
fn set<T>(fd: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: setsockopt reads `len` bytes of `value`, which lives over the call.
    let answer =
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, option, std::ptr::from_ref(value).cast(), len) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
