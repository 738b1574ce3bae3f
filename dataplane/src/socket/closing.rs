//! How stream sockets end (`inet_release`, `tcp_close`, `inet_csk_listen_stop`).

use super::calls::{Answer, NO_ADDRESS};
use super::ctx::Ctx;
use super::session::Session;
use super::slot::{Idle, Slot, Stream};
use crate::errno::{EALREADY, EBADF};
use crate::tcp::ConnectionId;
use crate::tcp::config::Config;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use xmit_shared::session::{Completion, StreamEvents};

impl Session {
    /// A listener is a socket like any other again, with its address.
    pub(super) fn stop_listening(&mut self, ctx: &mut Ctx<'_>, slot: u32, index: u32, bound: SocketAddrV4) {
        let known = ctx.tcp.listeners.get(index).map(|listener| (listener.config.clone(), listener.keys));
        ctx.tcp.unlisten(ctx.net, ctx.now, index);
        let (config, keys) = known.unwrap_or_else(|| {
            let commons = &mut ctx.tcp.commons;
            (commons.configs.share(Config::new(&commons.settings)), None)
        });
        let idle = Idle { config, keys, bound: Some(bound), source: None, spent: false, info: None };
        self.set(slot, Stream::Idle(Box::new(idle)));
        self.end.set_stream_events(slot, StreamEvents::default());
    }

    /// `connect` to `AF_UNSPEC` (`tcp_disconnect`): the connection is reset, and the socket as good as new but for its options and
    /// the address that it was bound to.
    pub(super) fn disconnect_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32) -> Result<(), i32> {
        match *self.slot(slot) {
            Slot::Stream(Stream::Connected { id, .. }) => {
                ctx.tcp.with(ctx.net, ctx.now, Some(&mut self.end), id, |connection, ctx| connection.abort(ctx));
                if let Err(rubbish) = self.take_news(ctx) {
                    self.broken = Some(rubbish);
                }
            }
            Slot::Stream(Stream::Listening { index, bound }) => self.stop_listening(ctx, slot, index, bound),
            _ => {}
        }
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Stream(Stream::Idle(socket))) => (socket.spent, socket.info) = (false, None),
            Some(Slot::Stream(Stream::Asking { .. })) => return Err(EALREADY),
            _ => return Err(EBADF),
        }
        self.end.set_stream_events(slot, StreamEvents::default());
        if let Err(rubbish) = self.end.tx_discard(slot) {
            self.broken = Some(rubbish);
        }
        Ok(())
    }

    /// `inet_release`, `tcp_close`. `None`: completes when what was written before is acknowledged or given up, or when the
    /// control thread has answered.
    pub(super) fn close_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64) -> Answer {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return Some(Err(EBADF)) };
        match std::mem::replace(entry, Slot::Closed) {
            Slot::Stream(Stream::Idle(socket)) => self.unbind(ctx, slot, socket.bound),
            Slot::Stream(Stream::Asking { socket, wish, token: asked, closing: None }) => {
                *entry = Slot::Stream(Stream::Asking { socket, wish, token: asked, closing: Some(token) });
                return None;
            }
            Slot::Stream(Stream::Listening { index, bound }) => self.end_listening(ctx, slot, index, bound),
            Slot::Stream(Stream::Connected { id, bound }) => {
                *entry = Slot::Stream(Stream::Closing { id, bound, token: Some(token) });
                // The peer decides when it ends.
                self.end.postpone();
                self.close_connection(ctx, id);
                self.let_go(ctx, slot, id);
                return None;
            }
            other => {
                *entry = other;
                return Some(Err(EBADF));
            }
        }
        self.end.close(slot);
        Some(Ok(()))
    }

    /// Slots that were granted and not used are the client's again, and so are those of connections that it never fetched,
    /// which are reset (`inet_csk_listen_stop`).
    pub(super) fn end_listening(&mut self, ctx: &mut Ctx<'_>, slot: u32, index: u32, bound: SocketAddrV4) {
        let unfetched = self.end.unfetched(slot);
        let listener = ctx.tcp.unlisten(ctx.net, ctx.now, index);
        let announced = listener.map_or_else(VecDeque::new, |listener| listener.announced);
        for slot in announced.iter().rev().take(unfetched) {
            self.abort_unfetched(ctx, *slot);
        }
        let unused = |entry: &&mut Slot| matches!(entry, Slot::Granted(listener) if *listener == slot);
        self.slots.iter_mut().filter(unused).for_each(|entry| *entry = Slot::Closed);
        self.unbind(ctx, slot, Some(bound));
    }

    fn abort_unfetched(&mut self, ctx: &mut Ctx<'_>, slot: u32) {
        if let Slot::Stream(Stream::Connected { id, bound }) = *self.slot(slot) {
            ctx.tcp.with(ctx.net, ctx.now, Some(&mut self.end), id, |connection, ctx| connection.abort(ctx));
            self.unbind(ctx, slot, bound);
        }
        self.slots.get_mut(slot as usize).into_iter().for_each(|entry| *entry = Slot::Closed);
        self.end.close(slot);
    }

    pub(super) fn close_connection(&mut self, ctx: &mut Ctx<'_>, id: ConnectionId) {
        ctx.tcp.with(ctx.net, ctx.now, Some(&mut self.end), id, |connection, ctx| connection.close(ctx));
    }

    /// A connection whose data is all acknowledged needs no ring to end: its slot is free at once.
    fn let_go(&mut self, ctx: &mut Ctx<'_>, slot: u32, id: ConnectionId) {
        let Some(connection) = ctx.tcp.table.get_mut(id) else { return };
        if connection.send.una.before(connection.send.end) || !connection.state.fin_queued() {
            return;
        }
        connection.owner = None;
        self.end_stream(ctx, slot);
    }

    /// Nothing is left of a closing stream in `slot`.
    pub(super) fn end_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        let Slot::Stream(Stream::Closing { bound, token, .. }) = *entry else { return };
        *entry = Slot::Closed;
        self.unbind(ctx, slot, bound);
        self.end.close(slot);
        let Some(token) = token else { return };
        let answer = Completion { token, slot, result: 0, addr: NO_ADDRESS, value: 0 };
        if let Err(rubbish) = self.end.complete_postponed(&answer) {
            self.broken = Some(rubbish);
        }
    }

    /// Gives an address back; while flows of its port are left the control thread keeps it.
    pub(super) fn unbind(&mut self, ctx: &mut Ctx<'_>, slot: u32, bound: Option<SocketAddrV4>) {
        let Some(address) = bound else { return };
        ctx.ports.remove(address);
        ctx.reports.push(super::gone(ctx.tcp, self.name, slot, address));
    }
}
