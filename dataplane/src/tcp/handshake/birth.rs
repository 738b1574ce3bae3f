//! A new connection: every field, for active and passive opening alike (`tcp_init_sock`, `tcp_connect_init`,
//! `tcp_create_openreq_child`).

use super::initial_window::{Opening, first_buffer};
use crate::Instant;
use crate::tcp::challenge::InvalidLimit;
use crate::tcp::config::Config;
use crate::tcp::congestion::Congestion;
use crate::tcp::connection::{
    AckPolicy, Agreed, Connection, FastOpenState, Pending, RareStats, ReceiveSpace, ReceiveTuning, SendSpace, Stats,
};
use crate::tcp::deadlines::Deadlines;
use crate::tcp::flow::Flow;
use crate::tcp::input::UNPREDICTED;
use crate::tcp::limited::Limited;
use crate::tcp::marks::Marks;
use crate::tcp::mss::Mss;
use crate::tcp::mtu_search::MtuStage;
use crate::tcp::out_of_order::OutOfOrder;
use crate::tcp::part::Part;
use crate::tcp::recovery::Recovery;
use crate::tcp::rtt::RttEstimator;
use crate::tcp::sent::Sent;
use crate::tcp::seq::SeqNum;
use crate::tcp::settings::Settings;
use crate::tcp::state::State;
use crate::tcp::table::ConnectionId;
use crate::tcp::timestamp::TimestampClock;
use crate::tcp::window::{Window, WindowScale};
use std::sync::Arc;

/// The segment size before the peer's is known (`TCP_MSS_DEFAULT`).
const SEGMENT_DEFAULT: u16 = Mss::DEFAULT.bytes();

/// What is known of a connection when it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth<'a> {
    /// The turn's time.
    pub(super) now: Instant,
    /// Between whom.
    pub(super) flow: Flow,
    /// Our initial sequence number.
    pub(super) isn: SeqNum,
    /// Our clock.
    pub(super) clock: TimestampClock,
    /// The path's MTU.
    pub(super) mtu: u16,
    /// It takes less than is believed (`ip_mtu_locked`).
    pub(super) mtu_locked: bool,
    /// What our SYN or SYN-ACK announces.
    pub(super) opening: Opening,
    /// Its MSS option.
    pub(super) advertised_mss: u16,
    /// The identification of its first datagram.
    pub(super) ident: u16,
    /// The socket's options.
    pub(super) config: &'a Arc<Config>,
}

impl Connection {
    /// In SYN_SENT, nothing sent, nothing agreed on.
    pub(super) fn new(id: ConnectionId, settings: &Settings, birth: &Birth<'_>) -> Self {
        let Birth { now, flow, isn, config, .. } = *birth;
        let mut congestion = Congestion::new(config.congestion, now);
        congestion.set_initial_window(settings.initial_window);
        let mut connection = Self {
            flow,
            id,
            owner: None,
            state: State::SynSent,
            pending: Pending::default(),
            row: 0,
            row_len: 0,
            agreed: Agreed::default(),
            prediction: UNPREDICTED,
            send: send_space(birth),
            receive: receive_space(settings, birth),
            ack: AckPolicy {
                scheduled: false,
                pushed: false,
                pushed_twice: false,
                turns_left: settings.pingpong_thresh,
                turns: settings.pingpong_thresh,
                quick: 0,
                retry: 0,
                ato_ms: 0,
                segment_size: SEGMENT_DEFAULT,
                last_segment: 0,
                last_data_at: now,
            },
            clock: birth.clock,
            deadlines: Deadlines::new(),
            sent: Sent::new(),
            rtt: RttEstimator::new(settings.rto_min)
                .with_max(config.rto_max(settings))
                .with_min_window(settings.min_rtt_wlen),
            congestion,
            recovery: Recovery::new(settings.reordering, settings.max_reordering),
            out_of_order: OutOfOrder::new(),
            tuning: ReceiveTuning::default(),
            limited: Limited::default(),
            marks: Marks::new(isn + 1),
            stats: Stats::default(),
            rare: RareStats::default(),
            peer_isn: SeqNum::default(),
            ident: birth.ident,
            retransmits: 0,
            probes: 0,
            probe_backoff: 0,
            stalled_since: None,
            heard_at: now,
            listener: None,
            fast_open: FastOpenState::Off,
            syn_data_acked: false,
            part: Part::Handshake(None),
            invalid: InvalidLimit::default(),
            fin_ahead: None,
            fin_wanted: false,
            closed_by_user: false,
            soft_error: 0,
            begun_at: now,
            config: Arc::clone(config),
        };
        connection.guess_segment_size();
        connection
    }

    /// The peer's segments are taken for small ones until they come (`tcp_initialize_rcv_mss`).
    pub(super) fn guess_segment_size(&mut self) {
        let hint = self.receive.advertised_mss.min(self.send.mss);
        let half_window = (self.receive.wnd.0 / 2).min(u32::from(u16::MAX)) as u16;
        self.ack.segment_size = hint.min(half_window).clamp(Mss::RECEIVED_MIN.bytes(), SEGMENT_DEFAULT);
    }
}

fn send_space(birth: &Birth<'_>) -> SendSpace {
    let first = birth.isn + 1;
    SendSpace {
        una: birth.isn,
        nxt: birth.isn,
        isn: birth.isn,
        end: first,
        pushed: first,
        more: false,
        mtu_stage: MtuStage::Off,
        released: first,
        releases: 0,
        dont_fragment: birth.config.mtu_discover.forbids_cutting(birth.mtu_locked),
        wl1: SeqNum::default(),
        wnd: Window(0),
        wnd_max: Window(0),
        scale: WindowScale::NONE,
        mss: SEGMENT_DEFAULT,
        mss_clamp: if birth.config.max_segment != 0 { birth.config.max_segment } else { u16::MAX },
        pmtu: birth.mtu,
        small_end: birth.isn,
        urgent: None,
        nodelay: false,
        cork: false,
        announce_cwr: false,
        last_at: birth.now,
        pace_at: Instant::ZERO,
    }
}

fn receive_space(settings: &Settings, birth: &Birth<'_>) -> ReceiveSpace {
    let Opening { window, clamp, scale } = birth.opening;
    ReceiveSpace {
        nxt: SeqNum::default(),
        wup: SeqNum::default(),
        wnd: Window(window),
        scale,
        last_ack: SeqNum::default(),
        ts_recent: 0,
        ts_recent_at: Instant::ZERO,
        threshold: window,
        clamp,
        buffer: first_buffer(settings, birth.config),
        advertised_mss: birth.advertised_mss,
        echo_congestion: false,
        last_was_marked: false,
        urgent: None,
        shut: false,
        watching: false,
        rtt_8: 0,
        last_echo: 0,
    }
}
