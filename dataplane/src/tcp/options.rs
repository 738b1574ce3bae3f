//! Options of a TCP socket: their values, and what they do to a connection that runs (`sk_setsockopt`,
//! `do_ip_setsockopt`, `do_tcp_setsockopt` and the three that read).
//!
//! A value is checked and kept in [`Config`] whatever the socket is at present; what has to happen at once to a
//! connection is [`Connection::apply_option`].

use super::commons::Ctx;
use super::config::{Config, MtuDiscover};
use super::congestion::Kind;
use super::connection::Connection;
use super::deadlines::Timer;
use super::handshake::{retries_in, seconds_of};
use super::mss::Mss;
use super::rtt::{RTO_MAX, RTO_MAX_MIN};
use super::settings::Settings;
use super::state::State;
use crate::Duration;
use crate::errno::{EINVAL, ENOENT, EOPNOTSUPP, EPERM};
use crate::qdisc::Priority;
use crate::wire::ipv4::ECN_MASK;
use xmit_shared::session::{CongestionName, LaneEnd, SocketOption};

/// What a socket is while an option is set or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Neither connected nor listening.
    Closed,
    /// A listener.
    Listening,
    /// A connection in this state.
    Connection(State),
}

/// The highest `SO_PRIORITY` without `CAP_NET_ADMIN`.
const PRIORITY_MAX: i32 = 6;
/// `MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL`.
const KEEP_SECONDS_MAX: i32 = 32_767;
/// `MAX_TCP_KEEPCNT`, `MAX_TCP_SYNCNT`.
const COUNT_MAX: i32 = 127;
/// `MAX_TCP_WINDOW`.
const MAX_SEGMENT_MAX: i32 = 32_767;
/// `SOCK_MIN_SNDBUF`: two full buffers' worth of bookkeeping.
const SEND_BUFFER_MIN: u32 = 4608;
/// `SOCK_MIN_RCVBUF`.
const RECEIVE_BUFFER_MIN: u32 = 2304;
/// Longer is this long (`TCP_FIN_TIMEOUT_MAX`).
const LINGER2_MAX: i32 = 120;

