//! The report: medians and spreads of all rounds, ratios round by round, CPU time; as a table and as JSON.

use crate::contender::Round;
use crate::outcome::Unit;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The median of some figures and how far they spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Half of the figures are below.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of `figures`; zeros if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = figures.into_iter().collect();
        all.sort_by(f64::total_cmp);
        let at = |index: usize| all.get(index).copied().unwrap_or_default();
        let last = all.len().saturating_sub(1);
        Self { median: f64::midpoint(at(last / 2), at(all.len() / 2)), min: at(0), max: at(last) }
    }
}

/// One contender under one load.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The contender.
    pub name: String,
    /// The load.
    pub load: String,
    /// What is counted.
    pub unit: Unit,
    /// Counts in a second, in the unit's terms.
    pub rate: Spread,
    /// The same divided by the first contender's in the same round.
    pub ratio: Spread,
    /// Median latency in microseconds.
    pub p50_us: Spread,
    /// 99 % latency in microseconds.
    pub p99_us: Spread,
    /// 99.9 % latency in microseconds.
    pub p999_us: Spread,
    /// What got no answer, all rounds together.
    pub lost: u64,
    /// Busy share of each core, in percent: user, system, soft and hard interrupts.
    pub cores_percent: Vec<CoreShare>,
    /// Share of a core that each program used, in percent.
    pub programs_percent: BTreeMap<String, f64>,
    /// CPU time of all cores together for each of what the unit names, in microseconds.
    pub cpu_us_each: f64,
}

/// Median shares of one core, in percent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs)] // the names are those of proc_stat(5)
pub struct CoreShare {
    pub user: f64,
    pub system: f64,
    pub softirq: f64,
    pub irq: f64,
    pub idle: f64,
    pub steal: f64,
}

/// All rounds of one contender under one load.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// In order.
    pub rounds: Vec<Round>,
}

impl Series {
    fn rates(&self) -> impl Iterator<Item = f64> + '_ {
        self.rounds.iter().map(|round| round.outcome.rate())
    }

    /// The row of this series against `base`, which ran by turns with it.
    pub fn row(&self, name: &str, load: &str, unit: Unit, base: &Self) -> Row {
        let ratios = self.rates().zip(base.rates()).map(|(ours, theirs)| ours / theirs.max(1.0));
        let outcomes = || self.rounds.iter().map(|round| round.outcome);
        Row {
            name: name.into(),
            load: load.into(),
            unit,
            rate: Spread::of(self.rates().map(|rate| rate * unit.scale)),
            ratio: Spread::of(ratios),
            p50_us: Spread::of(outcomes().map(|o| o.p50_us)),
            p99_us: Spread::of(outcomes().map(|o| o.p99_us)),
            p999_us: Spread::of(outcomes().map(|o| o.p999_us)),
            lost: outcomes().map(|o| o.lost).sum(),
            cores_percent: self.cores(),
            programs_percent: self.programs(),
            cpu_us_each: unit.counts_each * Spread::of(self.rounds.iter().map(busy_micros_per_count)).median,
        }
    }

    fn cores(&self) -> Vec<CoreShare> {
        let count = self.rounds.iter().map(|round| round.usage.cores.len()).min().unwrap_or(0);
        (0..count).map(|core| self.core(core)).collect()
    }

    fn core(&self, core: usize) -> CoreShare {
        let share = |part: fn(&crate::cpu::Core) -> f64| {
            let of_round = |round: &Round| {
                let core = round.usage.cores.get(core).copied().unwrap_or_default();
                100.0 * part(&core) / all(&core).max(0.01)
            };
            Spread::of(self.rounds.iter().map(of_round)).median
        };
        CoreShare {
            user: share(|c| c.user),
            system: share(|c| c.system),
            softirq: share(|c| c.softirq),
            irq: share(|c| c.irq),
            idle: share(|c| c.idle),
            steal: share(|c| c.steal),
        }
    }

    fn programs(&self) -> BTreeMap<String, f64> {
        let names = self.rounds.iter().flat_map(|round| round.usage.processes.keys().cloned());
        let share = |name: &String| {
            let of_round = |round: &Round| {
                let used = round.usage.processes.get(name).copied().unwrap_or(0.0);
                100.0 * used / round.usage.cores.first().map_or(1.0, all).max(0.01)
            };
            Spread::of(self.rounds.iter().map(of_round)).median
        };
        let mut shares: BTreeMap<String, f64> = names.map(|name| (share(&name), name)).map(|(s, n)| (n, s)).collect();
        shares.insert("load".into(), Spread::of(self.rounds.iter().map(|r| r.outcome.cpu_percent)).median);
        shares
    }
}

fn all(core: &crate::cpu::Core) -> f64 {
    core.user + core.system + core.idle + core.irq + core.softirq + core.steal
}

/// The busy time of all cores by what was answered in the whole round, its beginning estimated by the measured rate.
fn busy_micros_per_count(round: &Round) -> f64 {
    let busy: f64 = round.usage.cores.iter().map(|core| all(core) - core.idle - core.steal).sum();
    let wall = round.usage.cores.first().map_or(0.0, all);
    1e6 * busy / (round.outcome.rate() * wall).max(1.0)
}

/// The rows as people read them.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let head = "contender          load                 rate (min .. max)                           ratio (min .. max)    p50 us   p99 us p99.9 us    lost  CPU us";
    let _ = writeln!(text, "{head}");
    for row in rows {
        let (rate, ratio, digits) = (row.rate, row.ratio, if row.unit.scale < 1.0 { 3 } else { 0 });
        let _ = writeln!(
            text,
            "{:<18} {:<13} {:>9.digits$} ({:>7.digits$} .. {:>7.digits$}) {:<13}  {:>8.2} ({:.2} .. {:.2})   {:>7.1}  {:>7.1}  {:>7.1} {:>7}  {:>6.2} per {}",
            row.name,
            row.load,
            rate.median,
            rate.min,
            rate.max,
            row.unit.rate,
            ratio.median,
            ratio.min,
            ratio.max,
            row.p50_us.median,
            row.p99_us.median,
            row.p999_us.median,
            row.lost,
            row.cpu_us_each,
            row.unit.each,
        );
    }
    let _ = writeln!(
        text,
        "\nshare of a core, percent (a soft interrupt counts for the core, and for the program that it interrupts)"
    );
    for row in rows {
        let programs: Vec<_> =
            row.programs_percent.iter().filter(|(_, s)| **s >= 0.5).map(|(n, s)| format!("{n} {s:.0}")).collect();
        let core = |(index, c): (usize, &CoreShare)| {
            format!(
                "core {index}: user {:.0} system {:.0} softirq {:.0} idle {:.0} steal {:.0}",
                c.user, c.system, c.softirq, c.idle, c.steal
            )
        };
        let cores: Vec<_> = row.cores_percent.iter().enumerate().map(core).collect();
        let _ = writeln!(text, "{:<18} {:<13} {}; {}", row.name, row.load, programs.join(", "), cores.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::PACKETS;

    #[test]
    fn medians_lie_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(Spread::of([]), Spread::default());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let series = |counts: [u64; 3]| Series {
            rounds: counts
                .map(|count| {
                    let outcome = crate::outcome::Outcome { count, seconds: 1.0, ..Default::default() };
                    Round { outcome, usage: crate::cpu::Usage::default() }
                })
                .into(),
        };
        let row = series([20, 60, 200]).row("twice", "1", PACKETS, &series([10, 30, 100]));
        assert_eq!((row.ratio.min, row.ratio.max, row.rate.median), (2.0, 2.0, 60.0));
        assert!(table(&[row]).contains("twice"));
    }
}
