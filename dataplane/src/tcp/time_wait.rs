//! TIME_WAIT as its own small object (`struct tcp_timewait_sock`): also FIN_WAIT2 of a connection whose program is gone.

use super::challenge::InvalidLimit;
use super::flow::Flow;
use super::seq::SeqNum;
use super::timestamp::TimestampClock;
use super::window::WindowScale;
use crate::Instant;
use crate::timers::TimerId;

/// What is left of a connection.
#[derive(Clone, Copy, Debug)]
pub struct TimeWait {
    /// Between whom.
    pub flow: Flow,
    /// The peer's FIN has not come yet: FIN_WAIT2 (`tw_substate`).
    pub fin_wait_2: bool,
    /// `SND.NXT`.
    pub snd_nxt: SeqNum,
    /// `RCV.NXT`.
    pub rcv_nxt: SeqNum,
    /// Our window, as it stands on the wire, and its shift.
    pub window: u32,
    /// See `window`.
    pub scale: WindowScale,
    /// `TS.Recent`, if timestamps were agreed on.
    pub ts_recent: Option<u32>,
    /// When it was taken.
    pub ts_recent_at: Instant,
    /// When it began.
    pub since: Instant,
    /// Our clock.
    pub clock: TimestampClock,
    /// Type of service of our segments.
    pub tos: u8,
    /// Limit of answers to out-of-window segments.
    pub invalid: InvalidLimit,
    /// Its timer.
    pub timer: Option<TimerId>,
}
