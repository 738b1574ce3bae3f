//! What a program sets for one socket; a connection inherits its listener's.
//!
//! Sockets with the same options share one [`Config`]: connections hold their listener's, new sockets what [`Configs`] has. It is never
//! changed; a socket whose options change gets another.

use super::congestion::Kind;
use super::settings::Settings;
use crate::Duration;
use crate::qdisc::Priority;
use std::sync::Arc;

/// Whether segments may be fragmented on their way (`IP_MTU_DISCOVER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuDiscover {
    /// `IP_PMTUDISC_DONT`: they may, and what routers say of the path is not heard.
    Dont = 0,
    /// `IP_PMTUDISC_WANT`: segments fit the path, unless it takes less than `min_pmtu`.
    Want = 1,
    /// `IP_PMTUDISC_DO`: they are never cut.
    Do = 2,
}

impl MtuDiscover {
    /// Segments carry DF (`ip_dont_fragment`); `locked`: the path takes less than is believed of any.
    pub(super) fn forbids_cutting(self, locked: bool) -> bool {
        match self {
            Self::Dont => false,
            Self::Want => !locked,
            Self::Do => true,
        }
    }

    /// By its number.
    pub(super) fn of(number: i32) -> Option<Self> {
        [Self::Dont, Self::Want, Self::Do].into_iter().find(|known| *known as i32 == number)
    }
}

/// The options of one socket, or of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `SO_MAX_PACING_RATE`, bytes a second; `u64::MAX`: none, and the socket is not paced for itself.
    pub max_pacing_rate: u64,
    /// `TCP_KEEPIDLE`, seconds; 0: the system's.
    pub keep_idle: u16,
    /// `TCP_KEEPINTVL`, seconds; 0: the system's.
    pub keep_interval: u16,
    /// `TCP_USER_TIMEOUT`, milliseconds; 0: `tcp_retries2` decides.
    pub user_timeout: u32,
    /// `SO_LINGER`, seconds; `None`: off.
    pub linger: Option<u16>,
    /// `TCP_DEFER_ACCEPT`, seconds; 0: off.
    pub defer_accept: u16,
    /// `SO_SNDBUF` as Linux counts it (doubled); 0: grows by itself.
    pub send_buffer: u32,
    /// `SO_RCVBUF` as Linux counts it (doubled); 0: grows by itself.
    pub receive_buffer: u32,
    /// `TCP_WINDOW_CLAMP`, bytes; 0: none.
    pub window_clamp: u32,
    /// `TCP_NOTSENT_LOWAT`, bytes; 0: the system's.
    pub notsent_lowat: u32,
    /// `TCP_RTO_MAX_MS`; 0: the system's.
    pub rto_max_ms: u32,
    /// `TCP_MAXSEG`; 0: the path's.
    pub max_segment: u16,
    /// `TCP_FASTOPEN` of a listener: the most connections begun with data and not finished; 0: off.
    pub fast_open_queue: u16,
    /// `TCP_KEEPCNT`.
    pub keep_count: u8,
    /// `TCP_SYNCNT`; 0: the system's.
    pub syn_count: u8,
    /// `IP_TTL`.
    pub ttl: u8,
    /// `IP_TOS`.
    pub tos: u8,
    /// `SO_PRIORITY`.
    pub priority: Priority,
    /// `TCP_CONGESTION`.
    pub congestion: Kind,
    /// `SO_KEEPALIVE`.
    pub keep_alive: bool,
    /// `SO_REUSEADDR`.
    pub reuse_address: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// `IP_FREEBIND`.
    pub free_bind: bool,
    /// `IP_BIND_ADDRESS_NO_PORT`.
    pub bind_address_no_port: bool,
    /// `IP_LOCAL_PORT_RANGE`; 0 for an end that is the system's.
    pub local_ports: (u16, u16),
    /// `IP_MTU_DISCOVER`.
    pub mtu_discover: MtuDiscover,
    /// `TCP_LINGER2`: seconds that an orphan waits in FIN_WAIT2; 0: the system's, -1: not at all.
    pub linger2: i8,
    /// `TCP_FASTOPEN_CONNECT`.
    pub fast_open_connect: bool,
    /// `TCP_FASTOPEN_NO_COOKIE`.
    pub fast_open_no_cookie: bool,
}

