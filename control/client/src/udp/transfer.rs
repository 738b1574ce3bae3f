//! Sending and receiving datagrams: all calls meet in `send_with` and `receive_with` (`udp_sendmsg`, `udp_recvmsg`).

use super::{NO_ADDR, UdpSocket};
use crate::session::os_error;
use crate::slot::Slot;
use crate::tcp::MsgFlags;
use crate::wait::lock;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::ToSocketAddrs;
use std::sync::atomic::Ordering;
use xmit_shared::record::{Meta, PushError};

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its bytes.
    pub len: usize,
    /// Bytes of them that found a place.
    pub copied: usize,
    /// Who sent it.
    pub peer: SocketAddrV4,
    /// The address that it was sent to.
    pub local: Ipv4Addr,
    /// The interface that it came in on, counted from 1.
    pub interface: u32,
    /// Its time to live when it arrived.
    pub ttl: u8,
    /// Its type of service.
    pub tos: u8,
}

/// The largest payload of a UDP datagram in IPv4: 65,535 bytes less both headers.
const PAYLOAD_MAX: usize = 65_507;

impl UdpSocket {
    /// Sends one datagram to the connected peer.
    ///
    /// # Errors
    /// `EDESTADDRREQ` without a peer; `ECONNREFUSED` and its like for an earlier datagram; else as [`UdpSocket::send_to`].
    pub fn send(&self, payload: &[u8]) -> io::Result<usize> {
        self.send_with(&[IoSlice::new(payload)], None, MsgFlags::default())
    }

    /// Sends one datagram to `addr`.
    ///
    /// # Errors
    /// `EMSGSIZE` above 65,507 bytes, `EAGAIN` if there is no room now (non-blocking) or in time, `EACCES` for a broadcast
    /// without [`UdpSocket::set_broadcast`], `EINVAL` for port 0, `ENETDOWN`, and pending errors of earlier datagrams.
    pub fn send_to(&self, payload: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        // `std` takes the first address only.
        match addr.to_socket_addrs()?.next() {
            Some(SocketAddr::V4(addr)) => self.send_with(&[IoSlice::new(payload)], Some(addr), MsgFlags::default()),
            Some(SocketAddr::V6(_)) => Err(os_error(libc::EAFNOSUPPORT)),
            None => Err(os_error(libc::EDESTADDRREQ)),
        }
    }

    /// `sendmsg`: one datagram made of `parts`, to `to` or to the connected peer.
    ///
    /// # Errors
    /// As [`UdpSocket::send`] and [`UdpSocket::send_to`]; `EOPNOTSUPP` for `MSG_OOB`.
    pub fn send_with(&self, parts: &[IoSlice<'_>], to: Option<SocketAddrV4>, flags: MsgFlags) -> io::Result<usize> {
        match to {
            _ if flags.oob => return Err(os_error(libc::EOPNOTSUPP)),
            Some(to) if to.port() == 0 => return Err(os_error(libc::EINVAL)),
            Some(to) if to.ip().is_broadcast() && !self.broadcast.load(Ordering::Relaxed) => {
                return Err(os_error(libc::EACCES));
            }
            None if !self.connected.load(Ordering::Relaxed) => return Err(os_error(libc::EDESTADDRREQ)),
            _ => {}
        }
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > PAYLOAD_MAX {
            return Err(os_error(libc::EMSGSIZE));
        }
        let (meta, slot) = (Meta::of(to.unwrap_or(NO_ADDR)), self.table_slot()?);
        if self.try_send(slot, &meta, parts)?.is_some() {
            return Ok(len);
        }
        if flags.dont_wait || self.nonblocking.load(Ordering::Relaxed) {
            return Err(os_error(libc::EAGAIN));
        }
        slot.status.want_room();
        let deadline = self.write_timeout.deadline(self.session.now());
        let result = self.session.wait_for(deadline, || self.try_send(slot, &meta, parts));
        slot.status.forget_room();
        result.map(|()| len)
    }

    fn try_send(&self, slot: &Slot, meta: &Meta, parts: &[IoSlice<'_>]) -> io::Result<Option<()>> {
        self.check(slot)?;
        // The guard must be gone before the lane is told: telling may be a system call.
        let pushed = match parts {
            [part] => lock(&slot.tx).push(meta, &[part]),
            parts => lock(&slot.tx).push(meta, &parts.iter().map(|part| &**part).collect::<Vec<_>>()),
        };
        match pushed {
            Ok(()) => {
                self.session.kick(self.lane, self.slot);
                if self.session.is_embedded() {
                    // It was sent or refused already, so this call can say so.
                    self.check(slot)?;
                }
                Ok(Some(()))
            }
            Err(PushError::Full) => Ok(None),
            Err(PushError::TooLarge) => Err(os_error(libc::EMSGSIZE)),
            Err(PushError::Rubbish(rubbish)) => Err(self.session.rubbish(rubbish)),
        }
    }

    /// Receives one datagram of the connected peer. What does not fit into `buffer` is lost.
    ///
    /// # Errors
    /// `EAGAIN` if there is none now (non-blocking) or in time, `ENETDOWN`, and pending errors such as `ECONNREFUSED`.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buffer).map(|(len, _)| len)
    }

    /// Receives one datagram and tells who sent it.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let datagram = self.receive_with(&mut [IoSliceMut::new(buffer)], MsgFlags::default())?;
        Ok((datagram.copied, datagram.peer.into()))
    }

