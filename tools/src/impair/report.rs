//! What happened to the frames of each direction, for people and for programs.

use std::fmt;

use serde::Serialize;
use xmit_nic::join::{Join, JoinStats};
use xmit_nic::{Port, PortStats};

use crate::impair::args::Interface;
use crate::table::Table;

/// Both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What decided.
    pub seed: u64,
    /// From A to B, and from B to A.
    pub directions: [Direction; 2],
}

/// One direction: every frame that came is one of `sent`, `waiting`, or one of the drops (`lost` to `refused`), where
/// each of `duplicated` came twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// The interface that frames come from.
    pub from: String,
    /// The interface that they go to.
    pub to: String,
    /// Frames taken from the first interface.
    pub received: u64,
    /// Frames given to the second.
    pub sent: u64,
    /// On their way.
    pub waiting: u64,
    /// Dropped by chance.
    pub lost: u64,
    /// Sent twice by chance.
    pub duplicated: u64,
    /// Sent with one bit flipped by chance.
    pub corrupted: u64,
    /// Held back by chance.
    pub reordered: u64,
    /// Dropped: too many waited for the wire.
    pub queue_full: u64,
    /// Dropped: too many were on their way.
    pub flight_full: u64,
    /// Dropped: longer than the MTU.
    pub too_long: u64,
    /// Dropped: the second interface did not take them (it is down, or its MTU is smaller).
    pub refused: u64,
    /// Not received: this program was too slow.
    pub missed: u64,
    /// Not received: several segments in one (segmentation or receive offload).
    pub several_segments: u64,
}

impl Report {
    /// How `join` between `ends` stands.
    pub fn of(join: &Join, ends: [&Interface; 2], seed: u64) -> Self {
        let ((there, back), (a, b)) = (join.stats(), join.ports());
        let [first, second] = ends.map(ToString::to_string);
        let [a, b] = [a, b].map(Port::stats);
        let directions = [
            Direction::of([first.clone(), second.clone()], &there, &a, &b),
            Direction::of([second, first], &back, &b, &a),
        ];
        Self { seed, directions }
    }
}

impl Direction {
    fn of([from, to]: [String; 2], join: &JoinStats, source: &PortStats, sink: &PortStats) -> Self {
        let JoinStats { received, line, too_long, .. } = *join;
        let refused = sink.tx_dropped + sink.tx_errors;
        Self {
            from,
            to,
            received,
            sent: sink.tx_packets,
            waiting: received + line.duplicated
                - (join.sent + line.lost + line.queue_full + line.flight_full + line.too_long + too_long),
            lost: line.lost,
            duplicated: line.duplicated,
            corrupted: line.corrupted,
            reordered: line.reordered,
            queue_full: line.queue_full,
            flight_full: line.flight_full,
            too_long: line.too_long + too_long,
            refused,
            missed: source.rx_missed_errors,
            several_segments: source.rx_length_errors,
        }
    }

    /// Every counter by its name.
    fn counters(&self) -> [(&'static str, u64); 13] {
        [
            ("received", self.received),
            ("sent", self.sent),
            ("waiting", self.waiting),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("corrupted", self.corrupted),
            ("reordered", self.reordered),
            ("queue full", self.queue_full),
            ("flight full", self.flight_full),
            ("too long", self.too_long),
            ("refused", self.refused),
            ("missed", self.missed),
            ("several segments", self.several_segments),
        ]
    }
}

/// Counters that are zero are left out, but for the first two.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [there, back] = &self.directions;
        let header = ["frames", &format!("{} > {}", there.from, there.to), &format!("{} > {}", back.from, back.to)];
        let mut table = Table::new(&header);
        for (place, ((name, there), (_, back))) in there.counters().iter().zip(back.counters()).enumerate() {
            if place < 2 || there + back > 0 {
                table.row(&[name, there, &back]);
            }
        }
        write!(f, "{table}")?;
        if self.directions.iter().any(|direction| direction.several_segments > 0) {
            let cure = "`ethtool -K DEV tx off tso off gso off` where they are sent, or `gro off lro off` here";
            writeln!(f, "Several segments in one are no frame and were dropped: {cure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmit_nic::sim::LineStats;

    fn report() -> Report {
        let line = LineStats { offered: 100, delivered: 96, lost: 5, duplicated: 2, ..LineStats::default() };
        let there = JoinStats { received: 100, sent: 96, line, ..JoinStats::default() };
        let back = JoinStats { received: 7, sent: 7, ..JoinStats::default() };
        let port = |tx_packets, tx_errors| PortStats { tx_packets, tx_errors, ..PortStats::default() };
        let (a, b) = (port(7, 0), port(95, 1));
        let name = |name: &str| name.to_owned();
        let directions = [
            Direction::of([name("w:ma"), name("mb")], &there, &a, &b),
            Direction::of([name("mb"), name("w:ma")], &back, &b, &a),
        ];
        Report { seed: 7, directions }
    }

    #[test]
    fn every_frame_is_accounted_for() {
        let [there, back] = report().directions;
        let drops = there.lost + there.queue_full + there.flight_full + there.too_long + there.refused;
        assert_eq!(there.received + there.duplicated, there.sent + there.waiting + drops);
        assert_eq!((there.waiting, there.refused, back.waiting), (1, 1, 0));
    }

    #[test]
    fn zeros_are_left_out_and_offloads_have_their_cure() {
        let mut report = report();
        let expected = [
            "frames      w:ma > mb  mb > w:ma",
            "received          100          7",
            "sent               95          7",
            "waiting             1          0",
            "lost                5          0",
            "duplicated          2          0",
            "refused             1          0",
        ];
        assert_eq!(report.to_string().lines().collect::<Vec<_>>(), expected);
        report.directions[1].several_segments = 3;
        assert!(report.to_string().contains("ethtool -K"));
    }
}
