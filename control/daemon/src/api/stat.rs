//! Counters and cycles of the lanes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Named counters. Names are the SNMP ones, a drop reason's, or `rtnl_link_stats64`'s.
pub type Counters = BTreeMap<String, u64>;

/// Adds every counter of `from` to the one of the same name in `into`.
pub fn add_counters(into: &mut Counters, from: &Counters) {
    for (name, value) in from {
        match into.get_mut(name) {
            Some(sum) => *sum = sum.saturating_add(*value),
            None => _ = into.insert(name.clone(), *value),
        }
    }
}

/// All counters of all lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// When they were read: nanoseconds on `CLOCK_MONOTONIC`, so that two answers give rates.
    pub at_ns: u64,
    /// The generation of the snapshot that lanes work with.
    pub generation: u64,
    /// Connected client processes.
    pub sessions: u64,
    /// Open sockets of all of them.
    pub sockets: u64,
    /// Sums over all lanes.
    pub total: LaneTotal,
    /// Each lane.
    pub lanes: Vec<LaneStat>,
}

impl Stat {
    /// A `Stat` over `lanes`, with the sums made.
    pub fn of_lanes(at_ns: u64, generation: u64, lanes: Vec<LaneStat>) -> Self {
        let mut total = LaneTotal::default();
        for lane in &lanes {
            total.add(lane);
        }
        Self { at_ns, generation, total, lanes, ..Self::default() }
    }
}

/// What can be summed over lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneTotal {
    /// SNMP counters.
    pub snmp: Counters,
    /// Dropped packets by reason.
    pub drops: Counters,
    /// Turns, idle turns, sleeps and what else the loop counts.
    pub activity: Counters,
    /// `rtnl_link_stats64` over all ports.
    pub ports: Counters,
}

impl LaneTotal {
    fn add(&mut self, lane: &LaneStat) {
        add_counters(&mut self.snmp, &lane.snmp);
        add_counters(&mut self.drops, &lane.drops);
        add_counters(&mut self.activity, &lane.activity);
        for port in &lane.ports {
            add_counters(&mut self.ports, &port.counters);
        }
    }
}

/// All counters of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneStat {
    /// The lane's number.
    pub lane: u32,
    /// The core it is pinned to.
    pub core: u32,
    /// SNMP counters: `IpInReceives`, `UdpOutDatagrams`, ...
    pub snmp: Counters,
    /// Dropped packets by reason.
    pub drops: Counters,
    /// `turns`, `idle_turns`, `sleeps`, ...
    pub activity: Counters,
    /// Frames by who holds them: `free`, `lane`, `receive`, `transmit`.
    pub frames: Counters,
    /// The lane's ports.
    pub ports: Vec<PortStat>,
}

/// One port of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStat {
    /// The port, such as `eth1/0` (interface and queue).
    pub name: String,
    /// The interface it belongs to.
    pub interface: String,
    /// The mode obtained: `AF_XDP native, copy, need-wakeup`, ...
    pub mode: String,
    /// False while the link is known to be down.
    pub carrier: bool,
    /// By the names of `rtnl_link_stats64`.
    pub counters: Counters,
    /// What the XDP program did with the frames of the whole interface, the same for each of its queues; empty where none
    /// is attached.
    pub steering: Counters,
}

/// Cycles per stage of the turn, for each lane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Ticks of the time-stamp counter in a second, as measured at start.
    pub cycles_per_second: u64,
    /// Each lane.
    pub lanes: Vec<LaneStages>,
}

/// Where one lane's cycles went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneStages {
    /// The lane's number.
    pub lane: u32,
    /// The core it is pinned to.
    pub core: u32,
    /// Turns that were measured.
    pub turns: u64,
    /// In the order of the turn.
    pub stages: Vec<Stage>,
}

/// One stage of the turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name: `rx`, `mailbox`, `submissions`, `timers`, `qdisc`, ...
    pub name: String,
    /// Cycles spent in it.
    pub cycles: u64,
    /// Packets (or ring entries) it handled.
    pub packets: u64,
}

impl Stage {
    /// Cycles for each packet, or nothing when it handled none.
    pub fn cycles_per_packet(&self) -> Option<f64> {
        (self.packets > 0).then(|| self.cycles as f64 / self.packets as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(lane: u32, received: u64) -> LaneStat {
        let port = PortStat { counters: Counters::from([("rx_packets".into(), received)]), ..PortStat::default() };
        LaneStat {
            lane,
            snmp: Counters::from([("IpInReceives".into(), received)]),
            drops: Counters::from([(format!("only_on_{lane}"), 1)]),
            ports: vec![port.clone(), port],
            ..LaneStat::default()
        }
    }

    #[test]
    fn sums_run_over_lanes_and_ports_by_name() {
        let stat = Stat::of_lanes(7, 1, vec![lane(0, 3), lane(1, u64::MAX)]);
        assert_eq!(stat.total.snmp["IpInReceives"], u64::MAX, "saturates");
        assert_eq!(stat.total.drops, Counters::from([("only_on_0".into(), 1), ("only_on_1".into(), 1)]));
        assert_eq!(Stat::of_lanes(7, 1, vec![lane(0, 3)]).total.ports["rx_packets"], 6);
    }

    #[test]
    fn a_stage_without_packets_has_no_cost_per_packet() {
        let mut stage = Stage { name: "rx".into(), cycles: 900, packets: 0 };
        assert_eq!(stage.cycles_per_packet(), None);
        stage.packets = 3;
        assert_eq!(stage.cycles_per_packet(), Some(300.0));
    }
}
