//! Any sequence of port accesses, frames and time: nothing panics, the invariants hold.

use super::bench::{BROADCAST, Bench, MAC, frame};
use crate::el3c501::device::Heard;
use crate::el3c501::{Fault, Lan, LanConfig, Parity, Quirks, SharedLan, Timing, Xmit};
use crate::{Duration, Instant, MacAddr};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Read(u8),
    Write(u8, u8),
    Aux(u8),
    Hear { len: usize, to_me: bool, fcs_good: bool },
    Pass(u64),
    Fault(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<u8>().prop_map(Op::Read),
        (any::<u8>(), any::<u8>()).prop_map(|(offset, value)| Op::Write(offset, value)),
        prop::sample::select(vec![0x00, 0x01, 0x0c, 0x40, 0x44, 0x48, 0x4c, 0x80]).prop_map(Op::Aux),
        (0_usize..2100, any::<bool>(), any::<bool>()).prop_map(|(len, to_me, fcs_good)| Op::Hear {
            len,
            to_me,
            fcs_good
        }),
        (0_u64..3_000_000).prop_map(Op::Pass),
        (0_u8..4).prop_map(Op::Fault),
    ]
}

fn apply(b: &mut Bench, op: Op) {
    match op {
        Op::Read(offset) => {
            b.r8(offset);
        }
        Op::Write(offset, value) => b.w8(offset, value),
        Op::Aux(value) => b.w8(0xe, value),
        Op::Hear { len, to_me, fcs_good } => {
            let bytes = frame(len, if to_me { MAC } else { BROADCAST });
            b.rx_heard(Heard { bytes: &bytes, fcs_good, dribble: false });
        }
        Op::Pass(nanos) => b.pass(nanos),
        Op::Fault(n) => {
            let fault = [Fault::Collision, Fault::Underflow, Fault::Damage, Fault::Dribble][usize::from(n)];
            b.segment.inject(fault, 2);
        }
    }
}

fn quirks() -> impl Strategy<Value = Quirks> {
    any::<[bool; 5]>().prop_map(|[pad, keep, full, busy, rearm]| Quirks {
        pad_wire_shorts: pad,
        keep_rxptr_on_discard: keep,
        gp_write_full: full,
        txbusy_in_receive: busy,
        rearm_on_status_read: rearm,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn register_pokes_keep_the_invariants(quirks in quirks(), ops in prop::collection::vec(op(), 1..300)) {
        let mut b = Bench::with(quirks).opened();
        for op in ops {
            let line = b.irq();
            apply(&mut b, op.clone());
            prop_assert!(b.r16(8) < 0x1000 || quirks.gp_write_full, "GP after {op:?}");
            prop_assert!(b.r16(0xa) <= 0x800, "RX pointer after {op:?}");
            let enables = |offset: u8| offset % 16 == 0xe;
            if matches!(op, Op::Write(offset, _) if !enables(offset)) || matches!(op, Op::Read(_)) {
                prop_assert!(line || !b.irq(), "{op:?} raised the line");
            }
            if matches!(op, Op::Pass(_)) {
                prop_assert!(b.segment.next_deadline().is_none_or(|at| at > b.now), "something due was left");
            }
        }
        // Whatever happened, a reset and a fresh start bring a working card.
        b.run();
        let mut b = b.opened();
        b.rx(60, MAC);
        prop_assert!(b.irq());
        prop_assert_eq!(b.r8(6), 0x30);
    }
}

/// One thing that happens on a segment with three cards and a tap.
#[derive(Clone, Debug)]
enum Traffic {
    Send { from: usize, len: usize, to_all: bool },
    Pass(u64),
    Fault(u8),
}

fn traffic() -> impl Strategy<Value = Traffic> {
    prop_oneof![
        4 => (0_usize..4, 14_usize..1515, any::<bool>())
            .prop_map(|(from, len, to_all)| Traffic::Send { from, len, to_all }),
        3 => (0_u64..500_000).prop_map(Traffic::Pass),
        1 => (0_u8..4).prop_map(Traffic::Fault),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Every frame taken is accounted for, and the segment always falls silent with all drivers ready.
    #[test]
    fn traffic_is_conserved(
        quirks in quirks(),
        better in any::<bool>(),
        free_run in any::<bool>(),
        latency_us in 0_u64..100,
        seed in any::<u64>(),
        traffic in prop::collection::vec(traffic(), 1..120),
    ) {
        let timing = if free_run { Timing::FreeRun } else { Timing::Wire };
        let parity = if better { Parity::default() } else { Parity::LINUX };
        let lan = SharedLan::new(LanConfig { timing, seed, irq_latency: Duration::from_micros(latency_us) });
        let mut lan = lan.lock();
        let macs = [1, 2, 3].map(|i| MacAddr([0x02, 0x60, 0x8c, 0, 0, i]));
        let hosts = macs.map(|mac| lan.add_host(mac, quirks, parity).unwrap());
        let tap = lan.add_tap().unwrap();
        let (mut now, mut accepted) = (Instant::ZERO, 0);
        for item in traffic {
            match item {
                Traffic::Send { from, len, to_all } => {
                    let bytes = frame(len, if to_all { BROADCAST } else { macs[(from + 1) % 3] });
                    let taken = match hosts.get(from) {
                        Some(host) => lan.start_xmit(now, *host, &bytes) == Xmit::Accepted,
                        None => lan.tap_send(now, tap, &bytes, 60),
                    };
                    accepted += u64::from(taken);
                }
                Traffic::Pass(nanos) => now += Duration::from_nanos(nanos),
                Traffic::Fault(n) => {
                    let fault = [Fault::Collision, Fault::Underflow, Fault::Damage, Fault::Dribble][usize::from(n)];
                    lan.segment().inject(fault, 3);
                }
            }
            lan.advance(now);
        }
        let limit = now + Duration::from_secs(60);
        while let Some(at) = lan.next_deadline() {
            prop_assert!(at < limit, "never silent");
            lan.advance(at);
        }
        let wire = lan.segment().counters();
        let stats = [hosts[0], hosts[1], hosts[2], tap].map(|id| lan.stats(id));
        let sum = |f: fn(&crate::PortStats) -> u64| stats.iter().map(f).sum::<u64>();
        prop_assert_eq!(sum(|s| s.tx_packets), wire.frames);
        prop_assert_eq!(accepted, wire.frames + stats[..3].iter().map(|s| s.tx_aborted_errors).sum::<u64>()
            + sum(|s| s.tx_errors));
        lan.segment().inject(Fault::Damage, 0);
        let counts = |lan: &mut Lan| hosts.map(|id| lan.stats(id)).map(|s| s.rx_packets + s.rx_dropped);
        let before = counts(&mut lan);
        lan.tap_send(limit, tap, &frame(60, BROADCAST), 60);
        let limit = limit + Duration::from_millis(1);
        lan.advance(limit);
        if better && !quirks.keep_rxptr_on_discard {
            prop_assert_eq!(counts(&mut lan), before.map(|n| n + 1), "a card is deaf");
        }
        for (host, at) in hosts.into_iter().zip((0..).map(|n| limit + n * Duration::from_millis(10))) {
            // A pointer that stays where a discarded frame left it looks like a frame that comes in.
            let mut taken = [at, at + Duration::from_millis(2)].into_iter().map(|at| {
                lan.advance(at);
                lan.start_xmit(at, host, &frame(60, BROADCAST))
            });
            prop_assert!(taken.any(|taken| taken == Xmit::Accepted), "a driver is stuck");
        }
    }
}
