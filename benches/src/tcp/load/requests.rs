//! Requests and answers on connections that stay.

use super::super::REQUEST_BYTES;
use super::{Drive, EVENTS_MAX, SILENCE_MAX, Tally, ended, wait};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use xmit_shared::clock;
use xmit_shared::time::Instant;

const REQUEST: [u8; REQUEST_BYTES] = [0x5a; REQUEST_BYTES];

/// One connection, by blocking calls.
#[derive(Debug)]
pub(super) struct One(TcpStream);

/// Many connections, by `epoll`.
pub(super) struct Many {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<Event>,
    /// Requests are under way on all connections.
    begun: bool,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    asked: Instant,
    /// Bytes of the answer that are still to come.
    missing: usize,
}

impl One {
    pub(super) fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = connect(to)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self(stream))
    }
}

impl Drive for One {
    fn drive(&mut self, end: Instant, tally: &mut Tally) -> io::Result<()> {
        let mut answer = [0; REQUEST_BYTES];
        let mut asked = clock::monotonic();
        while asked < end {
            (&self.0).write_all(&REQUEST)?;
            (&self.0).read_exact(&mut answer)?;
            let now = clock::monotonic();
            tally.answered(asked, now);
            asked = now;
        }
        Ok(())
    }
}

impl Many {
    pub(super) fn connect(to: SocketAddr, count: usize) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let stream = connect(to)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN | EventFlags::ET)?;
            connections.push(Connection { stream, asked: Instant::ZERO, missing: 0 });
        }
        Ok(Self { epoll, connections, events: Vec::with_capacity(EVENTS_MAX), begun: false })
    }
}

impl Drive for Many {
    fn drive(&mut self, end: Instant, tally: &mut Tally) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.connections.iter_mut().try_for_each(|connection| connection.ask(clock::monotonic()))?;
        }
        while clock::monotonic() < end {
            wait(&self.epoll, &mut self.events)?;
            for event in &self.events {
                let Some(connection) = self.connections.get_mut(event.data.u64() as usize) else { continue };
                connection.hear(tally)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    fn ask(&mut self, now: Instant) -> io::Result<()> {
        (self.asked, self.missing) = (now, REQUEST_BYTES);
        // A request always fits: the one before was answered.
        (&self.stream).write_all(&REQUEST)
    }

    /// Reads what came, and asks again when the answer is whole.
    fn hear(&mut self, tally: &mut Tally) -> io::Result<()> {
        let mut answer = [0; REQUEST_BYTES];
        let place = answer.get_mut(..self.missing).unwrap_or_default();
        match (&self.stream).read(place) {
            Ok(0) => Err(ended()),
            Ok(len) if len < self.missing => {
                self.missing -= len;
                Ok(())
            }
            Ok(_) => {
                let now = clock::monotonic();
                tally.answered(self.asked, now);
                self.ask(now)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, SILENCE_MAX)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
