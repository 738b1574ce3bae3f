//! Connect, ask, hear, close: so many at once, and a new one for each that is done.
//!
//! The client closes first and keeps the connection in TIME_WAIT, as browsers and most clients do. It goes to all addresses of the server
//! by turns: looking for a port that is not waiting there would else be a fifth of its work.

use super::super::REQUEST_BYTES;
use super::{Drive, EVENTS_MAX, Tally, wait};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use xmit_shared::clock;
use xmit_shared::time::Instant;

const REQUEST: [u8; REQUEST_BYTES] = [0x5a; REQUEST_BYTES];

pub(super) struct Connects {
    to: Vec<SocketAddr>,
    begun: usize,
    epoll: OwnedFd,
    attempts: Vec<Attempt>,
    events: Vec<Event>,
}

/// One connection on its way.
#[derive(Debug)]
struct Attempt {
    socket: OwnedFd,
    begun: Instant,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connecting,
    /// Asked; bytes of the answer that are still to come.
    Asked(usize),
}

/// How an attempt stands.
enum Progress {
    Waits,
    Answered,
    Failed,
}

impl Connects {
    /// `count` at once, to each of `to` by turns.
    pub(super) fn start(to: Vec<SocketAddr>, count: usize) -> io::Result<Self> {
        let (epoll, events) = (epoll::create(CreateFlags::CLOEXEC)?, Vec::with_capacity(EVENTS_MAX));
        let mut connects = Self { to, begun: 0, epoll, attempts: Vec::with_capacity(count), events };
        for index in 0..count {
            let to = connects.next();
            let attempt = Attempt::begin(to, &connects.epoll, index)?;
            connects.attempts.push(attempt);
        }
        Ok(connects)
    }

    fn next(&mut self) -> SocketAddr {
        self.begun += 1;
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        self.to.get(self.begun % self.to.len().max(1)).copied().unwrap_or(anywhere)
    }
}

impl Drive for Connects {
    fn drive(&mut self, end: Instant, tally: &mut Tally) -> io::Result<()> {
        while clock::monotonic() < end {
            wait(&self.epoll, &mut self.events)?;
            for number in 0..self.events.len() {
                let Some(event) = self.events.get(number) else { continue };
                let index = event.data.u64() as usize;
                let Some(attempt) = self.attempts.get_mut(index) else { continue };
                match attempt.go_on() {
                    Progress::Waits => continue,
                    Progress::Answered => tally.answered(attempt.begun, clock::monotonic()),
                    Progress::Failed => tally.lost += 1,
                }
                let to = self.next();
                let next = Attempt::begin(to, &self.epoll, index)?;
                // Closes the old one.
                if let Some(attempt) = self.attempts.get_mut(index) {
                    *attempt = next;
                }
            }
        }
        Ok(())
    }
}

impl Attempt {
    fn begin(to: SocketAddr, epoll: &OwnedFd, index: usize) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        let begun = clock::monotonic();
        match connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let events = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(epoll, &socket, EventData::new_u64(index as u64), events)?;
        Ok(Self { socket, begun, step: Step::Connecting })
    }

    fn go_on(&mut self) -> Progress {
        match self.step {
            Step::Connecting => match rustix::io::write(&self.socket, &REQUEST) {
                Ok(_) => {
                    self.step = Step::Asked(REQUEST_BYTES);
                    Progress::Waits
                }
                Err(Errno::AGAIN | Errno::NOTCONN) => Progress::Waits,
                Err(_) => Progress::Failed,
            },
            Step::Asked(missing) => {
                let mut answer = [0; REQUEST_BYTES];
                match rustix::io::read(&self.socket, &mut answer[..]) {
                    Ok(0) => Progress::Failed,
                    Ok(len) if len < missing => {
                        self.step = Step::Asked(missing - len);
                        Progress::Waits
                    }
                    Ok(_) => Progress::Answered,
                    Err(Errno::AGAIN) => Progress::Waits,
                    Err(_) => Progress::Failed,
                }
            }
        }
    }
}
