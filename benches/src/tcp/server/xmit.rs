//! The server on sockets of `xmitd`: the client library's `Poller`, level-triggered.

use super::connection::{Connection, Wants};
use super::connections::Connections;
use super::{BACKLOG, BUFFER_BYTES, Service};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit::{Event, Interest, Poller, Session, TcpListener, TcpSocket, TcpStream};

/// Serves every service on its port until an error. Calls `ready` when it listens.
///
/// # Errors
/// `ENETDOWN` when the daemon ends, and others of the client library.
pub fn serve(session: &Session, ready: impl FnOnce()) -> io::Result<()> {
    let mut poller = Poller::new(session);
    let mut listeners = Vec::new();
    for (service, port) in Service::ALL {
        let socket = TcpSocket::new(session)?;
        socket.bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
        let listener = TcpListener::listen(socket, BACKLOG.into())?;
        listener.set_nonblocking(true)?;
        listener.set_nodelay(true)?;
        poller.add_listener(&listener, listeners.len(), Interest::READABLE)?;
        listeners.push((service, listener));
    }
    ready();
    let mut server = Server { poller, connections: Connections::new(), buffer: vec![0x5a; BUFFER_BYTES] };
    let mut events = Vec::new();
    loop {
        server.poller.wait(&mut events, None)?;
        for event in &events {
            match listeners.get(event.key) {
                Some((service, listener)) => server.accept_all(*service, listener)?,
                None => server.serve(event)?,
            }
        }
    }
}

struct Server<'a> {
    poller: Poller<'a>,
    connections: Connections<TcpStream>,
    buffer: Vec<u8>,
}

impl Server<'_> {
    fn accept_all(&mut self, service: Service, listener: &TcpListener) -> io::Result<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            let interest = if service == Service::Chargen { Interest::WRITABLE } else { Interest::READABLE };
            let key = self.connections.insert(Connection::new(stream, service));
            let Some(connection) = self.connections.get_mut(key) else { continue };
            self.poller.add_stream(&connection.stream, key, interest)?;
        }
    }

    fn serve(&mut self, event: &Event) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(event.key) else { return Ok(()) };
        let ended = event.read_hup || event.hup || event.error;
        let wanted = connection.serve(&mut self.buffer, ended)?;
        match wanted {
            // Dropping closes, and the poller forgets what was dropped.
            Wants::Nothing => self.connections.remove(event.key),
            Wants::Bytes if event.writable => {
                self.poller.add_stream(&connection.stream, event.key, Interest::READABLE)?;
            }
            Wants::Room if !event.writable => {
                self.poller.add_stream(&connection.stream, event.key, Interest::WRITABLE)?;
            }
            Wants::Bytes | Wants::Room => {}
        }
        Ok(())
    }
}
