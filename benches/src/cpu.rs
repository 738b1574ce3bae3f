//! Who used how much CPU time: processes from their threads' `schedstat`, cores from `/proc/stat`.
//!
//! `schedstat` counts nanoseconds, interrupts on top of a thread included; `/proc/stat` counts ticks of 10 ms and tells what
//! ran in soft interrupts, as most of the kernel's network does.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// A tick of `/proc/stat` in seconds: `USER_HZ` is 100 on every architecture in use.
const TICK: f64 = 0.01;

/// CPU time in seconds since boot, or between two readings, of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names are those of proc_stat(5)
pub struct Core {
    pub user: f64,
    pub system: f64,
    pub idle: f64,
    pub irq: f64,
    pub softirq: f64,
    pub steal: f64,
}

/// All cores and the processes that were asked for, at one moment or between two.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// By number.
    pub cores: Vec<Core>,
    /// Seconds of CPU time by `process` or `process/thread`.
    pub processes: BTreeMap<String, f64>,
}

impl Usage {
    /// The present reading, for processes given as (name, process id).
    pub fn now(processes: &[(&str, u32)]) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let cores = stat.lines().filter_map(core).collect();
        let times = processes.iter().flat_map(|(name, pid)| threads(name, *pid)).collect();
        Self { cores, processes: times }
    }

    /// What was used since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let cores = self.cores.iter().zip(&earlier.cores).map(|(now, then)| now.since(then)).collect();
        let before = |name: &String| earlier.processes.get(name).copied().unwrap_or(0.0);
        let processes = self.processes.iter().map(|(name, time)| (name.clone(), time - before(name))).collect();
        Self { cores, processes }
    }
}

impl Core {
    fn since(&self, then: &Self) -> Self {
        Self {
            user: self.user - then.user,
            system: self.system - then.system,
            idle: self.idle - then.idle,
            irq: self.irq - then.irq,
            softirq: self.softirq - then.softirq,
            steal: self.steal - then.steal,
        }
    }
}

/// `cpu0 user nice system idle iowait irq softirq steal ...`
fn core(line: &str) -> Option<Core> {
    let (name, rest) = line.split_once(' ')?;
    name.strip_prefix("cpu").filter(|number| !number.is_empty())?;
    let ticks: Vec<f64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let at = |index: usize| ticks.get(index).copied().unwrap_or(0.0) * TICK;
    Some(Core { user: at(0) + at(1), system: at(2), idle: at(3) + at(4), irq: at(5), softirq: at(6), steal: at(7) })
}

/// Each thread of a process that ever ran; a process of one thread goes by its own name.
fn threads(name: &str, pid: u32) -> Vec<(String, f64)> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let paths: Vec<_> = tasks.flatten().map(|task| task.path()).collect();
    let single = paths.len() == 1;
    let mut times: BTreeMap<String, f64> = BTreeMap::new();
    for path in paths {
        let thread = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let key = if single { name.to_owned() } else { format!("{name}/{}", thread.trim()) };
        *times.entry(key).or_default() += run_time(&path);
    }
    times.into_iter().collect()
}

/// The first number of `schedstat`: nanoseconds on a core.
fn run_time(task: &Path) -> f64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).map_or(0.0, |nanos| nanos / 1e9)
}

/// Puts this process and what it starts into a scheduling group of their own that goes before all others: a session of their
/// own, whose autogroup (sched(7)) gets the lowest nice value.
///
/// # Errors
/// The kernel's: a process that leads its group cannot leave its session (`setsid --wait` gives it one); only root may lower nice values.
pub fn go_first() -> io::Result<()> {
    use rustix::process::{getpid, getsid, setsid};
    if getsid(None)? != getpid() {
        setsid()?;
    }
    fs::write("/proc/self/autogroup", "-20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_and_the_sum_is_not() {
        let line = "cpu1 100 0 50 1000 5 1 20 0 0 0";
        let expected = Core { user: 1.0, system: 0.5, idle: 10.05, irq: 0.01, softirq: 0.2, steal: 0.0 };
        assert_eq!(core(line), Some(expected));
        assert_eq!(core("cpu  100 0 50 1000 5 1 20 0 0 0"), None);
        assert_eq!(core("intr 1 2 3"), None);
    }

    #[test]
    fn this_process_used_time() {
        let used = Usage::now(&[("me", std::process::id())]);
        assert!(!used.cores.is_empty());
        assert!(used.processes.values().sum::<f64>() > 0.0, "{:?}", used.processes);
    }
}
