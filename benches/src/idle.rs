//! Many connections on one lane, most of them idle: what each takes, and what a request costs among them.
//!
//! Memory is what the process holds (`/proc/self/smaps_rollup`), less what was held before: its own, where the lane keeps connections
//! and both sides keep tables of slots, and the sessions' regions. Cost is that of the lane, its stages added up; the far ends and the
//! servers are beside it. Requests go to connections in a random order, so that each finds its own cold; and to one alone, while the
//! others are idle.

use crate::numbers::numbers;
use crate::tcp::REQUEST_BYTES;
use crate::tcp::peer::CONNECTIONS_PER_PORT;
use crate::tcp::rig::TcpRig;
use crate::tcp::server::Service;
use std::fmt;
use std::fs;
use std::io;
use xmit_shared::clock;
use xmit_shared::session::ClientSlot;

/// Every connection of the last step has had a request, and so has its ring's pages, up to here: 100,000 take 0.8 GB.
const ASKED_MAX: u32 = 100_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Numbers of connections, growing.
    pub steps: Vec<u32>,
    /// Requests measured at each step.
    pub requests: u32,
}

/// What was measured at one number of connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// Connections.
    pub connections: u32,
    /// Bytes of the lane that each takes beside its slot: established, before any data.
    pub bytes_established: f64,
    /// Bytes of the session's region that each takes then: positions that both sides see.
    pub bytes_shared: f64,
    /// Bytes more for each after one request on each: buffers in use. Not measured beyond [`ASKED_MAX`].
    pub bytes_asked: Option<f64>,
    /// Bytes of the kernel's page tables that each takes then.
    pub bytes_tables: Option<f64>,
    /// Cycles of the lane for a request and its answer on one connection, while all others are idle.
    pub cycles_warm: f64,
    /// The same on another connection each time.
    pub cycles_single: f64,
    /// The same, 32 at a time; with that many connections.
    pub cycles_burst: Option<f64>,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Bytes of the tables of both sides for each slot of a session, before any connection; 0 if one session was enough.
    pub bytes_slot: f64,
    /// One for each number of connections.
    pub steps: Vec<Step>,
}

/// Longer than any timer that a request leaves behind, milliseconds.
const REST_MS: u32 = 1_000;
/// Requests at once.
const BURST: usize = 32;

/// Runs it.
///
/// # Errors
/// As [`TcpRig::settle`], and if `/proc` cannot be read.
pub fn run(options: &Options) -> io::Result<Outcome> {
    let all = options.steps.iter().copied().max().unwrap_or(0);
    let mut rig = TcpRig::new(all, REQUEST_BYTES, 0, Service::Echo, clock::cycles)?;
    // What happens once counts for nobody: code that is paged in, tables that begin.
    rig.connect(0..1)?;
    rig.request(&[0], REQUEST_BYTES as u64)?;
    let (mut outcome, mut connected, mut held, mut held_shared) = (Outcome::default(), 1, 0.0, 0.0);
    if all > CONNECTIONS_PER_PORT {
        outcome.start_server(&mut rig)?;
    }
    for &connections in &options.steps {
        let (start, mut sessions) = (resident()?, 0);
        while connected < connections {
            // The rest of this port first, then the next one's server starts.
            let end = connections.min(connected.next_multiple_of(CONNECTIONS_PER_PORT).max(connected + 1));
            if connected.is_multiple_of(CONNECTIONS_PER_PORT) && connected > CONNECTIONS_PER_PORT {
                sessions += 1;
                rig.start_server(connected)?;
            }
            rig.connect(connected..end)?;
            connected = end;
        }
        let tables = outcome.bytes_slot * f64::from(rig.slots() * sessions);
        let (end, others) = (resident()?, f64::from(connections.max(2) - 1));
        held += end.own.saturating_sub(start.own) as f64 - tables;
        held_shared += end.shared.saturating_sub(start.shared) as f64;
        let mut step = Step {
            connections,
            bytes_established: held / others,
            bytes_shared: held_shared / others,
            ..Step::default()
        };
        measure(options, &mut rig, &mut step)?;
        outcome.steps.push(step);
    }
    Ok(outcome)
}

impl Outcome {
    /// The second session shows what slots take, before anything has left memory behind that it could use.
    fn start_server(&mut self, rig: &mut TcpRig) -> io::Result<()> {
        let before = resident()?;
        rig.start_server(CONNECTIONS_PER_PORT)?;
        self.bytes_slot = resident()?.own.saturating_sub(before.own) as f64 / f64::from(rig.slots());
        Ok(())
    }
}

