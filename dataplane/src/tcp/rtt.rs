//! The round trip: smoothed time, its variation, and the retransmission timeout (RFC 6298, with `tcp_rtt_estimator`'s
//! details).
//!
//! Differs from the RFC where Linux does, because short paths need it: the variation is floored by [`RTO_MIN`]
//! instead of the timeout by a second; it follows the largest deviation of a window, so that a timeout does not decay
//! within one window; a falling round trip raises the deviation only by an eighth of the surprise.
//!
//! Invariants: the timeout is at least the floor and at most [`RTO_MAX`]; microseconds throughout. Karn's rule is kept
//! by the caller of [`RttEstimator::sample`]: [`choose`] takes only samples that name one transmission.

use super::min_rtt::MinRtt;
use super::seq::SeqNum;
use crate::{Duration, Instant};
use std::num::NonZeroU32;
use xmit_shared::time::nanos;

/// The least variation in a timeout (`TCP_RTO_MIN`); a route may lower it.
pub const RTO_MIN: Duration = Duration::from_millis(200);
/// The longest timeout (`TCP_RTO_MAX`).
pub const RTO_MAX: Duration = Duration::from_secs(120);
/// The least that may be set in its place (`TCP_RTO_MAX_MIN_SEC`).
pub const RTO_MAX_MIN: Duration = Duration::from_secs(1);
/// Before the first sample (RFC 6298 section 2.1).
pub const RTO_INITIAL: Duration = Duration::from_secs(1);

const RTO_INITIAL_NANOS: u64 = nanos(RTO_INITIAL);

/// Beyond this many doublings every timeout is at its maximum: 200 ms << 10 > 120 s.
const BACKOFF_MAX: u8 = 16;

/// The estimate, once there is one; `srtt` times 8 and `mdev` times 4, so that nothing is lost to rounding.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    srtt_8: NonZeroU32,
    mdev_4: u32,
    /// The largest `mdev_4` of this window.
    mdev_max: u32,
    /// What the timeout is built from.
    rttvar: u32,
    /// The window ends when this is acknowledged.
    window_end: SeqNum,
}

/// The estimator of one connection.
#[derive(Clone, Copy, Debug)]
pub struct RttEstimator {
    estimate: Option<Estimate>,
    min: MinRtt,
    rto_min_us: u32,
    rto_max_ms: u32,
    /// Stands in for the timeout until a sample of data comes; 0: none.
    first_rto_ms: u16,
    backoff: u8,
}

impl RttEstimator {
    /// Without samples. `rto_min` is [`RTO_MIN`] unless the route says otherwise.
    pub fn new(rto_min: Duration) -> Self {
        Self {
            estimate: None,
            min: MinRtt::default(),
            rto_min_us: micros(rto_min).max(1),
            rto_max_ms: RTO_MAX.as_millis() as u32,
            first_rto_ms: 0,
            backoff: 0,
        }
    }

    /// With another longest timeout than [`RTO_MAX`], which is the most.
    #[must_use]
    pub fn with_max(self, rto_max: Duration) -> Self {
        Self { rto_max_ms: rto_max.min(RTO_MAX).as_millis() as u32, ..self }
    }

    /// With another window of the least round trip than [`super::min_rtt::WINDOW`].
    #[must_use]
    pub fn with_min_window(self, window: Duration) -> Self {
        Self { min: MinRtt::new(window), ..self }
    }

    /// The longest timeout.
    pub fn rto_max(&self) -> Duration {
        Duration::from_millis(self.rto_max_ms.into())
    }

    /// Takes a sample from an ACK that moved `snd_una` there, `snd_nxt` being the end of the window. Ends back-off
    /// (RFC 6298 section 5.7's note: the sample is of a segment sent once).
    pub fn sample(&mut self, now: Instant, rtt: Duration, snd_una: SeqNum, snd_nxt: SeqNum) {
        self.sample_micros(now, micros(rtt), snd_una, snd_nxt);
    }

