//! One connection: the transmission control block of RFC 9293 section 3.3.1, as plain fields.
//!
//! What a segment of data in order touches of an established connection stands on three cache lines, as is asserted below; what an ACK
//! touches beside them (scoreboard, round trip, window, RACK) are seven of the next eight; what only handshake, loss and closing need
//! stands between and behind. What a loss needs is in a slab of the lane (`recovery::episode`).
//!
//! Who writes what: `input` everything it learns from the peer; `output` what was sent; `timer` what expired; `user` what
//! the program asked for. Bytes are in the session's rings (`LaneEnd`): offset 0 of the send ring is `send.una` (of
//! data), offset 0 of the receive ring is `receive.nxt`.

use super::config::Config;
use super::congestion::Congestion;
use super::deadlines::Deadlines;
use super::fastopen::Form;
use super::flow::Flow;
use super::limited::Limited;
use super::marks::Marks;
use super::mtu_search::MtuStage;
use super::out_of_order::OutOfOrder;
use super::part::Part;
use super::recovery::Recovery;
use super::rtt::RttEstimator;
use super::sent::{SegmentSlab, Sent};
use super::seq::SeqNum;
use super::state::State;
use super::table::ConnectionId;
use super::timestamp::TimestampClock;
use super::window::{Window, WindowScale};
use crate::Instant;
use crate::owner::Owner;
use crate::tcp::challenge::InvalidLimit;
use std::sync::Arc;
use xmit_shared::prefetch::prefetch;

/// What is to be done for a connection before the turn ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// It stands in the lane's ready queue.
    pub queued: bool,
    /// An ACK is owed at once, unless a segment carries it.
    pub ack_now: bool,
    /// Look whether something can be sent.
    pub send: bool,
    /// The timeout is doubted: new data alone, two segments at most (`Permit::NewProbe`).
    pub new_probe: bool,
    /// The program may have read: a segment that leaves tells the peer of it, else it is looked whether it has to be told.
    pub read: bool,
    /// Data had no place in the receive ring: the next ACK takes the window back (`ICSK_ACK_NOMEM`).
    pub no_room: bool,
}

/// What agreement with the peer came of the handshake (RFC 7323, 2018, 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Both sent timestamps.
    pub timestamps: bool,
    /// Both permit SACK.
    pub sack: bool,
    /// Both sent a window scale.
    pub window_scaling: bool,
    /// Both speak ECN.
    pub ecn: bool,
}

/// The sending side (RFC 9293 figure 3).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SendSpace {
    /// Behind the last byte that the program wrote, as of the last look; the FIN's number once it is queued.
    pub end: SeqNum,
    /// Up to here the program wants it sent now (`MSG_MORE` holds back the rest).
    pub pushed: SeqNum,
    /// Up to here neither Nagle's rule nor the cork holds anything back: `TCP_NODELAY` was set then (`TCP_NAGLE_PUSH`).
    pub released: SeqNum,
    /// `SND.WL1`: the segment that the window was taken from.
    pub wl1: SeqNum,
    /// `SND.WND` in bytes.
    pub wnd: Window,
    /// The largest window that the peer ever offered (`max_window`).
    pub wnd_max: Window,
    /// End of the last segment shorter than the MSS (`snd_sml`), for Minshall's form of Nagle's rule.
    pub small_end: SeqNum,
    /// `TCP_NODELAY` and `TCP_CORK`, as the client's words said at the last look.
    pub nodelay: bool,
    /// See `nodelay`.
    pub cork: bool,
    /// The end of data whose reduction has to be announced by CWR (RFC 3168 section 6.1.2).
    pub announce_cwr: bool,
    /// The last write was made with `MSG_MORE`, and nothing was heard of the peer since.
    pub more: bool,
    /// The urgent pointer: one behind the urgent byte, while it is not acknowledged.
    pub urgent: Option<SeqNum>,
    /// When the last data segment left (`lsndtime`).
    pub last_at: Instant,
    /// Pacing: no row of segments begins before.
    pub pace_at: Instant,
    /// Bytes of data per segment beside the options that every segment carries (`mss_cache`).
    pub mss: u16,
    /// The peer's MSS option, or our `TCP_MAXSEG` if less (`mss_clamp`).
    pub mss_clamp: u16,
    /// The path's MTU as this connection knows it (`icsk_pmtu_cookie`).
    pub pmtu: u16,
    /// The peer's shift.
    pub scale: WindowScale,
    /// Whether the path's MTU is searched (`icsk_mtup.enabled`).
    pub mtu_stage: MtuStage,
    /// How often `TCP_NODELAY` was set, as of the last look, modulo 256.
    pub releases: u8,
    /// Segments carry DF (`ip_dont_fragment`).
    pub dont_fragment: bool,
    /// `SND.UNA`.
    pub una: SeqNum,
    /// `SND.NXT`.
    pub nxt: SeqNum,
    /// `ISS`, our initial sequence number.
    pub isn: SeqNum,
}

