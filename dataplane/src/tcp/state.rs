//! The states of a connection (RFC 9293 section 3.3.2), numbered as `TCP_INFO` shows them.

/// A state; the numbers are those of Linux's `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Both directions are open.
    Established = 1,
    /// We sent a SYN.
    SynSent = 2,
    /// Both sent a SYN, ours is not acknowledged: simultaneous open, or Fast Open's server.
    SynReceived = 3,
    /// We sent a FIN that is not acknowledged.
    FinWait1 = 4,
    /// Our FIN is acknowledged; the peer may still send.
    FinWait2 = 5,
    /// Not connected.
    Closed = 7,
    /// The peer sent a FIN; we may still send.
    CloseWait = 8,
    /// The peer sent a FIN, then we; ours is not acknowledged.
    LastAck = 9,
    /// Both sent a FIN at once; ours is not acknowledged.
    Closing = 11,
}

/// What `TCP_INFO` shows for a listener.
pub const LISTEN: u8 = 10;
/// What `TCP_INFO` and `xmit sockets` show for TIME_WAIT.
pub const TIME_WAIT: u8 = 6;
/// Its name there.
pub const TIME_WAIT_NAME: &str = "TIME_WAIT";

impl State {
    /// The handshake is over.
    #[inline]
    pub fn is_synchronized(self) -> bool {
        !matches!(self, Self::SynSent | Self::SynReceived | Self::Closed)
    }

    /// Data of the program may be sent: no FIN of ours was queued.
    #[inline]
    pub fn may_send(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// Data of the peer is taken: it has sent no FIN.
    #[inline]
    pub fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Our FIN was queued: it goes behind the last byte.
    #[inline]
    pub fn fin_queued(self) -> bool {
        matches!(self, Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck)
    }

    /// The name that `ss` and `netstat` show.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::Closed => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Closing => "CLOSING",
        }
    }
}
