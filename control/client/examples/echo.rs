//! A UDP echo server on xmitd: `echo 10.0.0.2:7`. It sleeps only when no datagram waits.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(addr) = std::env::args().nth(1) else {
        eprintln!("usage: echo ADDRESS:PORT   (the session's socket: $XMIT_SOCKET or /run/xmit/session.sock)");
        return ExitCode::from(2);
    };
    let error = serve(&addr);
    eprintln!("echo on {addr}: {error}");
    ExitCode::FAILURE
}

/// Echoes until something fails, and answers what.
fn serve(addr: &str) -> std::io::Error {
    let socket = match xmit::UdpSocket::bind(addr) {
        Ok(socket) => socket,
        Err(error) => return error,
    };
    println!("echoing on {}", socket.local_addr().map_or_else(|_| addr.into(), |addr| addr.to_string()));
    let mut buffer = vec![0; 65_536];
    loop {
        let echoed = socket.recv_from(&mut buffer).and_then(|(len, peer)| {
            let payload = buffer.get(..len).unwrap_or_default();
            socket.send_to(payload, peer)
        });
        match echoed {
            Err(error) if fatal(&error) => return error,
            // What was wrong with one datagram (a peer that is gone, an address without a route) does not end the server.
            _ => {}
        }
    }
}

fn fatal(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NetworkDown || error.raw_os_error().is_none()
}