    /// As [`UdpSocket::recv`], leaving the datagram for the next call.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.peek_from(buffer).map(|(len, _)| len)
    }

    /// As [`UdpSocket::recv_from`], leaving the datagram for the next call.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`].
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let flags = MsgFlags { peek: true, ..MsgFlags::default() };
        let datagram = self.receive_with(&mut [IoSliceMut::new(buffer)], flags)?;
        Ok((datagram.copied, datagram.peer.into()))
    }

    /// `recvmsg`: one datagram into `parts`, one after the other.
    ///
    /// # Errors
    /// As [`UdpSocket::recv`]; `EOPNOTSUPP` for `MSG_OOB`.
    pub fn receive_with(&self, parts: &mut [IoSliceMut<'_>], flags: MsgFlags) -> io::Result<Datagram> {
        if flags.oob {
            return Err(os_error(libc::EOPNOTSUPP));
        }
        let slot = self.table_slot()?;
        if let Some(received) = self.try_receive(slot, parts, flags)? {
            return Ok(received);
        }
        if flags.dont_wait || self.nonblocking.load(Ordering::Relaxed) {
            return Err(os_error(libc::EAGAIN));
        }
        let deadline = self.read_timeout.deadline(self.session.now());
        self.session.wait_for(deadline, || self.try_receive(slot, parts, flags))
    }

    fn try_receive(&self, slot: &Slot, parts: &mut [IoSliceMut<'_>], flags: MsgFlags) -> io::Result<Option<Datagram>> {
        self.check(slot)?;
        let mut rx = lock(&slot.rx);
        let Some(meta) = rx.peek().map_err(|rubbish| self.session.rubbish(rubbish))? else { return Ok(None) };
        let copied = match parts {
            [part] => rx.copy(part),
            parts => {
                let room: usize = parts.iter().map(|part| part.len()).sum();
                let mut whole = vec![0; room.min(meta.len as usize)];
                let len = rx.copy(&mut whole);
                scatter(&whole, parts);
                len
            }
        };
        if !flags.peek {
            rx.consume();
        }
        let Meta { len, peer, local, ifindex: interface, ttl, tos, .. } = meta;
        Ok(Some(Datagram { len: len as usize, copied, peer, local, interface, ttl, tos }))
    }
}

/// Copies `bytes` into `parts`, one after the other, as far as there is room.
fn scatter(mut bytes: &[u8], parts: &mut [IoSliceMut<'_>]) {
    for part in parts {
        let (now, later) = bytes.split_at(part.len().min(bytes.len()));
        part.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
        bytes = later;
    }
}
