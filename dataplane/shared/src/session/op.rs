//! Socket calls as they cross the region: submissions to a lane, completions back.
//!
//! ```text
//!  submission  0        8     12     16       20      24      28
//!              | token  | op  | slot | address | port  | name  | value |
//!  a key       | token  | op  | slot |  key of 16 bytes                  |
//!  completion  | token  | slot| result| address| port  | value | (zero)|
//! ```
//!
//! Words are native-endian: both ends run on one machine. Invariant: decoding rubbish gives an error, never a panic.

use super::option::SocketOption;
use crate::memory::Entry;
use crate::rubbish::Rubbish;
use core::net::{Ipv4Addr, SocketAddrV4};

/// One socket call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The caller's name for it, given back in the completion.
    pub token: u64,
    /// The socket.
    pub slot: u32,
    /// What shall be done.
    pub op: Op,
}

/// What a socket call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `socket`: takes the slot into use. Completes with `EBUSY` if it is in use.
    Open(Transport),
    /// `bind`: port 0 asks for an ephemeral one. Completes with the address bound.
    Bind(SocketAddrV4),
    /// `connect`. Completes with the local address, chosen if there was none.
    Connect(SocketAddrV4),
    /// `connect` by a call that has data for the SYN (`MSG_FASTOPEN`). Of a stream whose SYN waits for data: it waits no longer.
    FastOpen(SocketAddrV4),
    /// `connect` to `AF_UNSPEC`: forgets the peer. A stream's connection is reset, what it wrote and was not sent is discarded; what stands in
    /// the receive ring is the client's to discard.
    Disconnect,
    /// `close`: the slot is free again when this completes.
    Close,
    /// `setsockopt`.
    SetOption(SocketOption, i32),
    /// `setsockopt(SO_MAX_PACING_RATE)`, bytes a second; `u64::MAX` is none. `TCP_INFO` tells it.
    SetPacing(u64),
    /// `getsockopt`. Completes with the value.
    GetOption(SocketOption),
    /// `listen`, with its backlog. Connections are announced in the slot's receive ring ([`crate::stream::Accepted`]).
    Listen(u32),
    /// Takes the address of the listener in another slot, which another lane serves: each lane accepts what arrives at it.
    Share(u32),
    /// Gives another, unused slot to this listener: the next connection is opened there. Completes at once; the slot is the
    /// lane's until it is announced. When the listener closes, slots that it has not used are the client's again.
    Grant(u32),
    /// `shutdown`. What was written before is sent first.
    Shutdown(How),
    /// `getsockopt(TCP_INFO)`: completes when the lane has written it.
    Info,
    /// `setsockopt(TCP_FASTOPEN_KEY)`: the key of a listener's cookies, and no other.
    FastOpenKey([u64; 2]),
    /// A second key, with which cookies were made before.
    FastOpenBackupKey([u64; 2]),
}

/// Which halves of a connection `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`.
    Write,
    /// `SHUT_RDWR`.
    Both,
}

/// The protocol of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: `SOCK_DGRAM`.
    Udp,
    /// Streams: `SOCK_STREAM`.
    Tcp,
}

/// The answer to one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The submission's.
    pub token: u64,
    /// The submission's.
    pub slot: u32,
    /// Zero or more if it succeeded, a negated `errno` of Linux if it did not.
    pub result: i32,
    /// The socket's local address after the call.
    pub addr: SocketAddrV4,
    /// An option's value. Of `Connect` and `FastOpen`: bytes that the SYN carries, if it waits for them in the send ring.
    pub value: i32,
}

const OP_OPEN: u32 = 1;
const OP_BIND: u32 = 2;
const OP_CONNECT: u32 = 3;
const OP_DISCONNECT: u32 = 4;
const OP_CLOSE: u32 = 5;
const OP_SET_OPTION: u32 = 6;
const OP_GET_OPTION: u32 = 7;
const OP_LISTEN: u32 = 8;
const OP_SHARE: u32 = 9;
const OP_GRANT: u32 = 10;
const OP_SHUTDOWN: u32 = 11;
const OP_INFO: u32 = 12;
const OP_FAST_OPEN: u32 = 13;
const OP_SET_PACING: u32 = 14;
const OP_FAST_OPEN_KEY: u32 = 15;
const OP_FAST_OPEN_BACKUP_KEY: u32 = 16;

