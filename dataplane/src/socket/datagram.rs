//! Calls on datagram sockets, with Linux's error numbers (`inet_bind`, `ip4_datagram_connect`, `ip_setsockopt`).

use super::calls::NO_ADDRESS;
use super::ctx::Ctx;
use super::session::{Report, Session};
use super::slot::Slot;
use super::{Left, Sharing};
use crate::errno::{EACCES, EALREADY, EBADF, EINVAL, ENETUNREACH, ENOBUFS, ENOPROTOOPT, EPERM};
use crate::ip::{PathKey, PathKind, ip_route_output};
use crate::owner::Owner;
use crate::qdisc::Priority;
use crate::udp::{UdpSocket, UdpTable};
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_shared::Rubbish;
use xmit_shared::session::{Completion, SocketOption, Submission, Transport};

/// `IPDEFTTL`.
const TTL_DEFAULT: u8 = 64;

/// The highest `SO_PRIORITY` without `CAP_NET_ADMIN`.
const PRIORITY_MAX: i32 = 6;

impl Session {
    pub(super) fn open_datagram(&mut self, slot: u32) -> Result<(), i32> {
        // The slot is free, so it is the session's memory that is used up.
        if !self.end.open(slot) {
            return Err(ENOBUFS);
        }
        let owner = Owner { session: self.place, slot };
        self.slots[slot as usize] = Slot::Unbound(Box::new(UdpSocket::new(owner, NO_ADDRESS)));
        Ok(())
    }

    /// Asks the control thread for an address; the call completes when it answered.
    pub(super) fn request_address(
        &mut self,
        slot: u32,
        token: Option<u64>,
        wanted: SocketAddrV4,
        then: Option<SocketAddrV4>,
        reports: &mut Vec<Report>,
    ) -> Result<(), i32> {
        let entry = self.slots.get_mut(slot as usize).ok_or(EBADF)?;
        match std::mem::replace(entry, Slot::Closed) {
            Slot::Unbound(socket) => {
                *entry = Slot::Binding { socket, token, then, closing: None };
                let (session, protocol, sharing) = (self.name, Transport::Udp, Sharing::default());
                reports.push(Report::Bind { session, slot, protocol, wanted, sharing });
                Ok(())
            }
            other => {
                let errno = match &other {
                    Slot::Closed | Slot::Closing { .. } => EBADF,
                    Slot::Binding { .. } => EALREADY,
                    _ => EINVAL,
                };
                *entry = other;
                Err(errno)
            }
        }
    }

