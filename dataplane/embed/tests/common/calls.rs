//! The calls of the ABI on Rust's own types.

use libc::{c_int, epoll_event, iovec, msghdr, sockaddr, sockaddr_in};
use std::ffi::{CStr, CString};
use std::net::SocketAddrV4;
use std::ptr::null_mut;
use xmit_embed::*;

const SOCKADDR_BYTES: u32 = size_of::<sockaddr_in>() as u32;

pub(crate) fn init(config: &CStr) -> i32 {
    // SAFETY: a string.
    unsafe { xm_init(config.as_ptr()) }
}

pub(crate) fn sysctl(name: &str, value: &str) -> i32 {
    let (name, value) = (CString::new(name).unwrap(), CString::new(value).unwrap());
    // SAFETY: two strings.
    unsafe { xm_sysctl(name.as_ptr(), value.as_ptr()) }
}

pub(crate) fn udp() -> i32 {
    let fd = xm_socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
    assert!(fd >= 0);
    fd
}

pub(crate) fn tcp() -> i32 {
    let fd = xm_socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP);
    assert!(fd >= 0);
    fd
}

fn sockaddr_of(addr: &str) -> sockaddr_in {
    let addr: SocketAddrV4 = addr.parse().unwrap();
    sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: addr.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*addr.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

fn addr_of(addr: &sockaddr_in) -> String {
    SocketAddrV4::new(u32::from_be(addr.sin_addr.s_addr).into(), u16::from_be(addr.sin_port)).to_string()
}

pub(crate) fn bind(fd: i32, addr: &str) -> i32 {
    let addr = sockaddr_of(addr);
    // SAFETY: an address of that length.
    unsafe { xm_bind(fd, (&raw const addr).cast(), SOCKADDR_BYTES) }
}

pub(crate) fn connect(fd: i32, addr: &str) -> i32 {
    let addr = sockaddr_of(addr);
    // SAFETY: an address of that length.
    unsafe { xm_connect(fd, (&raw const addr).cast(), SOCKADDR_BYTES) }
}

/// Any bytes as an address.
pub(crate) fn connect_raw(fd: i32, addr: &[u8]) -> i32 {
    // SAFETY: that many bytes.
    unsafe { xm_connect(fd, addr.as_ptr().cast::<sockaddr>(), addr.len() as u32) }
}

pub(crate) fn accept(fd: i32) -> (i32, String) {
    let (mut addr, mut len) = (sockaddr_of("0.0.0.0:0"), SOCKADDR_BYTES);
    // SAFETY: room of that length.
    let accepted = unsafe { xm_accept(fd, (&raw mut addr).cast(), &raw mut len) };
    (accepted, addr_of(&addr))
}

pub(crate) fn send(fd: i32, data: &[u8], flags: i32) -> isize {
    // SAFETY: that many bytes.
    unsafe { xm_send(fd, data.as_ptr().cast(), data.len(), flags) }
}

pub(crate) fn send_to(fd: i32, data: &[u8], flags: i32, to: &str) -> isize {
    let to = sockaddr_of(to);
    // SAFETY: that many bytes, an address of that length.
    unsafe { xm_sendto(fd, data.as_ptr().cast(), data.len(), flags, (&raw const to).cast(), SOCKADDR_BYTES) }
}

/// `write` from an address that need not be one.
pub(crate) fn write_from(fd: i32, at: usize, len: usize) -> isize {
    // SAFETY: not followed unless it is an address; the tests give none.
    unsafe { xm_write(fd, std::ptr::without_provenance(at), len) }
}

pub(crate) fn writev(fd: i32, parts: &[&[u8]]) -> isize {
    let parts: Vec<iovec> =
        parts.iter().map(|part| iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() }).collect();
    // SAFETY: buffers that are only read.
    unsafe { xm_writev(fd, parts.as_ptr(), parts.len() as c_int) }
}

/// `sendmsg` of `parts`, without address or control messages.
pub(crate) fn send_msg(fd: i32, parts: &[&[u8]], flags: i32) -> isize {
    let mut parts: Vec<iovec> =
        parts.iter().map(|part| iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() }).collect();
    let msg = msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: parts.as_mut_ptr(),
        msg_iovlen: parts.len(),
        msg_control: null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    };
    // SAFETY: buffers that are only read.
    unsafe { xm_sendmsg(fd, &raw const msg, flags) }
}

pub(crate) fn recv(fd: i32, buffer: &mut [u8], flags: i32) -> isize {
    // SAFETY: that many bytes.
    unsafe { xm_recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags) }
}

pub(crate) fn recv_from(fd: i32, buffer: &mut [u8], flags: i32) -> (isize, String) {
    let (mut addr, mut len) = (sockaddr_of("0.0.0.0:0"), SOCKADDR_BYTES);
    // SAFETY: that many bytes, room of that length.
    let result = unsafe {
        xm_recvfrom(fd, buffer.as_mut_ptr().cast(), buffer.len(), flags, (&raw mut addr).cast(), &raw mut len)
    };
    (result, addr_of(&addr))
}

pub(crate) fn readv(fd: i32, parts: &mut [&mut [u8]]) -> isize {
    let parts: Vec<iovec> =
        parts.iter_mut().map(|part| iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() }).collect();
    // SAFETY: buffers of those lengths.
    unsafe { xm_readv(fd, parts.as_ptr(), parts.len() as c_int) }
}

