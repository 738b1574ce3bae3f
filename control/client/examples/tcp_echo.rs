//! A TCP echo server on xmitd for many connections in one thread: `tcp_echo 10.0.0.2:7`.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use xmit::{Event, Interest, Poller, Session, TcpListener, TcpStream};

/// The listener's key; connections have the following ones.
const LISTENER: usize = 0;
const BUFFER_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    let Some(addr) = std::env::args().nth(1) else {
        eprintln!("usage: tcp_echo ADDRESS:PORT   (the session's socket: $XMIT_SOCKET or /run/xmit/session.sock)");
        return ExitCode::from(2);
    };
    match serve(&addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo on {addr}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One connection, and what it could not yet be sent.
struct Connection {
    stream: TcpStream,
    left: Vec<u8>,
}

fn serve(addr: &str) -> io::Result<()> {
    let session = Session::global()?;
    let listener = TcpListener::bind_in(&session, addr)?;
    listener.set_nonblocking(true)?;
    println!("echoing on {}", listener.local_addr()?);
    let mut poller = Poller::new(&session);
    poller.add_listener(&listener, LISTENER, Interest::READABLE)?;
    let mut connections: HashMap<usize, Connection> = HashMap::new();
    let (mut next, mut events, mut buffer) = (LISTENER + 1, Vec::new(), vec![0; BUFFER_BYTES]);
    loop {
        poller.wait(&mut events, None)?;
        for event in &events {
            if event.key == LISTENER {
                accept_all(&listener, &mut poller, &mut connections, &mut next)?;
            } else if let Some(connection) = connections.get_mut(&event.key)
                && !connection.echo(event, &mut poller, &mut buffer)?
            {
                // Dropping closes, and the poller forgets what was dropped.
                connections.remove(&event.key);
            }
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    poller: &mut Poller<'_>,
    connections: &mut HashMap<usize, Connection>,
    next: &mut usize,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                poller.add_stream(&stream, *next, Interest::READABLE)?;
                connections.insert(*next, Connection { stream, left: Vec::new() });
                *next += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

impl Connection {
    /// Sends back what came. False when the connection is over; an error is the server's own.
    fn echo(&mut self, event: &Event, poller: &mut Poller<'_>, buffer: &mut [u8]) -> io::Result<bool> {
        let waited = !self.left.is_empty();
        loop {
            if self.left.is_empty() {
                match (&self.stream).read(buffer) {
                    Ok(0) => return Ok(false),
                    Ok(len) => self.left.extend(buffer.get(..len).unwrap_or_default()),
                    Err(error) => return self.wait_for(event.key, error, waited, Interest::READABLE, poller),
                }
            }
            match (&self.stream).write(&self.left) {
                Ok(len) => drop(self.left.drain(..len)),
                Err(error) => return self.wait_for(event.key, error, !waited, Interest::WRITABLE, poller),
            }
        }
    }

    /// Waits for `interest` when the socket would block; any other error ends the connection.
    fn wait_for(
        &self,
        key: usize,
        error: io::Error,
        changed: bool,
        interest: Interest,
        poller: &mut Poller<'_>,
    ) -> io::Result<bool> {
        match error.kind() {
            io::ErrorKind::WouldBlock if changed => poller.add_stream(&self.stream, key, interest).map(|()| true),
            io::ErrorKind::WouldBlock => Ok(true),
            io::ErrorKind::NetworkDown => Err(error),
            _ => Ok(false),
        }
    }
}
