//! A program with sockets, in the same process and under virtual time: it never waits, whoever runs it lets time pass.

use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_shared::Rubbish;
use xmit_shared::record::{Meta, PushError};
use xmit_shared::session::{ClientEnd, ClientSlot, Completion, Op, Submission};

/// The client's end of an in-process session.
#[derive(Debug)]
pub struct Client {
    end: ClientEnd,
    token: u64,
    /// The last error word seen of each slot.
    errors_seen: Vec<u32>,
}

/// The lane that all sockets are on.
const LANE: u32 = 0;

impl Client {
    /// A client at `end`.
    pub fn new(end: ClientEnd) -> Self {
        let errors_seen = end.slots.iter().map(|slot| slot.status.error()).collect();
        Self { end, token: 0, errors_seen }
    }

    /// Leaves a socket call for the lane; [`Client::completion`] has its answer after a turn or two.
    ///
    /// # Errors
    /// If the ring of calls is full or holds rubbish.
    pub fn submit(&mut self, slot: u32, op: Op) -> Result<u64, String> {
        self.token += 1;
        let call = Submission { token: self.token, slot, op };
        let lane = self.end.lanes.get_mut(LANE as usize).ok_or("the session has no lane")?;
        match lane.submit(&call) {
            Ok(true) => Ok(self.token),
            Ok(false) => Err("the ring of socket calls is full".to_owned()),
            Err(rubbish) => Err(rubbish.to_string()),
        }
    }

    /// The next answer to a call.
    ///
    /// # Errors
    /// If the lane's ring holds rubbish.
    pub fn completion(&mut self) -> Result<Option<Completion>, Rubbish> {
        match self.end.lanes.get_mut(LANE as usize) {
            Some(lane) => lane.next_completion(),
            None => Ok(None),
        }
    }

    /// The slot was opened: what an earlier socket did not read is forgotten.
    pub fn opened(&mut self, slot: u32) {
        if let Some(slot) = self.slot(slot) {
            slot.rx.restart();
        }
    }

    /// Leaves a datagram for `to`, or for the socket's peer.
    ///
    /// # Errors
    /// If there is no room.
    pub fn send(&mut self, slot: u32, to: Option<SocketAddrV4>, data: &[u8]) -> Result<(), PushError> {
        let meta = Meta::of(to.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)));
        let Some(place) = self.slot(slot) else { return Err(PushError::TooLarge) };
        place.tx.push(&meta, &[data])?;
        self.end.shared.kick(LANE, slot);
        Ok(())
    }

    /// Takes the oldest datagram, cut to the room in `out`; its header tells its length.
    pub fn receive(&mut self, slot: u32, out: &mut [u8]) -> Option<Meta> {
        let slot = self.slot(slot)?;
        let meta = slot.rx.peek().ok().flatten()?;
        slot.rx.copy(out);
        slot.rx.consume();
        Some(meta)
    }

    /// The socket's pending error (`SO_ERROR`), once.
    pub fn take_error(&mut self, slot: u32) -> Option<i32> {
        let word = self.end.slots.get(slot as usize)?.status.error();
        let seen = self.errors_seen.get_mut(slot as usize)?;
        let is_new = *seen != word;
        *seen = word;
        is_new.then_some(i32::from(word as u16))
    }

    /// Tells the lane to look at `slot`.
    pub(crate) fn kick(&self, slot: u32) {
        self.end.shared.kick(LANE, slot);
    }

    pub(crate) fn slot(&mut self, slot: u32) -> Option<&mut ClientSlot> {
        self.end.slots.get_mut(slot as usize)
    }
}
