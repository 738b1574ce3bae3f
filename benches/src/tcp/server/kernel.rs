//! The server on kernel sockets: `epoll`, edge-triggered, each connection registered once for all it will ever wait for.

use super::connection::{Connection, Wants};
use super::connections::Connections;
use super::{BACKLOG, BUFFER_BYTES, EVENTS_MAX, Service};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, listen, socket_with, sockopt};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

const CONNECTION: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
const PEER_ENDED: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

/// Serves on these addresses until an error. Calls `ready` with where it listens.
///
/// # Errors
/// The kernel's.
pub fn serve(places: &[(Service, SocketAddr)], ready: impl FnOnce(&[SocketAddr])) -> io::Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut listeners = Vec::new();
    for (service, place) in places {
        let listener = listener(*place)?;
        epoll::add(&epoll, &listener, EventData::new_u64(listeners.len() as u64), EventFlags::IN)?;
        listeners.push((*service, listener));
    }
    let bound: Vec<_> = listeners.iter().map(|(_, listener)| local(listener)).collect::<io::Result<_>>()?;
    ready(&bound);
    let mut server = Server { epoll, connections: Connections::new(), buffer: vec![0x5a; BUFFER_BYTES] };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        match epoll::wait(&server.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let key = event.data.u64() as usize;
            match listeners.get(key) {
                Some((service, listener)) => server.accept_all(*service, listener)?,
                None => server.serve(key, event.flags)?,
            }
        }
    }
}

struct Server {
    epoll: OwnedFd,
    connections: Connections<TcpStream>,
    buffer: Vec<u8>,
}

impl Server {
    fn accept_all(&mut self, service: Service, listener: &OwnedFd) -> io::Result<()> {
        loop {
            let stream = match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((stream, _)) => TcpStream::from(stream),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let key = self.connections.insert(Connection::new(stream, service));
            let Some(connection) = self.connections.get_mut(key) else { continue };
            epoll::add(&self.epoll, &connection.stream, EventData::new_u64(key as u64), CONNECTION)?;
        }
    }

    fn serve(&mut self, key: usize, flags: EventFlags) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        if connection.serve(&mut self.buffer, flags.intersects(PEER_ENDED))? == Wants::Nothing {
            self.connections.remove(key);
        }
        Ok(())
    }
}

/// A listening socket whose connections send without delay.
fn listener(place: SocketAddr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    bind(&listener, &place)?;
    listen(&listener, BACKLOG.into())?;
    Ok(listener)
}

fn local(socket: &OwnedFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(rustix::net::getsockname(socket)?)?)
}
