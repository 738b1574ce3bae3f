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
/// The least share of what Reno gets by theory that a transfer with random loss must get.
const LOSSY_MIN: f64 = 0.6;
/// A segment's data, with timestamps.
const MSS_BITS: f64 = 1448.0 * 8.0;
/// Below that, flows that should share do not.
const JAIN_MIN: f64 = 0.8;

#[test]
fn throughput_by_loss_and_round_trip() {
    let mut text = String::new();
    for control in [Cubic, Reno] {
        text += if text.is_empty() { "" } else { "\n" };
        text += &table::row(control.name(), &RTTS.map(|rtt| format!("{rtt} ms")));
        for loss_ppm in LOSSES_PPM {
            let cells = RTTS.map(|rtt| {
                let wire = Bottleneck { rate_bps: FAST_BPS, rtt: Duration::from_millis(rtt), loss_ppm };
                throughput(control, wire)
            });
            let name = format!("{} % lost", f64::from(loss_ppm) / 10_000.0);
            text += &table::row(&name, &cells.map(|speed| format!("{:.1}", speed.whole / 1e6)));
            for (speed, rtt) in cells.iter().zip(RTTS) {
                let least = least_bps(loss_ppm, rtt);
                let of_all = if loss_ppm == 0 { speed.second_half } else { speed.whole };
                assert!(of_all > least, "{rtt} ms: {of_all:.0} bit/s where {least:.0} are the least:\n{text}");
            }
        }
    }
    table::compare("throughput", &text);
}

/// What a transfer must get in any case. With loss at random, a part of what theory says of Reno (Mathis et al. 1997), unless
/// there is so much that timeouts decide; without loss, most of the wire once slow start is over.
fn least_bps(loss_ppm: u32, rtt_ms: u64) -> f64 {
    let (wire, loss, rtt) = (FAST_BPS as f64, f64::from(loss_ppm) / 1e6, rtt_ms as f64 / 1e3);
    match loss_ppm {
        0 if rtt_ms <= 50 => UTILIZATION_MIN * wire,
        1..=10_000 => LOSSY_MIN * wire.min(MSS_BITS * 1.22 / (rtt * loss.sqrt())),
        _ => 0.0,
    }
}

/// DCTCP has no table of its own: where nothing marks it reacts as Reno does.
#[test]
fn dctcp_without_marks_is_reno() {
    let wire = Bottleneck { rate_bps: FAST_BPS, rtt: Duration::from_millis(10), loss_ppm: 1_000 };
    let [reno, dctcp] = [Reno, Dctcp].map(|control| throughput(control, wire).whole);
    assert!((reno - dctcp).abs() < 0.01 * reno, "reno {reno:.0} bit/s, dctcp {dctcp:.0} bit/s");
}

#[test]
fn fairness_of_flows() {
    let sharers: [(&str, [CongestionName; 2]); 3] =
        [("cubic", [Cubic, Cubic]), ("reno", [Reno, Reno]), ("half cubic, half reno", [Cubic, Reno])];
    let mut text = table::row("Jain's index", &FLOWS.map(|count| format!("{count} flows")));
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
