//! `[tcp]`: what an administrator sets for all connections. Names and defaults are those of Linux's `net.ipv4.tcp_*`
//! where there is such a setting; what is not here has Linux's default.

use super::{ByteSize, Span};
use serde::Deserialize;
use xmit_dataplane::tcp::congestion::Kind;
use xmit_dataplane::tcp::settings::{BufferSizes, EcnMode, MtuProbing};
use xmit_dataplane::tcp::{Capacity, Settings};

/// `[tcp]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tcp {
    /// Connections of one lane. Default 65536: as many as one address has ports; memory is taken when they come.
    pub connections_max: u32,
    /// Half-open connections of one lane. Default 16384: what a flood of SYNs may take before cookies answer it.
    pub half_open_max: u32,
    /// Connections in TIME_WAIT of one lane; more end at once. Default 65536.
    pub time_waits_max: u32,
    /// Half-open connections of one listener, where `syncookies` is 0; else its backlog bounds them. Default 4096.
    pub max_syn_backlog: u32,
    /// The most that a program may ask for in `listen`. Default 4096.
    pub somaxconn: u32,
    /// SYN cookies: 0 never, 1 (default) when a queue is full, 2 always.
    pub syncookies: u8,
    /// `"cubic"` (default), `"reno"` or `"dctcp"`, for sockets that do not choose.
    pub congestion_control: String,
    /// Explicit congestion notification: 0 never, 1 asked for, 2 (default) granted to peers that ask.
    pub ecn: u8,
    /// Timestamps (RFC 7323). Default true: better estimates, and old segments are told from new ones.
    pub timestamps: bool,
    /// Selective acknowledgements. Default true.
    pub sack: bool,
    /// Windows beyond 64 KiB. Default true.
    pub window_scaling: bool,
    /// Fast Open: 1 (default) as client, 2 as server, 3 both, 0 never.
    pub fastopen: u32,
    /// The path MTU is searched by probes: 0 (default) never, 1 when large segments seem to vanish, 2 always.
    pub mtu_probing: u8,
    /// The segment size that such a search begins with. Default 1024.
    pub base_mss: u16,
    /// After so long a search looks again whether the path takes more. Default `"10min"`.
    pub probe_interval: Span,
    /// A connection that was idle begins slowly again. Default true; false suits long-lived request connections.
    pub slow_start_after_idle: bool,
    /// Every connection is paced. Default false: Linux does so only with the fq discipline.
    pub pacing: bool,
    /// SYNs sent again before a connect fails. Default 6: 127 seconds.
    pub syn_retries: u8,
    /// SYN-ACKs sent again before a half-open connection is forgotten. Default 5: 63 seconds.
    pub synack_retries: u8,
    /// Timeouts of data before a connection is given up. Default 15: about 15 minutes.
    pub retries2: u8,
    /// How long an orphan waits for the peer's FIN. Default `"60s"`.
    pub fin_timeout: Span,
    /// Idle time before the first keepalive probe, for sockets with `SO_KEEPALIVE`. Default `"120min"`.
    pub keepalive_time: Span,
    /// Time between two probes. Default `"75s"`.
    pub keepalive_intvl: Span,
    /// Unanswered probes before a connection is given up. Default 9.
    pub keepalive_probes: u8,
    /// A new connection may follow one in TIME_WAIT: 0 never, 1 by timestamps, 2 (default) in this host only.
    pub tw_reuse: u8,
    /// How old that one must be at least. Default `"1s"`.
    pub tw_reuse_delay: Span,
    /// Connections of programs that are gone, of one lane. Default 8192.
    pub max_orphans: u32,
    /// The most that a receive buffer grows to; its ring is the next power of two. Default `"6MiB"`.
    pub rmem_max: ByteSize,
    /// The most that a send buffer grows to; its ring is the next power of two. Default `"4MiB"`.
    pub wmem_max: ByteSize,
    /// First and last port of connections that name none (`ip_local_port_range`), of UDP too. Default `[32768, 60999]`.
    pub local_port_range: [u16; 2],
}

