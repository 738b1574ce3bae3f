//! A kernel program's side of the UDP exchange: an ordinary `std` socket in the other namespace.

use std::io::{self, ErrorKind};
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

use xmit_shared::clock;

use crate::Failure;
use crate::demo::narrator::{Narrator, go_on};
use crate::demo::shown::Echoes;
use crate::demo::window::Window;
use crate::namespace::inside;
use crate::wait::Interrupt;

/// How much to exchange.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Datagrams.
    pub datagrams: u32,
    /// At most so many without their echo.
    pub window: usize,
}

/// An echo later than this is asked for again: far above any round trip here, far below a person's patience.
const PATIENCE: Duration = Duration::from_millis(50);
/// The whole exchange; what is not back by then counts as lost.
const LIMIT: Duration = Duration::from_secs(15);
/// Echoes between two looks at the clock's limit, the bar, and Ctrl-C.
const LOOK_EVERY: u32 = 256;

/// Sends `load` from namespace `from` to the echo at `to`, and checks what comes back.
pub fn exchange(
    from: &str,
    to: SocketAddrV4,
    load: Load,
    narrator: &Narrator,
    interrupt: &Interrupt,
) -> Result<Echoes, Failure> {
    let socket = inside(from, "open a UDP socket", || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(PATIENCE / 4))?;
        Ok(socket)
    })?;
    let bar = narrator.bar("datagrams", load.datagrams);
    let mut window = Window::new(load.datagrams, load.window, PATIENCE);
    let (start, mut buffer) = (clock::monotonic(), [0; 2048]);
    let mut looked = 0;
    while !window.is_done() {
        while let Some(number) = window.next(clock::monotonic()) {
            socket.send(&super::datagram::payload(number)).map_err(Failure::io("send a datagram"))?;
        }
        let waited = receive(&socket, &mut window, &mut buffer).map_err(Failure::io("receive an echo"))?;
        if waited || window.echoed() >= looked + LOOK_EVERY {
            go_on(interrupt)?;
            looked = window.echoed();
            bar.set_position(looked.into());
            if clock::monotonic().saturating_since(start) > LIMIT {
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(window.echoes(clock::monotonic().saturating_since(start)))
}

/// One echo; true if none came.
fn receive(socket: &UdpSocket, window: &mut Window, buffer: &mut [u8]) -> io::Result<bool> {
    match socket.recv(buffer) {
        Ok(len) => {
            window.input(buffer.get(..len).unwrap_or_default());
            Ok(false)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
        Err(error) => Err(error),
    }
}
