//! Congestion control: how much may be in flight, and how fast it may leave.
//!
//! Counted in segments, not bytes, as Linux does: `TCP_INFO` and every script written for Linux count so, the
//! scoreboard counts so, and a sender of small segments is not allowed more packets than one of large ones.
//!
//! * `mod`: window, threshold, slow start, idle and application-limited validation, undo, pacing (RFC 5681, 6928,
//!   7661);
//! * `newreno`, `cubic` with `hystart`, `dctcp`: what differs, behind one enum, chosen by `TCP_CONGESTION`.
//!
//! Invariants: the window is at least 1; it grows only while it is what limits the sender
//! (`tcp_is_cwnd_limited`); a reduction can be undone once. During a reduction PRR sets the window.

mod cubic;
mod dctcp;
mod hystart;
mod newreno;
#[cfg(test)]
mod tests;
mod usage;

pub use cubic::Cubic;
pub use dctcp::Dctcp;
pub use hystart::HyStart;
pub use newreno::NewReno;

use super::seq::SeqNum;
use crate::{Duration, Instant};
use usage::Usage;

/// Segments that a new connection may send (RFC 6928; `TCP_INIT_CWND`).
pub const INITIAL_WINDOW: u32 = 10;
/// Before the first congestion (`TCP_INFINITE_SSTHRESH`).
pub const SSTHRESH_INFINITE: u32 = 0x7fff_ffff;
/// A reduction goes no lower (RFC 5681 section 3.1, equation 4).
const SSTHRESH_MIN: u32 = 2;

/// Which algorithm, as `TCP_CONGESTION` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RFC 9438 with HyStart++ (RFC 9406).
    #[default]
    Cubic,
    /// RFC 5681 and 6582.
    Reno,
    /// RFC 8257; for networks that mark early.
    Dctcp,
}

impl Kind {
    /// All, in the order of `tcp_available_congestion_control`.
    pub const ALL: [Self; 3] = [Self::Cubic, Self::Reno, Self::Dctcp];

    /// Linux's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Reno => "reno",
            Self::Dctcp => "dctcp",
        }
    }

    /// The algorithm of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Needs ECN marks on all its packets and exact echoes (RFC 8257 section 3).
    pub const fn needs_ecn(self) -> bool {
        matches!(self, Self::Dctcp)
    }
}

/// What an ACK tells congestion control.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// `SND.UNA` after it.
    pub una: SeqNum,
    /// `SND.NXT`.
    pub nxt: SeqNum,
    /// Segments newly delivered, in order or not.
    pub delivered: u32,
    /// Bytes newly acknowledged.
    pub acked_bytes: u32,
    /// Of these, bytes whose acknowledgment carried ECE.
    pub ece_marked_bytes: u32,
    /// Its round trip sample in microseconds, if it gave one.
    pub rtt_micros: Option<u32>,
    /// The least round trip of the path in microseconds.
    pub min_rtt_micros: Option<u32>,
    /// The smoothed one in microseconds.
    pub srtt_micros: Option<u32>,
    /// Bytes of a segment.
    pub mss: u32,
    /// Segments are paced.
    pub paced: bool,
    /// No reduction is under way: the window may grow (`tcp_may_raise_cwnd`).
    pub may_grow: bool,
}

/// Why the window shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Segments were lost.
    Loss,
    /// The retransmission timer expired.
    Timeout,
    /// Routers marked packets, and the peer echoed it.
    Ece,
}

/// What differs between the algorithms.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Cubic(Cubic),
    Reno(NewReno),
    Dctcp(Dctcp),
}

/// What a reduction took, to be given back if it was a mistake.
#[derive(Clone, Copy, Debug)]
pub struct Prior {
    cwnd: u32,
    ssthresh: u32,
    kind: Kind,
    /// CUBIC's curve; the other algorithms lose nothing that counts.
    cubic: Option<Cubic>,
}

