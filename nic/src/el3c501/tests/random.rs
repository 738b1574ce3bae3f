//! Any sequence of port accesses, frames and time: nothing panics, the invariants hold.

use super::bench::{BROADCAST, Bench, MAC, frame};
use crate::el3c501::device::Heard;
use crate::el3c501::{Fault, Quirks};
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
    any::<[bool; 4]>().prop_map(|[pad, keep, busy, rearm]| Quirks {
        pad_wire_shorts: pad,
        keep_rxptr_on_discard: keep,
        gp_write_full: false,
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
            prop_assert!(b.r16(8) < 0x1000, "GP after {op:?}");
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
