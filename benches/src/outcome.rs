//! What a load saw in the measured time, and how its counts are told.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::io;

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

impl Outcome {
    /// `count` things in `seconds`, with their latencies in nanoseconds.
    pub fn new(count: u64, seconds: f64, lost: u64, latency: &Histogram<u64>) -> Self {
        let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count,
            seconds,
            lost,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: latency.max() as f64 / 1e3,
            cpu_percent: 0.0,
        }
    }

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
