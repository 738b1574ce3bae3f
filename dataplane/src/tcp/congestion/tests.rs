//! Tests of the algorithms: their steps, and their response functions over a path that loses every n-th segment.

use super::super::rtt::micros;
use super::*;

const MS: Duration = Duration::from_millis(1);
const MSS: u32 = 1000;

/// A path of one round trip without queue: what is sent in a round is acknowledged in the next.
struct Path {
    cc: Congestion,
    now: Instant,
    rtt: Duration,
    /// The ACKs of a round come in the last of so many parts of it.
    parts: u32,
    paced: bool,
    una: SeqNum,
    sent: u64,
}

impl Path {
    fn new(kind: Kind, rtt: Duration) -> Self {
        let (cc, una) = (Congestion::new(kind, Instant::ZERO), SeqNum::new(0));
        Self { cc, now: Instant::ZERO, rtt, parts: 1, paced: false, una, sent: 0 }
    }

    /// Sends a window and takes its ACKs; every `period`-th segment is lost, and the first `marked` are marked.
    fn round(&mut self, period: u64, marked: u32) {
        let window = self.cc.cwnd();
        let nxt = self.una + window * MSS;
        self.cc.on_sent(self.now, self.una, nxt, window, true);
        let acks_for = self.rtt / self.parts;
        let began = self.now + self.rtt - acks_for;
        let mut lost = false;
        for at in 0..window {
            self.sent += 1;
            lost |= self.sent.is_multiple_of(period);
            self.now = began + acks_for * (at + 1) / window;
            self.una += MSS;
            self.cc.on_ack(&AckSample {
                now: self.now,
                una: self.una,
                nxt: nxt + (at + 1) * MSS,
                delivered: 1,
                acked_bytes: MSS,
                ece_marked_bytes: if at < marked { MSS } else { 0 },
                rtt_micros: Some(micros(self.rtt)),
                min_rtt_micros: Some(micros(self.rtt)),
                srtt_micros: Some(micros(self.rtt)),
                mss: MSS,
                paced: self.paced,
                may_grow: !lost,
            });
        }
        if lost || marked > 0 {
            self.cc.reduce(if lost { Signal::Loss } else { Signal::Ece });
            self.cc.end_reduction();
        }
    }

    /// The mean window over the last of `losses` periods, when memory of the beginning is gone.
    fn mean_window(kind: Kind, rtt: Duration, period: u64, losses: u64) -> f64 {
        let mut path = Self::new(kind, rtt);
        while path.sent < period * losses / 3 {
            path.round(period, 0);
        }
        let (sent, mut rounds) = (path.sent, 0);
        while path.sent < period * losses {
            path.round(period, 0);
            rounds += 1;
        }
        (path.sent - sent) as f64 / f64::from(rounds)
    }
}

fn close(got: f64, expected: f64, tolerance: f64) {
    assert!((got / expected - 1.0).abs() < tolerance, "{got:.1} instead of {expected:.1}");
}

/// Mathis et al. 1997: sqrt(3 / 2p).
#[test]
fn reno_s_response_function() {
    for period in [1000u64, 10_000, 100_000] {
        let mean = Path::mean_window(Kind::Reno, 100 * MS, period, 30);
        close(mean, (1.5 * period as f64).sqrt(), 0.1);
    }
}

/// RFC 9438 section 5.1, equation 6, where it exceeds Reno's: `1.054 RTT^(3/4) / p^(3/4)`.
#[test]
fn cubic_s_response_function() {
    for (rtt, period) in [(100 * MS, 10_000u64), (100 * MS, 100_000), (200 * MS, 10_000), (50 * MS, 100_000)] {
        let mean = Path::mean_window(Kind::Cubic, rtt, period, 30);
        close(mean, 1.054 * (rtt.as_secs_f64() * period as f64).powf(0.75), 0.2);
    }
}

/// RFC 9438 section 4.3: on short paths CUBIC gets what Reno gets, or more.
#[test]
fn cubic_is_friendly_to_reno_on_short_paths() {
    for period in [300u64, 3000] {
        let reno = Path::mean_window(Kind::Reno, 10 * MS, period, 60);
        let cubic = Path::mean_window(Kind::Cubic, 10 * MS, period, 60);
        close(cubic, reno, 0.2);
    }
}

/// RFC 9438 section 4.2: W_cubic(K) = W_max, W_cubic(0) = 0.7 W_max.
#[test]
fn cubic_reaches_its_old_window_after_k() {
    let mut path = Path::new(Kind::Cubic, 100 * MS);
    path.cc.set_cwnd(1000);
    path.cc.reduce(Signal::Loss);
    path.cc.end_reduction();
    assert_eq!(path.cc.cwnd(), 700);
    let k = (1000.0 * 0.3 / 0.4f64).cbrt();
    while path.now.as_nanos() as f64 / 1e9 < k {
        path.round(u64::MAX, 0);
    }
    close(path.cc.cwnd().into(), 1000.0, 0.02);
    let at_k = path.cc.cwnd();
    (0..10).for_each(|_| path.round(u64::MAX, 0));
    assert!(path.cc.cwnd() - at_k < 5, "flat around W_max");
    (0..60).for_each(|_| path.round(u64::MAX, 0));
    assert!(path.cc.cwnd() > 1100, "then it looks for more: {}", path.cc.cwnd());
}

