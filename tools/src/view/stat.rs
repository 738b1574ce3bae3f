//! `xmit stat`: counters and where the cycles went, once or again and again with rates.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use xmitd::api::{Client, Counters, PortStat, Stages, Stat};

use crate::Failure;
use crate::table::Table;
use crate::view::{print, print_as};
use crate::wait::{Interrupt, Waited};

/// What to show and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatOptions {
    /// Cycles instead of counters.
    pub stages: bool,
    /// Each lane by itself.
    pub lanes: bool,
    /// Zeros as well.
    pub all: bool,
    /// For programs.
    pub json: bool,
    /// Again after this time.
    pub watch: Option<Duration>,
}

/// Asks and prints, once or until interrupted.
pub fn run(mut client: Client, options: StatOptions) -> Result<ExitCode, Failure> {
    let interrupt = options.watch.map(|_| Interrupt::catch()).transpose().map_err(Failure::io("watch for Ctrl-C"))?;
    let mut before = None;
    loop {
        if options.stages {
            print_as(options.json, &client.stages()?, stages_text)?;
        } else {
            let stat = client.stat()?;
            print_as(options.json, &stat, |stat| stat_text(stat, before.as_ref(), options))?;
            before = Some(stat);
        }
        let Some(interrupt) = &interrupt else { return Ok(ExitCode::SUCCESS) };
        if interrupt.wait(options.watch).map_err(Failure::io("wait"))? == Waited::Interrupted {
            return Ok(ExitCode::SUCCESS);
        }
        if !options.json {
            print("\n")?;
        }
    }
}

/// Counters and drop reasons as tables; with rates since `before`.
pub(crate) fn stat_text(stat: &Stat, before: Option<&Stat>, options: StatOptions) -> String {
    let mut text = format!(
        "lanes {}, sessions {}, sockets {}, snapshot {}\n",
        stat.lanes.len(),
        stat.sessions,
        stat.sockets,
        stat.generation
    );
    let seconds = before.map_or(0.0, |before| stat.at_ns.saturating_sub(before.at_ns) as f64 / 1e9);
    if options.lanes {
        for lane in &stat.lanes {
            let before = before.and_then(|before| before.lanes.iter().find(|other| other.lane == lane.lane));
            let groups = [
                ("protocols", &lane.snmp, before.map(|b| &b.snmp)),
                ("drops", &lane.drops, before.map(|b| &b.drops)),
                ("turns", &lane.activity, before.map(|b| &b.activity)),
                ("frames", &lane.frames, None),
            ];
            text.push_str(&format!("\nlane {} on core {}\n", lane.lane, lane.core));
            text.push_str(&groups_text(&groups, seconds, options.all));
        }
    } else {
        let groups = [
            ("protocols", &stat.total.snmp, before.map(|b| &b.total.snmp)),
            ("drops", &stat.total.drops, before.map(|b| &b.total.drops)),
            ("turns", &stat.total.activity, before.map(|b| &b.total.activity)),
            ("ports", &stat.total.ports, before.map(|b| &b.total.ports)),
        ];
        text.push('\n');
        text.push_str(&groups_text(&groups, seconds, options.all));
    }
    let ports: Vec<&PortStat> = stat.lanes.iter().flat_map(|lane| &lane.ports).collect();
    if !ports.is_empty() {
        text.push('\n');
        text.push_str(&ports_table(&ports, options.all).to_string());
    }
    text
}

/// Groups of counters under each other in one table; rates where there is an answer to compare with.
fn groups_text(groups: &[(&str, &Counters, Option<&Counters>)], seconds: f64, all: bool) -> String {
    let rates = seconds > 0.0;
    let header: &[&str] = if rates { &["", "counter", "value", "per-second"] } else { &["", "counter", "value"] };
    let mut table = Table::new(header);
    for (group, counters, before) in groups {
        let mut title = *group;
        for (name, value) in counters.iter().filter(|(_, value)| all || **value != 0) {
            let earlier = before.and_then(|before| before.get(name)).copied().unwrap_or(0);
            let rate = if rates && before.is_some() {
                format!("{:.1}", value.saturating_sub(earlier) as f64 / seconds)
            } else {
                "-".to_owned()
            };
            let cells: [&dyn std::fmt::Display; 4] = [&title, name, value, &rate];
            table.row(&cells[..header.len()]);
            title = "";
        }
    }
    if table.is_empty() { "Nothing was counted yet.\n".to_owned() } else { table.to_string() }
}

