//! How a connection comes to its program: a granted slot with rings, or the queue for one (`inet_csk_reqsk_queue_add`,
//! `inet_csk_accept`).

use super::initial_window::{first_buffer, window_of_buffer};
use super::syn::backlog;
use crate::Instant;
use crate::net::Net;
use crate::owner::Owner;
use crate::tcp::commons::{Ctx, News};
use crate::tcp::config::Config;
use crate::tcp::connection::FastOpenState;
use crate::tcp::listener::Listener;
use crate::tcp::settings::Settings;
use crate::tcp::state::State;
use crate::tcp::table::ConnectionId;
use crate::tcp::transport::Tcp;
use xmit_shared::session::{Accepted, LaneEnd, StreamEvents};
use xmit_shared::stream::ACCEPTED_BYTES;

/// The least send ring: what a first flight and the one behind it take.
const SEND_RING_MIN: u32 = 65_536;

impl Config {
    /// Bytes of the rings that a connection of this socket begins with: sending, receiving.
    pub fn ring_bytes(&self, settings: &Settings) -> (u32, u32) {
        let send = match self.send_buffer {
            0 => settings.wmem.initial.saturating_mul(2).max(SEND_RING_MIN),
            fixed => crate::tcp::options::send_ring_of(fixed),
        };
        (send, window_of_buffer(settings, first_buffer(settings, self)))
    }
}

impl Listener {
    /// Connections that wait to be accepted (`sk_ack_backlog`): announced and not fetched, or without a slot.
    pub fn accept_queue_len(&self, end: Option<&mut LaneEnd>) -> u32 {
        let announced = end.map_or(0, |end| end.unfetched(self.owner.slot));
        (announced + self.waiting.len()) as u32
    }
}

impl Tcp {
    /// The program of `listener` granted `slot` for a connection: one that waits takes it.
    pub fn grant(&mut self, net: &mut Net, now: Instant, end: Option<&mut LaneEnd>, listener: u32, slot: u32) {
        let Some(place) = self.listeners.get_mut(listener) else { return };
        place.grants.push_back(slot);
        self.place_waiting(net, now, end, listener);
    }

    /// More connections than the backlog wait to be accepted (`sk_acceptq_is_full`).
    pub(super) fn accept_queue_is_full(&self, end: Option<&mut LaneEnd>, index: u32) -> bool {
        let Some(listener) = self.listeners.get(index) else { return true };
        listener.accept_queue_len(end) > backlog(&self.commons.settings, listener)
    }

    /// Connection `id` comes to its program after those that wait already.
    pub(super) fn hand_over(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        listener: u32,
        id: ConnectionId,
    ) {
        if let Some(place) = self.listeners.get_mut(listener) {
            place.waiting.push_back(id);
        }
        self.place_waiting(net, now, end, listener);
    }

    /// True if `id` was begun by a SYN with data and the program has fetched it. Bounded by the backlog.
    pub(in crate::tcp) fn is_fetched(&mut self, end: Option<&mut LaneEnd>, id: ConnectionId) -> bool {
        let Some(connection) = self.table.get_mut(id) else { return false };
        if connection.fast_open != FastOpenState::Server {
            return false;
        }
        let (Some(owner), Some(end)) = (connection.owner, end) else { return false };
        let Some(listener) = connection.listener.and_then(|index| self.listeners.get(index)) else { return true };
        let unfetched = end.unfetched(listener.owner.slot);
        !listener.announced.iter().rev().take(unfetched).any(|slot| *slot == owner.slot)
    }

    /// Connections that wait are placed in their order. Bounded by the grants.
    fn place_waiting(&mut self, net: &mut Net, now: Instant, end: Option<&mut LaneEnd>, listener: u32) {
        let Some(end) = end else { return };
        while let Some(place) = self.listeners.get_mut(listener) {
            let Some(first) = place.waiting.pop_front() else { return };
            if !self.place(net, now, end, listener, first) {
                if let Some(place) = self.listeners.get_mut(listener) {
                    place.waiting.push_front(first);
                }
                return;
            }
        }
    }

    /// Opens a granted slot for `id` and announces it. False if there is none, or no room in the listener's ring.
    fn place(&mut self, net: &mut Net, now: Instant, end: &mut LaneEnd, index: u32, id: ConnectionId) -> bool {
        let (Some(listener), Some(connection)) = (self.listeners.get_mut(index), self.table.get_mut(id)) else {
            return false;
        };
        let room = end.rx_room(listener.owner.slot).unwrap_or(0);
        if (room as usize) < ACCEPTED_BYTES {
            return false;
        }
        let (tx, rx) = connection.config.ring_bytes(&self.commons.settings);
        let needed = self.commons.early.len_of(id) + connection.receive.wnd.0;
        // A slot that the program has taken back in the meantime is passed over. Bounded by the grants.
        let slot = loop {
            let Some(slot) = listener.grants.pop_front() else { return false };
            if end.open_stream(slot, tx, rx.max(needed)) {
                break slot;
            }
        };
        let early = self.commons.early.take(id);
        let placed = end.rx_write_at(slot, 0, early);
        end.rx_advance(slot, placed);
        let owner = Owner { session: listener.owner.session, slot };
        connection.owner = Some(owner);
        if connection.fast_open != FastOpenState::Server {
            connection.listener = None;
        }
        if connection.config.notsent_lowat != 0 {
            end.set_notsent_lowat(slot, connection.config.notsent_lowat);
        }
        let accepted = Accepted { slot, peer: connection.flow.remote, local: connection.flow.local };
        if connection.state == State::SynReceived {
            end.set_stream_events(slot, StreamEvents::CONNECTED);
        }
        let mut ctx = Ctx { now, net, commons: &mut self.commons, end: Some(end) };
        connection.tell(&mut ctx);
        // There is room, as of just now; a session whose memory is rubbish ends anyway.
        if let Some(end) = ctx.end {
            let _ = end.announce(listener.owner.slot, &accepted);
            listener.announced.push_back(slot);
            let unfetched = end.unfetched(listener.owner.slot);
            let fetched = listener.announced.len().saturating_sub(unfetched);
            listener.announced.drain(..fetched);
        }
        self.commons.news.push(News::Accepted { id, owner });
        true
    }
}
