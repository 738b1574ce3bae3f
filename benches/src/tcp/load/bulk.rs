//! As many bytes as go, in one direction.
//!
//! What comes is counted and thrown away in the kernel (`MSG_TRUNC`, tcp(7)), so that this client is not the limit.

use super::{Drive, EVENTS_MAX, SILENCE_MAX, Tally, ended, wait};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use xmit_shared::clock;
use xmit_shared::time::Instant;

/// Bytes of one call: larger ones leave the cache before they are sent.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) struct Bulk {
    epoll: OwnedFd,
    streams: Vec<TcpStream>,
    sends: bool,
    chunk: Vec<u8>,
    events: Vec<Event>,
}

impl Bulk {
    pub(super) fn sending(to: SocketAddr, count: usize) -> io::Result<Self> {
        Self::connect(to, count, true)
    }

    pub(super) fn receiving(from: SocketAddr, count: usize) -> io::Result<Self> {
        Self::connect(from, count, false)
    }

    fn connect(to: SocketAddr, count: usize, sends: bool) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = if sends { EventFlags::OUT } else { EventFlags::IN };
        let mut streams = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect_timeout(&to, SILENCE_MAX)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), flags)?;
            streams.push(stream);
        }
        Ok(Self { epoll, streams, sends, chunk: vec![0x5a; CHUNK_BYTES], events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// One call. Zero bytes if it would have waited.
    fn step(&mut self, index: usize) -> io::Result<usize> {
        let Some(stream) = self.streams.get(index) else { return Ok(0) };
        let moved = match self.sends {
            true => rustix::io::write(stream, &self.chunk),
            false => recv(stream, &mut self.chunk[..], RecvFlags::TRUNC).map(|(_, len)| len),
        };
        match moved {
            Ok(0) => Err(ended()),
            Ok(len) => Ok(len),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drive for Bulk {
    fn drive(&mut self, end: Instant, tally: &mut Tally) -> io::Result<()> {
        while clock::monotonic() < end {
            wait(&self.epoll, &mut self.events)?;
            for number in 0..self.events.len() {
                let Some(event) = self.events.get(number) else { continue };
                let index = event.data.u64() as usize;
                tally.count += self.step(index)? as u64;
            }
        }
        Ok(())
    }
}