    /// The control thread answered: the socket is entered, and what waited for it goes on.
    pub(super) fn datagram_bound(&mut self, ctx: &mut Ctx<'_>, slot: u32, result: Result<SocketAddrV4, i32>) {
        let session = self.name;
        let unbind = |address| Report::Unbind { session, slot, protocol: Transport::Udp, address, left: Left::Nothing };
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return ctx.reports.extend(result.ok().map(unbind));
        };
        let Slot::Binding { mut socket, token, then, closing } = std::mem::replace(entry, Slot::Closed) else {
            return ctx.reports.extend(result.ok().map(unbind));
        };
        if let Some(close_token) = closing {
            ctx.reports.extend(result.ok().map(unbind));
            self.end.close(slot);
            token.into_iter().for_each(|token| self.finish(ctx, token, slot, Err(EBADF)));
            return self.finish(ctx, close_token, slot, Ok(()));
        }
        let answer = match result {
            Ok(address) => {
                let unbound = socket.clone();
                socket.local = address;
                match ctx.udp.insert(*socket) {
                    Ok(id) => {
                        *entry = Slot::Bound { id, address };
                        then.map_or(Ok(()), |remote| self.connect_datagram(ctx, slot, remote))
                    }
                    Err(_) => {
                        *entry = Slot::Unbound(unbound);
                        ctx.reports.push(unbind(address));
                        Err(ENOBUFS)
                    }
                }
            }
            Err(errno) => {
                *entry = Slot::Unbound(socket);
                Err(errno)
            }
        };
        match (token, answer) {
            // The datagram that asked for an address does not get one: it is refused, as `sendto` would be.
            (None, Err(errno)) => {
                self.refuse_waiting(slot);
                self.set_error(slot, errno);
            }
            // Datagrams may have been waiting for this.
            _ => self.end.put_back(slot),
        }
        token.into_iter().for_each(|token| self.finish(ctx, token, slot, answer));
    }

    /// `ip4_datagram_connect`: the route decides the local address of a socket that has none.
    pub(super) fn connect_datagram(&mut self, ctx: &mut Ctx<'_>, slot: u32, remote: SocketAddrV4) -> Result<(), i32> {
        let Slot::Bound { id, address } = *self.slot(slot) else { return Err(EBADF) };
        let socket = ctx.udp.get(id).ok_or(EBADF)?;
        let fixed = (!address.ip().is_unspecified()).then_some(*address.ip());
        // Linux takes the unspecified address as "this host".
        let to = if remote.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *remote.ip() };
        let key = PathKey { destination: to, source: fixed, tos: socket.tos, interface: socket.interface };
        let broadcast = socket.broadcast;
        let path =
            ip_route_output(ctx.net, ctx.now, &key).copied().map_err(|reason| reason.errno().unwrap_or(ENETUNREACH))?;
        if path.kind == PathKind::Broadcast && !broadcast {
            return Err(EACCES);
        }
        let local = SocketAddrV4::new(fixed.unwrap_or(path.source), address.port());
        ctx.udp.connect(id, local, Some(SocketAddrV4::new(to, remote.port())));
        Ok(())
    }

    pub(super) fn disconnect_datagram(&mut self, udp: &mut UdpTable, slot: u32) -> Result<(), i32> {
        match *self.slot(slot) {
            Slot::Bound { id, address } => {
                udp.connect(id, address, None);
                Ok(())
            }
            Slot::Unbound(_) => Ok(()),
            _ => Err(EBADF),
        }
    }

    /// `None`: the close completes when the bind under way does, or when what was sent before has gone.
    pub(super) fn close_datagram(&mut self, call: &Submission) -> Option<Result<(), i32>> {
        let Some(entry) = self.slots.get_mut(call.slot as usize) else { return Some(Err(EBADF)) };
        match std::mem::replace(entry, Slot::Closed) {
            Slot::Closed => return Some(Err(EBADF)),
            Slot::Unbound(_) => {}
            Slot::Binding { socket, token, then, closing: None } => {
                *entry = Slot::Binding { socket, token, then, closing: Some(call.token) };
                return None;
            }
            other @ (Slot::Binding { .. } | Slot::Closing { .. } | Slot::Stream(_) | Slot::Granted(_)) => {
                *entry = other;
                return Some(Err(EBADF));
            }
            Slot::Bound { id, address } => {
                *entry = Slot::Closing { id, address, token: call.token };
                // Its turn to send comes once more, at the latest in the next turn.
                self.end.put_back(call.slot);
                return None;
            }
        }
        self.end.close(call.slot);
        Some(Ok(()))
    }

    /// Nothing is left to send: the socket is gone.
    pub(super) fn end_close(&mut self, ctx: &mut Ctx<'_>, slot: u32) -> Result<(), Rubbish> {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return Ok(()) };
        let Slot::Closing { id, address, token } = *entry else { return Ok(()) };
        *entry = Slot::Closed;
        ctx.udp.remove(id);
        let (session, protocol, left) = (self.name, Transport::Udp, Left::Nothing);
        ctx.reports.push(Report::Unbind { session, slot, protocol, address, left });
        self.end.close(slot);
        self.complete(ctx, token, slot, Ok(()))
    }

    fn options<'a>(&'a mut self, udp: &'a mut UdpTable, slot: u32) -> Option<&'a mut UdpSocket> {
        match self.slots.get_mut(slot as usize)? {
            Slot::Unbound(socket) | Slot::Binding { socket, .. } => Some(socket),
            Slot::Bound { id, .. } => udp.get_mut(*id),
            _ => None,
        }
    }

    /// `do_ip_setsockopt`, `sk_setsockopt`.
    pub(super) fn set_datagram_option(
        &mut self,
        udp: &mut UdpTable,
        slot: u32,
        option: SocketOption,
        value: i32,
    ) -> Result<(), i32> {
        let socket = self.options(udp, slot).ok_or(EBADF)?;
        match option {
            SocketOption::Ttl => {
                socket.ttl = match value {
                    -1 => TTL_DEFAULT,
                    1..=255 => value as u8,
                    _ => return Err(EINVAL),
                }
            }
            SocketOption::Tos => {
                socket.tos = value as u8;
                socket.priority = Priority::from_tos(socket.tos);
            }
            SocketOption::Broadcast => socket.broadcast = value != 0,
            SocketOption::Priority if (0..=PRIORITY_MAX).contains(&value) => socket.priority = Priority(value as u8),
            SocketOption::Priority => return Err(EPERM),
            // Two sockets on one address are not offered yet: better refused than taken without effect.
            _ => return Err(ENOPROTOOPT),
        }
        Ok(())
    }

    pub(super) fn get_datagram_option(
        &mut self,
        ctx: &mut Ctx<'_>,
        call: &Submission,
        option: SocketOption,
    ) -> Result<(), Rubbish> {
        let addr = self.local(ctx, call.slot);
        let answer = Completion::of(call, 0).with_addr(addr);
        let answer = match (self.options(ctx.udp, call.slot), option) {
            (None, _) => Completion::of(call, -EBADF),
            (Some(socket), SocketOption::Ttl) => answer.with_value(socket.ttl.into()),
            (Some(socket), SocketOption::Tos) => answer.with_value(socket.tos.into()),
            (Some(socket), SocketOption::Broadcast) => answer.with_value(socket.broadcast.into()),
            (Some(socket), SocketOption::Priority) => answer.with_value(socket.priority.0.into()),
            (Some(_), SocketOption::ReuseAddr) => answer.with_value(0),
            // Options of streams.
            (Some(_), _) => Completion::of(call, -ENOPROTOOPT),
        };
        self.end.complete(&answer)
    }
}