/// The receiving side (RFC 9293 figure 4).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ReceiveSpace {
    /// `RCV.NXT`.
    pub nxt: SeqNum,
    /// `RCV.NXT` when the window was last announced (`rcv_wup`).
    pub wup: SeqNum,
    /// The window announced then, counted from `wup` (`rcv_wnd`).
    pub wnd: Window,
    /// `RCV.NXT` in the last segment that we sent (`Last.ACK.sent` of RFC 7323).
    pub last_ack: SeqNum,
    /// `TS.Recent`.
    pub ts_recent: u32,
    /// The most that is announced at present (`rcv_ssthresh`).
    pub threshold: u32,
    /// The most that is ever announced (`window_clamp`).
    pub clamp: u32,
    /// The receive buffer as Linux counts it, twice the window it can give (`sk_rcvbuf`).
    pub buffer: u32,
    /// The round trip as the receiver sees it, microseconds times 8; 0: unknown (`rcv_rtt_est`).
    pub rtt_8: u32,
    /// `TSecr` that was last measured.
    pub last_echo: u32,
    /// When it was taken.
    pub ts_recent_at: Instant,
    /// The urgent pointer: one behind the urgent byte, while it lies ahead of what was read.
    pub urgent: Option<SeqNum>,
    /// The segment size that the MSS option announced (`advmss`).
    pub advertised_mss: u16,
    /// Our shift.
    pub scale: WindowScale,
    /// The receiver tells the sender of congestion: ECE until CWR arrives (RFC 3168 section 6.1.3).
    pub echo_congestion: bool,
    /// DCTCP: the CE mark of the last segment (RFC 8257 section 3.2).
    pub last_was_marked: bool,
    /// The program reads no more (`SHUT_RD`, or closed).
    pub shut: bool,
    /// Bytes that the client may read and has not, when the window was last computed; guards `rx_watch`.
    pub watching: bool,
}

/// When ACKs are delayed (`inet_connection_sock.icsk_ack`).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AckPolicy {
    /// When data last arrived (`lrcvtime`).
    pub last_data_at: Instant,
    /// How long an ACK may wait, in milliseconds (`ato`).
    pub ato_ms: u16,
    /// The peer's segment size as seen (`rcv_mss`).
    pub segment_size: u16,
    /// The length of the last segment (`last_seg_size`).
    pub last_segment: u16,
    /// An ACK is owed, now or later (`ICSK_ACK_SCHED`).
    pub scheduled: bool,
    /// It went out as part of nothing: the next small segment is acknowledged at once (`ICSK_ACK_PUSHED`).
    pub pushed: bool,
    /// See `pushed` (`ICSK_ACK_PUSHED2`).
    pub pushed_twice: bool,
    /// Answers of the program until it counts as one that talks and listens by turns, whose ACKs may wait for its answer (`pingpong`,
    /// counted down).
    pub turns_left: u8,
    /// What that begins at (`tcp_pingpong_thresh`).
    pub turns: u8,
    /// ACKs that are still sent at once (`quick`).
    pub quick: u8,
    /// The delayed ACK timer was blocked; Linux retries then.
    pub retry: u8,
}

/// The receive buffer's growth: how much the program reads in a round trip (`tcp_rcv_space_adjust`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiveTuning {
    /// A measurement without timestamps: begun at this time, over when this arrives.
    pub rtt_seq: SeqNum,
    /// See `rtt_seq`.
    pub rtt_at: Instant,
    /// Bytes copied by the program in the best round trip (`rcvq_space.space`).
    pub space: u32,
    /// Read up to here when this round trip began.
    pub seq: SeqNum,
    /// When it began.
    pub at: Instant,
}

impl AckPolicy {
    /// ACKs may wait for the program's answer (`inet_csk_in_pingpong_mode`).
    #[inline]
    pub fn is_by_turns(&self) -> bool {
        self.turns_left == 0
    }

    /// From now on they may (`inet_csk_enter_pingpong_mode`).
    pub fn begin_turns(&mut self) {
        self.turns_left = 0;
    }

