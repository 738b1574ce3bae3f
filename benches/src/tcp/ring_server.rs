//! A server on a session's rings as they are: what the client library does, without its locks, threads and handles.
//!
//! One for each session, with one listener. It is turned by the thread that turns the lane, so that the same input executes the same
//! instructions.

use super::server::Service;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_shared::Rubbish;
use xmit_shared::session::{Accepted, ClientEnd, ClientSlot, Op, StreamEvents, StreamFlags, Submission, Transport};
use xmit_shared::stream::ACCEPTED_BYTES;

/// The listener's slot; the others are connections'.
const LISTENER: u32 = 0;
/// Slots that the lane holds for connections to come: what the client library grants.
const STOCK: usize = 64;
/// Connections that may wait in the lane.
const BACKLOG: u32 = 4096;
/// Tokens of calls that close a slot: this and the slot.
const CLOSING: u64 = 1 << 32;
/// Bytes read and written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// The server of one session.
#[derive(Debug)]
pub struct RingServer {
    end: ClientEnd,
    service: Service,
    /// Slots that are nobody's.
    free: Vec<u32>,
    /// Slots that the lane holds for connections to come.
    granted: usize,
    open: usize,
    /// By slot: a connection of ours that is not being closed.
    serving: Vec<bool>,
    /// Connections that send without being asked.
    generators: Vec<u32>,
    marked: Vec<u32>,
    buffer: Vec<u8>,
    /// Answers of the setup's calls.
    answered: Option<i32>,
}

impl RingServer {
    /// A server on `end`, not yet listening.
    pub fn new(end: ClientEnd, service: Service) -> Self {
        let free = (LISTENER + 1..end.shared.config().slots).rev().collect();
        let serving = vec![false; end.shared.config().slots as usize];
        let (generators, marked, buffer) = (Vec::new(), Vec::new(), vec![0x5a; BUFFER_BYTES]);
        Self { end, service, free, granted: 0, open: 0, serving, generators, marked, buffer, answered: None }
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.open
    }

    /// The calls that make it listen at `port`, one at a time: each is made when the one before was answered.
    pub fn setup(port: u16) -> [Op; 3] {
        let at = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        [Op::Open(Transport::Tcp), Op::Bind(at), Op::Listen(BACKLOG)]
    }

    /// Makes a call for the listener.
    ///
    /// # Errors
    /// The lane wrote what cannot be.
    pub fn call(&mut self, op: Op) -> io::Result<()> {
        self.answered = None;
        self.submit(0, LISTENER, op).map(drop)
    }

    /// The result of the last [`RingServer::call`], if there is one.
    pub fn answer(&self) -> Option<i32> {
        self.answered
    }

    /// Its listener listens: from now on the lane has slots for connections.
    ///
    /// # Errors
    /// The lane wrote what cannot be.
    pub fn started(&mut self) -> io::Result<()> {
        if let Some(listener) = self.end.slots.get_mut(LISTENER as usize) {
            listener.stream_rx.restart();
        }
        self.grant()
    }