impl Config {
    /// Sets `option`. `largest` is the session's largest ring: no buffer is larger.
    ///
    /// # Errors
    /// Linux's number for a value that it would refuse.
    pub fn set(
        &mut self,
        settings: &Settings,
        role: Role,
        option: SocketOption,
        value: i32,
        largest: u32,
    ) -> Result<(), i32> {
        let flag = value != 0;
        match option {
            SocketOption::Ttl if value == -1 => self.ttl = settings.ip_default_ttl,
            SocketOption::Ttl => self.ttl = within(value, 1, 255)? as u8,
            // The ECN field is TCP's own.
            SocketOption::Tos => {
                self.tos = (value as u8 & !ECN_MASK) | (self.tos & ECN_MASK);
                self.priority = Priority::from_tos(self.tos);
            }
            // A flag that streams have and nothing asks for.
            SocketOption::Broadcast => {}
            SocketOption::ReuseAddr => self.reuse_address = flag,
            SocketOption::ReusePort => self.reuse_port = flag,
            SocketOption::Priority if !(0..=PRIORITY_MAX).contains(&value) => return Err(EPERM),
            SocketOption::Priority => self.priority = Priority(value as u8),
            SocketOption::KeepAlive => self.keep_alive = flag,
            SocketOption::KeepIdle => self.keep_idle = within(value, 1, KEEP_SECONDS_MAX)? as u16,
            SocketOption::KeepInterval => self.keep_interval = within(value, 1, KEEP_SECONDS_MAX)? as u16,
            SocketOption::KeepCount => self.keep_count = within(value, 1, COUNT_MAX)? as u8,
            SocketOption::SynCount => self.syn_count = within(value, 1, COUNT_MAX)? as u8,
            SocketOption::UserTimeout => self.user_timeout = within(value, 0, i32::MAX)?,
            SocketOption::Linger => self.linger = (value >= 0).then_some(value.min(u16::MAX.into()) as u16),
            SocketOption::Congestion => self.congestion = congestion(value)?,
            SocketOption::MaxSegment if value == 0 => self.max_segment = 0,
            SocketOption::MaxSegment => {
                self.max_segment = within(value, Mss::RECEIVED_MIN.bytes().into(), MAX_SEGMENT_MAX)? as u16;
            }
            // Nothing is kept of it: it is about the present of a connection.
            SocketOption::QuickAck => {}
            SocketOption::DeferAccept => self.defer_accept = value.clamp(0, u16::MAX.into()) as u16,
            SocketOption::FastOpen if matches!(role, Role::Connection(_)) => return Err(EINVAL),
            SocketOption::FastOpen => {
                self.fast_open_queue = within(value, 0, i32::MAX)?.min(settings.somaxconn).min(u16::MAX.into()) as u16;
            }
            SocketOption::FastOpenConnect => self.set_fast_open_connect(settings, role, value)?,
            SocketOption::FastOpenNoCookie if matches!(role, Role::Connection(_)) => return Err(EINVAL),
            SocketOption::FastOpenNoCookie => self.fast_open_no_cookie = within(value, 0, 1)? != 0,
            SocketOption::FreeBind => self.free_bind = flag,
            SocketOption::BindAddressNoPort => self.bind_address_no_port = flag,
            SocketOption::LocalPortRange => self.local_ports = port_range(value)?,
            SocketOption::MtuDiscover => self.mtu_discover = MtuDiscover::of(value).ok_or(EINVAL)?,
            SocketOption::NotSentLowat => self.notsent_lowat = value.cast_unsigned(),
            SocketOption::SendBuffer => self.send_buffer = buffer(value, largest, SEND_BUFFER_MIN),
            SocketOption::ReceiveBuffer => self.receive_buffer = buffer(value, largest, RECEIVE_BUFFER_MIN),
            SocketOption::Linger2 if value < 0 => self.linger2 = -1,
            SocketOption::Linger2 => self.linger2 = value.min(LINGER2_MAX) as i8,
            SocketOption::RtoMax => {
                self.rto_max_ms = within(value, RTO_MAX_MIN.as_millis() as i32, RTO_MAX.as_millis() as i32)?;
            }
            SocketOption::WindowClamp if value == 0 && role != Role::Closed => return Err(EINVAL),
            SocketOption::WindowClamp if value == 0 => self.window_clamp = 0,
            SocketOption::WindowClamp => {
                self.window_clamp = value.max((RECEIVE_BUFFER_MIN / 2) as i32).unsigned_abs();
            }
        }
        Ok(())
    }

    fn set_fast_open_connect(&mut self, settings: &Settings, role: Role, value: i32) -> Result<(), i32> {
        let wanted = within(value, 0, 1)? != 0;
        if !settings.client_fast_open() {
            return Err(EOPNOTSUPP);
        }
        if role != Role::Closed {
            return Err(EINVAL);
        }
        self.fast_open_connect = wanted;
        Ok(())
    }