/// One line a port: the columns are the counters that any port has.
fn ports_table(ports: &[&PortStat], all: bool) -> Table {
    let counted = |port: &&PortStat| -> Vec<String> {
        let both = port.counters.iter().chain(&port.steering);
        both.filter(|(_, value)| all || **value != 0).map(|(name, _)| name.clone()).collect()
    };
    let names: BTreeSet<String> = ports.iter().flat_map(counted).collect();
    let mut header = vec!["port", "mode", "link"];
    header.extend(names.iter().map(String::as_str));
    let mut table = Table::new(&header);
    for port in ports {
        let link = if port.carrier { "up" } else { "down" };
        let value = |name: &String| port.counters.get(name).or_else(|| port.steering.get(name)).copied().unwrap_or(0);
        let values: Vec<u64> = names.iter().map(value).collect();
        let mut cells: Vec<&dyn std::fmt::Display> = vec![&port.name, &port.mode, &link];
        cells.extend(values.iter().map(|value| value as &dyn std::fmt::Display));
        table.row(&cells);
    }
    table
}

fn stages_text(stages: &Stages) -> String {
    let mut table =
        Table::new(&["lane", "core", "stage", "cycles", "share-%", "packets", "cycles/packet", "ns/packet"]);
    for lane in &stages.lanes {
        let sum: u64 = lane.stages.iter().map(|stage| stage.cycles).sum();
        for stage in &lane.stages {
            let share = format!("{:.1}", 100.0 * stage.cycles as f64 / sum.max(1) as f64);
            let per_packet = stage.cycles_per_packet();
            let nanos = per_packet.filter(|_| stages.cycles_per_second > 0);
            let nanos = nanos.map(|cycles| format!("{:.1}", cycles * 1e9 / stages.cycles_per_second as f64));
            let cycles = per_packet.map(|cycles| format!("{cycles:.1}"));
            let (cycles, nanos) = (crate::table::or_hyphen(cycles), crate::table::or_hyphen(nanos));
            table.row(&[&lane.lane, &lane.core, &stage.name, &stage.cycles, &share, &stage.packets, &cycles, &nanos]);
        }
    }
    let turns: u64 = stages.lanes.iter().map(|lane| lane.turns).sum();
    format!("{turns} turns measured, {} cycles a second\n\n{table}", stages.cycles_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmitd::api::{LaneStages, LaneStat, Stage};

    fn stat(at_ns: u64, received: u64) -> Stat {
        let snmp = Counters::from([("IpInReceives".to_owned(), received), ("IpInHdrErrors".to_owned(), 0)]);
        let counters = Counters::from([("rx_packets".to_owned(), received)]);
        let mode = "AF_XDP native, copy".to_owned();
        let port = PortStat { name: "xb0/0".to_owned(), mode, carrier: true, counters, ..PortStat::default() };
        Stat::of_lanes(at_ns, 1, vec![LaneStat { snmp, ports: vec![port], ..LaneStat::default() }])
    }

    #[test]
    fn zeros_are_hidden_unless_asked_for() {
        let hidden = stat_text(&stat(0, 5), None, StatOptions::default());
        assert!(hidden.contains("IpInReceives") && !hidden.contains("IpInHdrErrors"), "{hidden}");
        assert!(hidden.contains("AF_XDP native, copy"));
        let all = stat_text(&stat(0, 5), None, StatOptions { all: true, ..StatOptions::default() });
        assert!(all.contains("IpInHdrErrors"));
    }

    #[test]
    fn rate_is_the_difference_over_the_daemons_own_clock() {
        let text = stat_text(&stat(2_500_000_000, 1_030), Some(&stat(500_000_000, 30)), StatOptions::default());
        let line = text.lines().find(|line| line.contains("IpInReceives")).unwrap();
        assert!(line.ends_with("1030       500.0"), "{line}");
    }

    #[test]
    fn stage_without_packets_has_no_price() {
        let stage = |name: &str, cycles, packets| Stage { name: name.to_owned(), cycles, packets };
        let lane = LaneStages {
            turns: 4,
            stages: vec![stage("rx", 3000, 10), stage("timers", 1000, 0)],
            ..Default::default()
        };
        let text = stages_text(&Stages { cycles_per_second: 3_000_000_000, lanes: vec![lane] });
        assert!(text.contains("75.0") && text.contains("300.0") && text.contains("100.0"), "{text}");
        assert!(text.lines().any(|line| line.contains("timers") && line.ends_with('-')), "{text}");
    }
}
