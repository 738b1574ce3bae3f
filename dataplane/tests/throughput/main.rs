//! How fast and how fair transfers are, in numbers under version control: `table.txt` beside this file. A change of congestion
//! control or of loss recovery shows as a diff of figures, to be looked at before it is written down with
//! `XMIT_BLESS=1 cargo test -p xmit-dataplane --test throughput`.
//!
//! The wires are seeded and time is virtual: the same code gives the same figures on every machine.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

mod flows;
mod table;

use flows::{Bottleneck, fairness, throughput};
use xmit_nic::Duration;
use xmit_shared::session::CongestionName::{self, Cubic, Dctcp, Reno};

/// Frames lost on the way to the receiver, per million.
const LOSSES_PPM: [u32; 4] = [0, 1_000, 10_000, 50_000];
/// Round trips, in milliseconds.
const RTTS: [u64; 4] = [1, 10, 50, 200];
/// How many flows share a bottleneck.
const FLOWS: [usize; 4] = [2, 4, 8, 16];

/// The wire of the throughput tables.
const FAST_BPS: u64 = 100_000_000;
/// The least share of a wire without loss that the second half of a transfer must get, up to 50 ms.
const UTILIZATION_MIN: f64 = 0.85;
/// Below that, flows that should share do not.
const JAIN_MIN: f64 = 0.8;

#[test]
fn throughput_by_loss_and_round_trip() {
    let mut text = String::new();
    for control in [Cubic, Reno, Dctcp] {
        text += &table::head(control.name(), &RTTS.map(|rtt| format!("{rtt} ms")));
        for loss_ppm in LOSSES_PPM {
            let cells = RTTS.map(|rtt| {
                let wire = Bottleneck { rate_bps: FAST_BPS, rtt: Duration::from_millis(rtt), loss_ppm };
                throughput(control, wire)
            });
            let name = format!("{} % lost", f64::from(loss_ppm) / 10_000.0);
            text += &table::row(&name, &cells.map(|speed| format!("{:.1}", speed.whole / 1e6)));
            let used = cells.map(|speed| speed.second_half / FAST_BPS as f64);
            let enough = loss_ppm > 0 || used.iter().zip(RTTS).all(|(used, rtt)| rtt > 50 || *used > UTILIZATION_MIN);
            assert!(enough, "a wire without loss is left unused, {used:.2?} in the second half:\n{text}");
        }
    }
    table::compare("throughput", &text);
}

#[test]
fn fairness_of_flows() {
    let sharers: [(&str, [CongestionName; 2]); 3] =
        [("cubic", [Cubic, Cubic]), ("reno", [Reno, Reno]), ("half cubic, half reno", [Cubic, Reno])];
    let mut text = table::head("Jain's index", &FLOWS.map(|count| format!("{count} flows")));
    for (name, controls) in sharers {
        let shares = FLOWS.map(|count| fairness(controls, count));
        text += &table::row(name, &shares.map(|shares| format!("{:.2}", shares.jain)));
        text += &table::row("  of the wire, %", &shares.map(|shares| format!("{:.0}", shares.utilization * 100.0)));
        if controls[0] != controls[1] {
            text += &table::row("  of it cubic, %", &shares.map(|shares| format!("{:.0}", shares.first * 100.0)));
        }
        assert!(shares.iter().all(|shares| shares.jain >= JAIN_MIN), "the flows do not share:\n{text}");
    }
    table::compare("fairness", &text);
}