fn measure(options: &Options, rig: &mut TcpRig, step: &mut Step) -> io::Result<()> {
    if step.connections <= ASKED_MAX {
        let start = resident()?;
        for index in 0..step.connections {
            rig.request(&[index], REQUEST_BYTES as u64)?;
        }
        let end = resident()?;
        let grown = end.own.saturating_sub(start.own) + end.shared.saturating_sub(start.shared);
        step.bytes_asked = Some(grown as f64 / f64::from(step.connections));
        step.bytes_tables = Some(end.tables.saturating_sub(start.tables) as f64 / f64::from(step.connections));
    }
    // Beyond that, requests go round among the first ones.
    let among = step.connections.min(ASKED_MAX);
    // The timers of what was said until now are not part of what an idle connection costs.
    rig.rest(REST_MS)?;
    let requests = options.requests as usize;
    step.cycles_warm = cycles_each(rig, (0..requests).map(|_| vec![0]))?;
    step.cycles_single = cycles_each(rig, numbers(1).take(requests).map(|n| vec![(n % u64::from(among)) as u32]))?;
    if among as usize >= BURST {
        step.cycles_burst = Some(cycles_each(rig, numbers(2).take(requests / BURST).map(|n| burst(n, among)))?);
    }
    Ok(())
}

/// Different connections of one port.
fn burst(number: u64, among: u32) -> Vec<u32> {
    let ports = u64::from(among / CONNECTIONS_PER_PORT).max(1);
    let first = (number % ports) as u32 * CONNECTIONS_PER_PORT;
    let size = among.min(CONNECTIONS_PER_PORT);
    // A stride that is odd and prime to the size meets none twice.
    let stride = size / BURST as u32;
    let start = (number >> 32) as u32 % size;
    (0..BURST as u32).map(|step| first + (start + step * stride) % size).collect()
}

/// Cycles of the lane's stages for each request.
fn cycles_each(rig: &mut TcpRig, requests: impl Iterator<Item = Vec<u32>>) -> io::Result<f64> {
    let spent = |rig: &TcpRig| rig.lane().stages().iter().map(|(_, cycles, _)| cycles).sum::<u64>();
    let (before, mut count) = (spent(rig), 0);
    for indices in requests {
        rig.request(&indices, REQUEST_BYTES as u64)?;
        count += indices.len();
    }
    Ok((spent(rig) - before) as f64 / count.max(1) as f64)
}

/// Bytes of this process that are in memory.
#[derive(Clone, Copy, Debug)]
struct Resident {
    /// Nobody else's.
    own: u64,
    /// Of the sessions' regions.
    shared: u64,
    /// Of the kernel's page tables for it.
    tables: u64,
}

fn resident() -> io::Result<Resident> {
    let (rollup, status) = ("/proc/self/smaps_rollup", "/proc/self/status");
    Ok(Resident {
        own: bytes_in(rollup, "Pss_Anon:")?,
        shared: bytes_in(rollup, "Pss_Shmem:")?,
        tables: bytes_in(status, "VmPTE:")?,
    })
}

/// What `file` says behind `name`, which it counts in KiB.
fn bytes_in(file: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("no {name} in {file}")))
}

/// As people read it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = size_of::<ClientSlot>();
        writeln!(f, "a session's tables: {:.0} bytes a slot, {client} of them the program's own", self.bytes_slot)?;
        writeln!(
            f,
            "{:>11} {:>17} {:>9} {:>13} {:>13} {:>15} {:>6} {:>15} {:>6} {:>13} {:>6}",
            "connections",
            "bytes established",
            "+ shared",
            "+ bytes asked",
            "+ page tables",
            "cycles, one",
            "ratio",
            "one at a time",
            "ratio",
            "32 at a time",
            "ratio"
        )?;
        let first = self.steps.first().copied().unwrap_or_default();
        let first_burst = self.steps.iter().find_map(|step| step.cycles_burst).unwrap_or(1.0);
        for step in &self.steps {
            let or_dash =
                |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
            writeln!(
                f,
                "{:>11} {:>17.0} {:>9.0} {:>13} {:>13} {:>15.0} {:>6.2} {:>15.0} {:>6.2} {:>13} {:>6}",
                step.connections,
                step.bytes_established,
                step.bytes_shared,
                or_dash(step.bytes_asked, 0),
                or_dash(step.bytes_tables, 0),
                step.cycles_warm,
                step.cycles_warm / first.cycles_warm,
                step.cycles_single,
                step.cycles_single / first.cycles_single,
                or_dash(step.cycles_burst, 0),
                or_dash(step.cycles_burst.map(|cycles| cycles / first_burst), 2),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_among_idle_connections() {
        let outcome = run(&Options { steps: vec![1, 40], requests: 64 }).unwrap();
        assert_eq!(outcome.steps.len(), 2);
        assert!(outcome.steps.iter().all(|step| step.cycles_single > 0.0), "{outcome}");
        assert!(outcome.steps[1].cycles_burst.is_some(), "{outcome}");
    }

    #[test]
    fn a_burst_meets_nobody_twice() {
        for (number, among) in [(1, 32), (u64::MAX, 100), (7 << 32, 4000), (1 << 40, 100_000)] {
            let mut indices = burst(number, among);
            indices.sort_unstable();
            indices.dedup();
            assert_eq!(indices.len(), BURST, "{number} among {among}");
            assert!(indices.iter().all(|index| *index < among));
            assert!(indices.windows(2).all(|pair| TcpRig::server_of(pair[0]) == TcpRig::server_of(pair[1])));
        }
    }
}