/// What `recvmsg` gave: its result, `msg_flags`, the bytes of control messages.
pub(crate) fn recv_msg(fd: i32, buffer: &mut [u8], flags: i32, control_room: usize) -> (isize, i32, Vec<u8>) {
    let mut part = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = vec![0u64; control_room.div_ceil(8)];
    let mut msg = msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: control.as_mut_ptr().cast(),
        msg_controllen: control_room,
        msg_flags: 0,
    };
    // SAFETY: one buffer and room for control messages, of those lengths.
    let result = unsafe { xm_recvmsg(fd, &raw mut msg, flags) };
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).take(msg.msg_controllen).collect();
    (result, msg.msg_flags, bytes)
}

pub(crate) fn set_option(fd: i32, level: i32, name: i32, value: &[u8]) -> i32 {
    // SAFETY: that many bytes.
    unsafe { xm_setsockopt(fd, level, name, value.as_ptr().cast(), value.len() as u32) }
}

pub(crate) fn set_int(fd: i32, level: i32, name: i32, value: i32) -> i32 {
    set_option(fd, level, name, &value.to_ne_bytes())
}

/// The value, cut to `room`, or the error.
pub(crate) fn get_option(fd: i32, level: i32, name: i32, room: usize) -> Result<Vec<u8>, i32> {
    let (mut value, mut len) = (vec![0; room], room as u32);
    // SAFETY: room of that length.
    match unsafe { xm_getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) } {
        0 => {
            value.truncate(len as usize);
            Ok(value)
        }
        _ => Err(super::errno()),
    }
}

pub(crate) fn get_int(fd: i32, level: i32, name: i32) -> i32 {
    i32::from_ne_bytes(get_option(fd, level, name, 4).unwrap().try_into().unwrap())
}

pub(crate) fn ioctl(fd: i32, request: u64, mut value: i32) -> (i32, i32) {
    // SAFETY: an int.
    let result = unsafe { xm_ioctl(fd, request, (&raw mut value).cast()) };
    (result, value)
}

/// The result, and what each entry has to tell.
pub(crate) fn poll(entries: &[(i32, i16)], timeout_ms: i32) -> (i32, Vec<i16>) {
    let mut fds: Vec<_> =
        entries.iter().map(|(fd, events)| libc::pollfd { fd: *fd, events: *events, revents: 0 }).collect();
    // SAFETY: that many entries.
    let ready = unsafe { xm_poll(fds.as_mut_ptr(), fds.len() as u64, timeout_ms) };
    (ready, fds.iter().map(|entry| entry.revents).collect())
}

pub(crate) fn epoll_ctl(epfd: i32, op: i32, fd: i32, events: i32) -> i32 {
    let mut event = epoll_event { events: events.cast_unsigned(), u64: fd as u64 };
    // SAFETY: an event.
    unsafe { xm_epoll_ctl(epfd, op, fd, &raw mut event) }
}

/// Each descriptor that is ready, and how.
pub(crate) fn epoll_wait(epfd: i32, max: i32, timeout_ms: i32) -> Vec<(i32, i32)> {
    let mut events = vec![epoll_event { events: 0, u64: 0 }; max as usize];
    // SAFETY: room for as many.
    let ready = unsafe { xm_epoll_wait(epfd, events.as_mut_ptr(), max, timeout_ms) };
    assert!(ready >= 0, "{}", super::errno());
    events.iter().take(ready as usize).map(|event| (event.u64 as i32, event.events.cast_signed())).collect()
}

pub(crate) fn pipe() -> [i32; 2] {
    let mut fds = [0; 2];
    // SAFETY: two numbers.
    assert_eq!(unsafe { xm_pipe(fds.as_mut_ptr()) }, 0);
    fds
}

pub(crate) fn splice(from: i32, to: i32, len: usize, flags: u32) -> isize {
    // SAFETY: no offsets.
    unsafe { xm_splice(from, null_mut(), to, null_mut(), len, flags) }
}

pub(crate) fn send_file(to: i32, file: i32, offset: Option<&mut i64>, len: usize) -> isize {
    // SAFETY: an open descriptor, an offset or none.
    unsafe { xm_sendfile(to, file, offset.map_or(null_mut(), std::ptr::from_mut), len) }
}

pub(crate) fn inject(datagram: &[u8]) -> i32 {
    // SAFETY: that many bytes.
    unsafe { xm_netdev_inject(datagram.as_ptr().cast(), datagram.len()) }
}

/// The oldest datagram that left, and when.
pub(crate) fn collect() -> Option<(i64, Vec<u8>)> {
    let (mut datagram, mut time) = (vec![0; 65_536], 0);
    // SAFETY: room of that length, a time.
    let len = unsafe { xm_netdev_collect(datagram.as_mut_ptr().cast(), datagram.len(), &raw mut time) };
    assert!(len >= 0);
    datagram.truncate(len as usize);
    (len > 0).then_some((time, datagram))
}

/// `collect` with less room.
pub(crate) fn collect_into(room: &mut [u8]) -> isize {
    // SAFETY: room of that length, no time wanted.
    unsafe { xm_netdev_collect(room.as_mut_ptr().cast(), room.len(), null_mut()) }
}