#[test]
fn time_without_sending_is_not_growth() {
    let mut path = Path::new(Kind::Cubic, 100 * MS);
    path.cc.set_cwnd(1000);
    path.cc.reduce(Signal::Loss);
    path.cc.end_reduction();
    path.round(u64::MAX, 0);
    path.now += Duration::from_secs(60);
    path.cc.on_idle(60_000_000_000);
    let before = path.cc.cwnd();
    path.round(u64::MAX, 0);
    assert!(path.cc.cwnd() < before + 30, "{}", path.cc.cwnd());
}

#[test]
fn slow_start_doubles_and_stops_at_the_threshold() {
    for kind in Kind::ALL {
        let mut path = Path::new(kind, 100 * MS);
        assert_eq!((path.cc.cwnd(), path.cc.kind()), (INITIAL_WINDOW, kind));
        path.round(u64::MAX, 0);
        path.round(u64::MAX, 0);
        assert_eq!(path.cc.cwnd(), 40);
        path.cc.set_ssthresh(50);
        path.round(u64::MAX, 0);
        assert_eq!(path.cc.cwnd(), 50);
    }
}

/// RFC 9406: eight samples a threshold above the last round's, a quarter of the growth, five rounds.
#[test]
fn hystart_leaves_slow_start_when_the_queue_grows() {
    let mut path = Path { parts: 4, ..Path::new(Kind::Cubic, 40 * MS) };
    path.round(u64::MAX, 0);
    path.round(u64::MAX, 0);
    path.rtt = 46 * MS;
    let before = path.cc.cwnd();
    path.round(u64::MAX, 0);
    let grown = path.cc.cwnd() - before;
    assert!(grown < before / 2, "conservative within the round: {before} by {grown}");
    let mut rounds = 1;
    while path.cc.ssthresh() == SSTHRESH_INFINITE {
        path.round(u64::MAX, 0);
        rounds += 1;
        assert!(rounds < 8);
    }
    assert!(rounds >= 5 && !path.cc.in_slow_start());
}

#[test]
fn hystart_resumes_when_the_round_trip_falls_again() {
    let mut path = Path { parts: 4, ..Path::new(Kind::Cubic, 40 * MS) };
    path.round(u64::MAX, 0);
    path.rtt = 50 * MS;
    path.round(u64::MAX, 0);
    path.rtt = 40 * MS;
    (0..8).for_each(|_| path.round(u64::MAX, 0));
    assert!(path.cc.in_slow_start() && path.cc.cwnd() > 1000);
}

/// Linux's `hystart_update`: ACKs of a window that came back to back for half a round trip tell that the path is half full. Those
/// of paced segments, or of a window of less than 16, or more than 2 ms apart tell nothing.
#[test]
fn hystart_leaves_slow_start_when_acks_fill_half_a_round_trip() {
    let after = |path: Path, rounds: usize| {
        let mut path = path;
        (0..rounds).for_each(|_| path.round(u64::MAX, 0));
        (path.cc.cwnd(), path.cc.in_slow_start())
    };
    let path = || Path::new(Kind::Cubic, 30 * MS);
    assert_eq!(after(path(), 1), (20, true), "ten segments are no train");
    assert_eq!(
        after(path(), 2),
        (31, false),
        "the eleventh of twenty comes after half the round trip and of what may be gathered"
    );
    assert_eq!(after(Path { paced: true, ..path() }, 5), (320, true));
    assert_eq!(after(Path { rtt: 41 * MS, ..path() }, 2), (40, true), "the twenty come 2.05 ms apart");
    assert_eq!(after(Path { parts: 2, ..path() }, 5), (320, true), "they come within half the round trip");
}

/// RFC 8257 section 3.3: with a share F of marks in every window alpha becomes F.
#[test]
fn dctcp_shrinks_by_the_share_of_marks() {
    let mut path = Path::new(Kind::Dctcp, MS);
    path.cc.set_ssthresh(100);
    path.cc.set_cwnd(100);
    for _ in 0..200 {
        path.cc.set_cwnd(100);
        path.round(u64::MAX, 25);
    }
    let Algorithm::Dctcp(dctcp) = path.cc.algorithm else { panic!("not DCTCP") };
    close(dctcp.alpha(), 0.25, 0.1);
    path.cc.set_cwnd(1000);
    path.cc.reduce(Signal::Ece);
    close(path.cc.ssthresh().into(), 1000.0 * (1.0 - 0.125), 0.02);
    path.cc.reduce(Signal::Loss);
    assert_eq!(path.cc.ssthresh(), 500);
    assert!(Kind::Dctcp.needs_ecn());
}

