//! What a lane publishes about itself, and how the control thread reads it.
//!
//! One page of counters per lane: SNMP, drops, cycles and items per stage, turns, frames, ports. Written by the lane when
//! it has time, read at any time; a reader may see one counter a little older than another, never half a counter.

use crate::api::{Counters, LaneStages, LaneStat, PortStat, Stage as ApiStage};
use xmit_dataplane::DropReason;
use xmit_dataplane::counters::Snmp;
use xmit_dataplane::lane::{Lane, Stage};
use xmit_nic::{Instant, PortStats};
use xmit_shared::stats::{StatsReader, StatsWriter, stats};

/// Ports that a page has room for.
const PORTS: usize = xmit_dataplane::limits::PORTS_MAX;

const TURNS: [&str; 7] =
    ["turns", "idle_turns", "sleeps", "doorbells", "route_cache_hits", "route_cache_misses", "sleeping"];
const LAST_TURN: &str = "last_turn_ns";

/// The lane's end of its page.
#[derive(Debug)]
pub struct Publisher {
    page: StatsWriter,
    values: Vec<u64>,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Published {
    page: StatsReader,
}

/// A page for one lane.
pub fn page() -> (Publisher, Published) {
    let names: Vec<&'static str> = names().collect();
    let (writer, reader) = stats(&names);
    (Publisher { page: writer, values: Vec::with_capacity(names.len()) }, Published { page: reader })
}

/// The layout of the page, section after section.
fn names() -> impl Iterator<Item = &'static str> {
    let snmp = Snmp::ALL.iter().map(|c| c.name());
    let drops = DropReason::ALL.iter().map(|r| r.name());
    let stages = Stage::ALL.iter().chain(Stage::ALL).map(|s| s.name());
    let ports = (0..PORTS).flat_map(|_| port_names().chain(["carrier"]));
    snmp.chain(drops).chain(stages).chain(TURNS).chain([LAST_TURN]).chain(ports)
}

fn port_names() -> impl Iterator<Item = &'static str> {
    PortStats::default().named().into_iter().map(|(name, _)| name)
}

impl Publisher {
    /// Publishes the state of `lane` at `now`; `sleeping` if it is about to sleep.
    pub fn publish(&mut self, now: Instant, lane: &Lane, sleeping: bool) {
        let net = &lane.stack.net;
        let (turns, cache) = (lane.turns(), net.cache.stats());
        self.values.clear();
        self.values.extend(net.counters.values());
        self.values.extend(lane.stages().values());
        self.values.extend([turns.total, turns.idle, turns.sleeps, turns.doorbells, cache.hits, cache.misses]);
        self.values.extend([u64::from(sleeping), now.as_nanos()]);
        for port in lane.ports() {
            self.values.extend(port.stats().named().map(|(_, value)| value));
            self.values.push(u64::from(port.carrier()));
        }
        self.values.resize(names().count(), 0);
        self.page.publish(&self.values);
    }
}

/// One reading of a lane's page.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What `xmit stat` shows, but for names and modes of ports.
    pub stat: LaneStat,
    /// What `xmit stat --stages` shows.
    pub stages: LaneStages,
    /// When the last published turn began.
    pub last_turn: Instant,
    /// It was about to sleep then.
    pub sleeping: bool,
}

impl Published {
    /// Reads the page of lane `lane` on `core`.
    pub fn read(&self, lane: u32, core: u32) -> Reading {
        let all: Vec<(&'static str, u64)> = self.page.read().collect();
        let mut rest = all.as_slice();
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n.min(rest.len()));
            rest = tail;
            head
        };
        let snmp = named(take(Snmp::COUNT));
        let drops = named(take(DropReason::COUNT));
        let cycles = take(Stage::COUNT);
        let items = take(Stage::COUNT);
        let mut activity = named(take(TURNS.len()));
        let last_turn = take(1).first().map_or(0, |(_, at)| *at);
        let ports = (0..PORTS).map(|_| take(port_names().count() + 1)).map(port).collect();
        let sleeping = activity.remove("sleeping").unwrap_or(0) != 0;
        let turns = activity.get("turns").copied().unwrap_or(0);
        let stages = cycles.iter().zip(items).map(|((name, cycles), (_, packets))| ApiStage {
            name: (*name).to_owned(),
            cycles: *cycles,
            packets: *packets,
        });
        Reading {
            stages: LaneStages { lane, core, turns, stages: stages.collect() },
            stat: LaneStat { lane, core, snmp, drops, activity, ports, ..LaneStat::default() },
            last_turn: Instant::from_nanos(last_turn),
            sleeping,
        }
    }
}

fn named(values: &[(&'static str, u64)]) -> Counters {
    values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn port(values: &[(&'static str, u64)]) -> PortStat {
    let mut counters = named(values);
    let carrier = counters.remove("carrier").unwrap_or(0) != 0;
    PortStat { carrier, counters, ..PortStat::default() }
}