/// What stands where an operation has no address.
const NO_ADDR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

impl Submission {
    pub(crate) fn encode(&self) -> Entry {
        if let Op::FastOpenKey([low, high]) | Op::FastOpenBackupKey([low, high]) = self.op {
            let first = matches!(self.op, Op::FastOpenKey(_));
            let op = if first { OP_FAST_OPEN_KEY } else { OP_FAST_OPEN_BACKUP_KEY };
            return [self.token, pair(op, self.slot), low, high];
        }
        let (op, addr, name, value) = match self.op {
            Op::Open(transport) => (OP_OPEN, NO_ADDR, transport.number(), 0),
            Op::Bind(addr) => (OP_BIND, addr, 0, 0),
            Op::Connect(addr) => (OP_CONNECT, addr, 0, 0),
            Op::FastOpen(addr) => (OP_FAST_OPEN, addr, 0, 0),
            Op::Disconnect => (OP_DISCONNECT, NO_ADDR, 0, 0),
            Op::Close => (OP_CLOSE, NO_ADDR, 0, 0),
            Op::SetOption(option, value) => (OP_SET_OPTION, NO_ADDR, option.number(), value),
            Op::SetPacing(rate) => (OP_SET_PACING, NO_ADDR, rate as u32, ((rate >> 32) as u32).cast_signed()),
            Op::GetOption(option) => (OP_GET_OPTION, NO_ADDR, option.number(), 0),
            Op::Listen(backlog) => (OP_LISTEN, NO_ADDR, backlog, 0),
            Op::Share(other) => (OP_SHARE, NO_ADDR, other, 0),
            Op::Grant(other) => (OP_GRANT, NO_ADDR, other, 0),
            Op::Shutdown(how) => (OP_SHUTDOWN, NO_ADDR, how.number(), 0),
            Op::Info | Op::FastOpenKey(_) | Op::FastOpenBackupKey(_) => (OP_INFO, NO_ADDR, 0, 0),
        };
        [
            self.token,
            pair(op, self.slot),
            pair((*addr.ip()).into(), addr.port().into()),
            pair(name, value.cast_unsigned()),
        ]
    }

    pub(crate) fn decode([token, second, third, fourth]: Entry, slots: u32) -> Result<Self, Rubbish> {
        let (number, slot) = halves(second);
        let (name, value) = halves(fourth);
        if slot >= slots {
            return Err(Rubbish::Slot(slot));
        }
        let op = match number {
            OP_OPEN => Transport::of(name).map(Op::Open),
            OP_BIND => Some(Op::Bind(addr(third))),
            OP_CONNECT => Some(Op::Connect(addr(third))),
            OP_FAST_OPEN => Some(Op::FastOpen(addr(third))),
            OP_DISCONNECT => Some(Op::Disconnect),
            OP_CLOSE => Some(Op::Close),
            OP_SET_OPTION => SocketOption::of(name).map(|option| Op::SetOption(option, value.cast_signed())),
            OP_SET_PACING => Some(Op::SetPacing(fourth)),
            OP_GET_OPTION => SocketOption::of(name).map(Op::GetOption),
            OP_LISTEN => Some(Op::Listen(name)),
            OP_SHARE | OP_GRANT if name >= slots => return Err(Rubbish::Slot(name)),
            OP_SHARE => Some(Op::Share(name)),
            OP_GRANT => Some(Op::Grant(name)),
            OP_SHUTDOWN => How::of(name).map(Op::Shutdown),
            OP_INFO => Some(Op::Info),
            OP_FAST_OPEN_KEY => Some(Op::FastOpenKey([third, fourth])),
            OP_FAST_OPEN_BACKUP_KEY => Some(Op::FastOpenBackupKey([third, fourth])),
            _ => None,
        };
        Ok(Self { token, slot, op: op.ok_or(Rubbish::Operation(number))? })
    }
}

impl Completion {
    /// The answer to `submission`: `result` as the kernel would give it.
    pub const fn of(submission: &Submission, result: i32) -> Self {
        Self { token: submission.token, slot: submission.slot, result, addr: NO_ADDR, value: 0 }
    }

    /// The same, with the socket's local address.
    #[must_use]
    pub const fn with_addr(self, addr: SocketAddrV4) -> Self {
        Self { addr, ..self }
    }

