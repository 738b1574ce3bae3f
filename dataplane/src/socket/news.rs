//! What became of connections: TCP's news on their way to the slots, and the end of a session.

use super::ctx::Ctx;
use super::session::Session;
use super::slot::{Idle, Slot, Stream};
use crate::errno::{EBADF, EINVAL};
use crate::limits;
use crate::tcp::News;
use crate::tcp::config::{Config, Configs};
use crate::tcp::listener::Listener;
use crate::tcp::options::Role;
use crate::tcp::state::{LISTEN, State};
use std::sync::Arc;
use xmit_shared::Rubbish;
use xmit_shared::session::{SocketOption, TcpInfo};

impl Session {
    /// Takes the news that concern this session; others' stay.
    pub(super) fn take_news(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Rubbish> {
        let mut at = 0;
        while let Some(news) = ctx.tcp.commons.news.get(at) {
            if news.owner().session == self.place {
                let news = ctx.tcp.commons.news.remove(at);
                self.on_news(ctx, news);
            } else {
                at += 1;
            }
        }
        self.rubbish().map_or(Ok(()), Err)
    }

    pub(super) fn on_news(&mut self, ctx: &mut Ctx<'_>, news: News) {
        match news {
            News::Accepted { id, owner } => {
                self.set(owner.slot, Stream::Connected { id, bound: None });
                if let Some(connection) = ctx.tcp.table.get(id) {
                    connection.config.fit_rings(&mut self.end, owner.slot);
                }
            }
            News::Ended { id, owner, connected, info, config } => match *self.slot(owner.slot) {
                Slot::Stream(Stream::Connected { id: ours, bound }) if ours == id => {
                    // What was written for its SYN would be the next connection's.
                    let written = self.end.tx_look(owner.slot).is_ok_and(|outgoing| outgoing.len > 0);
                    let spent = connected || written;
                    let idle = Idle { config, keys: None, bound, source: None, spent, info };
                    self.set(owner.slot, Stream::Idle(Box::new(idle)));
                }
                Slot::Stream(Stream::Closing { id: ours, .. }) if ours == id => self.end_stream(ctx, owner.slot),
                _ => {}
            },
        }
    }

    /// The program is gone, or its region cannot be used any more (`abort`): its sockets are closed as a killed
    /// program's are. True if connections are left that have something to send.
    pub(super) fn die(&mut self, ctx: &mut Ctx<'_>, abort: bool) -> bool {
        self.lingers_until = Some(ctx.now + limits::SESSION_LINGER);
        for slot in 0..self.slots.len() as u32 {
            self.kill(ctx, slot, abort);
        }
        let _ = self.take_news(ctx);
        self.is_lingering()
    }

    /// True while connections of its program end.
    pub(super) fn is_lingering(&self) -> bool {
        !self.is_broken() && self.slots.iter().any(|slot| matches!(slot, Slot::Stream(_)))
    }

    fn kill(&mut self, ctx: &mut Ctx<'_>, slot: u32, abort: bool) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        match std::mem::replace(entry, Slot::Closed) {
            Slot::Bound { id, .. } | Slot::Closing { id, .. } => _ = ctx.udp.remove(id),
            Slot::Stream(Stream::Idle(socket) | Stream::Asking { socket, .. }) => self.unbind(ctx, slot, socket.bound),
            Slot::Stream(Stream::Listening { index, bound }) => self.end_listening(ctx, slot, index, bound),
            Slot::Stream(Stream::Connected { id, bound }) => {
                *entry = Slot::Stream(Stream::Closing { id, bound, token: None });
                if abort {
                    ctx.tcp.with(ctx.net, ctx.now, None, id, |connection, ctx| connection.abort(ctx));
                } else {
                    self.close_connection(ctx, id);
                }
            }
            Slot::Stream(Stream::Closing { id, bound, .. }) => {
                *entry = Slot::Stream(Stream::Closing { id, bound, token: None });
                if abort {
                    ctx.tcp.with(ctx.net, ctx.now, None, id, |connection, ctx| connection.abort(ctx));
                }
            }
            Slot::Closed | Slot::Unbound(_) | Slot::Binding { .. } | Slot::Granted(_) => {}
        }
    }