/// The congestion state of one connection. What every ACK looks at stands last.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Congestion {
    usage: Usage,
    cwnd: u32,
    ssthresh: u32,
    /// What a connection begins with, and what idle time takes it back to at most.
    initial: u32,
    algorithm: Algorithm,
}

impl Congestion {
    /// From here on stands what every ACK looks at.
    pub(in crate::tcp) const HOT_FROM: usize = std::mem::offset_of!(Self, usage) + Usage::HOT_FROM;

    /// The beginning of that, for the processor's cache.
    #[inline]
    pub(in crate::tcp) fn hot(&self) -> &u32 {
        &self.usage.in_flight_max
    }

    /// Of a new connection, with the initial window.
    pub fn new(kind: Kind, now: Instant) -> Self {
        Self {
            usage: Usage::new(now),
            cwnd: INITIAL_WINDOW,
            ssthresh: SSTHRESH_INFINITE,
            initial: INITIAL_WINDOW,
            algorithm: Algorithm::new(kind),
        }
    }

    /// Which algorithm it is.
    pub fn kind(&self) -> Kind {
        match self.algorithm {
            Algorithm::Cubic(_) => Kind::Cubic,
            Algorithm::Reno(_) => Kind::Reno,
            Algorithm::Dctcp(_) => Kind::Dctcp,
        }
    }

    /// Changes the algorithm (`TCP_CONGESTION`); window and threshold stay.
    pub fn set_kind(&mut self, kind: Kind) {
        if kind != self.kind() {
            self.algorithm = Algorithm::new(kind);
        }
    }

    /// The congestion window in segments.
    #[inline]
    pub fn cwnd(&self) -> u32 {
        self.cwnd
    }

    /// The slow start threshold in segments.
    #[inline]
    pub fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// True below the threshold.
    #[inline]
    pub fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Sets the window: PRR during a reduction, what follows a timeout, a probe of the path's MTU, and what a transfer begins
    /// with (1 if SYNs were lost, RFC 6298 section 5.7).
    pub fn set_cwnd(&mut self, cwnd: u32) {
        self.cwnd = cwnd.max(1);
    }

    /// Sets the threshold: none when a transfer begins.
    pub fn set_ssthresh(&mut self, ssthresh: u32) {
        self.ssthresh = ssthresh.max(SSTHRESH_MIN);
    }

    /// Begins with a window of `initial` segments (`tcp_init_cwnd`).
    pub fn set_initial_window(&mut self, initial: u32) {
        self.initial = initial.max(1);
        self.cwnd = self.initial;
    }

    /// Takes an ACK: observes, and lets the window grow if it may.
    pub fn on_ack(&mut self, sample: &AckSample) {
        let initial = self.ssthresh >= SSTHRESH_INFINITE;
        match &mut self.algorithm {
            Algorithm::Dctcp(dctcp) => dctcp.observe(sample),
            Algorithm::Cubic(Cubic::SlowStart(hystart)) if initial => {
                if hystart.on_ack(sample, self.cwnd) {
                    self.ssthresh = self.cwnd.max(SSTHRESH_MIN);
                }
            }
            Algorithm::Cubic(_) | Algorithm::Reno(_) => {}
        }
        if !sample.may_grow || sample.delivered == 0 || !self.is_cwnd_limited() {
            return;
        }
        let left = if self.in_slow_start() { self.slow_start(sample.delivered) } else { sample.delivered };
        if left > 0 {
            self.cwnd = match &mut self.algorithm {
                Algorithm::Cubic(cubic) => cubic.avoid(self.cwnd, left, sample),
                Algorithm::Reno(reno) => reno.avoid(self.cwnd, left),
                Algorithm::Dctcp(dctcp) => dctcp.reno_mut().avoid(self.cwnd, left),
            };
        }
    }