    /// Does what there is to do, and answers how much: connections accepted, and connections served.
    ///
    /// # Errors
    /// The lane wrote what cannot be, or refused a call.
    pub fn step(&mut self) -> io::Result<usize> {
        self.take_answers()?;
        let mut marked = std::mem::take(&mut self.marked);
        let shared = self.end.shared.clone();
        shared.take_news(|word, mut bits| {
            while bits != 0 {
                marked.push(word as u32 * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        });
        let mut done = marked.len();
        for slot in marked.drain(..) {
            match slot {
                LISTENER => self.accept()?,
                slot => self.serve(slot)?,
            }
        }
        self.marked = marked;
        for number in 0..self.generators.len() {
            let Some(slot) = self.generators.get(number).copied() else { break };
            done += usize::from(self.generate(slot)?);
        }
        Ok(done)
    }

    fn take_answers(&mut self) -> io::Result<()> {
        loop {
            let Some(lane) = self.end.lanes.first_mut() else { return Ok(()) };
            let Some(answer) = lane.next_completion().map_err(rubbish)? else { return Ok(()) };
            if answer.token >= CLOSING {
                let slot = (answer.token - CLOSING) as u32;
                self.free.push(slot);
                self.open -= 1;
                self.grant()?;
            } else {
                self.answered = Some(answer.result);
            }
        }
    }

    /// Grants slots until the lane has its stock. Bounded by it.
    fn grant(&mut self) -> io::Result<()> {
        while self.granted < STOCK {
            let Some(slot) = self.free.pop() else { return Ok(()) };
            if !self.submit(0, LISTENER, Op::Grant(slot))? {
                self.free.push(slot);
                return Ok(());
            }
            self.granted += 1;
        }
        Ok(())
    }

    /// False if the ring of calls is full.
    fn submit(&mut self, token: u64, slot: u32, op: Op) -> io::Result<bool> {
        let lane = self.end.lanes.first_mut().ok_or_else(|| io::Error::other("a session without lanes"))?;
        lane.submit(&Submission { token, slot, op }).map_err(rubbish)
    }

    /// Takes the connections that were announced. Bounded by the stock.
    fn accept(&mut self) -> io::Result<()> {
        let mut bytes = [0; ACCEPTED_BYTES];
        loop {
            let Some(listener) = self.end.slots.get_mut(LISTENER as usize) else { return Ok(()) };
            if (listener.stream_rx.available().map_err(rubbish)? as usize) < ACCEPTED_BYTES {
                break;
            }
            listener.stream_rx.copy_at(0, &mut bytes);
            if listener.stream_rx.consume(ACCEPTED_BYTES as u32) {
                self.end.shared.kick(0, LISTENER);
            }
            self.adopt(Accepted::decode(&bytes).slot)?;
        }
        self.grant()
    }

    fn adopt(&mut self, slot: u32) -> io::Result<()> {
        (self.granted, self.open) = (self.granted - 1, self.open + 1);
        if let Some(ClientSlot { stream_tx, stream_rx, .. }) = self.end.slots.get_mut(slot as usize) {
            stream_tx.restart();
            stream_rx.restart();
            stream_tx.set_flags(StreamFlags::NODELAY, true);
        }
        if self.service == Service::Chargen {
            self.generators.push(slot);
        }
        self.set_serving(slot, true);
        self.serve(slot)
    }

    fn set_serving(&mut self, slot: u32, serving: bool) {
        self.serving.get_mut(slot as usize).into_iter().for_each(|entry| *entry = serving);
    }

    /// Reads what came, sends back what is to be sent back, and closes when the peer has ended.
    fn serve(&mut self, slot: u32) -> io::Result<()> {
        if self.serving.get(slot as usize) != Some(&true) {
            return Ok(()); // news of a connection that is over
        }
        let Some(ClientSlot { stream_tx, stream_rx, status, .. }) = self.end.slots.get_mut(slot as usize) else {
            return Ok(());
        };
        let events = StreamEvents(status.events());
        let available = stream_rx.available().map_err(rubbish)?;
        let mut told = false;
        if available > 0 {
            let len = stream_rx.copy_at(0, &mut self.buffer);
            told = stream_rx.consume(len as u32);
            if self.service == Service::Echo {
                let written = stream_tx.write(self.buffer.get(..len).unwrap_or_default()).map_err(rubbish)?;
                if written < len {
                    return Err(io::Error::other("an echo found its ring full: send less at once"));
                }
                stream_tx.publish(false);
                told = true;
            }
        }
        if told {
            self.end.shared.kick(0, slot);
        }
        if available == 0 && events.contains(StreamEvents::RECEIVE_END) {
            self.set_serving(slot, false);
            self.generators.retain(|generator| *generator != slot);
            self.submit(CLOSING + u64::from(slot), slot, Op::Close)?;
        }
        Ok(())
    }

    /// Writes as much as fits; false if nothing does.
    fn generate(&mut self, slot: u32) -> io::Result<bool> {
        let Some(ClientSlot { stream_tx, .. }) = self.end.slots.get_mut(slot as usize) else { return Ok(false) };
        let written = stream_tx.write(&self.buffer).map_err(rubbish)?;
        if written > 0 {
            stream_tx.publish(false);
            self.end.shared.kick(0, slot);
        }
        Ok(written > 0)
    }
}

fn rubbish(rubbish: Rubbish) -> io::Error {
    io::Error::other(rubbish)
}