    /// They may not, until the program has answered so often again (`inet_csk_exit_pingpong_mode`).
    pub fn end_turns(&mut self) {
        self.turns_left = self.turns;
    }
}

/// What the connection did so far, for `TCP_INFO`.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // the names are those of struct tcp_info
#[repr(C)]
pub struct Stats {
    pub bytes_received: u64,
    pub segs_in: u32,
    pub data_segs_in: u32,
    pub bytes_acked: u64,
    pub bytes_sent: u64,
    pub segs_out: u32,
    pub data_segs_out: u32,
    pub rate_segments: u32,
    pub rate_micros: u32,
    pub rate_app_limited: bool,
}

/// The same, of what is rare.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // the names are those of struct tcp_info
pub struct RareStats {
    pub bytes_retrans: u64,
    pub delivered_ce: u32,
    pub dsack_dups: u32,
    pub rcv_ooopack: u32,
    pub total_rto: u16,
}

/// Fast Open on one connection (RFC 7413).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FastOpenState {
    /// Not used.
    #[default]
    Off,
    /// Client: the SYN waits for data of the program (`TCP_FASTOPEN_CONNECT`, `MSG_FASTOPEN`).
    Deferred,
    /// Client: the SYN carried a request for a cookie, in this form.
    Requested(Form),
    /// Client: the SYN carried data up to here.
    SentData(SeqNum),
    /// Client: the SYN-ACK acknowledged all of that.
    DataTaken,
    /// Server: created by a SYN with data; counted in its listener's Fast Open queue.
    Server,
}

/// One connection.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Connection {
    /// The IP identification of the next datagram (`inet_id`).
    pub ident: u16,
    /// Timeouts in a row without progress (`icsk_retransmits`).
    pub retransmits: u8,
    /// Unanswered probes of window or peer (`icsk_probes_out`).
    pub probes: u8,
    /// Doublings of the window probe's interval (`icsk_backoff` in persist).
    pub probe_backoff: u8,
    /// `SHUT_WR` or close came before the handshake was over: the FIN follows it.
    pub fin_wanted: bool,
    /// A soft error to report if the connection fails (`sk_err_soft`).
    pub soft_error: u16,
    /// Our timestamp clock.
    pub clock: TimestampClock,
    /// Segments of the row that is being sent, and how many it may have.
    pub(in crate::tcp) row: u8,
    /// See `row`.
    pub(in crate::tcp) row_len: u8,
    /// Server: the data of the SYN was taken (`syn_data_acked`).
    pub syn_data_acked: bool,
    /// When the first timeout in a row happened, or the first unanswered probe (`retrans_stamp`, `icsk_probes_tstamp`).
    pub stalled_since: Option<Instant>,
    /// Timers.
    pub deadlines: Deadlines,
    /// Its name in the table.
    pub id: ConnectionId,
    /// Whose socket it is; `None` for an orphan and for one that waits to be accepted.
    pub owner: Option<Owner>,
    /// Between whom.
    pub flow: Flow,
    /// The header bits and window that a segment in order has (`pred_flags`), or `UNPREDICTED`: take the slow path.
    pub prediction: u32,
    /// Its state.
    pub state: State,
    /// What has to be done in this turn.
    pub pending: Pending,
    /// What was agreed on.
    pub agreed: Agreed,
    /// The program closed it: whom to tell when it is gone is the socket layer's matter (`SOCK_DEAD`).
    pub closed_by_user: bool,
    /// The receiving side.
    pub receive: ReceiveSpace,
    /// The sending side.
    pub send: SendSpace,
    /// When to acknowledge.
    pub ack: AckPolicy,
    /// When a segment last arrived (`rcv_tstamp`), for keepalive.
    pub heard_at: Instant,
    /// For `TCP_INFO`.
    pub stats: Stats,
    /// What it waits for, for `TCP_INFO`.
    pub limited: Limited,
    /// Growth of the receive buffer.
    pub tuning: ReceiveTuning,
    /// The congestion window.
    pub congestion: Congestion,
    /// Reaction to loss.
    pub recovery: Recovery,
    /// The round trip.
    pub rtt: RttEstimator,
    /// `IRS`, the peer's initial sequence number.
    pub peer_isn: SeqNum,
    /// What is unacknowledged.
    pub sent: Sent,
    /// What arrived ahead of `receive.nxt`.
    pub out_of_order: OutOfOrder,
    /// When it began.
    pub begun_at: Instant,
    /// The options of its socket.
    pub config: Arc<Config>,
    /// The listener that it came by, while it is not accepted.
    pub listener: Option<u32>,
    /// Fast Open.
    pub fast_open: FastOpenState,
    /// The number of a FIN that came before what it ends.
    pub fin_ahead: Option<SeqNum>,
    /// Limit of answers to nonsense.
    pub invalid: InvalidLimit,
    /// For `TCP_INFO`.
    pub rare: RareStats,
    /// What only the handshake needs, or only what follows.
    pub part: Part,
    /// Borders in what was not sent.
    pub marks: Marks,
}

