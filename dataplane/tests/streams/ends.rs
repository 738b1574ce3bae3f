//! How transfers end: with everything heard and closed, or by force.

use crate::program::Program;
use crate::world::{self, LIMIT, PAUSE, run, standing};
use xmit_nic::sim::Impairment;
use xmit_script::Pair;
use xmit_shared::session::{How, Op, SocketOption, StreamEvents};

/// Transfers both ways to their end, and closes; everything must arrive.
pub(crate) fn transfer(pair: &mut Pair, programs: &mut [Program; 2]) {
    let (seed, began) = (pair.seed, pair.now);
    let done = run(pair, programs, |_, programs| programs.iter().all(|program| program.done()));
    let progress: Vec<_> = programs.iter().map(|p| (p.written, p.outgoing.len(), p.incoming.len(), p.done())).collect();
    let slots = [programs[0].slot, programs[1].slot];
    let errors = [pair.a.client.take_error(slots[0]), pair.b.client.take_error(slots[1])];
    let took = pair.now.saturating_since(began);
    let (at_a, at_b) = (standing(&mut pair.a, slots[0]), standing(&mut pair.b, slots[1]));
    assert!(done, "seed {seed}: stalled after {took:?}: {progress:?} {errors:?}\n  {at_a}\n  {at_b}");
    assert_eq!(errors, [None, None], "seed {seed}");
    programs[0].check(&programs[1], true, &format!("seed {seed}, to a"));
    programs[1].check(&programs[0], true, &format!("seed {seed}, to b"));
    close(pair, slots);
}

/// A close completes when what was sent is acknowledged.
pub(crate) fn close(pair: &mut Pair, [a, b]: [u32; 2]) {
    pair.a.close(a).unwrap();
    pair.b.close(b).unwrap();
    let mut closed = 0;
    let done = world::drive_until(pair, LIMIT, |pair| {
        closed += [&mut pair.a, &mut pair.b].into_iter().filter_map(|e| e.client.completion().unwrap()).count();
        closed == 2
    });
    assert!(done, "seed {}: {closed} of 2 sockets were closed", pair.seed);
}

/// How one side ends a transfer that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Abrupt {
    Close,
    Reset,
    ShutdownBoth,
    Kill,
    CutWire,
}

pub(crate) fn end_abruptly(pair: &mut Pair, a: u32, how: Abrupt, wire: Impairment) {
    match how {
        Abrupt::Close => pair.a.close(a).unwrap(),
        Abrupt::Reset => {
            pair.a.call(pair.now, a, Op::SetOption(SocketOption::Linger, 0)).unwrap();
            pair.a.close(a).unwrap();
        }
        Abrupt::ShutdownBoth => _ = pair.a.call(pair.now, a, Op::Shutdown(How::Both)),
        Abrupt::Kill => pair.a.host.detach(1).unwrap(),
        Abrupt::CutWire => pair.impair(Impairment { loss_ppm: 1_000_000, ..wire }),
    }
}

/// `b` goes on by itself until its stream ends, or for as long as a connection may take to be given up.
pub(crate) fn survive(pair: &mut Pair, [a, b]: &mut [Program; 2], how: Abrupt) -> bool {
    let limit = pair.now + LIMIT;
    while pair.now < limit {
        let now = pair.now;
        if matches!(how, Abrupt::ShutdownBoth) {
            a.act(&mut pair.a, now);
        }
        let busy = b.act(&mut pair.b, now);
        let events = pair.b.client.events(b.slot);
        // A reset may be lost, and then nobody is left who would answer: data, or a probe, finds that out.
        if !busy && (events.contains(StreamEvents::CLOSED) || events.contains(StreamEvents::RECEIVE_END)) {
            return true;
        }
        world::step(pair, if busy { now + PAUSE } else { limit });
    }
    // It had nothing to send, and what said that the other side is gone was lost.
    b.written == b.outgoing.len()
}
