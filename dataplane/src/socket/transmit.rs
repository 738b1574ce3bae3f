//! What clients left in their rings: datagrams into frames (`udp_sendmsg`'s caller), and news of streams to their
//! connections.

use super::ctx::Ctx;
use super::session::Session;
use super::slot::{Slot, Stream};
use crate::counters::Snmp;
use crate::limits;
use crate::udp::{SendError, UdpSocketId, udp_sendmsg};
use arrayvec::ArrayVec;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_nic::Instant;
use xmit_shared::Rubbish;
use xmit_shared::prefetch::prefetch;

/// Slots whose memory is asked for at once.
const BATCH: usize = 32;

/// How a slot's turn to send ended.
enum Outcome {
    /// Its ring is empty.
    Empty,
    /// The budget is used up: more waits.
    Budget,
    /// The way out is full or the rate used up: it waits until then.
    Blocked(Instant),
}

impl Session {
    /// Sends what waits in the rings, and tells connections of news in theirs; answers how many of both. Bounded by
    /// [`limits::SESSION_DATAGRAMS_PER_TURN`] and [`limits::SESSION_STREAMS_PER_TURN`].
    pub(super) fn transmit(&mut self, ctx: &mut Ctx<'_>) -> Result<usize, Rubbish> {
        let mut budget = limits::SESSION_DATAGRAMS_PER_TURN;
        let mut streams = limits::SESSION_STREAMS_PER_TURN;
        self.blocked = None;
        self.end.collect_dirty();
        let mut batch = ArrayVec::<u32, BATCH>::new();
        while budget > 0 && streams > 0 {
            if batch.is_empty() {
                self.next_batch(ctx, &mut batch);
            }
            let Some(slot) = batch.pop() else { break };
            match self.slots.get(slot as usize) {
                Some(Slot::Stream(Stream::Connected { id, .. } | Stream::Closing { id, .. })) => {
                    streams -= 1;
                    let end = Some(&mut self.end);
                    ctx.tcp.with(ctx.net, ctx.now, end, *id, |connection, ctx| connection.on_client(ctx));
                }
                // Streams have queues of their own; datagrams wait for the way out.
                _ if self.blocked.is_some() => self.held.push(slot),
                _ => match self.transmit_datagrams(ctx, slot, &mut budget)? {
                    Outcome::Empty => {}
                    Outcome::Budget => self.end.put_back(slot),
                    Outcome::Blocked(until) => {
                        self.held.push(slot);
                        self.blocked = Some(until);
                    }
                },
            }
        }
        self.end.put_back_ahead(batch.iter().rev().copied());
        self.held.drain(..).for_each(|slot| self.end.put_back(slot));
        let done = limits::SESSION_DATAGRAMS_PER_TURN - budget + limits::SESSION_STREAMS_PER_TURN - streams;
        self.take_news(ctx)?;
        Ok(done)
    }

    /// Takes the next dirty slots, the first one last, and asks for the memory of all of them before any is served.
    fn next_batch(&mut self, ctx: &Ctx<'_>, batch: &mut ArrayVec<u32, BATCH>) {
        while let (false, Some(slot)) = (batch.is_full(), self.end.next_dirty()) {
            self.end.prefetch(slot);
            self.slots.get(slot as usize).inspect(|slot| prefetch(*slot));
            batch.push(slot);
        }
        for slot in batch.iter() {
            let slot = self.slots.get(*slot as usize);
            if let Some(Slot::Stream(Stream::Connected { id, .. } | Stream::Closing { id, .. })) = slot {
                ctx.tcp.table.connections.get(id.index).inspect(|connection| connection.prefetch());
            }
        }
        batch.reverse();
    }

    fn transmit_datagrams(&mut self, ctx: &mut Ctx<'_>, slot: u32, budget: &mut usize) -> Result<Outcome, Rubbish> {
        match self.slots.get(slot as usize) {
            Some(Slot::Bound { id, .. }) => self.transmit_slot(ctx, slot, *id, budget),
            Some(Slot::Closing { id, .. }) => {
                let outcome = self.transmit_slot(ctx, slot, *id, budget)?;
                if matches!(outcome, Outcome::Empty) {
                    self.end_close(ctx, slot)?;
                }
                Ok(outcome)
            }
            Some(Slot::Unbound(_)) if self.end.tx_peek(slot)?.is_some() => {
                // The first datagram of a socket without address gets it one (`inet_autobind`).
                let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
                let _ = self.request_address(slot, None, any, None, ctx.reports);
                Ok(Outcome::Empty)
            }
            _ => Ok(Outcome::Empty),
        }
    }

    fn transmit_slot(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        id: UdpSocketId,
        budget: &mut usize,
    ) -> Result<Outcome, Rubbish> {
        let now = ctx.now;
        let Some(socket) = ctx.udp.get_mut(id) else { return Ok(Outcome::Empty) };
        while *budget > 0 {
            let Some(meta) = self.end.tx_peek(slot)? else { return Ok(Outcome::Empty) };
            if let Some(at) = self.rate.as_mut().map(|rate| rate.ready_at(now)).filter(|at| *at > now) {
                return Ok(Outcome::Blocked(at));
            }
            let destination = (meta.peer.port() != 0 || !meta.peer.ip().is_unspecified()).then_some(meta.peer);
            let end = &self.end;
            let sent = udp_sendmsg(ctx.net, now, socket, destination, meta.len as usize, |room| {
                end.tx_copy(slot, room);
            });
            match sent {
                Ok(()) => socket.counts.tx_datagrams += 1,
                Err(SendError::Busy) => return Ok(Outcome::Blocked(now + limits::BUSY_PORT_RETRY)),
                Err(error) => {
                    socket.counts.tx_refused += 1;
                    ctx.net.counters.inc(Snmp::UdpSndbufErrors);
                    if let Some(errno) = error.errno() {
                        self.end.set_error(slot, errno as u16);
                    }
                }
            }
            if let Some(rate) = &mut self.rate {
                rate.spend(now);
            }
            self.end.tx_consume(slot);
            *budget -= 1;
        }
        Ok(Outcome::Budget)
    }

    /// Drops what waits in `slot`, which has no address to send it from. What is beyond the budget is tried again.
    pub(super) fn refuse_waiting(&mut self, slot: u32) {
        for _ in 0..limits::SESSION_DATAGRAMS_PER_TURN {
            match self.end.tx_peek(slot) {
                Ok(Some(_)) => self.end.tx_consume(slot),
                Ok(None) => return,
                Err(rubbish) => return self.broken = Some(rubbish),
            }
        }
        self.end.put_back(slot);
    }
}
