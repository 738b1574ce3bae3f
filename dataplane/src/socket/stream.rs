//! Calls on stream sockets that make and end connections, with Linux's error numbers (`inet_bind`, `inet_stream_connect`,
//! `inet_listen`, `inet_shutdown`). How they end: `closing`.

use super::Sharing;
use super::calls::{Answer, NO_ADDRESS};
use super::ctx::Ctx;
use super::session::{Report, Session};
use super::slot::{Goal, Idle, Slot, Stream, Wish};
use crate::errno::{
    EADDRINUSE, EADDRNOTAVAIL, EALREADY, EBADF, EBUSY, EINVAL, EISCONN, ENETUNREACH, ENOTCONN, EOPNOTSUPP,
};
use crate::ip::{PathKey, PathKind, ip_route_output};
use crate::owner::Owner;
use crate::tcp::config::Config;
use crate::tcp::fastopen::FastOpenKeys;
use crate::tcp::flow::Flow;
use crate::tcp::listener::Listener;
use crate::tcp::state::State;
use crate::tcp::{ConnectionId, Dial};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use xmit_shared::session::{How, StreamEvents, Transport};
use xmit_shared::stream::ACCEPTED_BYTES;

/// Ports that a connect asks the control thread for, one after the other, before it gives up.
const TRIES: u8 = 8;

