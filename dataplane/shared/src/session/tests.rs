//! Both ends of a session against each other: a lane that echoes, and clients that write rubbish.

use super::*;
use crate::Rubbish;
use crate::clock::monotonic;
use crate::record::{Meta, PushError};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 7);
/// Long enough for any machine; a test that waits this long has failed.
const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

fn small() -> SessionConfig {
    SessionConfig {
        lanes: 2,
        slots: 70,
        control_entries: 8,
        tx_bytes: 1 << 17,
        rx_bytes: 1 << 17,
        stream_tx_bytes: 1 << 15,
        stream_rx_bytes: 1 << 15,
        memory_max: u64::MAX,
    }
}

/// One turn of a lane that accepts every call and sends every datagram back.
fn echo_turn(lane: &mut LaneEnd, buffer: &mut [u8]) -> Result<bool, Rubbish> {
    let mut worked = false;
    while let Some(submission) = lane.next_submission()? {
        worked = true;
        let result = match submission.op {
            Op::Open(_) if !lane.open(submission.slot) => -16,
            Op::Close => {
                lane.close(submission.slot);
                0
            }
            _ => 0,
        };
        lane.complete(&Completion::of(&submission, result).with_addr(PEER))?;
    }
    lane.collect_dirty();
    while let Some(slot) = lane.next_dirty() {
        while let Some(meta) = lane.tx_peek(slot)? {
            worked = true;
            let len = lane.tx_copy(slot, buffer);
            match lane.rx_push(slot, &meta, &[&buffer[..len]]) {
                Err(PushError::Rubbish(rubbish)) => return Err(rubbish),
                Err(PushError::Full) => {
                    lane.put_back(slot);
                    break;
                }
                _ => lane.tx_consume(slot),
            }
        }
    }
    lane.ring_client();
    Ok(worked)
}

fn echo_until(lane: &mut LaneEnd, stop: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Acquire) {
        if echo_turn(lane, &mut buffer).unwrap() {
            continue;
        }
        lane.prepare_sleep();
        if !lane.has_work() && !stop.load(Ordering::Acquire) {
            let _ = rustix::event::poll(
                &mut [rustix::event::PollFd::from_borrowed_fd(lane.bell(), rustix::event::PollFlags::IN)],
                Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 200_000_000 }),
            );
        }
        lane.awake();
    }
}

fn call(client: &mut ClientEnd, lane: usize, slot: u32, op: Op) -> Completion {
    assert!(client.lanes[lane].submit(&Submission { token: 42, slot, op }).unwrap());
    let shared = client.shared.clone();
    loop {
        if let Some(completion) = client.lanes[lane].next_completion().unwrap() {
            assert_eq!(completion.token, 42);
            return completion;
        }
        shared.sleeper().prepare();
        match client.lanes[lane].next_completion().unwrap() {
            Some(completion) => {
                shared.sleeper().awake();
                return completion;
            }
            None => assert!(shared.sleeper().wait(LIMIT), "no answer to {op:?}"),
        }
        shared.sleeper().awake();
    }
}

fn receive(client: &mut ClientEnd, slot: usize, out: &mut [u8]) -> usize {
    let shared = client.shared.clone();
    loop {
        shared.sleeper().prepare();
        let rx = &mut client.slots[slot].rx;
        if rx.peek().unwrap().is_some() {
            shared.sleeper().awake();
            let len = rx.copy(out);
            rx.consume();
            return len;
        }
        assert!(shared.sleeper().wait(LIMIT), "no datagram");
        shared.sleeper().awake();
    }
}

/// Runs `client` against two echoing lanes.
fn with_echo(mut lanes: Vec<LaneEnd>, client: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for lane in &mut lanes {
            scope.spawn(|| echo_until(lane, &stop));
        }
        client();
        stop.store(true, Ordering::Release);
    });
}

#[test]
fn datagrams_are_echoed_through_sealed_memory() {
    let (lanes, fds) = create(&small()).unwrap();
    let mut client = attach(fds).unwrap();
    with_echo(lanes, || {
        let mut out = vec![0; 65_536];
        for (lane, slot) in [(0, 0), (1, 69), (0, 69)] {
            assert_eq!(call(&mut client, lane, slot, Op::Open(Transport::Udp)).result, 0);
            assert_eq!(call(&mut client, lane, slot, Op::Open(Transport::Udp)).result, -16, "EBUSY");
            client.slots[slot as usize].rx.restart();
            assert_eq!(call(&mut client, lane, slot, Op::Bind(PEER)).addr, PEER);
            for round in 0..500usize {
                let payload = vec![round as u8; round * 131 % 65_507];
                client.slots[slot as usize].tx.push(&Meta::of(PEER), &[&payload]).unwrap();
                client.shared.kick(lane as u32, slot);
                let len = receive(&mut client, slot as usize, &mut out);
                assert!(out[..len] == payload, "round {round}");
            }
            assert_eq!(call(&mut client, lane, slot, Op::Close).result, 0);
        }
    });
}

