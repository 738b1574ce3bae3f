//! The program at the other end: a UDP echo on the daemon's sockets in shared memory, a process of its own.

use std::io;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::ExitCode;

use xmit::{Session, UdpSocket};

use crate::Failure;
use crate::demo::not_shown;

/// Echoes at `address` until the daemon stops or somebody ends the process.
pub fn serve(session: &Path, address: SocketAddrV4) -> Result<ExitCode, Failure> {
    let session = Session::connect(session).map_err(not_shown)?;
    let socket = UdpSocket::bind_in(&session, address).map_err(Failure::io("bind the echo's socket"))?;
    let mut buffer = vec![0; 65_536];
    loop {
        let echoed = socket.recv_from(&mut buffer).and_then(|(len, peer)| {
            let payload = buffer.get(..len).unwrap_or_default();
            socket.send_to(payload, peer)
        });
        match echoed {
            Err(error) if error.kind() == io::ErrorKind::NetworkDown => return Ok(ExitCode::SUCCESS),
            // What is wrong with one datagram does not end the server.
            _ => {}
        }
    }
}
