//! A half-open connection: what is kept between SYN and the third segment (`struct tcp_request_sock`).

use super::challenge::InvalidLimit;
use super::flow::Flow;
use super::seq::SeqNum;
use super::timestamp::TimestampClock;
use super::window::WindowScale;
use crate::Instant;
use crate::timers::TimerId;

/// One entry of the SYN queue. Small, because strangers make them.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Between whom.
    pub flow: Flow,
    /// The listener's place.
    pub listener: u32,
    /// Ours.
    pub isn: SeqNum,
    /// The peer's.
    pub peer_isn: SeqNum,
    /// The peer's MSS.
    pub mss: u16,
    /// Ours.
    pub advertised_mss: u16,
    /// The path's MTU.
    pub mtu: u16,
    /// It takes less than is believed (`ip_mtu_locked`).
    pub mtu_locked: bool,
    /// The peer's window, not scaled.
    pub window: u16,
    /// The peer's shift, if it sent one.
    pub peer_scale: Option<WindowScale>,
    /// Ours, if the peer sent one.
    pub scale: WindowScale,
    /// Our window in bytes.
    pub receive_window: u32,
    /// The most that it may become.
    pub clamp: u32,
    /// The peer permits SACK.
    pub sack: bool,
    /// The peer's last timestamp, if it sends them.
    pub timestamp: Option<u32>,
    /// Our clock for this peer.
    pub clock: TimestampClock,
    /// ECN was agreed on.
    pub ecn: bool,
    /// The third segment came, and could not be used: the accept queue was full, or data is waited for (`acked`).
    pub acked: bool,
    /// SYN-ACKs sent again (`num_retrans`).
    pub retransmits: u8,
    /// How often its timer expired (`num_timeout`).
    pub timeouts: u8,
    /// When the first SYN-ACK left.
    pub sent_at: Instant,
    /// Limit of answers to segments that ask for one.
    pub invalid: InvalidLimit,
    /// Type of service of the SYN, for what answers it (`tcp_reflect_tos`).
    pub reflected_tos: Option<u8>,
    /// Its timer.
    pub timer: Option<TimerId>,
}
