//! `TCP_INFO` (`tcp_get_info`).

use super::connection::{Connection, FastOpenState};
use super::rtt::micros;
use super::state::State;
use crate::Instant;
use xmit_shared::session::TcpInfo;

/// Bits of `tcpi_options`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WINDOW_SCALE: u8 = 4;
const ECN: u8 = 8;
const SYN_DATA: u8 = 32;

impl Connection {
    /// The figures at `now`.
    pub fn info(&self, settings: &super::settings::Settings, now: Instant) -> TcpInfo {
        let mut info = TcpInfo::default();
        self.tell_state(&mut info);
        self.tell_sender(&mut info);
        self.tell_receiver(&mut info);
        self.tell_ages(&mut info, now);
        self.tell_rates(&mut info, settings, now);
        self.tell_counts(&mut info);
        info
    }

    fn tell_state(&self, info: &mut TcpInfo) {
        info.state = self.state as u8;
        info.ca_state = self.recovery.phase() as u8;
        info.retransmits = self.retransmits;
        info.probes = self.probes;
        info.backoff = self.rtt.backoff().max(self.probe_backoff);
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        info.options = bit(self.agreed.timestamps, TIMESTAMPS)
            | bit(self.agreed.sack, SACK)
            | bit(self.agreed.window_scaling, WINDOW_SCALE)
            | bit(self.agreed.ecn, ECN)
            | bit(self.syn_data_acked || self.fast_open == FastOpenState::DataTaken, SYN_DATA);
        if self.agreed.window_scaling {
            info.wscales = self.send.scale.shift() | self.receive.scale.shift() << 4;
        }
        info.app_limited_fastopen_fail = u8::from(self.stats.rate_app_limited);
    }

    fn tell_sender(&self, info: &mut TcpInfo) {
        info.rto = micros(self.rtt.rto());
        info.snd_mss = self.send.mss.into();
        info.unacked = self.sent.segments();
        info.sacked = self.sent.sacked();
        info.lost = self.sent.lost();
        info.retrans = self.sent.retransmitted();
        info.pmtu = self.send.pmtu.into();
        info.rtt = self.rtt.srtt().map_or(0, micros);
        info.rttvar = self.rtt.rttvar().map_or(micros(super::rtt::RTO_INITIAL) / 4, micros);
        info.min_rtt = self.rtt.min_rtt().map_or(u32::MAX, micros);
        info.snd_ssthresh = self.congestion.ssthresh();
        info.snd_cwnd = self.congestion.cwnd();
        info.reordering = self.recovery.rack().reordering();
        info.total_retrans = self.sent.total_retransmits();
        info.snd_wnd = self.send.wnd.0;
        info.notsent_bytes =
            if self.state == State::Closed { 0 } else { self.send.end.distance(self.send.nxt).max(0) as u32 };
    }

    fn tell_receiver(&self, info: &mut TcpInfo) {
        info.ato = u32::from(self.ack.ato_ms) * 1000;
        info.rcv_mss = self.ack.segment_size.into();
        info.advmss = self.receive.advertised_mss.into();
        info.rcv_ssthresh = self.receive.threshold;
        info.rcv_rtt = self.receive.rtt_8 >> 3;
        info.rcv_space = self.tuning.space;
        info.rcv_wnd = self.receive.wnd.0;
        info.rcv_ooopack = self.rare.rcv_ooopack;
    }

    fn tell_ages(&self, info: &mut TcpInfo, now: Instant) {
        let age = |since: Instant| u32::try_from(now.saturating_since(since).as_millis()).unwrap_or(u32::MAX);
        info.last_data_sent = age(self.send.last_at);
        info.last_data_recv = age(self.ack.last_data_at);
        info.last_ack_recv = age(self.heard_at);
    }

    fn tell_rates(&self, info: &mut TcpInfo, settings: &super::settings::Settings, now: Instant) {
        info.pacing_rate = self.pacing_rate(settings, self.sent.segments()).unwrap_or(u64::MAX);
        info.max_pacing_rate = self.config.max_pacing_rate;
        let [busy, window, buffer] = self.limited.times(now).map(|time| time.as_micros() as u64);
        (info.busy_time, info.rwnd_limited, info.sndbuf_limited) = (busy, window, buffer);
        if self.stats.rate_micros > 0 {
            let bytes = u64::from(self.stats.rate_segments) * u64::from(self.send.mss);
            info.delivery_rate = bytes * 1_000_000 / u64::from(self.stats.rate_micros);
        }
    }

    fn tell_counts(&self, info: &mut TcpInfo) {
        let stats = &self.stats;
        info.bytes_acked = stats.bytes_acked;
        info.bytes_received = stats.bytes_received;
        info.bytes_sent = stats.bytes_sent;
        info.bytes_retrans = self.rare.bytes_retrans;
        info.segs_out = stats.segs_out;
        info.segs_in = stats.segs_in;
        info.data_segs_in = stats.data_segs_in;
        info.data_segs_out = stats.data_segs_out;
        info.delivered = self.sent.delivered();
        info.delivered_ce = self.rare.delivered_ce;
        info.dsack_dups = self.rare.dsack_dups;
        info.reord_seen = self.recovery.rack().late();
        info.total_rto = self.rare.total_rto;
    }
}
