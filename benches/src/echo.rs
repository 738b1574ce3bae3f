//! The echoes: the same program on kernel sockets, plainly and with batches, and on the daemon's.

use crate::mmsg::Batch;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;

/// Bytes of one datagram at most.
const DATAGRAM: usize = 2048;

/// Echoes on a kernel socket until an error: one by one with `recvfrom` and `sendto`, or `batch` at once.
///
/// # Errors
/// The kernel's.
pub fn kernel(socket: &UdpSocket, batch: usize) -> io::Result<()> {
    if batch <= 1 {
        let mut buffer = [0; DATAGRAM];
        loop {
            let (len, peer) = socket.recv_from(&mut buffer)?;
            socket.send_to(&buffer[..len], peer)?;
        }
    }
    let mut datagrams = Batch::new(batch);
    loop {
        let count = datagrams.receive(socket.as_fd())?;
        datagrams.send(socket.as_fd(), count, false)?;
    }
}

/// Echoes on a socket of `xmitd` until an error, as `control/client/examples/echo.rs` does. Calls `ready` when it is bound.
///
/// # Errors
/// `ENETDOWN` when the daemon ends, and others of the client library.
pub fn xmit(session: &xmit::Session, port: u16, ready: impl FnOnce()) -> io::Result<()> {
    let socket = xmit::UdpSocket::bind_in(session, ("0.0.0.0", port))?;
    ready();
    let mut buffer = [0; DATAGRAM];
    loop {
        let (len, peer) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..len], peer)?;
    }
}