#[test]
fn an_undone_reduction_leaves_no_trace() {
    for kind in Kind::ALL {
        let mut path = Path::new(kind, 100 * MS);
        path.cc.set_ssthresh(300);
        path.cc.set_cwnd(400);
        (0..5).for_each(|_| path.round(u64::MAX, 0));
        let (before, mut twin) = (path.cc, path.cc);
        let prior = path.cc.reduce(Signal::Timeout);
        path.cc.set_cwnd(1);
        assert!(path.cc.undo(&prior));
        assert_eq!((path.cc.cwnd(), path.cc.ssthresh()), (before.cwnd(), before.ssthresh().max(before.cwnd() * 3 / 4)));
        twin.ssthresh = path.cc.ssthresh();
        path.round(u64::MAX, 0);
        let mut other = Path { cc: twin, ..Path::new(kind, 100 * MS) };
        (other.now, other.una) = (path.now - path.rtt, path.una - before.cwnd() * MSS);
        other.round(u64::MAX, 0);
        assert_eq!(other.cc.cwnd(), path.cc.cwnd());
    }
}

#[test]
fn an_unused_window_does_not_grow_and_decays() {
    let mut cc = Congestion::new(Kind::Reno, Instant::ZERO);
    cc.set_ssthresh(20);
    cc.set_cwnd(40);
    let at = SeqNum::new;
    cc.on_sent(Instant::ZERO, at(0), at(5000), 5, false);
    assert!(!cc.is_cwnd_limited());
    let sample = AckSample {
        now: Instant::from_millis(100),
        una: at(5000),
        nxt: at(5000),
        delivered: 50,
        acked_bytes: 5000,
        ece_marked_bytes: 0,
        rtt_micros: Some(100_000),
        min_rtt_micros: Some(100_000),
        srtt_micros: Some(100_000),
        mss: MSS,
        paced: false,
        may_grow: true,
    };
    cc.on_ack(&sample);
    assert_eq!(cc.cwnd(), 40);
    cc.validate_application_limited(Instant::from_millis(200), 300_000_000);
    assert_eq!(cc.cwnd(), 40, "not before a timeout has passed");
    cc.validate_application_limited(Instant::from_millis(300), 300_000_000);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (25, 30));
    cc.on_sent(Instant::from_millis(301), at(5000), at(30_000), 25, true);
    cc.on_ack(&AckSample { una: at(30_000), ..sample });
    assert!(cc.cwnd() > 25, "a full one does");
}

#[test]
fn idle_time_halves_the_window_per_timeout() {
    for (idle, left) in [(199, 80), (200, 40), (400, 20), (600, 10), (60_000, 10)] {
        let mut cc = Congestion::new(Kind::Cubic, Instant::ZERO);
        cc.set_cwnd(80);
        cc.restart_after_idle(Instant::from_millis(idle), idle as u32 * MS, 200 * MS);
        assert_eq!(cc.cwnd(), left, "after {idle} ms");
    }
}

#[test]
fn pacing_is_twice_the_window_in_slow_start() {
    let mut cc = Congestion::new(Kind::Cubic, Instant::ZERO);
    assert_eq!(cc.pacing_rate(None, 0, MSS, [200, 120]), None);
    assert_eq!(cc.pacing_rate(Some(100_000), 0, MSS, [200, 120]), Some(200_000));
    cc.set_ssthresh(12);
    assert_eq!(cc.pacing_rate(Some(100_000), 0, MSS, [200, 120]), Some(120_000));
    assert_eq!(cc.pacing_rate(Some(100_000), 20, MSS, [200, 120]), Some(240_000));
}

#[test]
fn names_are_linux_s() {
    assert_eq!(Kind::ALL.map(|kind| Kind::by_name(kind.name())), Kind::ALL.map(Some));
    assert_eq!((Kind::by_name("bbr"), Kind::by_name(""), Kind::default().name()), (None, None, "cubic"));
}

#[test]
fn the_window_stays_within_its_bounds() {
    let mut cc = Congestion::new(Kind::Reno, Instant::ZERO);
    cc.set_initial_window(4);
    cc.set_cwnd(64);
    cc.restart_after_idle(Instant::ZERO, Duration::from_secs(60), Duration::from_secs(1));
    assert_eq!(cc.cwnd(), 4, "idle time takes no more than the connection began with");
    cc.set_cwnd(0);
    assert_eq!(cc.cwnd(), 1);
    let prior = cc.reduce(Signal::Timeout);
    assert_eq!(cc.ssthresh(), SSTHRESH_MIN);
    cc.set_kind(Kind::Dctcp);
    assert_eq!((cc.kind(), cc.undo(&prior)), (Kind::Dctcp, false));
}