impl Session {
    pub(super) fn open_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32) -> Result<(), i32> {
        let settings = &ctx.tcp.commons.settings;
        let config = ctx.tcp.commons.configs.share(Config::new(settings));
        let (tx, rx) = config.ring_bytes(settings);
        if !self.end.open_stream(slot, tx, rx) {
            return Err(EBUSY);
        }
        let idle = Idle { config, keys: None, bound: None, source: None, spent: false, info: None };
        self.set(slot, Stream::Idle(Box::new(idle)));
        Ok(())
    }

    pub(super) fn set(&mut self, slot: u32, stream: Stream) {
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            *entry = Slot::Stream(stream);
        }
    }

    /// The socket in `slot` if it is neither connected nor listening, or why not: `otherwise` for one that is.
    fn idle(&self, slot: u32, otherwise: i32) -> Result<&Idle, i32> {
        match self.slot(slot) {
            Slot::Stream(Stream::Idle(socket)) if socket.spent => Err(otherwise),
            Slot::Stream(Stream::Idle(socket)) => Ok(socket),
            Slot::Stream(Stream::Asking { .. }) => Err(EALREADY),
            Slot::Stream(Stream::Connected { .. } | Stream::Listening { .. }) => Err(otherwise),
            _ => Err(EBADF),
        }
    }

    /// Asks the control thread; the call completes when it answered.
    fn ask(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, wish: Wish, report: Report) -> Answer {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return Some(Err(EBADF)) };
        match std::mem::replace(entry, Slot::Closed) {
            Slot::Stream(Stream::Idle(socket)) => {
                *entry = Slot::Stream(Stream::Asking { socket, wish, token, closing: None });
                ctx.reports.push(report);
                None
            }
            other => {
                *entry = other;
                Some(Err(EBADF))
            }
        }
    }

    fn wants(&self, slot: u32, wanted: SocketAddrV4, sharing: Sharing) -> Report {
        Report::Bind { session: self.name, slot, protocol: Transport::Tcp, wanted, sharing }
    }

    pub(super) fn bind_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, wanted: SocketAddrV4) -> Answer {
        let sharing = match self.idle(slot, EINVAL) {
            Ok(socket) if socket.bound.is_none() && socket.source.is_none() => {
                if socket.config.bind_address_no_port && wanted.port() == 0 {
                    return Some(self.bind_address(ctx, slot, *wanted.ip()));
                }
                if ctx.ports.is_chosen(ctx.tcp, wanted.port(), socket.config.reuse_address) {
                    return Some(Err(EADDRINUSE));
                }
                sharing(&socket.config, false)
            }
            Ok(_) => return Some(Err(EINVAL)),
            Err(errno) => return Some(Err(errno)),
        };
        let report = self.wants(slot, wanted, sharing);
        self.ask(ctx, slot, token, Wish::Bind, report)
    }

    /// Fixes the address alone; the connect chooses the port, which other sockets may use for other peers.
    fn bind_address(&mut self, ctx: &Ctx<'_>, slot: u32, wanted: Ipv4Addr) -> Result<(), i32> {
        let Some(Slot::Stream(Stream::Idle(socket))) = self.slots.get_mut(slot as usize) else { return Err(EBADF) };
        let ours = wanted.is_unspecified() || wanted.is_loopback() || ctx.net.snapshot.is_local(wanted);
        if !ours && !socket.config.free_bind {
            return Err(EADDRNOTAVAIL);
        }
        socket.source = Some(wanted);
        Ok(())
    }

    pub(super) fn share(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, other: u32) -> Answer {
        match self.idle(slot, EINVAL) {
            Ok(socket) if socket.bound.is_none() => {}
            Ok(_) => return Some(Err(EINVAL)),
            Err(errno) => return Some(Err(errno)),
        }
        let report = Report::Share { session: self.name, slot, listener: other };
        self.ask(ctx, slot, token, Wish::Bind, report)
    }

    /// `inet_listen`: a socket without address gets one (`inet_csk_get_port` with port 0).
    pub(super) fn listen(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, backlog: u32) -> Answer {
        let backlog = backlog.min(ctx.tcp.commons.settings.somaxconn);
        if let Slot::Stream(Stream::Listening { index, .. }) = *self.slot(slot) {
            if let Some(listener) = ctx.tcp.listeners.get_mut(index) {
                listener.backlog = backlog;
            }
            self.end.rx_resize(slot, announcements(backlog));
            return Some(Ok(()));
        }
        let (bound, source, sharing) = match self.idle(slot, EINVAL) {
            Ok(socket) => (socket.bound, socket.source, sharing(&socket.config, true)),
            Err(errno) => return Some(Err(errno)),
        };
        let report = match bound {
            Some(address) => Report::Listen { session: self.name, slot, address, sharing },
            None => self.wants(slot, source.map_or(NO_ADDRESS, any_port), sharing),
        };
        self.ask(ctx, slot, token, Wish::Listen(backlog), report)
    }

    /// `inet_stream_connect`, `tcp_v4_connect`: the route decides the address of a socket that has none, and the lane
    /// its port.
    pub(super) fn connect_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, remote: SocketAddrV4) -> Answer {
        self.dial(ctx, slot, token, remote, false)
    }

    /// `connect` by a call that has data for the SYN (`tcp_sendmsg_fastopen`). A SYN that waits for data waits no longer.
    pub(super) fn fast_open_stream(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        token: u64,
        remote: SocketAddrV4,
    ) -> Answer {
        if !ctx.tcp.commons.settings.client_fast_open() {
            return Some(Err(EOPNOTSUPP));
        }
        if self.syn_room(ctx, slot) == 0 {
            return self.dial(ctx, slot, token, remote, true);
        }
        if let Slot::Stream(Stream::Connected { id, .. }) = *self.slot(slot) {
            ctx.tcp.with(ctx.net, ctx.now, Some(&mut self.end), id, |connection, ctx| {
                connection.send_syn_as_it_is(ctx);
                crate::tcp::Fate::Lives
            });
        }
        Some(Ok(()))
    }

    /// Bytes that the SYN of the connection in `slot` waits for; 0 if it does not wait.
    pub(super) fn syn_room(&self, ctx: &Ctx<'_>, slot: u32) -> i32 {
        let Slot::Stream(Stream::Connected { id, .. }) = *self.slot(slot) else { return 0 };
        ctx.tcp.table.get(id).and_then(|connection| connection.syn_room()).map_or(0, i32::from)
    }

    fn dial(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, remote: SocketAddrV4, fast_open: bool) -> Answer {
        if let Slot::Stream(Stream::Connected { id, .. }) = *self.slot(slot) {
            let begun = ctx.tcp.table.get(id).is_some_and(|c| matches!(c.state, State::SynSent | State::SynReceived));
            return Some(Err(if begun { EALREADY } else { EISCONN }));
        }
        let (bound, source, config) = match self.idle(slot, EISCONN) {
            Ok(socket) => (socket.bound, socket.source, socket.config.clone()),
            Err(errno) => return Some(Err(errno)),
        };
        let (source, remote) = match way(ctx, bound.or(source.map(any_port)), remote, &config) {
            Ok(way) => way,
            Err(errno) => return Some(Err(errno)),
        };
        match bound {
            Some(bound) => {
                let flow = Flow { local: SocketAddrV4::new(source, bound.port()), remote };
                Some(self.begin(ctx, slot, flow, &config, fast_open))
            }
            None if ctx.ports.ask => {
                self.connect_by_asking(ctx, slot, token, source, Goal { remote, tries: TRIES, fast_open })
            }
            None => Some(self.connect_from_any(ctx, slot, source, remote, &config, fast_open)),
        }
    }

    /// Tries the lane's ports from a random one on (`__inet_hash_connect`). Bounded by the lane's partition.
    fn connect_from_any(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        source: Ipv4Addr,
        remote: SocketAddrV4,
        config: &Arc<Config>,
        fast_open: bool,
    ) -> Result<(), i32> {
        let range = config.port_range(ctx.tcp.commons.settings.ip_local_port_range);
        for port in ctx.tcp.siblings.candidates(range, ctx.net.rng.next_u64()) {
            let flow = Flow { local: SocketAddrV4::new(source, port), remote };
            if !ctx.ports.is_free(ctx.tcp, &flow) {
                continue;
            }
            match self.begin(ctx, slot, flow, config, fast_open) {
                Err(EADDRNOTAVAIL | EADDRINUSE) => {}
                outcome => {
                    ctx.ports.choose(port, config.reuse_address);
                    return outcome;
                }
            }
        }
        Err(EADDRNOTAVAIL)
    }

    /// Asks for a port that seems free; its packets are steered here before the SYN leaves.
    fn connect_by_asking(&mut self, ctx: &mut Ctx<'_>, slot: u32, token: u64, source: Ipv4Addr, goal: Goal) -> Answer {
        let config = self.idle(slot, EISCONN).map(|socket| socket.config.clone());
        let all = ctx.tcp.commons.settings.ip_local_port_range;
        let range = config.map_or(all, |config| config.port_range(all));
        let mut ports = ctx.tcp.siblings.candidates(range, ctx.net.rng.next_u64());
        let free = |port: &u16| {
            // Of a port that has flows the control thread knows that it is taken.
            let local = SocketAddrV4::new(source, *port);
            ctx.tcp.table.ports.of(*port) == 0 && ctx.ports.is_free(ctx.tcp, &Flow { local, remote: goal.remote })
        };
        let Some(port) = ports.find(free) else { return Some(Err(EADDRNOTAVAIL)) };
        let report = self.wants(slot, SocketAddrV4::new(source, port), Sharing::default());
        self.ask(ctx, slot, token, Wish::Connect(goal), report)
    }

    /// Sends the SYN; the socket is a connection from now on.
    fn begin(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        flow: Flow,
        config: &Arc<Config>,
        fast_open: bool,
    ) -> Result<(), i32> {
        let owner = Owner { session: self.place, slot };
        let bound = self.slot(slot).stream_bound();
        // A connect that failed before left its events.
        self.end.set_stream_events(slot, StreamEvents::default());
        let dial = Dial { flow, owner, config, fast_open, fixed_port: bound.is_some() };
        let id: ConnectionId = ctx.tcp.connect(ctx.net, ctx.now, Some(&mut self.end), &dial)?;
        self.set(slot, Stream::Connected { id, bound });
        Ok(())
    }

    /// The control thread answered.
    pub(super) fn stream_answered(&mut self, ctx: &mut Ctx<'_>, slot: u32, result: Result<SocketAddrV4, i32>) {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        let Slot::Stream(Stream::Asking { mut socket, wish, token, closing }) = std::mem::replace(entry, Slot::Closed)
        else {
            return;
        };
        if let (Ok(address), None) = (result, socket.bound) {
            socket.bound = Some(address);
            ctx.ports.add(address);
        }
        if let Some(close_token) = closing {
            self.unbind(ctx, slot, socket.bound);
            self.end.close(slot);
            self.finish(ctx, token, slot, Err(EBADF));
            return self.finish(ctx, close_token, slot, Ok(()));
        }
        let config = socket.config.clone();
        self.set(slot, Stream::Idle(socket));
        let answer = match (result, wish) {
            (Ok(_), Wish::Bind) => Some(Ok(())),
            (Ok(address), Wish::Listen(backlog)) => Some(self.begin_listening(ctx, slot, address, backlog, &config)),
            (Ok(local), Wish::Connect(goal)) => {
                let flow = Flow { local, remote: goal.remote };
                let begun = self.begin(ctx, slot, flow, &config, goal.fast_open);
                if begun.is_err() {
                    self.forget_port(ctx, slot);
                }
                Some(begun)
            }
            (Err(EADDRINUSE), Wish::Connect(goal)) if goal.tries > 0 => match way(ctx, None, goal.remote, &config) {
                Ok((source, remote)) => {
                    let goal = Goal { remote, tries: goal.tries - 1, ..goal };
                    self.connect_by_asking(ctx, slot, token, source, goal)
                }
                Err(errno) => Some(Err(errno)),
            },
            (Err(errno), _) => Some(Err(errno)),
        };
        answer.into_iter().for_each(|answer| self.finish(ctx, token, slot, answer));
        if let Err(rubbish) = self.take_news(ctx) {
            self.broken = Some(rubbish);
        }
    }

    /// A port that was only chosen for a connect goes back when that fails.
    fn forget_port(&mut self, ctx: &mut Ctx<'_>, slot: u32) {
        if let Some(Slot::Stream(Stream::Idle(socket))) = self.slots.get_mut(slot as usize) {
            let bound = socket.bound.take();
            self.unbind(ctx, slot, bound);
        }
    }

    fn begin_listening(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        local: SocketAddrV4,
        backlog: u32,
        config: &Arc<Config>,
    ) -> Result<(), i32> {
        let keys = match self.slot(slot) {
            Slot::Stream(Stream::Idle(socket)) => socket.keys,
            _ => None,
        };
        let owner = Owner { session: self.place, slot };
        let listener = Listener { keys, ..Listener::new(local, owner, backlog, Arc::clone(config)) };
        self.end.rx_resize(slot, announcements(backlog));
        let index = ctx.tcp.listen(listener);
        self.set(slot, Stream::Listening { index, bound: local });
        self.end.set_stream_events(slot, StreamEvents::LISTENING);
        Ok(())
    }

    /// A slot for the next connection of the listener in `slot`.
    pub(super) fn grant(&mut self, ctx: &mut Ctx<'_>, slot: u32, granted: u32) -> Result<(), i32> {
        let Slot::Stream(Stream::Listening { index, .. }) = *self.slot(slot) else { return Err(EINVAL) };
        match self.slots.get_mut(granted as usize) {
            Some(entry @ Slot::Closed) => *entry = Slot::Granted(slot),
            _ => return Err(EBUSY),
        }
        ctx.tcp.grant(ctx.net, ctx.now, Some(&mut self.end), index, granted);
        Ok(())
    }

    /// `inet_shutdown`. True if that ended a handshake, and the socket is as new.
    pub(super) fn shutdown_stream(&mut self, ctx: &mut Ctx<'_>, slot: u32, how: How) -> Result<bool, i32> {
        match *self.slot(slot) {
            Slot::Stream(Stream::Connected { id, .. }) => {
                if ctx.tcp.table.get(id).is_some_and(|connection| connection.state == State::SynSent) {
                    return self.disconnect_stream(ctx, slot).map(|()| true);
                }
                ctx.tcp.with(ctx.net, ctx.now, Some(&mut self.end), id, |connection, ctx| {
                    if how.reads() {
                        connection.shutdown_read(ctx);
                    }
                    if how.writes() { connection.shutdown_write(ctx) } else { crate::tcp::Fate::Lives }
                });
                Ok(false)
            }
            Slot::Stream(Stream::Listening { index, bound }) if how.reads() => {
                self.stop_listening(ctx, slot, index, bound);
                Ok(false)
            }
            Slot::Stream(Stream::Closing { .. }) | Slot::Granted(_) => Err(EBADF),
            _ => Err(ENOTCONN),
        }
    }

    /// `TCP_FASTOPEN_KEY`: `change` gets the keys that the socket had of its own. A connection gives no cookies.
    pub(super) fn set_fast_open_keys(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: u32,
        change: impl FnOnce(Option<FastOpenKeys>) -> Option<FastOpenKeys>,
    ) -> Result<(), i32> {
        let keys = match self.slots.get_mut(slot as usize) {
            Some(Slot::Stream(Stream::Idle(socket) | Stream::Asking { socket, .. })) => &mut socket.keys,
            Some(Slot::Stream(Stream::Listening { index, .. })) => {
                &mut ctx.tcp.listeners.get_mut(*index).ok_or(EINVAL)?.keys
            }
            Some(Slot::Stream(Stream::Connected { .. })) => return Err(EINVAL),
            _ => return Err(EBADF),
        };
        *keys = change(*keys);
        Ok(())
    }
}