    /// The value of `option`, as a socket without connection has it.
    pub fn get(&self, settings: &Settings, option: SocketOption) -> i32 {
        let number = |value: u32| value.min(i32::MAX.unsigned_abs()) as i32;
        let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        match option {
            SocketOption::Ttl => self.ttl.into(),
            SocketOption::Tos => self.tos.into(),
            SocketOption::Broadcast => 0,
            SocketOption::ReuseAddr => self.reuse_address.into(),
            SocketOption::ReusePort => self.reuse_port.into(),
            SocketOption::Priority => self.priority.0.into(),
            SocketOption::KeepAlive => self.keep_alive.into(),
            SocketOption::KeepIdle => seconds(self.keep_idle(settings)),
            SocketOption::KeepInterval => seconds(self.keep_interval(settings)),
            SocketOption::KeepCount => self.keep_count.into(),
            SocketOption::SynCount if self.syn_count == 0 => settings.syn_retries.into(),
            SocketOption::SynCount => self.syn_count.into(),
            SocketOption::UserTimeout => number(self.user_timeout),
            SocketOption::Linger => self.linger.map_or(-1, i32::from),
            SocketOption::Congestion => name_of(self.congestion).number(),
            SocketOption::MaxSegment if self.max_segment == 0 => Mss::DEFAULT.bytes().into(),
            SocketOption::MaxSegment => self.max_segment.into(),
            SocketOption::QuickAck => 1,
            SocketOption::DeferAccept => number(seconds_of(retries_in(self.defer_accept.into()))),
            SocketOption::FastOpen => self.fast_open_queue.into(),
            SocketOption::FastOpenConnect => self.fast_open_connect.into(),
            SocketOption::FastOpenNoCookie => self.fast_open_no_cookie.into(),
            SocketOption::FreeBind => self.free_bind.into(),
            SocketOption::BindAddressNoPort => self.bind_address_no_port.into(),
            SocketOption::LocalPortRange => {
                (u32::from(self.local_ports.1) << 16 | u32::from(self.local_ports.0)).cast_signed()
            }
            SocketOption::MtuDiscover => self.mtu_discover as i32,
            SocketOption::NotSentLowat => self.notsent_lowat.cast_signed(),
            SocketOption::SendBuffer if self.send_buffer == 0 => number(settings.wmem.initial),
            SocketOption::SendBuffer => number(self.send_buffer),
            SocketOption::ReceiveBuffer if self.receive_buffer == 0 => number(settings.rmem.initial),
            SocketOption::ReceiveBuffer => number(self.receive_buffer),
            SocketOption::Linger2 if self.linger2 == 0 => settings.fin_timeout.as_secs().min(i32::MAX as u64) as i32,
            SocketOption::Linger2 => self.linger2.into(),
            SocketOption::RtoMax => number(self.rto_max(settings).as_millis() as u32),
            SocketOption::WindowClamp => number(self.window_clamp),
        }
    }

    /// Gives the rings of `slot` the sizes that a program fixed, and the mark of `TCP_NOTSENT_LOWAT`.
    pub fn fit_rings(&self, end: &mut LaneEnd, slot: u32) {
        end.set_notsent_lowat(slot, self.notsent_lowat);
        if self.send_buffer > 0 {
            end.tx_resize(slot, send_ring_of(self.send_buffer).min(end.config().stream_tx_bytes));
        }
        if self.receive_buffer > 0 {
            end.rx_resize(slot, ring_of(self.receive_buffer).min(end.config().stream_rx_bytes));
        }
    }
}

/// Large writes cost little more than their bytes, so that Linux takes nearly all of the doubled size, and the rest of one buffer.
pub(super) fn send_ring_of(buffer: u32) -> u32 {
    const BUFFER_BYTES: u32 = 65_536;
    buffer.saturating_add(BUFFER_BYTES).next_power_of_two()
}

/// A buffer as Linux counts it is twice what the program asked for, to have room for bookkeeping; our rings need none.
fn ring_of(buffer: u32) -> u32 {
    (buffer / 2).next_power_of_two()
}

fn buffer(value: i32, largest: u32, min: u32) -> u32 {
    match value.max(0).unsigned_abs() {
        0 => 0,
        bytes => bytes.min(largest).saturating_mul(2).max(min),
    }
}

fn within(value: i32, min: i32, max: i32) -> Result<u32, i32> {
    if (min..=max).contains(&value) { Ok(value.unsigned_abs()) } else { Err(EINVAL) }
}

