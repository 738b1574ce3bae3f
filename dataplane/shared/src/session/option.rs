//! Socket options as they cross the region: a number and an `i32`. What a program changes between two writes, and what the lane need not
//! know, is not among them ([`crate::stream::StreamFlags`]).

/// A socket option that a lane has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `IP_TTL`.
    Ttl,
    /// `IP_TOS`.
    Tos,
    /// `SO_BROADCAST`.
    Broadcast,
    /// `SO_REUSEADDR`.
    ReuseAddr,
    /// `SO_PRIORITY`.
    Priority,
    /// `SO_KEEPALIVE`.
    KeepAlive,
    /// `TCP_KEEPIDLE`, seconds.
    KeepIdle,
    /// `TCP_KEEPINTVL`, seconds.
    KeepInterval,
    /// `TCP_KEEPCNT`.
    KeepCount,
    /// `TCP_USER_TIMEOUT`, milliseconds.
    UserTimeout,
    /// `SO_LINGER`: seconds, or -1 for none.
    Linger,
    /// `SO_REUSEPORT`.
    ReusePort,
    /// `TCP_CONGESTION`: the number of a [`CongestionName`].
    Congestion,
    /// `TCP_MAXSEG`.
    MaxSegment,
    /// `TCP_QUICKACK`.
    QuickAck,
    /// `TCP_DEFER_ACCEPT`, seconds.
    DeferAccept,
    /// `TCP_FASTOPEN`: length of the queue.
    FastOpen,
    /// `TCP_FASTOPEN_CONNECT`.
    FastOpenConnect,
    /// `TCP_FASTOPEN_NO_COOKIE`.
    FastOpenNoCookie,
    /// `IP_FREEBIND`.
    FreeBind,
    /// `IP_BIND_ADDRESS_NO_PORT`.
    BindAddressNoPort,
    /// `IP_LOCAL_PORT_RANGE`: the lowest port, and the highest shifted by 16.
    LocalPortRange,
    /// `IP_MTU_DISCOVER`.
    MtuDiscover,
    /// `TCP_NOTSENT_LOWAT`, bytes.
    NotSentLowat,
    /// `SO_SNDBUF`, bytes; 0: grows by itself.
    SendBuffer,
    /// `SO_RCVBUF`, bytes; 0: grows by itself.
    ReceiveBuffer,
    /// `TCP_SYNCNT`.
    SynCount,
    /// `TCP_WINDOW_CLAMP`.
    WindowClamp,
    /// `TCP_LINGER2`, seconds; -1 for none.
    Linger2,
    /// `TCP_RTO_MAX_MS`.
    RtoMax,
}

/// The congestion controls by number, as [`SocketOption::Congestion`] has them; the names are Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CongestionName {
    /// RFC 9438.
    Cubic,
    /// RFC 6582.
    Reno,
    /// RFC 8257.
    Dctcp,
    /// BBR.
    Bbr,
}

impl CongestionName {
    const ALL: [Self; 4] = [Self::Cubic, Self::Reno, Self::Dctcp, Self::Bbr];

    /// The option's value.
    pub const fn number(self) -> i32 {
        match self {
            Self::Cubic => 1,
            Self::Reno => 2,
            Self::Dctcp => 3,
            Self::Bbr => 4,
        }
    }

    /// The inverse; `None` for a value that is none.
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.number() == number)
    }

    /// The name that Linux gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Reno => "reno",
            Self::Dctcp => "dctcp",
            Self::Bbr => "bbr",
        }
    }

    /// By the name that Linux gives it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl SocketOption {
    pub(super) const ALL: [Self; 30] = [
        Self::Ttl,
        Self::Tos,
        Self::Broadcast,
        Self::ReuseAddr,
        Self::Priority,
        Self::KeepAlive,
        Self::KeepIdle,
        Self::KeepInterval,
        Self::KeepCount,
        Self::UserTimeout,
        Self::Linger,
        Self::ReusePort,
        Self::Congestion,
        Self::MaxSegment,
        Self::QuickAck,
        Self::DeferAccept,
        Self::FastOpen,
        Self::FastOpenConnect,
        Self::NotSentLowat,
        Self::SendBuffer,
        Self::ReceiveBuffer,
        Self::SynCount,
        Self::WindowClamp,
        Self::FastOpenNoCookie,
        Self::FreeBind,
        Self::BindAddressNoPort,
        Self::LocalPortRange,
        Self::MtuDiscover,
        Self::Linger2,
        Self::RtoMax,
    ];

    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Ttl => 1,
            Self::Tos => 2,
            Self::Broadcast => 3,
            Self::ReuseAddr => 4,
            Self::Priority => 5,
            Self::KeepAlive => 6,
            Self::KeepIdle => 7,
            Self::KeepInterval => 8,
            Self::KeepCount => 9,
            Self::UserTimeout => 10,
            Self::Linger => 11,
            Self::ReusePort => 12,
            Self::Congestion => 13,
            Self::MaxSegment => 14,
            Self::QuickAck => 15,
            Self::DeferAccept => 16,
            Self::FastOpen => 17,
            Self::FastOpenConnect => 18,
            Self::NotSentLowat => 19,
            Self::SendBuffer => 20,
            Self::ReceiveBuffer => 21,
            Self::SynCount => 22,
            Self::WindowClamp => 23,
            Self::FastOpenNoCookie => 24,
            Self::FreeBind => 25,
            Self::BindAddressNoPort => 26,
            Self::LocalPortRange => 27,
            Self::MtuDiscover => 28,
            Self::Linger2 => 29,
            Self::RtoMax => 30,
        }
    }

    pub(super) fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|option| option.number() == number)
    }
}