/// From where a connection to `remote` goes, and where it goes: the unspecified address is this host.
fn way(
    ctx: &mut Ctx<'_>,
    bound: Option<SocketAddrV4>,
    remote: SocketAddrV4,
    config: &Config,
) -> Result<(Ipv4Addr, SocketAddrV4), i32> {
    let to = if remote.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *remote.ip() };
    let fixed = bound.map(|bound| *bound.ip()).filter(|ip| !ip.is_unspecified());
    let key = PathKey { destination: to, source: fixed, tos: config.tos, interface: None };
    let path =
        ip_route_output(ctx.net, ctx.now, &key).copied().map_err(|reason| reason.errno().unwrap_or(ENETUNREACH))?;
    if matches!(path.kind, PathKind::Broadcast | PathKind::Multicast) {
        return Err(ENETUNREACH);
    }
    Ok((fixed.unwrap_or(path.source), SocketAddrV4::new(to, remote.port())))
}

fn any_port(ip: Ipv4Addr) -> SocketAddrV4 {
    SocketAddrV4::new(ip, 0)
}

fn sharing(config: &Config, listening: bool) -> Sharing {
    Sharing { reuse_address: config.reuse_address, reuse_port: config.reuse_port, listening, free: config.free_bind }
}

/// Room for the announcements of a full backlog; Linux takes one more than the backlog.
fn announcements(backlog: u32) -> u32 {
    (backlog.saturating_add(1)).saturating_mul(ACCEPTED_BYTES as u32).next_power_of_two()
}