    /// The same in microseconds.
    #[inline]
    pub fn sample_micros(&mut self, now: Instant, measured: u32, snd_una: SeqNum, snd_nxt: SeqNum) {
        let measured = measured.max(1);
        self.min.update(now, measured);
        (self.backoff, self.first_rto_ms) = (0, 0);
        let floor = self.rto_min_us;
        match &mut self.estimate {
            None => self.estimate = Some(Estimate::first(measured, floor, snd_nxt)),
            Some(estimate) => estimate.update(measured, floor, snd_una, snd_nxt),
        }
    }

    /// Adds a sample to the minimum alone: of a SACK, which says nothing about the timeout.
    pub fn sample_min(&mut self, now: Instant, rtt: Duration) {
        self.min.update(now, micros(rtt).max(1));
    }

    /// The same in microseconds.
    #[inline]
    pub fn sample_min_micros(&mut self, now: Instant, measured: u32) {
        self.min.update(now, measured.max(1));
    }

    /// The retransmission timeout, backed off.
    #[inline]
    pub fn rto(&self) -> Duration {
        Duration::from_nanos(self.rto_nanos())
    }

    /// The same in nanoseconds, for the path of a packet.
    #[inline]
    pub fn rto_nanos(&self) -> u64 {
        let base = self.rto_base_nanos();
        if self.backoff == 0 {
            return base;
        }
        base.saturating_mul(1 << self.backoff.min(BACKOFF_MAX)).min(self.rto_max_nanos())
    }

    /// The retransmission timeout before back-off.
    #[inline]
    pub fn rto_base(&self) -> Duration {
        Duration::from_nanos(self.rto_base_nanos())
    }

    #[inline]
    fn rto_base_nanos(&self) -> u64 {
        if self.first_rto_ms > 0 {
            return u64::from(self.first_rto_ms) * 1_000_000;
        }
        let estimate = self.estimate.as_ref();
        let rto = estimate.map(|e| (u64::from(e.srtt_8.get() >> 3) + u64::from(e.rttvar)) * 1_000);
        rto.unwrap_or(RTO_INITIAL_NANOS).min(self.rto_max_nanos())
    }

    #[inline]
    fn rto_max_nanos(&self) -> u64 {
        u64::from(self.rto_max_ms) * 1_000_000
    }

    /// The timeout until the next sample: what is known of the destination, or nothing at all (`tcp_init_metrics`).
    pub fn set_first_rto(&mut self, rto: Duration) {
        self.first_rto_ms = rto.as_millis().min(u128::from(u16::MAX)) as u16;
    }

    /// The timer expired: doubles the timeout (RFC 6298 section 5.5).
    pub fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(BACKOFF_MAX);
    }

    /// New data was acknowledged: the timeout is no longer doubled.
    pub fn reset_backoff(&mut self) {
        self.backoff = 0;
    }

    /// One doubling less: the timeout was the path's fault, not congestion (RFC 6069).
    pub fn revert_backoff(&mut self) {
        self.backoff = self.backoff.saturating_sub(1);
    }

    /// Doublings in effect.
    pub fn backoff(&self) -> u8 {
        self.backoff
    }

    /// The smoothed round trip, if there was a sample.
    #[inline]
    pub fn srtt(&self) -> Option<Duration> {
        self.estimate.as_ref().map(|e| Duration::from_micros(u64::from(e.srtt_8.get() >> 3)))
    }

    /// The same in microseconds, at least one.
    #[inline]
    pub fn srtt_micros(&self) -> Option<u32> {
        self.estimate.as_ref().map(|e| (e.srtt_8.get() >> 3).max(1))
    }

    /// The mean deviation as `TCP_INFO` shows it, if there was a sample.
    pub fn rttvar(&self) -> Option<Duration> {
        self.estimate.as_ref().map(|e| Duration::from_micros(u64::from(e.mdev_4 >> 2)))
    }

    /// The least round trip of the last five minutes, if there was a sample.
    #[inline]
    pub fn min_rtt(&self) -> Option<Duration> {
        self.min.get().map(|us| Duration::from_micros(us.into()))
    }

    /// The same in microseconds.
    #[inline]
    pub fn min_rtt_micros(&self) -> Option<u32> {
        self.min.get()
    }

    /// The estimate that a new connection to the same destination begins with (`tcp_init_metrics`): what an older one
    /// ended with, its variation at least the floor.
    pub fn seed(&mut self, srtt: Duration, rttvar: Duration, snd_nxt: SeqNum) {
        let variation = micros(rttvar).max(self.rto_min_us);
        self.estimate = Some(Estimate {
            srtt_8: at_least_one(micros(srtt).max(1).saturating_mul(8)),
            mdev_4: variation,
            mdev_max: variation,
            rttvar: variation,
            window_end: snd_nxt,
        });
    }
}

