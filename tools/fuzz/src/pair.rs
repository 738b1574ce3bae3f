//! The body of the target `tcp_pair`: the input is a script of what two programs do to one connection over an unkind wire, with the
//! operations of the simulations in `dataplane/tests/streams` and against their model: every byte arrives once and in order, or the
//! end is heard of; the bounds hold after every step; in the end nothing is left.
//!
//! ```text
//!   seed of settings and options (2 bytes), wire, thousands of bytes of either program (2), steps of 3 bytes
//! ```

use crate::ends::{Abrupt, end_abruptly, survive, transfer};
use crate::program::Program;
use crate::world::{self, World, nothing_is_left, standing};
use xmit_nic::Duration;
use xmit_nic::rng::Rng;
use xmit_nic::sim::Impairment;
use xmit_script::Pair;
use xmit_shared::session::StreamFlags;

/// Steps of one script.
const STEPS_MAX: usize = 64;

/// A script on a connection from the first end of a pair to the second.
pub fn tcp_pair(bytes: &[u8]) {
    let [low, high, wire, a, b, script @ ..] = bytes else { return };
    let seed = u64::from(u16::from_be_bytes([*high, *low]));
    let mut world = World::new(seed, Rng::new(seed), |_, _| wire_of(*wire));
    let slots = world.connect();
    let World { mut rng, wire, pair } = world;
    let programs = [
        Program::new(slots.0, usize::from(*a) * 1000, &mut rng),
        Program::new(slots.1, usize::from(*b) * 1000, &mut rng),
    ];
    let mut run = Run { pair, programs, wire };
    // Two that both wait for the other to read would wait for ever.
    run.programs[1].reads_after = 0;
    for step in script.chunks(3).take(STEPS_MAX) {
        let mut three = [0; 3];
        three[..step.len()].copy_from_slice(step);
        if let Some(how) = run.step(three) {
            return run.end(how);
        }
    }
    transfer(&mut run.pair, &mut run.programs);
    nothing_is_left(run.pair);
}

struct Run {
    pair: Pair,
    programs: [Program; 2],
    wire: Impairment,
}

impl Run {
    /// How the connection is to end, if not in peace.
    fn step(&mut self, [what, a, b]: [u8; 3]) -> Option<Abrupt> {
        let (at, now) = (usize::from(what & 1), self.pair.now);
        let end = if at == 0 { &mut self.pair.a } else { &mut self.pair.b };
        let program = &mut self.programs[at];
        let len = usize::from(a) << (b % 10);
        match what >> 1 & 7 {
            0 => program.write(end, now, len),
            1 => program.read(end, len),
            2 | 3 => self.pass(Duration::from_micros(u64::from(a) << (b % 16))),
            4 => self.both_act(a),
            // It has nothing more to say than what it has said.
            5 if b == 0 => {
                program.outgoing.truncate(program.written);
                program.reads_after = program.reads_after.min(program.written);
            }
            5 => end.client.set_flags(program.slot, StreamFlags(u32::from(a & 3)), a & 4 != 0),
            6 => {
                self.wire = wire_of(a);
                self.pair.impair(self.wire);
            }
            // Rarely: nothing of the script follows it.
            _ if b < 16 => return Some(abrupt(a)),
            _ => self.pass(Duration::from_millis(u64::from(a))),
        }
        None
    }

    fn pass(&mut self, time: Duration) {
        let until = self.pair.now + time;
        while world::step(&mut self.pair, until) {}
    }

    fn both_act(&mut self, times: u8) {
        for _ in 0..times {
            let now = self.pair.now;
            let [a, b] = &mut self.programs;
            let busy = a.act(&mut self.pair.a, now) | b.act(&mut self.pair.b, now);
            world::step(&mut self.pair, now + Duration::from_millis(if busy { 0 } else { 10 }));
        }
    }

    /// What was read is a beginning of what was written; the other side hears of it.
    fn end(mut self, how: Abrupt) {
        let slots = (self.programs[0].slot, self.programs[1].slot);
        end_abruptly(&mut self.pair, slots.0, how, self.wire);
        let heard = survive(&mut self.pair, &mut self.programs, how);
        assert!(heard, "{how:?} is not heard of: {}", standing(&mut self.pair.b, slots.1));
        self.programs[0].check(&self.programs[1], false, "to a");
        self.programs[1].check(&self.programs[0], false, "to b");
        self.pair.b.close(slots.1).unwrap();
        if matches!(how, Abrupt::ShutdownBoth | Abrupt::CutWire) {
            self.pair.a.close(slots.0).unwrap();
        }
        nothing_is_left(self.pair);
    }
}

fn abrupt(which: u8) -> Abrupt {
    [Abrupt::Close, Abrupt::Reset, Abrupt::ShutdownBoth, Abrupt::Kill, Abrupt::CutWire][usize::from(which % 5)]
}

/// Two bits for loss, one each for the other faults, two for the rate.
fn wire_of(bits: u8) -> Impairment {
    let fault = |bit: u8, ppm: u32| u32::from(bits >> bit & 1) * ppm;
    Impairment {
        loss_ppm: [0, 1_000, 20_000, 150_000][usize::from(bits & 3)],
        duplicate_ppm: fault(2, 30_000),
        reorder_ppm: fault(3, 50_000),
        corrupt_ppm: fault(4, 20_000),
        delay: Duration::from_micros(u64::from(bits >> 5 & 1) * 20_000),
        jitter: Duration::from_micros(u64::from(bits >> 3 & 1) * 2_000),
        rate_bps: [0, 1_000_000_000, 10_000_000, 2_000_000][usize::from(bits >> 6)],
        ..Impairment::NONE
    }
}
