//! What an administrator sets for all connections of a lane (`net.ipv4.tcp_*`), with Linux's defaults.

use super::congestion::Kind;
use crate::Duration;

/// How ECN is used (`tcp_ecn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnMode {
    /// Never (0).
    Off,
    /// Asked for by us and granted to peers (1).
    On,
    /// Granted to peers that ask (2), Linux's default.
    Passive,
}

/// When the path MTU is probed (`tcp_mtu_probing`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuProbing {
    /// Never (0).
    Off,
    /// When a black hole was suspected (1).
    BlackHole,
    /// From the first segment on, from `base_mss` up (2).
    Always,
}

/// A buffer's sizes in bytes: the least, the first, the largest (`tcp_rmem`, `tcp_wmem`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSizes {
    /// Under memory pressure.
    pub min: u32,
    /// Of a new socket.
    pub initial: u32,
    /// What it may grow to.
    pub max: u32,
}

/// How long rows of segments are, as Linux sizes TSO packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSizes {
    /// The least (`tcp_min_tso_segs`).
    pub min_segs: u8,
    /// The shorter the path is beside 2^this microseconds, the longer they are (`tcp_tso_rtt_log`).
    pub rtt_log: u8,
}

/// The settings; each field is named as its sysctl is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of Documentation/networking/ip-sysctl.rst
pub struct Settings {
    pub timestamps: bool,
    /// Each pair of hosts sees a clock of its own (`tcp_timestamps` 1, not 2).
    pub timestamp_offset: bool,
    pub window_scaling: bool,
    pub sack: bool,
    pub dsack: bool,
    pub ecn: EcnMode,
    pub ecn_fallback: bool,
    /// Resends of a SYN (`tcp_syn_retries`).
    pub syn_retries: u8,
    pub synack_retries: u8,
    /// Timeouts after which the path is suspected (`tcp_retries1`).
    pub retries1: u8,
    /// Timeouts after which a connection is given up (`tcp_retries2`).
    pub retries2: u8,
    /// The same for an orphan; 0 means 8 (`tcp_orphan_retries`).
    pub orphan_retries: u8,
    pub max_orphans: u32,
    /// How long an orphan stays in FIN_WAIT2.
    pub fin_timeout: Duration,
    pub keepalive_time: Duration,
    pub keepalive_intvl: Duration,
    pub keepalive_probes: u8,
    /// A TIME_WAIT flow may be taken by a new connection of ours, by timestamps (1); 2: loopback only.
    pub tw_reuse: u8,
    pub tw_reuse_delay: Duration,
    pub max_tw_buckets: u32,
    pub rfc1337: bool,
    pub stdurg: bool,
    pub rmem: BufferSizes,
    pub wmem: BufferSizes,
    pub moderate_rcvbuf: bool,
    /// Linux's share of a receive buffer that is not window: 1 means half (`tcp_adv_win_scale`).
    pub adv_win_scale: i8,
    /// A share of the first window that is kept from the peer, as a shift; 0: not even a segment (`tcp_app_win`).
    pub app_win: u8,
    pub workaround_signed_windows: bool,
    pub slow_start_after_idle: bool,
    /// Segments before the first ACK (RFC 6928); a route's `initcwnd`.
    pub initial_window: u32,
    /// 3: tail loss probes; 0: none (`tcp_early_retrans`).
    pub early_retrans: u8,
    pub reordering: u32,
    pub max_reordering: u32,
    pub frto: bool,
    pub no_metrics_save: bool,
    pub mtu_probing: MtuProbing,
    pub base_mss: u16,
    pub min_snd_mss: u16,
    pub mtu_probe_floor: u16,
    /// After so long a larger MTU is tried again.
    pub probe_interval: Duration,
    /// A search ends when the range is smaller than this.
    pub probe_threshold: u16,
    pub ip_no_pmtu_disc: bool,
    pub min_pmtu: u16,
    pub min_adv_mss: u16,
    pub notsent_lowat: u32,
    /// Bit 0: client, bit 1: server, bit 2: client without cookie, bit 9: server without cookie, bit 10: without option
    /// (`tcp_fastopen`).
    pub fastopen: u32,
    pub fastopen_blackhole_timeout: Duration,
    /// 0 never, 1 when the queue is full, 2 always (`tcp_syncookies`).
    pub syncookies: u8,
    pub max_syn_backlog: u32,
    pub somaxconn: u32,
    pub abort_on_overflow: bool,
    pub rows: RowSizes,
    /// From this many answers of its own on a program counts as one that talks by turns (`tcp_pingpong_thresh`).
    pub pingpong_thresh: u8,
    /// Connections answer with their SYN's type of service (`tcp_reflect_tos`).
    pub reflect_tos: bool,
    /// How long a least round trip counts (`tcp_min_rtt_wlen`).
    pub min_rtt_wlen: Duration,
    pub congestion_control: Kind,
    pub challenge_ack_limit: u32,
    pub invalid_ratelimit: Duration,
    pub pacing_ss_ratio: u32,
    pub pacing_ca_ratio: u32,
    /// Every connection is paced, as if by `SO_MAX_PACING_RATE` and the fq discipline; Linux does so with fq and BBR only.
    pub pacing: bool,
    /// The least variation of the round trip that a timeout counts with (`tcp_rto_min_us`).
    pub rto_min: Duration,
    /// The longest timeout (`tcp_rto_max_ms`); no less than a second counts.
    pub rto_max: Duration,
    pub ip_local_port_range: (u16, u16),
    pub ip_default_ttl: u8,
    /// So many SYNs are sent again at one distance before it doubles (`tcp_syn_linear_timeouts`).
    pub syn_linear_timeouts: u8,
}

