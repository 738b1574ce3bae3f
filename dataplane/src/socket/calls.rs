//! Socket calls: one function per call, Linux's error numbers (`inet_bind`, `ip4_datagram_connect`, `ip_setsockopt`).

use super::session::{Report, Session, Slot};
use crate::ip::{PathKey, ip_route_output};
use crate::net::Net;
use crate::owner::Owner;
use crate::qdisc::Priority;
use crate::udp::{SendError, UdpSocket, UdpTable};
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_nic::Instant;
use xmit_shared::Rubbish;
use xmit_shared::session::{Completion, Op, SocketOption, Submission, Transport};

const EBADF: i32 = 9;
const EBUSY: i32 = 16;
const EINVAL: i32 = 22;
const ENOPROTOOPT: i32 = 92;
const ESOCKTNOSUPPORT: i32 = 94;
const EOPNOTSUPP: i32 = 95;
const ENETUNREACH: i32 = 101;
const ENOBUFS: i32 = 105;
const EALREADY: i32 = 114;
const EACCES: i32 = 13;
const EPERM: i32 = 1;

/// `IPDEFTTL`.
const TTL_DEFAULT: u8 = 64;

/// The highest `SO_PRIORITY` without `CAP_NET_ADMIN`.
const PRIORITY_MAX: i32 = 6;

const NO_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

impl Session {
    /// Carries out one call. Binds are completed later, by [`Session::bound`].
    pub(super) fn call(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        now: Instant,
        call: Submission,
        reports: &mut Vec<Report>,
    ) -> Result<(), Rubbish> {
        let answer = match call.op {
            Op::Open(Transport::Udp) => self.open(&call),
            Op::Bind(wanted) => match self.begin_bind(&call, wanted, None, reports) {
                Ok(()) => return Ok(()),
                Err(errno) => Err(errno),
            },
            Op::Connect(remote) if matches!(self.slot(call.slot), Slot::Unbound(_)) => {
                match self.begin_bind(&call, NO_ADDRESS, Some(remote), reports) {
                    Ok(()) => return Ok(()),
                    Err(errno) => Err(errno),
                }
            }
            Op::Connect(remote) => self.connect(net, udp, now, call.slot, remote),
            Op::Disconnect => self.disconnect(udp, call.slot),
            Op::Close => match self.close(&call) {
                Some(answer) => answer,
                // With nothing left to send the address is free for the next call.
                None if self.end.tx_peek(call.slot)?.is_none() => return self.end_close(udp, call.slot, reports),
                None => return Ok(()),
            },
            Op::SetOption(option, value) => self.set_option(udp, call.slot, option, value),
            Op::GetOption(option) => return self.get_option(udp, &call, option),
            // The calls of streams stand in the ABI; there is no TCP to carry them out yet.
            Op::Open(Transport::Tcp) => Err(ESOCKTNOSUPPORT),
            Op::Listen(_) | Op::Share(_) | Op::Grant(_) | Op::Shutdown(_) | Op::Info => Err(EOPNOTSUPP),
        };
        self.complete(udp, call.token, call.slot, answer)
    }

    fn complete(&mut self, udp: &UdpTable, token: u64, slot: u32, answer: Result<(), i32>) -> Result<(), Rubbish> {
        let addr = self.local(udp, slot);
        let result = answer.err().map_or(0, |errno| -errno);
        self.end.complete(&Completion { token, slot, result, addr, value: 0 })
    }

    fn slot(&self, slot: u32) -> &Slot {
        self.slots.get(slot as usize).unwrap_or(&Slot::Closed)
    }

    fn local(&self, udp: &UdpTable, slot: u32) -> SocketAddrV4 {
        match self.slot(slot) {
            Slot::Bound { id, .. } => udp.get(*id).map_or(NO_ADDRESS, |socket| socket.local),
            _ => NO_ADDRESS,
        }
    }

    fn open(&mut self, call: &Submission) -> Result<(), i32> {
        if !matches!(self.slot(call.slot), Slot::Closed) || !self.end.open(call.slot) {
            return Err(EBUSY);
        }
        let owner = Owner { session: self.place, slot: call.slot };
        self.slots[call.slot as usize] = Slot::Unbound(Box::new(UdpSocket::new(owner, NO_ADDRESS)));
        Ok(())
    }