impl Config {
    /// The ports that a connect chooses from (`inet_sk_get_local_port_range`): the system's, as far as the socket's own lie within.
    pub fn port_range(&self, (low, high): (u16, u16)) -> (u16, u16) {
        let (wanted_low, wanted_high) = self.local_ports;
        let within = |port: u16, other: u16| if (low..=high).contains(&port) { port } else { other };
        (within(wanted_low, low), within(wanted_high, high))
    }

    /// How long a peer may be silent before it is asked (`keepalive_time_when`).
    pub fn keep_idle(&self, settings: &Settings) -> Duration {
        seconds_or(self.keep_idle, settings.keepalive_time)
    }

    /// Until it is asked again (`keepalive_intvl_when`).
    pub fn keep_interval(&self, settings: &Settings) -> Duration {
        seconds_or(self.keep_interval, settings.keepalive_intvl)
    }

    /// The longest timeout (`tcp_rto_max`).
    pub fn rto_max(&self, settings: &Settings) -> Duration {
        if self.rto_max_ms == 0 { settings.rto_longest() } else { Duration::from_millis(self.rto_max_ms.into()) }
    }

    /// Of a new socket.
    pub fn new(settings: &Settings) -> Self {
        Self {
            max_pacing_rate: u64::MAX,
            keep_idle: 0,
            keep_interval: 0,
            user_timeout: 0,
            linger: None,
            defer_accept: 0,
            send_buffer: 0,
            receive_buffer: 0,
            window_clamp: 0,
            notsent_lowat: 0,
            rto_max_ms: 0,
            max_segment: 0,
            fast_open_queue: 0,
            keep_count: settings.keepalive_probes,
            syn_count: 0,
            ttl: settings.ip_default_ttl,
            tos: 0,
            priority: Priority::BEST_EFFORT,
            congestion: settings.congestion_control,
            keep_alive: false,
            reuse_address: false,
            reuse_port: false,
            free_bind: false,
            bind_address_no_port: false,
            local_ports: (0, 0),
            mtu_discover: if settings.ip_no_pmtu_disc { MtuDiscover::Dont } else { MtuDiscover::Want },
            linger2: 0,
            fast_open_connect: false,
            fast_open_no_cookie: false,
        }
    }
}

fn seconds_or(own: u16, system: Duration) -> Duration {
    if own == 0 { system } else { Duration::from_secs(own.into()) }
}

/// Options that a lane's sockets were given last, to be found again: programs give all their sockets the same.
#[derive(Debug, Default)]
pub struct Configs {
    known: [Option<Arc<Config>>; Self::KNOWN],
    /// The one that makes room next.
    next: usize,
}

impl Configs {
    /// A few kinds of sockets for each of a few programs.
    const KNOWN: usize = 8;

    /// `config`, shared with the sockets that were given the same of late. May allocate: for calls of the program, not for packets.
    pub fn share(&mut self, config: Config) -> Arc<Config> {
        if let Some(known) = self.known.iter().flatten().find(|known| ***known == config) {
            return Arc::clone(known);
        }
        let shared = Arc::new(config);
        self.known[self.next] = Some(Arc::clone(&shared));
        self.next = (self.next + 1) % Self::KNOWN;
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_options_are_one_and_others_are_forgotten_in_turn() {
        let (mut configs, plain) = (Configs::default(), Config::new(&Settings::default()));
        let first = configs.share(plain);
        let kept = configs.share(Config { keep_alive: true, ..plain });
        assert!(Arc::ptr_eq(&first, &configs.share(plain)) && !Arc::ptr_eq(&first, &kept));
        for ttl in 0..Configs::KNOWN as u8 {
            configs.share(Config { ttl, keep_count: 1, ..plain });
        }
        let again = configs.share(plain);
        assert!(*again == *first && !Arc::ptr_eq(&again, &first));
        assert_eq!(Arc::strong_count(&first), 1, "nothing but its sockets keeps it");
    }
}