impl Settings {
    /// The longest timeout, within what Linux takes.
    pub fn rto_longest(&self) -> Duration {
        self.rto_max.clamp(super::rtt::RTO_MAX_MIN, super::rtt::RTO_MAX)
    }

    /// How much faster than the window alone segments leave, percent: in slow start, later.
    pub fn pacing_percent(&self) -> [u32; 2] {
        [self.pacing_ss_ratio, self.pacing_ca_ratio]
    }

    /// Programs may send data with their SYNs (`TFO_CLIENT_ENABLE`).
    pub fn client_fast_open(&self) -> bool {
        self.fastopen & 1 != 0
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timestamps: true,
            timestamp_offset: true,
            window_scaling: true,
            sack: true,
            dsack: true,
            ecn: EcnMode::Passive,
            ecn_fallback: true,
            syn_retries: 6,
            synack_retries: 5,
            retries1: 3,
            retries2: 15,
            orphan_retries: 0,
            max_orphans: 8192,
            fin_timeout: Duration::from_secs(60),
            keepalive_time: Duration::from_secs(7200),
            keepalive_intvl: Duration::from_secs(75),
            keepalive_probes: 9,
            tw_reuse: 2,
            tw_reuse_delay: Duration::from_secs(1),
            max_tw_buckets: 16_384,
            rfc1337: false,
            stdurg: false,
            rmem: BufferSizes { min: 4096, initial: 131_072, max: 6 << 20 },
            wmem: BufferSizes { min: 4096, initial: 16_384, max: 4 << 20 },
            moderate_rcvbuf: true,
            adv_win_scale: 1,
            app_win: 31,
            workaround_signed_windows: false,
            slow_start_after_idle: true,
            initial_window: 10,
            early_retrans: 3,
            reordering: 3,
            max_reordering: 300,
            frto: true,
            no_metrics_save: false,
            mtu_probing: MtuProbing::Off,
            base_mss: 1024,
            min_snd_mss: 48,
            mtu_probe_floor: 48,
            probe_interval: Duration::from_secs(600),
            probe_threshold: 8,
            ip_no_pmtu_disc: false,
            min_pmtu: 552,
            min_adv_mss: 256,
            notsent_lowat: u32::MAX,
            fastopen: 1,
            fastopen_blackhole_timeout: Duration::ZERO,
            syncookies: 1,
            max_syn_backlog: 4096,
            somaxconn: 4096,
            abort_on_overflow: false,
            rows: RowSizes { min_segs: 2, rtt_log: 9 },
            pingpong_thresh: 1,
            reflect_tos: false,
            min_rtt_wlen: super::min_rtt::WINDOW,
            congestion_control: Kind::Cubic,
            challenge_ack_limit: super::challenge::CHALLENGES_PER_SECOND,
            invalid_ratelimit: super::challenge::INVALID_RATELIMIT,
            pacing_ss_ratio: 200,
            pacing_ca_ratio: 120,
            pacing: false,
            rto_min: super::rtt::RTO_MIN,
            rto_max: super::rtt::RTO_MAX,
            ip_local_port_range: (32_768, 60_999),
            ip_default_ttl: 64,
            syn_linear_timeouts: 4,
        }
    }
}