    /// Grows by what was delivered, up to the threshold (RFC 5681 equation 2, counted in segments delivered as RFC 3465
    /// allows). What is left of `delivered` beyond it.
    fn slow_start(&mut self, delivered: u32) -> u32 {
        if let Algorithm::Cubic(Cubic::SlowStart(hystart)) = &mut self.algorithm
            && self.ssthresh >= SSTHRESH_INFINITE
        {
            self.cwnd = self.cwnd.saturating_add(hystart.growth(delivered)).min(self.ssthresh);
            return 0;
        }
        let grown = self.cwnd.saturating_add(delivered).min(self.ssthresh);
        let left = delivered - (grown - self.cwnd);
        self.cwnd = grown;
        left
    }

    /// Begins a reduction: a new threshold. Answers the state before it, for [`Congestion::undo`]. Called once per
    /// window of data; then PRR leads the window to the threshold, or after a timeout [`Congestion::set_cwnd`] sets
    /// it to what is in flight and one more.
    pub fn reduce(&mut self, signal: Signal) -> Prior {
        let cubic = if let Algorithm::Cubic(cubic) = self.algorithm { Some(cubic) } else { None };
        let prior = Prior { cwnd: self.cwnd, ssthresh: self.current_ssthresh(), kind: self.kind(), cubic };
        let ssthresh = match &mut self.algorithm {
            Algorithm::Cubic(cubic) => cubic.reduce(self.cwnd, signal),
            Algorithm::Reno(reno) => reno.reduce(self.cwnd),
            Algorithm::Dctcp(dctcp) => dctcp.reduce(self.cwnd, signal),
        };
        self.ssthresh = ssthresh.max(SSTHRESH_MIN);
        prior
    }

    /// Ends a reduction: the window is the threshold (`tcp_end_cwnd_reduction`).
    pub fn end_reduction(&mut self) {
        if self.ssthresh < SSTHRESH_INFINITE {
            self.set_cwnd(self.ssthresh);
        }
        self.usage.forget_used();
    }

    /// The reduction was a mistake: window, threshold and curve are as before it (RFC 9438 section 4.9, RFC 4015).
    /// False if it was another algorithm's.
    pub fn undo(&mut self, prior: &Prior) -> bool {
        if prior.kind != self.kind() {
            return false;
        }
        self.cwnd = self.cwnd.max(prior.cwnd);
        self.ssthresh = self.ssthresh.max(prior.ssthresh);
        if let Some(cubic) = prior.cubic {
            self.algorithm = Algorithm::Cubic(cubic.begun_again());
        }
        true
    }

    /// True if the window is what limits the sender (`tcp_is_cwnd_limited`): in slow start if half of it was used,
    /// because it doubles in a round trip.
    pub fn is_cwnd_limited(&self) -> bool {
        self.usage.limited || (self.in_slow_start() && self.cwnd < 2 * self.usage.in_flight_max)
    }

    /// After sending: `in_flight` segments are out, and `limited` says that the window, not data or the peer, ended it
    /// (`tcp_cwnd_validate`).
    pub fn on_sent(&mut self, now: Instant, una: SeqNum, nxt: SeqNum, in_flight: u32, limited: bool) {
        self.usage.note(una, nxt, in_flight, limited);
        if self.is_cwnd_limited() {
            self.usage.begin_span(now);
        } else {
            self.usage.used_max = self.usage.used_max.max(in_flight);
        }
    }

    /// The application has left the window unused for an `rto`: halves the difference between it and what was used.
    /// To be called when the send queue is empty, in the open state, with `tcp_slow_start_after_idle`
    /// (`tcp_cwnd_application_limited`).
    #[inline]
    pub fn validate_application_limited(&mut self, now: Instant, rto_nanos: u64) {
        if now.nanos_since(self.usage.since) < rto_nanos || self.is_cwnd_limited() {
            return;
        }
        let used = self.usage.used_max.max(self.initial);
        if used < self.cwnd {
            self.ssthresh = self.current_ssthresh();
            self.cwnd = self.cwnd.midpoint(used);
        }
        self.usage.begin_span(now);
    }