    /// The same, with an option's value.
    #[must_use]
    pub const fn with_value(self, value: i32) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn encode(&self) -> Entry {
        [
            self.token,
            pair(self.slot, self.result.cast_unsigned()),
            pair((*self.addr.ip()).into(), self.addr.port().into()),
            pair(self.value.cast_unsigned(), 0),
        ]
    }

    pub(crate) fn decode([token, second, third, fourth]: Entry) -> Self {
        let (slot, result) = halves(second);
        Self { token, slot, result: result.cast_signed(), addr: addr(third), value: (fourth as u32).cast_signed() }
    }
}

impl Transport {
    /// The protocol's number in IP.
    const fn number(self) -> u32 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }

    fn of(number: u32) -> Option<Self> {
        [Self::Udp, Self::Tcp].into_iter().find(|transport| transport.number() == number)
    }
}

impl How {
    /// Linux's `SHUT_*`.
    const fn number(self) -> u32 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::Both => 2,
        }
    }

    fn of(number: u32) -> Option<Self> {
        [Self::Read, Self::Write, Self::Both].into_iter().find(|how| how.number() == number)
    }

    /// True if it ends receiving.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Both)
    }

    /// True if it ends sending.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Both)
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

const fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

fn addr(word: u64) -> SocketAddrV4 {
    let (ip, port) = halves(word);
    SocketAddrV4::new(Ipv4Addr::from(ip), port as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_addr() -> impl Strategy<Value = SocketAddrV4> {
        any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port))
    }

    fn any_option() -> impl Strategy<Value = SocketOption> {
        prop::sample::select(SocketOption::ALL.to_vec())
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            Just(Op::Open(Transport::Udp)),
            Just(Op::Open(Transport::Tcp)),
            any::<u32>().prop_map(Op::Listen),
            (0u32..100).prop_map(Op::Share),
            (0u32..100).prop_map(Op::Grant),
            prop::sample::select(vec![How::Read, How::Write, How::Both]).prop_map(Op::Shutdown),
            Just(Op::Info),
            any::<[u64; 2]>().prop_map(Op::FastOpenKey),
            any::<[u64; 2]>().prop_map(Op::FastOpenBackupKey),
            any_addr().prop_map(Op::Bind),
            any_addr().prop_map(Op::Connect),
            any_addr().prop_map(Op::FastOpen),
            Just(Op::Disconnect),
            Just(Op::Close),
            (any_option(), any::<i32>()).prop_map(|(option, value)| Op::SetOption(option, value)),
            any::<u64>().prop_map(Op::SetPacing),
            any_option().prop_map(Op::GetOption),
        ]
    }

    proptest! {
        #[test]
        fn decode_of_encode_is_the_identity(token: u64, slot in 0u32..100, op in any_op(), result: i32, addr in any_addr(), value: i32) {
            let submission = Submission { token, slot, op };
            prop_assert_eq!(Submission::decode(submission.encode(), 100), Ok(submission));
            let completion = Completion { token, slot, result, addr, value };
            prop_assert_eq!(Completion::decode(completion.encode()), completion);
        }

        #[test]
        fn any_words_decode_or_are_named(words: [u64; 4], slots in 1u32..4096) {
            if let Ok(submission) = Submission::decode(words, slots) {
                prop_assert!(submission.slot < slots);
                if let Op::Share(other) | Op::Grant(other) = submission.op {
                    prop_assert!(other < slots);
                }
            }
            Completion::decode(words);
        }
    }

    #[test]
    fn rubbish_has_a_name() {
        assert_eq!(Submission::decode([0, pair(OP_CLOSE, 9), 0, 0], 9), Err(Rubbish::Slot(9)));
        assert_eq!(Submission::decode([0, pair(77, 0), 0, 0], 9), Err(Rubbish::Operation(77)));
        assert_eq!(Submission::decode([0, pair(OP_OPEN, 0), 0, 99], 9), Err(Rubbish::Operation(OP_OPEN)));
        assert_eq!(Submission::decode([0, pair(OP_GRANT, 0), 0, 9], 9), Err(Rubbish::Slot(9)));
        assert_eq!(Submission::decode([0, pair(OP_SHUTDOWN, 0), 0, 3], 9), Err(Rubbish::Operation(OP_SHUTDOWN)));
    }
}