#[test]
fn a_writer_that_waits_for_room_is_woken() {
    let (lanes, mut client) = in_process(&small()).unwrap();
    with_echo(lanes, || {
        call(&mut client, 0, 0, Op::Open(Transport::Udp));
        let (shared, slot) = (client.shared.clone(), &mut client.slots[0]);
        let (mut sent, mut received) = (0, 0);
        while received < 300 {
            slot.status.want_room();
            shared.sleeper().prepare();
            let mut progress = false;
            while sent < 300 && slot.tx.push(&Meta::of(PEER), &[&[sent as u8; 9000]]).is_ok() {
                (sent, progress) = (sent + 1, true);
                shared.kick(0, 0);
            }
            while let Some(meta) = slot.rx.peek().unwrap() {
                assert_eq!(meta.len, 9000);
                slot.rx.consume();
                (received, progress) = (received + 1, true);
            }
            // The echo keeps a slot it cannot serve among the dirty ones, so room in our receive buffer needs no word.
            assert!(progress || shared.sleeper().wait(LIMIT), "lost wake-up at {sent}/{received}");
            shared.sleeper().awake();
            slot.status.forget_room();
        }
    });
}

#[test]
fn room_wakes_only_who_waits_for_it() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let (lane, shared) = (&mut lanes[0], client.shared.clone());
    assert!(lane.open(3) && !lane.open(3) && !lane.open(70));
    let slot = &mut client.slots[3];
    let mut send = |lane: &mut LaneEnd| {
        slot.tx.push(&Meta::of(PEER), &[b"x"]).unwrap();
        shared.kick(0, 3);
        shared.sleeper().prepare();
        lane.collect_dirty();
        assert_eq!(lane.next_dirty(), Some(3));
        lane.tx_peek(3).unwrap().unwrap();
        lane.tx_consume(3);
    };
    send(lane);
    assert!(!lane.ring_client(), "the client sleeps for something to read");
    let status = client.slots[3].status.clone();
    status.want_room();
    let slot = &mut client.slots[3];
    slot.tx.push(&Meta::of(PEER), &[b"x"]).unwrap();
    shared.kick(0, 3);
    lane.collect_dirty();
    lane.next_dirty();
    lane.tx_peek(3).unwrap().unwrap();
    lane.tx_consume(3);
    assert!(lane.ring_client(), "now it waits for room");
    assert!(!lane.ring_client(), "once");
}

#[test]
fn errors_are_numbered_and_reach_open_slots_only() {
    let (mut lanes, client) = in_process(&small()).unwrap();
    let status = &client.slots[1].status;
    lanes[0].set_error(1, 111);
    assert_eq!(status.error(), 0, "closed");
    lanes[0].open(1);
    lanes[0].set_error(1, 111);
    let first = status.error();
    lanes[0].set_error(1, 111);
    assert_eq!((first & 0xffff, status.error() & 0xffff), (111, 111));
    assert_ne!(first, status.error(), "the same error again is a new one");
}

#[test]
fn postponed_calls_hold_up_nobody_and_are_answered_when_there_is_room() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let (lane, client) = (&mut lanes[0], &mut client.lanes[0]);
    // Three times as many closes as there is room for calls under way.
    for token in 0..24 {
        assert!(client.submit(&Submission { token, slot: 0, op: Op::Close }).unwrap());
        assert_eq!(lane.next_submission().unwrap().unwrap().token, token);
        lane.postpone();
    }
    let answer = |token| Completion { token, slot: 0, result: 0, addr: PEER, value: 0 };
    for token in 0..20 {
        lane.complete_postponed(&answer(token)).unwrap();
    }
    assert!(client.submit(&Submission { token: 24, slot: 1, op: Op::Info }).unwrap());
    assert_eq!(lane.next_submission(), Ok(None), "the ring is full of answers");
    assert!(!lane.has_work());
    for token in 0..8 {
        assert_eq!(client.next_completion().unwrap().unwrap().token, token);
    }
    lane.prepare_sleep();
    assert!(lane.has_work());
    assert_eq!(lane.next_submission(), Ok(None), "first those that waited");
    assert_eq!(std::iter::from_fn(|| client.next_completion().unwrap()).count(), 8);
    let taken = lane.next_submission().unwrap().unwrap();
    lane.complete(&Completion::of(&taken, 0)).unwrap();
    let rest: Vec<u64> = std::iter::from_fn(|| client.next_completion().unwrap()).map(|answer| answer.token).collect();
    assert_eq!(rest, [16, 17, 18, 19, 24]);
    for token in 20..24 {
        lane.complete_postponed(&answer(token)).unwrap();
    }
    let rest: Vec<u64> = std::iter::from_fn(|| client.next_completion().unwrap()).map(|answer| answer.token).collect();
    assert_eq!(rest, [20, 21, 22, 23], "each exactly once");
    assert!(!lane.has_work());
}