    /// Asks the control thread for an address; the call completes when it answered.
    fn begin_bind(
        &mut self,
        call: &Submission,
        wanted: SocketAddrV4,
        then: Option<SocketAddrV4>,
        reports: &mut Vec<Report>,
    ) -> Result<(), i32> {
        self.request_address(call.slot, Some(call.token), wanted, then, reports)
    }

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
                reports.push(Report::Bind { session: self.name, slot, wanted });
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
    pub(super) fn bound(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        now: Instant,
        slot: u32,
        result: Result<SocketAddrV4, i32>,
        reports: &mut Vec<Report>,
    ) {
        let give_back = |address| Report::Unbind { session: self.name, address };
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return reports.extend(result.ok().map(give_back));
        };
        let Slot::Binding { mut socket, token, then, closing } = std::mem::replace(entry, Slot::Closed) else {
            return reports.extend(result.ok().map(give_back));
        };
        if let Some(close_token) = closing {
            reports.extend(result.ok().map(give_back));
            self.end.close(slot);
            return self.finish(udp, slot, [token.map(|t| (t, Err(EBADF))), Some((close_token, Ok(())))]);
        }
        let answer = match result {
            Ok(address) => {
                let unbound = socket.clone();
                socket.local = address;
                match udp.insert(*socket) {
                    Ok(id) => {
                        *entry = Slot::Bound { id, address };
                        then.map_or(Ok(()), |remote| self.connect(net, udp, now, slot, remote))
                    }
                    Err(_) => {
                        *entry = Slot::Unbound(unbound);
                        reports.push(Report::Unbind { session: self.name, address });
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
        self.finish(udp, slot, [token.map(|t| (t, answer)), None]);
    }

    fn finish(&mut self, udp: &UdpTable, slot: u32, answers: [Option<(u64, Result<(), i32>)>; 2]) {
        for (token, answer) in answers.into_iter().flatten() {
            if let Err(rubbish) = self.complete(udp, token, slot, answer) {
                self.broken = Some(rubbish);
            }
        }
    }

    /// `ip4_datagram_connect`: the route decides the local address of a socket that has none.
    fn connect(
        &mut self,
        net: &mut Net,
        udp: &mut UdpTable,
        now: Instant,
        slot: u32,
        remote: SocketAddrV4,
    ) -> Result<(), i32> {
        let Slot::Bound { id, address } = *self.slot(slot) else { return Err(EBADF) };
        let socket = udp.get(id).ok_or(EBADF)?;
        let fixed = (!address.ip().is_unspecified()).then_some(*address.ip());
        // Linux takes the unspecified address as "this host".
        let to = if remote.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *remote.ip() };
        let key = PathKey { destination: to, source: fixed, tos: socket.tos, interface: socket.interface };
        let broadcast = socket.broadcast;
        let path = ip_route_output(net, now, &key)
            .map_err(|reason| SendError::Dropped(reason).errno().unwrap_or(ENETUNREACH))?;
        if path.kind == crate::ip::PathKind::Broadcast && !broadcast {
            return Err(EACCES);
        }
        let local = SocketAddrV4::new(fixed.unwrap_or(path.source), address.port());
        udp.connect(id, local, Some(SocketAddrV4::new(to, remote.port())));
        Ok(())
    }

    fn disconnect(&mut self, udp: &mut UdpTable, slot: u32) -> Result<(), i32> {
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
    fn close(&mut self, call: &Submission) -> Option<Result<(), i32>> {
        let Some(entry) = self.slots.get_mut(call.slot as usize) else { return Some(Err(EBADF)) };
        match std::mem::replace(entry, Slot::Closed) {
            Slot::Closed => return Some(Err(EBADF)),
            Slot::Unbound(_) => {}
            Slot::Binding { socket, token, then, closing: None } => {
                *entry = Slot::Binding { socket, token, then, closing: Some(call.token) };
                return None;
            }
            closing @ (Slot::Binding { .. } | Slot::Closing { .. }) => {
                *entry = closing;
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
    pub(super) fn end_close(
        &mut self,
        udp: &mut UdpTable,
        slot: u32,
        reports: &mut Vec<Report>,
    ) -> Result<(), Rubbish> {
        let Some(entry) = self.slots.get_mut(slot as usize) else { return Ok(()) };
        let Slot::Closing { id, address, token } = *entry else { return Ok(()) };
        *entry = Slot::Closed;
        udp.remove(id);
        reports.push(Report::Unbind { session: self.name, address });
        self.end.close(slot);
        self.complete(udp, token, slot, Ok(()))
    }

    fn options<'a>(&'a mut self, udp: &'a mut UdpTable, slot: u32) -> Option<&'a mut UdpSocket> {
        match self.slots.get_mut(slot as usize)? {
            Slot::Unbound(socket) | Slot::Binding { socket, .. } => Some(socket),
            Slot::Bound { id, .. } => udp.get_mut(*id),
            Slot::Closed | Slot::Closing { .. } => None,
        }
    }

    /// `do_ip_setsockopt`, `sk_setsockopt`.
    fn set_option(&mut self, udp: &mut UdpTable, slot: u32, option: SocketOption, value: i32) -> Result<(), i32> {
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

    fn get_option(&mut self, udp: &mut UdpTable, call: &Submission, option: SocketOption) -> Result<(), Rubbish> {
        let addr = self.local(udp, call.slot);
        let answer = Completion::of(call, 0).with_addr(addr);
        let answer = match (self.options(udp, call.slot), option) {
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
