//! What a slot stands for.

use crate::tcp::ConnectionId;
use crate::tcp::config::Config;
use crate::tcp::fastopen::FastOpenKeys;
use crate::udp::{UdpSocket, UdpSocketId};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use xmit_shared::session::TcpInfo;

/// What a slot stands for.
#[derive(Debug)]
pub(super) enum Slot {
    /// Nothing.
    Closed,
    /// A datagram socket without address; its options are kept for when it has one.
    Unbound(Box<UdpSocket>),
    /// The control thread is choosing the address of a datagram socket.
    Binding {
        /// Its options.
        socket: Box<UdpSocket>,
        /// The call to complete; `None` if a datagram caused the bind.
        token: Option<u64>,
        /// Connect to this when bound.
        then: Option<SocketAddrV4>,
        /// The client closed it meanwhile, by this call.
        closing: Option<u64>,
    },
    /// In the UDP table.
    Bound {
        /// Its place there.
        id: UdpSocketId,
        /// The address it was given, which `Disconnect` returns to.
        address: SocketAddrV4,
    },
    /// A datagram socket that its client closed; what it sent before goes out first (a datagram of a closed socket is
    /// still sent).
    Closing {
        /// Its place in the UDP table.
        id: UdpSocketId,
        /// The address to give back.
        address: SocketAddrV4,
        /// The call to complete.
        token: u64,
    },
    /// A stream.
    Stream(Stream),
    /// Granted to the listener in this slot, for a connection to come.
    Granted(u32),
}

/// What a slot of a stream stands for. `bound` is the address that the control thread knows it by.
#[derive(Debug)]
pub(super) enum Stream {
    /// Neither connected nor listening.
    Idle(Box<Idle>),
    /// The control thread was asked for something.
    Asking {
        /// As it was before.
        socket: Box<Idle>,
        /// What for.
        wish: Wish,
        /// The call to complete.
        token: u64,
        /// The client closed it meanwhile, by this call.
        closing: Option<u64>,
    },
    /// A connection, from its SYN on.
    Connected {
        /// Its place in TCP's table.
        id: ConnectionId,
        /// See above.
        bound: Option<SocketAddrV4>,
    },
    /// A listener.
    Listening {
        /// Its place among the listeners.
        index: u32,
        /// See above.
        bound: SocketAddrV4,
    },
    /// Closed by its program; what was written before goes out first.
    Closing {
        /// Its place in TCP's table.
        id: ConnectionId,
        /// See above.
        bound: Option<SocketAddrV4>,
        /// The call to complete; `None` if the whole session is gone.
        token: Option<u64>,
    },
}

/// A stream socket that is neither connected nor listening.
#[derive(Clone, Debug)]
pub(super) struct Idle {
    /// Its options.
    pub(super) config: Arc<Config>,
    /// Keys of its Fast Open cookies, if it has its own.
    pub(super) keys: Option<FastOpenKeys>,
    /// The address that the control thread knows it by.
    pub(super) bound: Option<SocketAddrV4>,
    /// The address that it connects from, with a port that the connect chooses (`IP_BIND_ADDRESS_NO_PORT`).
    pub(super) source: Option<Ipv4Addr>,
    /// It was connected before: it is not connected again (`SS_CONNECTED`).
    pub(super) spent: bool,
    /// The last figures of the connection that it was.
    pub(super) info: Option<Box<TcpInfo>>,
}

/// What a stream asked the control thread for, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// An address, by `bind` or `Share`.
    Bind,
    /// The address that it chose to connect from.
    Connect(Goal),
    /// To listen, with this backlog.
    Listen(u32),
}

/// Where a connect that waits for its port leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// To whom.
    pub(super) remote: SocketAddrV4,
    /// Ports that may still be tried, if this one is refused.
    pub(super) tries: u8,
    /// The call has data for the SYN.
    pub(super) fast_open: bool,
}

impl Slot {
    /// The address of a stream that the control thread knows.
    pub(super) fn stream_bound(&self) -> Option<SocketAddrV4> {
        match self {
            Self::Stream(Stream::Idle(socket) | Stream::Asking { socket, .. }) => socket.bound,
            Self::Stream(Stream::Connected { bound, .. } | Stream::Closing { bound, .. }) => *bound,
            Self::Stream(Stream::Listening { bound, .. }) => Some(*bound),
            _ => None,
        }
    }

    /// True for a slot of a stream, or of one to come.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Granted(_))
    }
}