#[test]
fn calls_are_taken_only_while_they_can_be_answered() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let lane = &mut lanes[0];
    let mut token = 0;
    let mut fill = |client: &mut ClientEnd| {
        while client.lanes[0].submit(&Submission { token, slot: 0, op: Op::Close }).unwrap() {
            token += 1;
        }
    };
    fill(&mut client);
    let taken: Vec<_> = std::iter::from_fn(|| lane.next_submission().unwrap()).collect();
    assert_eq!(taken.len(), 8);
    fill(&mut client);
    assert_eq!(lane.next_submission(), Ok(None), "no room for a ninth answer");
    assert!(!lane.has_work(), "nor a reason to stay awake");
    for submission in &taken {
        lane.complete(&Completion::of(submission, 0)).unwrap();
    }
    assert_eq!(lane.next_submission(), Ok(None));
    lane.prepare_sleep();
    assert_eq!(client.lanes[0].next_completion().unwrap().unwrap().token, 0);
    assert!(lane.has_work());
    assert!(lane.next_submission().unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A client that writes anything anywhere gets an error or harmless records; the lane neither panics nor loops.
    #[test]
    fn rubbish_in_the_region_never_harms_the_lane(
        noise in prop::collection::vec((0usize..(64 << 10) / 4, any::<u32>()), 1..400),
        flood in any::<bool>(),
    ) {
        let layout = Layout::new(&small()).unwrap();
        let memory = Memory::anonymous(layout.total()).unwrap();
        let (mut lanes, _bell, _lane_bells) = lane_ends(&memory, &layout).unwrap();
        for slot in 0..70 {
            lanes[0].open(slot);
        }
        for round in 0..4u32 {
            for (word, value) in &noise {
                memory.word32(word * 4).unwrap().store(value.rotate_left(round), Ordering::Relaxed);
            }
            if flood {
                for word in 0..memory.len() / 4 / 256 {
                    memory.word32(word * 4 * 256).unwrap().store(u32::MAX, Ordering::Relaxed);
                }
            }
            // Whatever else it wrote, it says that all of it is news.
            memory.word32(layout.lane(0).dirty_summary).unwrap().store(u32::MAX, Ordering::Relaxed);
            let lane = &mut lanes[0];
            let mut buffer = [0; 65_536];
            if echo_turn(lane, &mut buffer).is_err() {
                break;
            }
            lane.prepare_sleep();
            lane.has_work();
            lane.awake();
        }
    }
}

#[test]
fn a_client_that_scribbles_while_the_lane_runs_harms_itself_only() {
    let layout = Layout::new(&small()).unwrap();
    let (fd, memory) = Memory::sealed("xmit-test", layout.total()).unwrap();
    let theirs = Memory::from_sealed(fd.as_fd()).unwrap();
    let (mut lanes, _bell, _lane_bells) = lane_ends(&memory, &layout).unwrap();
    (0..70).for_each(|slot| assert!(lanes[0].open(slot)));
    let words = layout.slot(3).tx_bytes / 4;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64; // xorshift: the same rubbish in every run
            while !done.load(Ordering::Acquire) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let value = (state >> 32) as u32 & (u32::MAX >> (state % 32));
                theirs.word32(state as usize % words * 4).unwrap().store(value, Ordering::Relaxed);
                theirs.word32(layout.lane(0).dirty_summary).unwrap().store(u32::MAX, Ordering::Relaxed);
            }
        });
        let mut buffer = vec![0; 65_536];
        let (mut closed, end) = (0, monotonic() + Duration::from_secs(10));
        while closed < 20 && monotonic() < end {
            if echo_turn(&mut lanes[0], &mut buffer).is_err() {
                // The daemon would close the session here; this one starts anew on the same memory to meet more of it.
                closed += 1;
                (lanes, ..) = lane_ends(&memory, &layout).unwrap();
                (0..70).for_each(|slot| assert!(lanes[0].open(slot)));
            }
        }
        done.store(true, Ordering::Release);
        assert_eq!(closed, 20, "the rubbish is noticed, again and again");
    });
}

#[test]
fn a_bell_rung_for_nothing_is_silenced_after_a_while() {
    let layout = Layout::new(&small()).unwrap();
    let memory = Memory::anonymous(layout.total()).unwrap();
    let (lanes, _bell, lane_bells) = lane_ends(&memory, &layout).unwrap();
    rustix::io::write(&lane_bells[0], &[1; 100]).unwrap();
    let rings = |lane: &LaneEnd| {
        let mut fds = [rustix::event::PollFd::from_borrowed_fd(lane.bell(), rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::time::Timespec::default())) == Ok(1)
    };
    assert!(rings(&lanes[0]));
    for _ in 0..32 {
        lanes[0].prepare_sleep();
        lanes[0].awake();
    }
    assert!(!rings(&lanes[0]));
}
