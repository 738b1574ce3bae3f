//! What a load saw in the measured time, and how its counts are told.

use crate::cpu::Usage;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::io;
use xmit_shared::clock;
use xmit_shared::time::Instant;

/// The longest latency that is told apart.
const LATENCY_MAX_NANOS: u64 = 10_000_000_000;

/// What a load saw in the measured time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Answers, connections or bytes: what the load is about.
    pub count: u64,
    /// Measured time in seconds.
    pub seconds: f64,
    /// Answers that did not come in time, or connections that failed.
    pub lost: u64,
    /// Median round trip in microseconds.
    pub p50_us: f64,
    /// 99 in 100 were shorter, in microseconds.
    pub p99_us: f64,
    /// 999 in 1,000 were shorter, in microseconds.
    pub p999_us: f64,
    /// The longest in microseconds.
    pub max_us: f64,
    /// Share of a core that the load used, in percent.
    pub cpu_percent: f64,
}

/// The measured time of a load, and the CPU time that this process uses in it.
#[derive(Debug)]
pub struct Meter {
    /// When it began.
    pub start: Instant,
    before: Usage,
}

impl Meter {
    /// It begins now.
    pub fn start() -> Self {
        Self { start: clock::monotonic(), before: Self::usage() }
    }

    /// It ends now: there were `count` things in it, with their latencies in nanoseconds, and `lost` were not answered.
    pub fn outcome(&self, count: u64, lost: u64, latency: &Histogram<u64>) -> Outcome {
        let seconds = clock::monotonic().saturating_since(self.start).as_secs_f64();
        let cpu: f64 = Self::usage().since(&self.before).processes.values().sum();
        let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        Outcome {
            count,
            seconds,
            lost,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: latency.max() as f64 / 1e3,
            cpu_percent: 100.0 * cpu / seconds,
        }
    }

    fn usage() -> Usage {
        Usage::now(&[("load", std::process::id())])
    }
}

impl Outcome {
    /// Counts in a second.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.count as f64 / self.seconds } else { 0.0 }
    }
}

/// Latencies in nanoseconds, to three digits.
///
/// # Errors
/// None with these bounds; the library's type says otherwise.
pub fn latencies() -> io::Result<Histogram<u64>> {
    Histogram::new_with_max(LATENCY_MAX_NANOS, 3).map_err(io::Error::other)
}

/// How counts of one kind are told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Unit {
    /// The unit of a rate.
    pub rate: &'static str,
    /// A count in a second, in that unit.
    pub scale: f64,
    /// What CPU time is told for.
    pub each: &'static str,
    /// How many counts that is.
    pub counts_each: f64,
}

/// Datagrams answered.
pub const PACKETS: Unit = Unit { rate: "packets/s", scale: 1.0, each: "packet", counts_each: 1.0 };
/// Requests answered.
pub const REQUESTS: Unit = Unit { rate: "requests/s", scale: 1.0, each: "request", counts_each: 1.0 };
/// Connections made, used and closed.
pub const CONNECTIONS: Unit = Unit { rate: "connections/s", scale: 1.0, each: "connection", counts_each: 1.0 };
/// Bytes carried.
pub const BITS: Unit = Unit { rate: "Gbit/s", scale: 8e-9, each: "MiB", counts_each: 1048576.0 };
