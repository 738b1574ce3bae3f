//! Many datagrams in one system call: `recvmmsg` and `sendmmsg` (recvmmsg(2), sendmmsg(2); Linux 3.0).
//!
//! One of the files that hold `unsafe`: the kernel is given arrays of pointers into buffers of this value.
//! Invariant: the pointers are made anew for each call, from buffers that this value owns and does not move meanwhile.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of one datagram at most.
pub const DATAGRAM_BYTES_MAX: usize = 2048;

/// Datagrams with their lengths and the other ends' addresses.
#[derive(Debug)]
pub struct Batch {
    buffers: Vec<[u8; DATAGRAM_BYTES_MAX]>,
    lengths: Vec<usize>,
    peers: Vec<libc::sockaddr_in>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    /// Room for `capacity` datagrams.
    pub fn new(capacity: usize) -> Self {
        let nowhere =
            libc::sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] };
        Self {
            buffers: vec![[0; DATAGRAM_BYTES_MAX]; capacity],
            lengths: vec![0; capacity],
            peers: vec![nowhere; capacity],
            vectors: Vec::with_capacity(capacity),
            headers: Vec::with_capacity(capacity),
        }
    }

    /// How many datagrams there is room for.
    pub fn capacity(&self) -> usize {
        self.buffers.len()
    }

    /// The bytes of datagram `index`.
    pub fn bytes(&self, index: usize) -> &[u8] {
        let len = self.lengths.get(index).copied().unwrap_or(0);
        self.buffers.get(index).and_then(|buffer| buffer.get(..len)).unwrap_or_default()
    }

    /// Makes datagram `index` one of `len` bytes and gives them to be written.
    pub fn bytes_mut(&mut self, index: usize, len: usize) -> &mut [u8] {
        if let Some(length) = self.lengths.get_mut(index) {
            *length = len.min(DATAGRAM_BYTES_MAX);
        }
        self.buffers.get_mut(index).and_then(|buffer| buffer.get_mut(..len)).unwrap_or_default()
    }

    /// Waits for one datagram and takes all that are there, as far as there is room; answers how many.
    ///
    /// # Errors
    /// The kernel's; `EAGAIN` after the socket's time-out.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.lengths.fill(DATAGRAM_BYTES_MAX);
        self.point(self.buffers.len(), true);
        let count = self.headers.len() as libc::c_uint;
        let (at, flags) = (self.headers.as_mut_ptr(), libc::MSG_WAITFORONE);
        // SAFETY: `headers` holds `count` entries that `point` has just filled with pointers to this value's buffers.
        let got = unsafe { libc::recvmmsg(socket.as_raw_fd(), at, count, flags, std::ptr::null_mut()) };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&self.headers).take(got) {
            *length = header.msg_len as usize;
        }
        Ok(got)
    }

    /// Sends the first `count` datagrams: to the addresses they came from, or to the socket's peer if `connected`.
    /// Answers how many the kernel took.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(&mut self, socket: BorrowedFd<'_>, count: usize, connected: bool) -> io::Result<usize> {
        self.point(count, !connected);
        let count = self.headers.len() as libc::c_uint;
        // SAFETY: as in `receive`; the kernel only reads what the vectors point to.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn point(&mut self, count: usize, addressed: bool) {
        self.vectors.clear();
        self.headers.clear();
        for (buffer, length) in self.buffers.iter_mut().zip(&self.lengths).take(count) {
            self.vectors.push(libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: *length });
        }
        for (vector, peer) in self.vectors.iter_mut().zip(&mut self.peers) {
            // SAFETY: a message header is integers and pointers, for which zero is a value.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            if addressed {
                header.msg_hdr.msg_name = std::ptr::from_mut(peer).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn datagrams_come_back_to_who_sent_them() {
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        a.connect(b.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(4);
        for (index, len) in [3, 1500, 0].into_iter().enumerate() {
            batch.bytes_mut(index, len).fill(index as u8);
        }
        assert_eq!(batch.send(a.as_fd(), 3, true).unwrap(), 3);
        let mut echo = Batch::new(4);
        assert_eq!(echo.receive(b.as_fd()).unwrap(), 3);
        assert_eq!(echo.bytes(1), [1; 1500]);
        assert_eq!(echo.send(b.as_fd(), 3, false).unwrap(), 3);
        assert_eq!(batch.receive(a.as_fd()).unwrap(), 3);
        assert_eq!((batch.bytes(0), batch.bytes(2)), (&[0; 3][..], &[][..]));
    }
}