impl Estimate {
    /// RFC 6298 section 2.2: a timeout of three round trips.
    fn first(measured: u32, floor: u32, snd_nxt: SeqNum) -> Self {
        let mdev_4 = measured.saturating_mul(2);
        let rttvar = mdev_4.max(floor);
        Self { srtt_8: at_least_one(measured.saturating_mul(8)), mdev_4, mdev_max: rttvar, rttvar, window_end: snd_nxt }
    }

    /// RFC 6298 section 2.3: `srtt = 7/8 srtt + 1/8 rtt`, `mdev = 3/4 mdev + 1/4 |rtt - srtt|`.
    fn update(&mut self, measured: u32, floor: u32, snd_una: SeqNum, snd_nxt: SeqNum) {
        let error = i64::from(measured) - i64::from(self.srtt_8.get() >> 3);
        self.srtt_8 = at_least_one(clamp(i64::from(self.srtt_8.get()) + error));
        let surprise = error.abs() - i64::from(self.mdev_4 >> 2);
        // A shorter round trip must not lengthen the timeout much (Eifel's remark in `tcp_rtt_estimator`).
        let weight = if error < 0 && surprise > 0 { surprise >> 3 } else { surprise };
        self.mdev_4 = clamp(i64::from(self.mdev_4) + weight);
        if self.mdev_4 > self.mdev_max {
            self.mdev_max = self.mdev_4;
            self.rttvar = self.rttvar.max(self.mdev_max);
        }
        if snd_una.after(self.window_end) {
            if self.mdev_max < self.rttvar {
                self.rttvar -= (self.rttvar - self.mdev_max) >> 2;
            }
            self.window_end = snd_nxt;
            self.mdev_max = floor;
        }
    }
}

/// A round trip is never nothing, so that there is room for saying that none is known.
fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// The sample that an ACK gives (`tcp_ack_update_rtt`): of segments sent once that it acknowledged, else of such that
/// it selectively acknowledged, else by the time that came back, which names the transmission itself.
pub fn choose(
    now: Instant,
    acked: Option<Duration>,
    sacked: Option<Duration>,
    echoed: Option<Instant>,
) -> Option<Duration> {
    acked.or(sacked).or_else(|| echoed.map(|sent| now.saturating_since(sent)))
}

/// Whole microseconds, saturating.
pub fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// The same of a number of nanoseconds.
#[inline]
pub const fn nanos_to_micros(nanos: u64) -> u32 {
    let micros = nanos / 1_000;
    if micros > u32::MAX as u64 { u32::MAX } else { micros as u32 }
}

