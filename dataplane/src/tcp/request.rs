//! A half-open connection: what is kept between SYN and the third segment (`struct tcp_request_sock`).

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
    /// The peer's MSS, checked.
    pub mss: u16,
    /// The peer's window, not scaled.
    pub window: u16,
    /// The peer's shift, if it sent one.
    pub peer_scale: Option<WindowScale>,
    /// Ours, if the peer sent one.
    pub scale: WindowScale,
    /// The peer permits SACK.
    pub sack: bool,
    /// The peer's last timestamp, if it sends them.
    pub timestamp: Option<u32>,
    /// Our clock for this peer.
    pub clock: TimestampClock,
    /// ECN was agreed on.
    pub ecn: bool,
    /// The third segment came, and the accept queue was full (`acked`).
    pub acked: bool,
    /// SYN-ACKs sent again.
    pub retransmits: u8,
    /// When the last SYN-ACK left, for the first round-trip sample; `None` once one was sent again.
    pub sent_at: Option<Instant>,
    /// Type of service of the SYN.
    pub tos: u8,
    /// Its timer.
    pub timer: Option<TimerId>,
}