    /// `TCP_INFO`.
    pub(super) fn info(&mut self, ctx: &Ctx<'_>, slot: u32) -> Result<(), i32> {
        let closed = TcpInfo { state: State::Closed as u8, ..TcpInfo::default() };
        let paced = |config: &Config, info| {
            let rate = config.max_pacing_rate;
            TcpInfo { pacing_rate: rate, max_pacing_rate: rate, ..info }
        };
        let info = match *self.slot(slot) {
            Slot::Stream(Stream::Idle(ref socket) | Stream::Asking { ref socket, .. }) => {
                paced(&socket.config, socket.info.as_deref().copied().unwrap_or(closed))
            }
            Slot::Stream(Stream::Connected { id, .. }) => {
                ctx.tcp.table.get(id).map_or(closed, |connection| connection.info(&ctx.tcp.commons.settings, ctx.now))
            }
            // As Linux has it: the accept queue's length and its limit.
            Slot::Stream(Stream::Listening { index, .. }) => {
                let listener = ctx.tcp.listeners.get(index);
                let queue = |listener: &Listener| (listener.accept_queue_len(Some(&mut self.end)), listener.backlog);
                let (unacked, sacked) = listener.map_or((0, 0), queue);
                let info = TcpInfo { state: LISTEN, unacked, sacked, ..TcpInfo::default() };
                listener.map_or(info, |listener| paced(&listener.config, info))
            }
            _ => return Err(EBADF),
        };
        self.end.write_info(slot, &info);
        Ok(())
    }

    /// `SO_MAX_PACING_RATE`.
    pub(super) fn set_max_pacing_rate(&mut self, ctx: &mut Ctx<'_>, slot: u32, rate: u64) -> Result<(), i32> {
        let config = match self.slots.get_mut(slot as usize) {
            Some(Slot::Stream(Stream::Idle(socket) | Stream::Asking { socket, .. })) => &mut socket.config,
            Some(Slot::Stream(Stream::Listening { index, .. })) => {
                &mut ctx.tcp.listeners.get_mut(*index).ok_or(EINVAL)?.config
            }
            Some(Slot::Stream(Stream::Connected { id, .. })) => &mut ctx.tcp.table.get_mut(*id).ok_or(EINVAL)?.config,
            _ => return Err(EBADF),
        };
        *config = ctx.tcp.commons.configs.share(Config { max_pacing_rate: rate, ..**config });
        Ok(())
    }

    pub(super) fn set_stream_option(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        option: SocketOption,
        value: i32,
    ) -> Result<(), i32> {
        let largest = self.end.config().stream_tx_bytes.max(self.end.config().stream_rx_bytes);
        let settings = ctx.tcp.commons.settings;
        let set = |configs: &mut Configs, config: &mut Arc<Config>, role| {
            let mut changed = **config;
            changed.set(&settings, role, option, value, largest)?;
            *config = configs.share(changed);
            Ok::<_, i32>(())
        };
        let configs = &mut ctx.tcp.commons.configs;
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Stream(Stream::Idle(socket) | Stream::Asking { socket, .. })) => {
                set(configs, &mut socket.config, Role::Closed)?;
                socket.config.fit_rings(&mut self.end, slot);
            }
            Some(Slot::Stream(Stream::Listening { index, .. })) => {
                let listener = ctx.tcp.listeners.get_mut(*index).ok_or(EINVAL)?;
                set(configs, &mut listener.config, Role::Listening)?;
            }
            Some(Slot::Stream(Stream::Connected { id, .. })) => {
                let connection = ctx.tcp.table.get_mut(*id).ok_or(EINVAL)?;
                let before = connection.config.clone();
                set(configs, &mut connection.config, Role::Connection(connection.state))?;
                ctx.tcp.with(ctx.net, ctx.now, Some(&mut self.end), *id, |connection, ctx| {
                    connection.apply_option(ctx, option, value, &before);
                    crate::tcp::Fate::Lives
                });
            }
            _ => return Err(EBADF),
        }
        Ok(())
    }

    pub(super) fn stream_option(&self, ctx: &Ctx<'_>, slot: u32, option: SocketOption) -> Result<i32, i32> {
        let settings = &ctx.tcp.commons.settings;
        match self.slot(slot) {
            Slot::Stream(Stream::Idle(socket) | Stream::Asking { socket, .. }) => {
                Ok(socket.config.get(settings, option))
            }
            Slot::Stream(Stream::Listening { index, .. }) => {
                let listener = ctx.tcp.listeners.get(*index).ok_or(EINVAL)?;
                Ok(listener.config.get(settings, option))
            }
            Slot::Stream(Stream::Connected { id, .. }) => {
                Ok(ctx.tcp.table.get(*id).ok_or(EINVAL)?.option(settings, option))
            }
            _ => Err(EBADF),
        }
    }
}
