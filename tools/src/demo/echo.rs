//! The program at the other end: an echo for UDP and TCP on the daemon's sockets in shared memory, a process of its own.

use std::io;
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::ExitCode;

use xmit::{Session, TcpListener, TcpStream, UdpSocket};

use crate::Failure;
use crate::demo::not_shown;

/// Echoes at `address` until the daemon stops or somebody ends the process. The UDP socket is bound last.
pub fn serve(session: &Path, address: SocketAddrV4) -> Result<ExitCode, Failure> {
    let session = Session::connect(session).map_err(not_shown)?;
    let listener = TcpListener::bind_in(&session, address).map_err(Failure::io("listen with the echo"))?;
    let socket = UdpSocket::bind_in(&session, address).map_err(Failure::io("bind the echo's socket"))?;
    std::thread::spawn(move || accept(&listener));
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

/// Every connection on a thread of its own, until the daemon stops.
fn accept(listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        std::thread::spawn(move || echo(&stream));
    }
}

/// Returns what comes, until the other side has said all.
fn echo(stream: &TcpStream) {
    // An error is the end of the connection, which the other side notices and tells.
    let _ = io::copy(&mut &*stream, &mut &*stream);
}