impl Default for Tcp {
    fn default() -> Self {
        let (settings, capacity) = (Settings::default(), Capacity::DEFAULT);
        Self {
            connections_max: capacity.connections as u32,
            half_open_max: capacity.requests as u32,
            time_waits_max: capacity.time_waits as u32,
            max_syn_backlog: settings.max_syn_backlog,
            somaxconn: settings.somaxconn,
            syncookies: settings.syncookies,
            congestion_control: settings.congestion_control.name().to_owned(),
            ecn: 2,
            timestamps: settings.timestamps,
            sack: settings.sack,
            window_scaling: settings.window_scaling,
            fastopen: settings.fastopen,
            mtu_probing: 0,
            base_mss: settings.base_mss,
            probe_interval: Span(settings.probe_interval),
            slow_start_after_idle: settings.slow_start_after_idle,
            pacing: settings.pacing,
            syn_retries: settings.syn_retries,
            synack_retries: settings.synack_retries,
            retries2: settings.retries2,
            fin_timeout: Span(settings.fin_timeout),
            keepalive_time: Span(settings.keepalive_time),
            keepalive_intvl: Span(settings.keepalive_intvl),
            keepalive_probes: settings.keepalive_probes,
            tw_reuse: settings.tw_reuse,
            tw_reuse_delay: Span(settings.tw_reuse_delay),
            max_orphans: settings.max_orphans,
            rmem_max: ByteSize(settings.rmem.max.into()),
            wmem_max: ByteSize(settings.wmem.max.into()),
            local_port_range: settings.ip_local_port_range.into(),
        }
    }
}

/// Segments in flight that a connection has on average, at most.
const SEGMENTS_EACH: usize = 4;

impl Tcp {
    /// What a lane makes room for.
    pub fn capacity(&self) -> Capacity {
        let connections = self.connections_max as usize;
        Capacity {
            connections,
            requests: self.half_open_max as usize,
            time_waits: self.time_waits_max as usize,
            segments: (SEGMENTS_EACH * connections).max(Capacity::SMALL.segments),
            ranges: connections.max(Capacity::SMALL.ranges),
            marks: connections.max(Capacity::SMALL.marks),
        }
    }

    /// The largest rings of a stream: sending, receiving.
    pub fn rings(&self) -> (u32, u32) {
        let ring = |size: ByteSize| u32::try_from(size.0.next_power_of_two()).unwrap_or(1 << 30);
        (ring(self.wmem_max), ring(self.rmem_max))
    }

    /// The settings of every lane.
    pub fn settings(&self) -> Settings {
        let defaults = Settings::default();
        let bytes = |size: ByteSize| u32::try_from(size.0).unwrap_or(u32::MAX);
        let grow = |sizes: BufferSizes, max: u32| BufferSizes { initial: sizes.initial.min(max), max, ..sizes };
        Settings {
            max_tw_buckets: self.time_waits_max,
            max_syn_backlog: self.max_syn_backlog,
            somaxconn: self.somaxconn,
            syncookies: self.syncookies,
            congestion_control: Kind::by_name(&self.congestion_control).unwrap_or_default(),
            ecn: [EcnMode::Off, EcnMode::On, EcnMode::Passive][usize::from(self.ecn.min(2))],
            timestamps: self.timestamps,
            sack: self.sack,
            window_scaling: self.window_scaling,
            fastopen: self.fastopen,
            mtu_probing: [MtuProbing::Off, MtuProbing::BlackHole, MtuProbing::Always]
                [usize::from(self.mtu_probing.min(2))],
            base_mss: self.base_mss,
            probe_interval: self.probe_interval.0,
            slow_start_after_idle: self.slow_start_after_idle,
            pacing: self.pacing,
            syn_retries: self.syn_retries,
            synack_retries: self.synack_retries,
            retries2: self.retries2,
            fin_timeout: self.fin_timeout.0,
            keepalive_time: self.keepalive_time.0,
            keepalive_intvl: self.keepalive_intvl.0,
            keepalive_probes: self.keepalive_probes,
            tw_reuse: self.tw_reuse,
            tw_reuse_delay: self.tw_reuse_delay.0,
            max_orphans: self.max_orphans,
            rmem: grow(defaults.rmem, bytes(self.rmem_max)),
            wmem: grow(defaults.wmem, bytes(self.wmem_max)),
            ip_local_port_range: self.local_port_range.into(),
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_line_everything_is_as_in_linux() {
        let tcp = Tcp::default();
        let settings = Settings { max_tw_buckets: tcp.time_waits_max, ..Settings::default() };
        assert_eq!(tcp.settings(), settings);
        assert_eq!((tcp.capacity(), tcp.rings()), (Capacity::DEFAULT, (4 << 20, 8 << 20)));
    }
}