fn clamp(value: i64) -> u32 {
    value.clamp(0, u32::MAX.into()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Samples `rtt` at one-per-window.
    fn feed(rtt: &mut RttEstimator, samples: &[Duration]) {
        for (at, sample) in samples.iter().enumerate() {
            let una = SeqNum::new(at as u32 * 1000 + 1);
            rtt.sample(Instant::from_millis(at as u64), *sample, una, una + 999);
        }
    }

    #[test]
    fn before_the_first_sample_a_second() {
        let mut rtt = RttEstimator::new(RTO_MIN);
        assert_eq!((rtt.rto(), rtt.srtt(), rtt.min_rtt()), (RTO_INITIAL, None, None));
        rtt.back_off();
        rtt.back_off();
        assert_eq!(rtt.rto(), Duration::from_secs(4));
        (0..40).for_each(|_| rtt.back_off());
        assert_eq!(rtt.rto(), RTO_MAX);
        rtt.reset_backoff();
        assert_eq!(rtt.rto(), RTO_INITIAL);
    }

    #[test]
    fn the_first_sample_gives_three_round_trips() {
        // RFC 6298 section 2.2: SRTT = R, RTTVAR = R/2, RTO = R + 4 * R/2.
        let mut rtt = RttEstimator::new(RTO_MIN);
        feed(&mut rtt, &[300 * MS]);
        assert_eq!((rtt.srtt(), rtt.rttvar(), rtt.rto()), (Some(300 * MS), Some(150 * MS), 900 * MS));
    }

    #[test]
    fn the_variation_has_the_floor_of_linux() {
        let mut rtt = RttEstimator::new(RTO_MIN);
        feed(&mut rtt, &[10 * MS; 100]);
        assert_eq!((rtt.srtt(), rtt.rto()), (Some(10 * MS), 210 * MS));
        let mut rtt = RttEstimator::new(5 * MS);
        feed(&mut rtt, &[10 * MS; 100]);
        assert!(rtt.rto() >= 15 * MS && rtt.rto() < 16 * MS, "{:?}", rtt.rto());
    }

    #[test]
    fn smoothing_has_the_weights_of_the_rfc() {
        let mut rtt = RttEstimator::new(RTO_MIN);
        feed(&mut rtt, &[800 * MS, 1600 * MS]);
        // SRTT = 7/8 * 800 + 1/8 * 1600; RTTVAR = 3/4 * 400 + 1/4 * 800.
        assert_eq!((rtt.srtt(), rtt.rttvar()), (Some(900 * MS), Some(500 * MS)));
        assert_eq!(rtt.rto(), 2900 * MS);
    }

    #[test]
    fn a_shorter_round_trip_does_not_lengthen_the_timeout() {
        let mut rtt = RttEstimator::new(RTO_MIN);
        feed(&mut rtt, &[500 * MS; 60]);
        let before = rtt.rto();
        rtt.sample(Instant::from_millis(60), 100 * MS, SeqNum::new(100_000), SeqNum::new(200_000));
        assert!(rtt.rto() <= before, "{:?} after {before:?}", rtt.rto());
    }

    #[test]
    fn a_sample_ends_the_back_off() {
        let mut rtt = RttEstimator::new(RTO_MIN);
        feed(&mut rtt, &[100 * MS]);
        rtt.back_off();
        assert_eq!(rtt.rto(), 600 * MS);
        rtt.sample(Instant::from_millis(1), 100 * MS, SeqNum::new(2), SeqNum::new(3));
        assert_eq!(rtt.backoff(), 0);
    }

    #[test]
    fn samples_name_one_transmission() {
        let (now, sent) = (Instant::from_millis(100), Instant::from_millis(70));
        assert_eq!(choose(now, Some(MS), Some(2 * MS), Some(sent)), Some(MS));
        assert_eq!(choose(now, None, Some(2 * MS), Some(sent)), Some(2 * MS));
        assert_eq!(choose(now, None, None, Some(sent)), Some(30 * MS));
        assert_eq!(choose(now, None, None, None), None);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut rtt = RttEstimator::new(RTO_MIN);
        feed(&mut rtt, &[Duration::MAX, Duration::ZERO, Duration::MAX, Duration::ZERO]);
        assert!(rtt.rto() <= RTO_MAX && rtt.rto() >= RTO_MIN);
        rtt.seed(50 * MS, 10 * MS, SeqNum::new(9));
        assert_eq!(rtt.rto(), 250 * MS);
    }
}