impl Connection {
    /// Asks for the lines that a segment of data or an ACK touches.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(&self.ident);
        prefetch(&self.id);
        prefetch(&self.receive);
        prefetch(&self.send);
        prefetch(&self.send.una);
        prefetch(&self.stats.bytes_acked);
        prefetch(self.congestion.hot());
        prefetch(&self.recovery);
        prefetch(&self.rtt);
        prefetch(&self.sent);
    }

    /// Asks for the segment that an ACK acknowledges first.
    #[inline]
    pub(crate) fn prefetch_sent(&self, slab: &SegmentSlab) {
        if let Some(first) = self.sent.first() {
            prefetch(&slab[first]);
        }
    }
}

/// The cache line of a field of [`Connection`]; fails to compile unless the field ends there as well.
macro_rules! line {
    ($($field:tt).+ : $type:ty) => {{
        let start = std::mem::offset_of!(Connection, $($field).+);
        assert!(start / 64 == (start + size_of::<$type>() - 1) / 64, "a field lies on two lines");
        start / 64
    }};
}

/// A segment of data in order touches three cache lines of its connection: whose it is, what was predicted and its timers (1);
/// the receiving side (2); what is outstanding, the delay of ACKs and the counts (4). `input`'s fast path, from the flow's comparison to
/// `acknowledge`.
const _: () = {
    assert!(line!(flow: Flow) == 1 && line!(id: ConnectionId) == 1 && line!(owner: Option<Owner>) == 1);
    assert!(line!(prediction: u32) == 1 && line!(state: State) == 1 && line!(pending: Pending) == 1);
    assert!(line!(agreed: Agreed) == 1 && line!(closed_by_user: bool) == 1);
    assert!(std::mem::offset_of!(Connection, deadlines) + Deadlines::HOT_FROM == 64);
    assert!(line!(receive: ReceiveSpace) == 2);
    assert!(line!(send.una: SeqNum) == 4 && line!(send.nxt: SeqNum) == 4);
    assert!(line!(ack: AckPolicy) == 4 && line!(heard_at: Instant) == 4);
    assert!(
        line!(stats.bytes_received: u64) == 4 && line!(stats.segs_in: u32) == 4 && line!(stats.data_segs_in: u32) == 4
    );
};

/// A pure ACK that acknowledges data touches beside these: the retransmission timer (0), what waits to be sent (3), counts, the rate and
/// what the sender waited for (5), the window (7), RACK (8), the round trip (9), the scoreboard (10). Three lines hold 192 bytes;
/// what is touched is about 320 bytes without any gap.
const _: () = {
    assert!(line!(retransmits: u8) == 0 && line!(probes: u8) == 0 && line!(soft_error: u16) == 0);
    assert!(line!(stalled_since: Option<Instant>) == 0);
    assert!(line!(send.wl1: SeqNum) == 3 && line!(send.released: SeqNum) == 3 && line!(send.end: SeqNum) == 3);
    assert!(line!(send.urgent: Option<SeqNum>) == 3 && line!(send.more: bool) == 3 && line!(send.isn: SeqNum) == 4);
    assert!(line!(stats.bytes_acked: u64) == 5 && line!(stats.rate_micros: u32) == 5);
    assert!(line!(stats.rate_segments: u32) == 5 && line!(stats.rate_app_limited: bool) == 5);
    assert!(std::mem::offset_of!(Connection, limited) + Limited::HOT_LEN <= 6 * 64);
    assert!(std::mem::offset_of!(Connection, congestion) + Congestion::HOT_FROM == 7 * 64);
    assert!(size_of::<Congestion>() - Congestion::HOT_FROM <= 64);
    assert!(line!(recovery: Recovery) == 8 && line!(rtt: RttEstimator) == 9);
    assert!(std::mem::offset_of!(Connection, sent) == 10 * 64 && Sent::HOT_LEN <= 64);
};

// A million idle connections have to fit.
const _: () = assert!(size_of::<Connection>() <= 832 && size_of::<Option<Connection>>() == size_of::<Connection>());
