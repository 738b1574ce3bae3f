//! Socket calls: from a submission to the function of its kind of socket.

use super::ctx::Ctx;
use super::session::Session;
use super::slot::{Slot, Stream};
use crate::errno::{EBADF, EBUSY, EINVAL, EOPNOTSUPP};
use crate::tcp::fastopen::FastOpenKeys;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_shared::Rubbish;
use xmit_shared::session::{Completion, Op, Submission, Transport};

pub(super) const NO_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// How a call ended. `None`: it is completed later, or was already.
pub(super) type Answer = Option<Result<(), i32>>;

impl Session {
    /// Carries out one call.
    pub(super) fn call(&mut self, ctx: &mut Ctx<'_>, call: &Submission) -> Result<(), Rubbish> {
        let stream = self.slot(call.slot).is_stream();
        let answer = match call.op {
            Op::Open(_) if !matches!(self.slot(call.slot), Slot::Closed) => Some(Err(EBUSY)),
            Op::Open(Transport::Udp) => Some(self.open_datagram(call.slot)),
            Op::Open(Transport::Tcp) => Some(self.open_stream(ctx, call.slot)),
            _ if stream => self.stream_call(ctx, call)?,
            _ => self.datagram_call(ctx, call)?,
        };
        match answer {
            Some(answer) => self.complete(ctx, call.token, call.slot, answer),
            None => Ok(()),
        }
    }

    fn datagram_call(&mut self, ctx: &mut Ctx<'_>, call: &Submission) -> Result<Answer, Rubbish> {
        Ok(match call.op {
            Op::Bind(wanted) => {
                self.request_address(call.slot, Some(call.token), wanted, None, ctx.reports).err().map(Err)
            }
            Op::Connect(remote) if matches!(self.slot(call.slot), Slot::Unbound(_)) => {
                let asked = self.request_address(call.slot, Some(call.token), NO_ADDRESS, Some(remote), ctx.reports);
                asked.err().map(Err)
            }
            Op::Connect(remote) => Some(self.connect_datagram(ctx, call.slot, remote)),
            Op::Disconnect => Some(self.disconnect_datagram(ctx.udp, call.slot)),
            Op::Close => match self.close_datagram(call) {
                Some(answer) => Some(answer),
                // With nothing left to send the address is free for the next call.
                None if self.end.tx_peek(call.slot)?.is_none() => {
                    self.end_close(ctx, call.slot)?;
                    None
                }
                None => None,
            },
            Op::SetOption(option, value) => Some(self.set_datagram_option(ctx.udp, call.slot, option, value)),
            Op::GetOption(option) => {
                self.get_datagram_option(ctx, call, option)?;
                None
            }
            Op::Open(_) => Some(Err(EINVAL)),
            Op::Listen(_)
            | Op::Share(_)
            | Op::Grant(_)
            | Op::Shutdown(_)
            | Op::Info
            | Op::FastOpen(_)
            | Op::SetPacing(_)
            | Op::FastOpenKey(_)
            | Op::FastOpenBackupKey(_) => {
                let closed = matches!(self.slot(call.slot), Slot::Closed);
                Some(Err(if closed { EBADF } else { EOPNOTSUPP }))
            }
        })
    }

    fn stream_call(&mut self, ctx: &mut Ctx<'_>, call: &Submission) -> Result<Answer, Rubbish> {
        let (slot, token) = (call.slot, call.token);
        let answer = match call.op {
            Op::Bind(wanted) => self.bind_stream(ctx, slot, token, wanted),
            Op::Connect(remote) => self.connect_stream(ctx, slot, token, remote),
            Op::FastOpen(remote) => self.fast_open_stream(ctx, slot, token, remote),
            Op::Disconnect => Some(self.disconnect_stream(ctx, slot)),
            Op::Listen(backlog) => self.listen(ctx, slot, token, backlog),
            Op::Share(other) => self.share(ctx, slot, token, other),
            Op::Grant(granted) => Some(self.grant(ctx, slot, granted)),
            Op::Shutdown(how) => {
                let answer = match self.shutdown_stream(ctx, slot, how) {
                    Ok(ended) => Completion::of(call, 0).with_value(ended.into()),
                    Err(errno) => Completion::of(call, -errno),
                };
                self.end.complete(&answer.with_addr(self.local(ctx, slot)))?;
                None
            }
            Op::Close => self.close_stream(ctx, slot, token),
            Op::SetOption(option, value) => Some(self.set_stream_option(ctx, slot, option, value)),
            Op::SetPacing(rate) => Some(self.set_max_pacing_rate(ctx, slot, rate)),
            Op::GetOption(option) => {
                let answer = match self.stream_option(ctx, slot, option) {
                    Ok(value) => Completion::of(call, 0).with_value(value),
                    Err(errno) => Completion::of(call, -errno),
                };
                self.end.complete(&answer.with_addr(self.local(ctx, slot)))?;
                None
            }
            Op::Info => Some(self.info(ctx, slot)),
            Op::FastOpenKey(key) => Some(self.set_fast_open_keys(ctx, slot, |_| Some(FastOpenKeys::of_numbers(key)))),
            Op::FastOpenBackupKey(key) => {
                Some(self.set_fast_open_keys(ctx, slot, |keys| keys.map(|keys| keys.with_backup(key))))
            }
            Op::Open(_) => Some(Err(EINVAL)),
        };
        self.take_news(ctx)?;
        Ok(answer)
    }

    pub(super) fn complete(
        &mut self,
        ctx: &Ctx<'_>,
        token: u64,
        slot: u32,
        answer: Result<(), i32>,
    ) -> Result<(), Rubbish> {
        let addr = self.local(ctx, slot);
        let result = answer.err().map_or(0, |errno| -errno);
        self.end.complete(&Completion { token, slot, result, addr, value: self.syn_room(ctx, slot) })
    }

    /// Completes a call outside of any other: what cannot be answered ends the session.
    pub(super) fn finish(&mut self, ctx: &Ctx<'_>, token: u64, slot: u32, answer: Result<(), i32>) {
        if let Err(rubbish) = self.complete(ctx, token, slot, answer) {
            self.broken = Some(rubbish);
        }
    }

    pub(super) fn slot(&self, slot: u32) -> &Slot {
        self.slots.get(slot as usize).unwrap_or(&Slot::Closed)
    }

    /// The local address of the socket in `slot`.
    pub(super) fn local(&self, ctx: &Ctx<'_>, slot: u32) -> SocketAddrV4 {
        let local = match self.slot(slot) {
            Slot::Bound { id, .. } => ctx.udp.get(*id).map(|socket| socket.local),
            Slot::Stream(Stream::Connected { id, .. }) => {
                ctx.tcp.table.get(*id).map(|connection| connection.flow.local)
            }
            Slot::Stream(Stream::Idle(socket)) if socket.bound.is_none() => {
                socket.source.map(|ip| SocketAddrV4::new(ip, 0))
            }
            other => other.stream_bound(),
        };
        local.unwrap_or(NO_ADDRESS)
    }

    /// The control thread answered.
    pub(super) fn bound(&mut self, ctx: &mut Ctx<'_>, slot: u32, result: Result<SocketAddrV4, i32>) {
        match self.slot(slot) {
            Slot::Stream(Stream::Asking { .. }) => self.stream_answered(ctx, slot, result),
            _ => self.datagram_bound(ctx, slot, result),
        }
    }
}