/// Both ends, of which 0 is none.
fn port_range(value: i32) -> Result<(u16, u16), i32> {
    let (low, high) = (value as u16, (value.cast_unsigned() >> 16) as u16);
    if low != 0 && high != 0 && low > high { Err(EINVAL) } else { Ok((low, high)) }
}

fn congestion(value: i32) -> Result<Kind, i32> {
    CongestionName::of(value).and_then(|name| Kind::by_name(name.name())).ok_or(ENOENT)
}

fn name_of(kind: Kind) -> CongestionName {
    match kind {
        Kind::Cubic => CongestionName::Cubic,
        Kind::Reno => CongestionName::Reno,
        Kind::Dctcp => CongestionName::Dctcp,
    }
}

impl Connection {
    /// What `option` does to a connection that runs; its value is in the configuration already.
    pub fn apply_option(&mut self, ctx: &mut Ctx<'_>, option: SocketOption, value: i32, before: &Config) {
        match option {
            SocketOption::KeepAlive if self.config.keep_alive && !before.keep_alive => self.start_keep_alive(ctx),
            SocketOption::KeepAlive if !self.config.keep_alive && self.state.is_synchronized() => {
                // In FIN_WAIT2 of an orphan the timer is for its end; a program has no orphans.
                self.deadlines.disarm(Timer::KeepAlive);
            }
            SocketOption::KeepIdle if self.config.keep_alive => self.start_keep_alive(ctx),
            SocketOption::Congestion => self.congestion.set_kind(self.config.congestion),
            SocketOption::QuickAck => self.set_quick_ack(value),
            SocketOption::WindowClamp => {
                self.receive.clamp = self.config.window_clamp;
                self.receive.threshold = self.receive.threshold.min(self.receive.clamp);
            }
            SocketOption::ReceiveBuffer if self.config.receive_buffer > 0 => {
                self.receive.buffer = self.config.receive_buffer;
            }
            SocketOption::UserTimeout => self.pending.send = true,
            SocketOption::MtuDiscover => self.choose_fragmentation(ctx),
            SocketOption::RtoMax => self.rtt = self.rtt.with_max(self.config.rto_max(&ctx.commons.settings)),
            _ => {}
        }
        if let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut())
            && matches!(option, SocketOption::NotSentLowat | SocketOption::SendBuffer | SocketOption::ReceiveBuffer)
        {
            self.config.fit_rings(end, owner.slot);
        }
    }

    /// `tcp_set_keepalive`, `tcp_sock_set_keepidle_locked`: what is left of the idle time (`keepalive_time_elapsed`).
    fn start_keep_alive(&mut self, ctx: &mut Ctx<'_>) {
        let idle = self.config.keep_idle(&ctx.commons.settings);
        let at = (self.heard_at.max(self.ack.last_data_at) + idle).max(ctx.now);
        self.deadlines.arm(&mut ctx.commons.wheel, self.id.index, Timer::KeepAlive, at);
    }

    /// `__tcp_sock_set_quickack`.
    fn set_quick_ack(&mut self, value: i32) {
        if value & 1 == 0 {
            self.ack.begin_turns();
        } else {
            self.ack.end_turns();
        }
        let may_answer = matches!(self.state, State::Established | State::CloseWait);
        if value != 0 && may_answer && self.ack.scheduled {
            self.pending.ack_now = true;
        }
    }

    /// The value of `option` where a connection knows better than its configuration.
    pub fn option(&self, settings: &Settings, option: SocketOption) -> i32 {
        match option {
            SocketOption::MaxSegment => self.send.mss.into(),
            SocketOption::QuickAck => (!self.ack.is_by_turns()).into(),
            SocketOption::Congestion => name_of(self.congestion.kind()).number(),
            SocketOption::WindowClamp => self.receive.clamp.min(i32::MAX.unsigned_abs()) as i32,
            SocketOption::ReceiveBuffer => self.receive.buffer.min(i32::MAX.unsigned_abs()) as i32,
            _ => self.config.get(settings, option),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_refused_as_in_linux() {
        let settings = Settings::default();
        let refused = [
            (SocketOption::Ttl, 0, EINVAL),
            (SocketOption::Ttl, 256, EINVAL),
            (SocketOption::Priority, 7, EPERM),
            (SocketOption::KeepIdle, 0, EINVAL),
            (SocketOption::KeepIdle, 32_768, EINVAL),
            (SocketOption::KeepInterval, 0, EINVAL),
            (SocketOption::KeepCount, 128, EINVAL),
            (SocketOption::SynCount, 0, EINVAL),
            (SocketOption::UserTimeout, -1, EINVAL),
            (SocketOption::MaxSegment, 87, EINVAL),
            (SocketOption::MaxSegment, 32_768, EINVAL),
            (SocketOption::Congestion, CongestionName::Bbr.number(), ENOENT),
            (SocketOption::Congestion, 77, ENOENT),
            (SocketOption::FastOpen, -1, EINVAL),
            (SocketOption::FastOpenConnect, 2, EINVAL),
            (SocketOption::FastOpenNoCookie, 2, EINVAL),
            (SocketOption::RtoMax, 999, EINVAL),
            (SocketOption::RtoMax, 120_001, EINVAL),
        ];
        for (option, value, errno) in refused {
            let mut config = Config::new(&settings);
            assert_eq!(config.set(&settings, Role::Closed, option, value, 1 << 20), Err(errno), "{option:?} {value}");
            assert_eq!(config, Config::new(&settings), "{option:?} changed something");
        }
        let mut config = Config::new(&settings);
        let live = Role::Connection(State::Established);
        assert_eq!(config.set(&settings, live, SocketOption::FastOpenConnect, 1, 0), Err(EINVAL));
        assert_eq!(config.set(&settings, live, SocketOption::FastOpen, 1, 0), Err(EINVAL));
        assert_eq!(config.set(&settings, live, SocketOption::WindowClamp, 0, 0), Err(EINVAL));
    }

    #[test]
    fn what_was_set_is_read_as_linux_shows_it() {
        let settings = Settings::default();
        let mut config = Config::new(&settings);
        let shown = [
            (SocketOption::Ttl, -1, 64),
            (SocketOption::Tos, 0x13, 0x10),
            (SocketOption::ReuseAddr, 5, 1),
            (SocketOption::ReusePort, 1, 1),
            (SocketOption::KeepAlive, 1, 1),
            (SocketOption::KeepIdle, 30, 30),
            (SocketOption::Linger, -5, -1),
            (SocketOption::Linger, 3, 3),
            (SocketOption::Congestion, 2, 2),
            (SocketOption::MaxSegment, 1000, 1000),
            (SocketOption::SendBuffer, 10_000, 20_000),
            (SocketOption::SendBuffer, 1, 4608),
            (SocketOption::ReceiveBuffer, 1 << 30, 2 << 20),
            (SocketOption::ReceiveBuffer, 0, 131_072),
            (SocketOption::WindowClamp, 1, 1152),
            (SocketOption::NotSentLowat, 4096, 4096),
            (SocketOption::FastOpen, 70_000, 4096),
            (SocketOption::Linger2, -3, -1),
            (SocketOption::Linger2, 120, 120),
            (SocketOption::Linger2, 121, 120),
            (SocketOption::Linger2, 0, 60),
            (SocketOption::DeferAccept, 1, 1),
            (SocketOption::DeferAccept, 5, 7),
            (SocketOption::DeferAccept, 0, 0),
            (SocketOption::RtoMax, 1000, 1000),
        ];
        for (option, value, expected) in shown {
            assert_eq!(config.set(&settings, Role::Closed, option, value, 1 << 20), Ok(()), "{option:?}");
            assert_eq!(config.get(&settings, option), expected, "{option:?} {value}");
        }
        assert_eq!(config.priority, Priority::INTERACTIVE);
    }
}