    /// With `tcp_slow_start_after_idle`, before sending after `idle` with nothing in flight: halves the window per
    /// `rto`, not below the initial one (RFC 5681 section 4.1; `tcp_cwnd_restart`).
    pub fn restart_after_idle(&mut self, now: Instant, idle: Duration, rto: Duration) {
        self.ssthresh = self.current_ssthresh();
        let floor = self.initial.min(self.cwnd);
        let periods = (idle.as_nanos() / rto.as_nanos().max(1)).min(31) as u32;
        self.cwnd = (self.cwnd >> periods).max(floor);
        self.usage.begin_span(now);
    }

    /// Sending begins again after nothing was in flight for `idle`: time without sending does not let CUBIC's window
    /// grow (RFC 9438 section 5.8). Independent of `tcp_slow_start_after_idle`.
    #[inline]
    pub fn on_idle(&mut self, idle_nanos: u64) {
        if let Algorithm::Cubic(cubic) = &mut self.algorithm {
            cubic.shift_epoch(idle_nanos);
        }
    }

    /// Bytes a second at which segments of `mss` should leave: twice the rate of the window in slow start, so that it
    /// may double, 1.2 times later, so that it may grow (`tcp_update_pacing_rate`). `percent` says how much more, in
    /// slow start and later (`tcp_pacing_ss_ratio`, `tcp_pacing_ca_ratio`). `None` without a round trip.
    #[inline]
    pub fn pacing_rate(&self, srtt_micros: Option<u32>, in_flight: u32, mss: u32, percent: [u32; 2]) -> Option<u64> {
        let bytes = self.paced_bytes(in_flight, mss, percent) / 100;
        Some(bytes.saturating_mul(1_000_000) / u64::from(srtt_micros?.max(1)))
    }

    /// Nanoseconds that `len` bytes take at [`Congestion::pacing_rate`]. `None` without a round trip.
    #[inline]
    pub fn pacing_nanos(
        &self,
        srtt_micros: Option<u32>,
        in_flight: u32,
        mss: u32,
        percent: [u32; 2],
        len: u32,
    ) -> Option<u64> {
        let nanos = u64::from(srtt_micros?.max(1)) * 1_000;
        let share = u64::from(len) * 100;
        Some(nanos.saturating_mul(share) / self.paced_bytes(in_flight, mss, percent).max(1))
    }

    /// A hundred times the bytes that leave in a round trip.
    #[inline]
    fn paced_bytes(&self, in_flight: u32, mss: u32, percent: [u32; 2]) -> u64 {
        let [slow_start, later] = percent;
        let percent = if self.cwnd >= self.ssthresh / 2 { later } else { slow_start };
        (u64::from(self.cwnd.max(in_flight)) * u64::from(mss)).saturating_mul(percent.into())
    }

    /// Segments become longer: the window holds as many bytes as before in packets of `size` instead of `before`
    /// (`tcp_mtup_probe_success`).
    pub fn rescale(&mut self, now: Instant, before: u16, size: u16) {
        let cwnd = u64::from(self.cwnd) * u64::from(before) / u64::from(size.max(1));
        self.set_cwnd(u32::try_from(cwnd).unwrap_or(u32::MAX));
        self.usage.since = now;
        self.ssthresh = self.current_ssthresh();
    }

    /// The threshold that stands for what the path was known to carry (`tcp_current_ssthresh`).
    fn current_ssthresh(&self) -> u32 {
        self.ssthresh.max((self.cwnd >> 1) + (self.cwnd >> 2))
    }
}

impl Algorithm {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Cubic => Self::Cubic(Cubic::default()),
            Kind::Reno => Self::Reno(NewReno::default()),
            Kind::Dctcp => Self::Dctcp(Dctcp::default()),
        }
    }
}
